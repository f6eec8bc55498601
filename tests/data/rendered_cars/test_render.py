import subprocess
import sys

import numpy as np
import pytest

from convlens.data.rendered_cars import PARTS, STYLES, render
from convlens.data.rendered_cars.contact_sheet import contact_sheet

BODY, WINDOW, WHEEL, LAMP, OCCLUDER = (PARTS.index(name) for name in ("body", "window", "wheel", "lamp", "occluder"))
VEHICLE = (BODY, WINDOW, WHEEL, LAMP)


@pytest.fixture(scope="module")
def pictures():
    return [render(STYLES[i % len(STYLES)], f"test/{i}", 64) for i in range(80)]


def test_a_seed_always_gives_the_same_picture_and_another_seed_another():
    first = render("van", "train/5")
    np.random.seed(3)
    again = render("van", "train/5")
    other = render("van", "train/6")
    np.testing.assert_array_equal(first["image"], again["image"])
    np.testing.assert_array_equal(first["parts"], again["parts"])
    assert (first["image"] != other["image"]).mean() > 0.5


def test_a_larger_picture_shows_the_same_scene():
    small, large = render("wagon", 11, 64), render("wagon", 11, 128)
    for name, value in small["factors"].items():
        if name != "occluded":  # counted in samples, which are finer in the larger picture
            np.testing.assert_array_equal(value, large["factors"][name])
    averaged = large["image"].reshape(64, 2, 64, 2, 3).mean((1, 3))
    assert np.abs(averaged - small["image"]).mean() < 8
    assert (large["parts"][::2, ::2] == small["parts"]).mean() > 0.97


def test_every_picture_shows_a_vehicle_with_body_windows_and_wheels(pictures):
    for picture in pictures:
        parts = picture["parts"]
        assert picture["image"].shape == (64, 64, 3) and parts.shape == (64, 64, 1)
        assert picture["image"].dtype == parts.dtype == np.uint8
        assert parts.max() < len(PARTS)
        assert np.isin(parts, VEHICLE).mean() > 0.08
        for part in (BODY, WINDOW, WHEEL):
            assert (parts == part).any(), (picture["style"], PARTS[part])


def test_the_mask_lies_on_the_vehicle(pictures):
    """The picture changes more across the mask's outline than elsewhere; shifted by 4 pixels, it does not."""

    def contrast(image, outline):
        change = np.abs(np.diff(image.astype(float), axis=1)).mean(-1)
        return change[outline].mean() / change.mean()

    on, off = [], []
    for picture in pictures:
        vehicle = np.isin(picture["parts"][..., 0], VEHICLE)
        outline = vehicle[:, 1:] != vehicle[:, :-1]
        on.append(contrast(picture["image"], outline))
        off.append(contrast(picture["image"], np.roll(outline, 4, axis=1)))
    assert np.mean(on) > 1.5 * np.mean(off)


def test_the_body_has_the_colour_that_the_factors_name(pictures):
    agree = []
    for picture in pictures:
        paint = picture["factors"]["paint"].astype(float)
        plain = np.array_equal(paint, picture["factors"]["second_paint"]) and picture["style"] != "box_truck"
        if plain and picture["factors"]["sky"] != "sunset" and np.ptp(paint) > 90:
            body = picture["image"][picture["parts"][..., 0] == BODY]
            agree.append(np.median(body, axis=0).argmax() == paint.argmax())
    assert len(agree) >= 5
    assert np.mean(agree) > 0.8


def test_occluders_hide_the_share_that_the_factors_name_and_never_much(pictures):
    for picture in pictures:
        occluded = picture["factors"]["occluded"]
        assert 0 <= occluded <= 0.1
        if occluded > 0.03:
            assert (picture["parts"] == OCCLUDER).any()
    assert any(picture["factors"]["occluded"] > 0.03 for picture in pictures)


def test_an_unknown_style_is_refused_by_name():
    with pytest.raises(ValueError, match="'coupe'.*sedan"):
        render("coupe")


def test_rendering_imports_no_tensorflow():
    script = "import sys, convlens.data.rendered_cars as r; r.render('bus'); print('tensorflow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_a_contact_sheet_has_a_row_for_each_style():
    assert contact_sheet(columns=2, size=32, zoom=1, gutter=2).shape == (34 * len(STYLES) + 2, 70, 3)
