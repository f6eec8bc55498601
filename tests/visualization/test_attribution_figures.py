"""Pictures of attribution tell the truth about the arrays behind them."""

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from convlens.interpret import Curves, Explanations, Maximization, Randomisation, StrongestImages
from convlens.visualization import palette
from convlens.visualization.attribution import (
    attribution_figure,
    deletion_insertion_figure,
    overlaid,
    randomisation_figure,
)
from convlens.visualization.caption import UNKNOWN, Caption
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


def explained(images, maps, true=None, caption=UNKNOWN):
    logits = np.array([[2.0, 0.0], [0.0, 1.0]])
    explanations = Explanations(images, logits, np.array([0, 0]), maps, true)
    return attribution_figure(explanations, caption=replace(caption, labels=["car", "truck"]))


def test_a_map_without_negative_values_is_drawn_from_zero_and_a_signed_one_about_zero(images):
    positive = np.zeros((2, SIDE, SIDE))
    positive[:, 4, 4] = 2.0
    signed = positive.copy()
    signed[:, 8, 8] = -1.0
    labels = texts(explained(images, {"positive": positive}))
    assert labels.count("0") == 2 and labels.count("2") == 2 and "−2" not in labels
    figure = explained(images, {"signed": signed})
    labels = texts(figure)
    assert labels.count("−2") == 2 and labels.count("2") == 2
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
    labels = texts(explained(images, {"map": np.ones((2, SIDE, SIDE))}, true=[0, 1], caption=Caption("run cars/1")))
    assert {"car", "logit 2", "probability 88.1%", "right", "logit 0", "probability 26.9%", "truly truck"} <= set(
        labels
    )
    assert any("run cars/1" in text for text in labels)


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
    falling, rising = np.tile([1.0, 0.2, 0.1, 0.0, 0.0], (3, 1)), np.tile([0.0, 0.8, 0.9, 1.0, 1.0], (3, 1))
    bad, good = (Curves(np.linspace(0, 1, 5), *pair) for pair in ((rising, falling), (falling, rising)))
    labels = texts(deletion_insertion_figure({"bad": bad, "good": good}, reference=good))
    assert labels.index("good") < labels.index("bad")
    assert "insertion 0.80" in labels and "deletion 0.20" in labels


def test_a_randomised_map_states_its_similarity(images):
    maps = np.random.default_rng(0).random((2, 1, SIDE, SIDE))
    check = Randomisation(("logits", "conv1"), np.array([[0.25], [-0.5]]), maps[0], maps)
    figure = randomisation_figure(images[0], {"Saliency": check})
    assert {"similarity 0.25", "similarity −0.50", "logits", "conv1", "trained", "Saliency"} <= set(texts(figure))


@pytest.mark.parametrize("channels", [1, 3])
def test_made_images_are_shown_with_unit_activation_and_the_best_real_image(channels):
    made = np.full((5, SIDE, SIDE, channels), -1.0)
    real = np.full((5, SIDE, SIDE, channels), 1.0)
    activations, units = np.arange(5.0), np.arange(5)
    result = Maximization("conv1", units, None, (-1, 1), made, activations, np.zeros((1, 5)))
    figure = maximization_figure(result, real=StrongestImages(real, -activations))
    labels = texts(figure)
    assert {"unit 4", "4", "−4", "What would excite conv1 most"} <= set(labels)
    picture = pixels(figure)
    assert has_colour(picture, (0, 0, 0)) and has_colour(picture, palette.HATCH[0])


def test_images_made_for_classes_bear_their_names():
    made = Maximization(None, np.array([1, 0]), None, (0, 255), np.zeros((2, 4, 4, 3)), np.zeros(2), np.zeros((1, 2)))
    written = texts(maximization_figure(made, caption=Caption(labels=["car", "truck"])))
    assert written.index("truck") < written.index("car") and any("logit" in text for text in written)


def test_maps_of_few_strong_pixels_are_coloured_by_square_root_and_say_so(images):
    maps = {name: np.random.default_rng(0).random((2, SIDE, SIDE)) for name in ("grad_cam", "saliency")}
    written = texts(explained(images, maps))
    assert {"Grad-CAM", "Saliency √"} <= set(written) and any("by square root" in text for text in written)
    written = texts(explained(images, {"grad_cam": maps["grad_cam"]}))
    assert not any("√" in text for text in written)


def test_a_long_name_keeps_its_place(images):
    figure = explained(images, {"a method with a name that never ends " * 3: np.ones((2, SIDE, SIDE))})
    assert any(text.endswith("…") for text in texts(figure))
