"""A kernel that the user gives, at work on photographs."""

import numpy as np
import pytest
from PIL import Image

from convlens.configs import Visualize
from convlens.configs.schema import Extraction
from convlens.core.errors import UserError
from convlens.gallery.extraction import kernel_drawings, name_of
from convlens.gallery.photos import PICTURE
from convlens.interpret import extract, parse_kernel


def drawings(of_run=None, **choices):
    """The arrays behind every drawing of a kernel, by name."""
    return {drawing.name: drawing.draw()[1] for drawing in kernel_drawings(Visualize(**choices), of_run)}


def test_a_kernel_is_drawn_with_its_numbers_and_at_work_on_each_image(photo):
    arrays = drawings(kernel="edge", image=[str(photo)])
    assert list(arrays) == ["kernel-edge", "extraction-edge-car"]
    kernel = parse_kernel("edge")
    np.testing.assert_array_equal(arrays["kernel-edge"]["kernel"], kernel)
    expected = extract(np.asarray(Image.open(photo)), kernel)
    for step in ("input", "filter", "detect", "condense"):
        np.testing.assert_array_equal(arrays["extraction-edge-car"][step], getattr(expected, step))


def test_a_kernel_by_numbers_obeys_stride_padding_and_pooling(photo):
    extraction = {"stride": 2, "padding": "valid", "pooling": "average", "pool_size": 3, "pool_stride": 1}
    arrays = drawings(kernel=[[1.0, 0.0], [0.0, -1.0]], image=str(photo), extraction=extraction)
    (steps,) = (steps for name, steps in arrays.items() if name.startswith("extraction"))
    assert steps["filter"].shape == (20, 30)
    assert steps["condense"].shape == (18, 28)


def test_a_kernel_is_tried_on_the_picture_of_the_package_where_no_image_is_named():
    arrays = drawings(kernel="edge")
    assert list(arrays) == ["kernel-edge", "extraction-edge-car"]
    with Image.open(PICTURE) as picture:
        assert picture.size == (512, 512)
    assert PICTURE.stat().st_size < 60_000
    assert arrays["extraction-edge-car"]["input"].shape == (256, 256)


def test_the_picture_of_the_package_is_of_our_own_making():
    from convlens.data.rendered_cars.render import render

    made = render("wagon", "photo 2", 512)["image"].astype(int)
    assert np.abs(np.asarray(Image.open(PICTURE)) - made).mean() < 3  # what JPEG loses


def test_every_kernel_and_every_way_to_apply_it_has_files_of_its_own(photo):
    ways = [
        {"kernel": [[-1.0, 0.0, 1.0]]},
        {"kernel": [[-1.0, 0.0, 2.0]]},
        {"kernel": [[-1.0], [0.0], [1.0]]},
        {"kernel": "[[-1, 0, 1]]", "extraction": {"padding": "same"}},
        {"kernel": [[-1.0, 0.0, 1.0]], "extraction": {"stride": 2}},
        {"kernel": [[-1.0, 0.0, 1.0]], "extraction": {"stride": 2, "pooling": "average"}},
        {"kernel": [[-1.0, 0.0, 1.0]], "kernel_name": "ramp"},
    ]
    names = [name for way in ways for name in drawings(image=str(photo), **way) if name.startswith("extraction")]
    assert len(set(names)) == len(ways)
    assert names[-1] == "extraction-ramp-car"
    assert name_of(np.array([[-1, 0, 1]], np.float32)) in names[0]
    assert all(f"{key}_{value}" in names[5] for key, value in ways[5]["extraction"].items())


def test_a_typed_kernel_that_has_a_name_is_called_by_it():
    assert name_of(np.array([[-1, -1, -1], [-1, 8, -1], [-1, -1, -1]], np.float32)) == "edge"
    assert name_of(np.array([[0.0, -0.0, 1.0]])) == name_of(np.array([[0.0, 0.0, 1.0]]))


def test_an_edge_kernel_finds_no_frame_around_a_picture_of_one_colour(tmp_path):
    Image.new("RGB", (40, 30), (200, 180, 90)).save(tmp_path / "flat.png")
    steps = drawings(kernel="edge", image=str(tmp_path / "flat.png"))["extraction-edge-flat"]
    assert np.abs(steps["filter"]).max() < 1e-5
    padded = drawings(kernel="edge", image=str(tmp_path / "flat.png"), extraction={"padding": "same"})
    assert padded["extraction-edge-flat-padding_same"]["filter"].max() > 1


@pytest.mark.parametrize("padding, says", [("valid", "stays on the picture"), ("same", "also see zeros, black")])
def test_the_picture_says_what_padding_does_to_its_border(photo, padding, says):
    (drawing,) = kernel_drawings(Visualize(kernel="edge", image=str(photo), extraction={"padding": padding}), None)[1:]
    figure, _ = drawing.draw()
    assert any(says in text.get_text() for text in figure.texts)
    assert Extraction().padding == "valid"


def test_photos_of_one_name_in_two_folders_get_a_figure_each(tmp_path, photo):
    (tmp_path / "other").mkdir()
    twin = tmp_path / "other" / photo.name
    twin.write_bytes(photo.read_bytes())
    names = drawings(kernel="edge", image=[str(photo), str(twin)])
    assert list(names) == ["kernel-edge", "extraction-edge-car-0", "extraction-edge-car-1"]


def test_a_large_photo_is_shrunk_to_the_size_that_is_asked_for_and_a_small_one_is_left_alone(photo):
    for longest, shape in ((30, (20, 30)), (256, (40, 60)), (None, (40, 60))):
        arrays = drawings(kernel="blur", image=str(photo), extraction={"image_size": longest})
        assert list(arrays.values())[-1]["input"].shape == shape


def test_a_kernel_looks_at_images_of_a_run_s_split_by_their_index(photos_run):
    arrays = drawings(photos_run, run=str(photos_run.path), kernel="edge", image=[9])
    images, _, _ = photos_run.data.examples("test", [9])
    np.testing.assert_array_equal(
        arrays["extraction-edge-test 9, night"]["filter"], extract(images[0], parse_kernel("edge")).filter
    )


@pytest.mark.parametrize(
    ("choices", "line"),
    [
        ({"kernel": "egde", "image": ["car.png"]}, "Did you mean 'edge'"),
        ({"kernel": "edge", "image": ["nowhere.jpg"]}, "nowhere.jpg"),
        ({"kernel": [[1.0, 2.0], [3.0]], "image": ["car.png"]}, "not a matrix"),
        (
            {"kernel": "edge", "image": ["car.png"], "extraction": {"padding": "valid", "pool_size": 50}},
            "pool of 50x50 does not fit into 38x58 pixels",
        ),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(choices, line, photo, monkeypatch):
    monkeypatch.chdir(photo.parent)
    with pytest.raises(UserError, match=line) as error:
        drawings(**choices)
    assert "\n" not in str(error.value)
