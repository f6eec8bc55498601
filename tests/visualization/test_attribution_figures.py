"""Pictures of attribution tell the truth about the arrays behind them."""

import io

import numpy as np
import pytest
from PIL import Image

from convlens.visualization import palette
from convlens.visualization.attribution import (
    attribution_figure,
    deletion_insertion_figure,
    overlaid,
    randomisation_figure,
)
from convlens.visualization.caption import Caption
from convlens.visualization.maximization import maximization_figure

SIDE = 16


def pixels(figure):
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=200)
    return np.asarray(Image.open(buffer).convert("RGB"))


def texts(figure):
    return [text.get_text() for holder in (figure, *figure.axes) for text in holder.texts]


def has_colour(picture, colour):
    return (picture == np.asarray(colour, np.uint8)).all(axis=-1).any()


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (2, SIDE, SIDE, 3), np.uint8)


def explained(images, maps, **more):
    logits = np.array([[2.0, 0.0], [0.0, 1.0]])
    return attribution_figure(images, maps, targets=[0, 0], logits=logits, labels=["car", "truck"], **more)


def test_a_map_without_negative_values_is_drawn_from_zero_and_a_signed_one_about_zero(images):
    positive = np.zeros((2, SIDE, SIDE))
    positive[:, 4, 4] = 2.0
    signed = positive.copy()
    signed[:, 8, 8] = -1.0
    said = texts(explained(images, {"positive": positive}))
    assert said.count("0") == 2 and said.count("2") == 2 and "−2" not in said
    figure = explained(images, {"signed": signed})
    said = texts(figure)
    assert said.count("−2") == 2 and said.count("2") == 2
    picture = pixels(figure)
    assert has_colour(picture, palette.DIVERGING[510]) and has_colour(picture, palette.colour_weights(-1.0, 2.0))


def test_a_map_of_nothing_says_so(images):
    assert "0 everywhere" in texts(explained(images, {"empty": np.zeros((2, SIDE, SIDE))}))


def test_a_value_that_is_not_a_number_is_yellow_alone_and_covers_nothing_in_the_image(images):
    values = np.ones((2, SIDE, SIDE))
    values[:, 3, 3] = np.nan
    figure = explained(images, {"broken": values})
    assert has_colour(pixels(figure), palette.NOT_FINITE)
    assert "yellow: not a finite number" in texts(figure)
    np.testing.assert_allclose(overlaid(images[0], values[0])[3, 3], images[0][3, 3] @ [0.299, 0.587, 0.114], atol=1)


def test_the_class_its_logit_and_its_probability_are_written(images):
    said = texts(explained(images, {"map": np.ones((2, SIDE, SIDE))}, true=[0, 1], caption=Caption("run cars/1")))
    assert {"car", "logit 2", "probability 88.1%", "right", "logit 0", "probability 26.9%", "truly truck"} <= set(said)
    assert any("run cars/1" in text for text in said)


def test_where_a_map_is_zero_the_overlay_is_the_grey_image(images):
    values = np.zeros((SIDE, SIDE))
    values[2, 3], values[5, 6] = 1.0, -1.0
    shown = overlaid(images[0], values).astype(int)
    grey = np.rint(images[0] @ np.array([0.299, 0.587, 0.114]))
    untouched = values == 0
    np.testing.assert_allclose(shown[untouched], np.repeat(grey[untouched][:, None], 3, axis=1), atol=1)
    assert shown[2, 3, 0] > shown[2, 3, 2] and shown[5, 6, 0] < shown[5, 6, 2]


def test_maps_coarser_than_the_image_are_drawn_as_blocks(images):
    picture = pixels(explained(images, {"coarse": np.arange(8.0).reshape(2, 2, 2)}))
    assert has_colour(picture, palette.colour_weights(1.0, 3.0)) and has_colour(
        picture, palette.colour_weights(2.0, 3.0)
    )


def test_curves_are_sorted_best_first_with_their_areas():
    shares = np.linspace(0, 1, 5)
    falling, rising = np.tile([1.0, 0.2, 0.1, 0.0, 0.0], (3, 1)), np.tile([0.0, 0.8, 0.9, 1.0, 1.0], (3, 1))
    curves = {"bad": (rising, falling), "good": (falling, rising)}
    said = texts(deletion_insertion_figure(curves, shares, reference=(falling, rising)))
    assert said.index("good") < said.index("bad")
    assert "insertion 0.80" in said and "deletion 0.20" in said


def test_a_randomised_map_states_its_similarity(images):
    maps = {"saliency": np.random.default_rng(0).random((2, SIDE, SIDE))}
    figure = randomisation_figure(
        images[0], {"saliency": maps["saliency"][0]}, maps, {"saliency": np.array([0.25, -0.5])}, ["logits", "conv1"]
    )
    assert {"similarity 0.25", "similarity −0.50", "logits", "conv1", "trained"} <= set(texts(figure))


@pytest.mark.parametrize("channels", [1, 3])
def test_made_images_are_shown_with_unit_activation_and_the_best_real_image(channels):
    made = np.full((5, SIDE, SIDE, channels), -1.0)
    real = np.full((5, SIDE, SIDE, channels), 1.0)
    figure = maximization_figure(
        made, np.arange(5.0), [f"unit {unit}" for unit in range(5)], best=real, best_activations=-np.arange(5.0),
        value_range=(-1, 1), caption=Caption(layer="conv1"),
    )  # fmt: skip
    said = texts(figure)
    assert {"unit 4", "4", "−4", "What would excite conv1 most"} <= set(said)
    picture = pixels(figure)
    assert has_colour(picture, (0, 0, 0)) and has_colour(picture, palette.HATCH[0])


def test_a_long_name_keeps_its_place(images):
    figure = explained(images, {"a method with a name that never ends " * 3: np.ones((2, SIDE, SIDE))})
    assert any(text.endswith("…") for text in texts(figure))
