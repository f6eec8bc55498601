import re
import warnings
import xml.dom.minidom
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from convlens.interpret import Observation, ObservedLayer, Reading, extract
from convlens.models.whitening import whitening
from convlens.training.evaluation import Confusion, Mistakes
from convlens.visualization import (
    FIGURES,
    Caption,
    Display,
    choose_units,
    confusion_matrix_figure,
    extraction_figure,
    feature_maps_figure,
    kernels_and_maps_figure,
    kernels_figure,
    mistakes_figure,
    palette,
    plan,
    relu_figure,
    save_figure,
    show_kernel,
)
from convlens.visualization.caption import beyond_text
from convlens.visualization.sheet import shorten, shorten_middle, text_width, wrap

AWKWARD = ["$\\frac{a}$ <b>", 'a "quoted"\nname & more', "long" * 75, "x_1^{2}", "自動車", "\x00\x1b[0m", ""]


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.texts]


def pixels(figure: Figure) -> np.ndarray:
    """What the figure shows, (height, width, 3)."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    agg = FigureCanvasAgg(figure)
    agg.draw()
    return np.asarray(agg.buffer_rgba())[..., :3]


def shows(figure: Figure, colour) -> bool:
    return bool((pixels(figure) == np.asarray(colour)).all(axis=-1).any())


def layer(name="conv", height=8, width=12, channels=3, units=6, kernel=(3, 3), images=2, dead=(), pooled=True, **rest):
    random = np.random.default_rng(0)
    filtered = random.normal(size=(images, height, width, units)).astype(np.float32)
    filtered[..., list(dead)] = -1
    maps = {"filter": filtered, "detect": np.maximum(filtered, 0)}
    if pooled:
        maps["condense"] = maps["detect"][:, ::2, ::2]
    return ObservedLayer(name, random.normal(size=(*kernel, channels, units)).astype(np.float32), maps, (5, 5), **rest)


def scene(*layers, channels=3):
    images = np.random.default_rng(1).integers(0, 256, (2, 16, 24, channels)).astype(np.uint8)
    probabilities = np.array([[0.9, 0.1]] * 2)
    return Observation(layers, images, ["first.jpg", AWKWARD[1]], probabilities=probabilities)


def drawings(observation, figure, display):
    return plan(observation, figure, display, Caption("run cars/1", None, 7, labels=AWKWARD[:2]))


ODD_LAYERS = {
    "colour": layer(rgb=True, dead=[2]),
    "grey": layer(channels=1),
    "many units": layer(channels=64, units=600, height=2, width=2),
    "one by one": layer(kernel=(1, 1), channels=40, height=1, width=1, pooled=False),
    "tall": layer(kernel=(7, 2), height=30, width=3),
    "one unit": layer(units=1),
    "separable": replace(layer(units=6), kernel=np.ones((3, 3, 1, 3)), paired=False),
}


@pytest.mark.parametrize("scale", ["unit", "layer", "global"])
@pytest.mark.parametrize("odd", ODD_LAYERS)
def test_every_figure_is_drawn_of_layers_of_every_shape(odd, scale):
    for figure in FIGURES:
        look = Display([0, ODD_LAYERS[odd].maps["filter"].shape[-1] - 1], 3, "activation", scale)
        for drawing in drawings(scene(ODD_LAYERS[odd]), figure, look):
            drawn, arrays = drawing.draw()
            assert isinstance(drawn, Figure) and arrays
            assert drawn.get_size_inches().max() < 25


@pytest.mark.parametrize("figure", ["kernels", "kernels_and_maps", "feature_maps", "extraction", "relu"])
def test_titles_name_run_epoch_layer_shape_receptive_field_and_scale(figure):
    drawn, _ = drawings(scene(layer("block1_conv1", rgb=True)), figure, Display())[0].draw()
    labels = " ".join(texts(drawn))
    for fact in ("run cars/1", "epoch 7", "block1_conv1", "receptive field 5×5 px", "scale: "):
        assert fact in labels


def test_kernels_say_how_far_learning_moved_them_and_show_what_they_were():
    unknown = layer("block1_conv1", rgb=True)
    start = np.zeros_like(unknown.kernel)
    start[..., 0] = 2 * unknown.kernel[..., 0].max()  # drawn in the full colour of the learned kernel beside it
    deep, deep_start = layer("block2_conv1", channels=20), np.ones((3, 3, 20, 6), np.float32)
    for cosine, words in ((0.97, "hardly changed"), (0.7, "in part"), (0.1, "was learned")):
        for observed, began, mark in ((unknown, start, "RGB"), (deep, deep_start, "learned")):
            known = replace(observed, start=began, changed=np.full(6, cosine))
            drawn, arrays = drawings(scene(known), "kernels", Display())[0].draw()
            labels = " ".join(texts(drawn))
            assert "cosine: 1 unchanged, 0 nothing in common" in labels
            assert f"{cosine:.2f} in the median" in labels and words in labels
            assert texts(drawn).count("start") == texts(drawn).count(mark) > 0
            assert arrays["start"] is began
    for observed in (unknown, deep):
        labels = " ".join(texts(drawings(scene(observed), "kernels", Display())[0].draw()[0]))
        assert "cannot tell what was learned" in labels and "training.snapshots=40" in labels and "start " not in labels

    known = replace(deep, start=start[:, :, :2, :3], changed=np.zeros(3))
    drawn, _ = drawings(scene(known), "kernels", Display())[0].draw()
    assert "of their first 2 channels and 3 units" in " ".join(texts(drawn))
    assert "start" in texts(drawn) and shows(drawn, palette.HATCH[0])


def test_kernels_are_ordered_and_labelled_by_what_they_answer_to():
    kernel = np.random.default_rng(0).normal(size=(5, 5, 1, 4)).astype(np.float32)
    tuning = SimpleNamespace(
        kind=np.array(["", "orientation", "colour", "centre-surround"]),
        orientation=np.array([0.0, 35.0, 0, 0]),
        opposition=np.array(["", "", "red-green", ""]),
        order=np.array([2, 1, 3, 0]),
    )
    drawn = kernels_figure(ObservedLayer("conv", kernel, tuning=tuning), display=Display(sort="orientation"))
    written = [text for text in texts(drawn) if text in {"0", "1", "2", "3", "35°", "red–green", "spot"}]
    assert written == ["2", "red–green", "1", "35°", "3", "spot", "0"]
    assert "3 of 4 units respond to something that has a name: 1 to edges" in " ".join(texts(drawn))


def test_a_kernel_beside_its_maps_is_named_as_among_the_kernels_and_alone_it_is_one_with_a_name():
    kind = np.array(["", "orientation", "", "colour", "centre-surround", ""])
    opposition = np.array(["", "", "", "red-green", "", ""])
    tuning = SimpleNamespace(kind=kind, orientation=np.full(6, 35.0), opposition=opposition)
    first = layer("block1_conv1", rgb=True)
    for maps in first.maps.values():
        maps[...] = np.array([9, 3, 8, 4, 2, 7])  # the most active have no name
    first = scene(replace(first, tuning=tuning))
    drawn, _ = drawings(first, "kernels_and_maps", Display())[0].draw()
    assert {"35°", "red–green", "spot"} <= set(texts(drawn))
    assert "the angle of the stripes that it responds to most" in " ".join(texts(drawn))

    rest = "those that respond to an angle, to colours or to a spot"
    usual = (Display(), 3, f"the unit most active on these images of {rest}")
    for look, unit, why in (usual, (Display(units=[0]), 0, "asked for")):
        for figure in ("extraction", "kernel"):
            drawing = drawings(first, figure, look)[0]
            assert drawing.name == f"{figure}-block1_conv1-unit{unit}"
            assert why in " ".join(texts(drawing.draw()[0]))
    assert drawings(first, "relu", Display())[0].draw()[1]["units"][0] == 0  # several: the most active of all
    nameless = scene(replace(first.layers[0], tuning=SimpleNamespace(kind=np.full(6, ""))))
    assert drawings(nameless, "extraction", Display())[0].name == "extraction-block1_conv1-unit0"


def test_what_is_beyond_scales_that_differ_is_compared_with_the_limit_of_its_own():
    maps = np.array([[1.0, -6.0], [0.5, 30.0]])  # (cells, units)
    assert beyond_text([(maps, 10.0)]) == "beyond the scale, here up to 30"
    assert beyond_text([(maps, np.array([2.0, 20.0]))]) == (
        "beyond the scale of its own tile, here up to 1.5 times its limit"
    )
    assert "up to 3 times" in beyond_text([(maps, 10.0), (maps[:, :1], 0.5)])
    assert beyond_text([(maps, 30.0), (maps, np.array([1.0, 31.0]))]) == ""


def test_all_zero_maps_and_broken_numbers_are_drawn_and_told():
    silent = layer()
    silent.maps["filter"][:] = 0
    silent.maps["detect"][:] = 0
    broken = layer()
    broken.kernel[0, 0, 0, 0] = np.nan
    broken.maps["filter"][0, 0, 0, 0] = np.inf
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for observed in (silent, broken):
            for figure in FIGURES:
                for drawing in drawings(scene(observed), figure, Display()):
                    drawing.draw()
    drawn, _ = drawings(scene(broken), "kernels", Display())[0].draw()
    assert shows(drawn, palette.NOT_FINITE) and "yellow: not a finite number" in texts(drawn)


def test_filter_detect_and_condense_are_coloured_on_the_norm_of_filter():
    filtered = np.zeros((4, 4, 2))
    filtered[0, 0] = [-8, 2]
    filtered[1, 1] = [2, 1]
    maps = {"filter": filtered, "detect": np.maximum(filtered, 0), "condense": np.full((2, 2, 2), 0.5)}
    observed = ObservedLayer("conv", np.ones((3, 3, 3, 2)), {stage: array[None] for stage, array in maps.items()})
    drawn = feature_maps_figure(Observation((observed,), np.zeros((1, 4, 4, 3), np.uint8), ["zero"]), "conv")
    for value in (-8, 2, 1, 0.5):
        assert shows(drawn, palette.colour_activations(np.array(value), 8.0))


@pytest.mark.parametrize("figure", ["feature_maps", "kernels_and_maps", "extraction", "pipeline", "relu"])
def test_a_frame_that_padding_makes_sets_no_scale_and_is_marked(figure):
    framed = layer(pooled=False)
    for maps in framed.maps.values():
        maps[:, 0] = 50
    inside = np.ones((8, 12), bool)
    inside[0] = False
    plain, arrays = drawings(scene(framed), figure, Display())[0].draw()
    assert not shows(plain, palette.OVER)
    drawn, same = drawings(scene(replace(framed, inside=dict.fromkeys(framed.maps, inside))), figure, Display())[
        0
    ].draw()
    for name, array in arrays.items():
        np.testing.assert_array_equal(same[name], array)  # what is drawn is clipped, what is saved is not
    if figure == "relu":
        written = [text.get_text() for axes in drawn.axes for text in axes.texts]
        assert sum(text.startswith("24 at the border are beyond, to ±50") for text in written) == 3
    else:
        assert shows(drawn, palette.OVER)
        how_far = r"[\d.]+ times its limit" if figure == "kernels_and_maps" else "50"  # there, a unit has its own scale
        assert re.search(f"violet.* here up to {how_far};", " ".join(texts(drawn)))
    limit = np.abs(np.maximum(framed.maps["filter"], 0 if figure == "pipeline" else -np.inf)[:, 1:]).max()
    labels = [label.get_text() for axes in drawn.axes for label in axes.get_xticklabels()] + texts(drawn)
    if figure == "kernels_and_maps":  # the largest of the units' scales is the layer's
        assert f"a ±{limit:.3g}" in labels
    elif figure not in ("relu", "pipeline"):
        assert f"{limit:.3g}" in labels


def test_extraction_of_a_deep_unit_shows_the_maps_that_it_reads_and_not_the_photo_as_its_input():
    maps = np.random.default_rng(2).random((2, 8, 12, 5)).astype(np.float32)
    read = Reading(
        np.array([7, 3, 30]),
        maps[..., :3],
        np.ones((3, 3, 3)),
        np.array([2.5, 2, 1]),
        np.array([0.5, 0.2, 0.1]),
        5,
        "a",
    )
    drawn, arrays = drawings(scene(layer(reading=lambda unit: read)), "extraction", Display())[0].draw()
    written = texts(drawn)
    assert "Image" in written and "Input" not in written and "Reads 5 maps of a" in written
    assert {"7: ±2.5, adds 50%", "3: ±2, adds 20%", "30: ±1, adds 10%"} <= set(written)
    np.testing.assert_array_equal(arrays["read"], maps[..., :3])
    np.testing.assert_array_equal(arrays["read_channels"], [7, 3, 30])
    for value, limit in ((maps[0, 2, 2, 0], 2.5), (maps[1, 3, 3, 2], 1)):
        assert shows(drawn, palette.colour_activations(value, limit))


def test_extraction_shows_a_unit_on_its_own_scale_and_on_the_layers():
    drawn, arrays = drawings(scene(layer()), "extraction", Display(units=[1]))[0].draw()
    own, shared = np.abs(arrays["filter"]).max(), np.abs(layer().maps["filter"]).max()
    ticks = {label.get_text() for axes in drawn.axes for label in axes.get_xticklabels()}
    assert {f"{own:.3g}", f"{shared:.3g}"} <= ticks and own < shared
    alone, _ = drawings(scene(layer()), "extraction", Display(units=[1], scale="unit"))[0].draw()
    assert len(alone.axes) == 1 < len(drawn.axes)


def test_a_kernel_at_work_is_drawn_from_what_extract_gives():
    photo = np.random.default_rng(0).integers(0, 256, (20, 30, 3)).astype(np.uint8)
    steps = extract(photo, np.array([[1, 0, -1]] * 3))
    drawn = extraction_figure(steps, name="edge", image_name="car.jpg")
    written = texts(drawn)
    assert {"Feature extraction by edge", "Input", "Filter", "Detect", "Condense", "car.jpg"} <= set(written)
    assert shows(drawn, palette.HATCH[0])  # the border that the kernel does not reach
    limit = np.abs(steps.filter).max()
    for value in (steps.filter[3, 4], steps.condense[2, 2]):
        assert shows(drawn, palette.colour_activations(value, limit))
    assert set(steps.arrays()) == {"kernel", "input", "filter", "detect", "condense"}
    framed = extract(photo, np.ones((3, 3)), padding="same")
    assert not shows(extraction_figure(framed), palette.HATCH[0])


def test_a_layer_that_mixes_its_kernels_has_none_beside_a_map():
    with pytest.raises(ValueError, match="mixes its kernels"):
        kernels_and_maps_figure(scene(ODD_LAYERS["separable"]), "conv")


def test_relu_says_which_units_are_shown_and_why():
    observed = layer(units=6, dead=[2])
    drawn, arrays = drawings(scene(observed), "relu", Display())[0].draw()
    written = [text.get_text() for axes in drawn.axes for text in axes.texts]
    order = [unit for unit in np.argsort(-observed.maps["detect"].mean(axis=(0, 1, 2))) if unit != 2]
    np.testing.assert_array_equal(arrays["units"], [order[0], order[2], order[4]])
    for unit, why in zip(arrays["units"], ("the most active", "the middle", "the least active of those"), strict=True):
        assert any(text.startswith(f"unit {unit}: {why}") for text in written)
    drawn, _ = drawings(scene(observed), "relu", Display(units=[4]))[0].draw()
    assert any(text.get_text() == "unit 4: asked for" for axes in drawn.axes for text in axes.texts)


def test_arrows_of_the_pipeline_lead_from_block_to_block_in_the_middle_of_all_rows():
    drawn, _ = drawings(scene(layer("block1_conv"), layer("block2_conv")), "pipeline", Display())[0].draw()
    arrows = [text for text in drawn.texts if text.get_text() == "→"]
    rows = sorted({text.get_position()[1] for text in drawn.texts if ": mean " in text.get_text()})
    assert len(arrows) == 3 and len(rows) == 5
    assert len({round(arrow.get_position()[1], 6) for arrow in arrows}) == 1
    assert rows[1] < arrows[0].get_position()[1] < rows[-1]


def test_brightness_is_not_blank_among_the_kernels_of_a_whitening_layer():
    images = np.random.default_rng(0).integers(0, 256, (4, 1, 1, 3)) + np.random.default_rng(1).normal(
        0, 2, (4, 9, 9, 3)
    )
    kernel, _ = whitening(np.clip(images, 0, 255).astype(np.uint8))
    observed = replace(layer(units=24), kernel=kernel, rgb=True)
    brightness = int(np.abs(kernel).max(axis=(0, 1, 2)).argmin())
    drawn, arrays = drawings(scene(observed), "kernels", Display())[0].draw()
    weakest = kernel[..., brightness]
    assert np.abs(weakest).max() < 0.1 * np.abs(kernel).max()
    for channel in range(3):
        for colour in palette.colour_weights(weakest[..., channel], np.abs(weakest).max()).reshape(-1, 3):
            assert shows(drawn, colour)
    np.testing.assert_array_equal(arrays["kernel"], kernel)


@pytest.mark.parametrize("figure", ["feature_maps", "kernels_and_maps", "extraction", "pipeline"])
def test_a_picture_that_was_cropped_says_so(figure):
    noted = replace(scene(layer()), notes=["cropped: the middle 16×24 of 16×40", ""])
    drawn, _ = drawings(noted, figure, Display())[0].draw()
    assert "the middle 16×24 of 16×40" in " ".join(texts(drawn))


def test_a_colour_bar_stands_only_where_all_tiles_share_its_norm():
    observed = layer()
    bars = {
        scale: len(drawings(scene(observed), "feature_maps", Display(scale=scale))[0].draw()[0].axes)
        for scale in ("unit", "layer", "global")
    }
    assert bars == {"unit": 0, "layer": 1, "global": 1}
    drawn, _ = drawings(scene(observed), "feature_maps", Display(scale="unit"))[0].draw()
    ranges = palette.limits(observed.maps["filter"][0], "unit")
    assert {f"±{limit:.3g}" for limit in ranges} <= set(texts(drawn))


def test_a_global_norm_is_the_same_in_every_layer():
    weak, strong = layer("weak"), layer("strong")
    strong.kernel[:] *= 100
    drawn = [drawing.draw()[0] for drawing in drawings(scene(weak, strong), "kernels", Display(scale="global"))]
    ticks = [[label.get_text() for label in figure.axes[0].get_xticklabels()] for figure in drawn]
    assert ticks[0] == ticks[1]
    assert float(ticks[0][-1]) == pytest.approx(np.abs(strong.kernel).max(), rel=0.01)


def test_dead_units_are_marked_and_never_dropped():
    dead = layer(dead=[1, 4], rgb=True)
    for figure in ("kernels", "kernels_and_maps", "feature_maps"):
        drawn, _ = drawings(scene(dead), figure, Display())[0].draw()
        assert texts(drawn).count("dead") == 2 and shows(drawn, palette.DEAD)
        assert {str(unit) for unit in range(6)} <= set(texts(drawn))


def test_of_a_deep_kernel_each_unit_shows_the_slices_with_the_largest_weights_and_their_share():
    kernel = np.zeros((3, 3, 40, 2))
    kernel[0, 0, [3, 38, 7], 0] = [1, 3, 0.1]
    kernel[0, 0, [5, 6], 1] = [0.5, -0.2]
    labels = texts(kernels_figure(ObservedLayer("conv", kernel), display=Display(max_inputs=2)))
    assert [text for text in labels if text in {"3", "38", "7", "5", "6"}] == ["38", "3", "5", "6"]
    assert {"±3", "±0.5", "100%"} <= set(labels) and any("squared weights" in text for text in labels)
    for slices in (1, 3):
        drawn, _ = drawings(scene(layer(channels=64, units=64)), "kernels", Display(max_inputs=slices))[0].draw()
        assert sum(text.get_ha() == "center" for text in drawn.texts) == 16 * slices


DEEP = layer("block3_conv2", channels=64, units=64, dead=range(20))


@pytest.mark.parametrize("figure", ["kernels", "kernels_and_maps", "feature_maps"])
@pytest.mark.parametrize(
    ("look", "words"),
    [
        (Display(), "16 of 64 units: those with the largest weights, largest first"),
        (Display(max_units=3, sort="activation"), "3 of 64 units: the most active, most active first"),
        (Display(max_units=3, sort="index"), "3 of 64 units: the first by index"),
        (Display(units=[40, 7]), "2 of 64 units: those asked for"),
    ],
)
def test_figures_of_a_layer_show_the_same_units_and_say_by_what_they_were_chosen(figure, look, words):
    norm, active = np.argsort(-DEEP.norm, kind="stable"), np.argsort(-DEEP.activation, kind="stable")
    expected = look.units or {None: norm[:16], "activation": active[:3], "index": [0, 1, 2]}[look.sort]
    drawn, _ = drawings(scene(DEEP), figure, look)[0].draw()
    assert words in " ".join(texts(drawn))
    labels = [text.get_text() for text in drawn.texts if text.get_ha() == "right"]
    assert [text for text in labels if text.isdigit()] == [str(unit) for unit in expected]


def test_a_figure_of_one_unit_takes_it_from_those_that_the_others_show_and_says_why():
    shown = np.argsort(-DEEP.norm, kind="stable")[:16]
    alive = [unit for unit in shown if unit >= 20]
    best = max(alive, key=lambda unit: DEEP.activation[unit])
    why = "the unit most active on these images of the 16 with the largest weights"
    for figure in ("extraction", "kernel"):
        drawing = drawings(scene(DEEP), figure, Display())[0]
        assert drawing.name == f"{figure}-block3_conv2-unit{best}"
        assert why in " ".join(texts(drawing.draw()[0]))
    drawn, arrays = drawings(scene(DEEP), "relu", Display())[0].draw()
    assert set(arrays["units"]) <= set(alive) and arrays["units"][0] == best
    assert "the most active, the middle and the least active unit of the 16 with the" in " ".join(texts(drawn))
    few = layer("block3_conv2", channels=64, units=64, dead=[*shown, 20])
    assert (
        drawings(scene(few), "extraction", Display())[0].name
        == f"extraction-block3_conv2-unit{few.activation.argmax()}"
    )


@pytest.mark.parametrize("figure", ["kernels", "kernels_and_maps"])
@pytest.mark.parametrize("rgb", [True, False])
def test_kernels_are_drawn_each_on_a_scale_that_shows_it_and_the_title_says_so(figure, rgb):
    faint = layer(rgb=rgb, channels=3 if rgb else 9)
    faint.kernel[..., 2] /= 1000
    faint.maps["filter"][..., 2] /= 1000
    drawn, _ = drawings(scene(faint), figure, Display())[0].draw()
    assert "scale: each unit has its own" in " ".join(texts(drawn)) and not drawn.axes
    own = f"±{np.abs(faint.kernel[..., 2]).max():.3g}"
    assert any(text.endswith(own) for text in texts(drawn))


def test_show_kernel_prints_every_number_in_its_cell():
    labels = texts(show_kernel(np.array([[-1, 0], [8, 2.5]])))
    assert {"−1.00", "0.00", "8.00", "2.50"} <= set(labels)
    assert {"−1", "8"} <= set(texts(show_kernel(np.array([[-1, 8]]))))


def test_relu_figure_states_the_share_that_relu_removes():
    values = np.array([-2.0, -1.0, 0.0, 3.0, 4.0])
    observed = ObservedLayer("conv", np.ones((3, 3, 3, 1)), {"filter": values[None, None, :, None]})
    drawn = relu_figure(Observation((observed,), np.zeros((1, 4, 4, 3), np.uint8), ["zero"]), "conv")
    labels = [text.get_text() for axes in drawn.axes for text in axes.texts]
    assert labels == ["ReLU removes 60.0%", "unit 0: the unit most active on these images", "keeps 40.0%"]
    heights = [bar.get_height() for bar in drawn.axes[1].patches]
    assert sum(heights) == 5 and drawn.axes[0].get_xlim() == drawn.axes[1].get_xlim()


def test_the_relu_figure_is_drawn_only_of_layers_that_have_a_relu():
    smooth = layer("smooth")
    smooth.maps["detect"][:] = np.tanh(smooth.maps["filter"])
    assert [drawing.name for drawing in drawings(scene(smooth, layer("sharp")), "relu", Display())] == ["relu-sharp"]


def test_the_arrays_of_a_drawing_are_what_it_shows():
    observed = layer(rgb=True, dead=[0])
    seen = scene(observed)
    maps = drawings(seen, "feature_maps", Display())[1].draw()[1]
    np.testing.assert_array_equal(maps["filter"], observed.maps["filter"][1])
    np.testing.assert_array_equal(maps["image"], seen.images[1])
    drawing = drawings(seen, "extraction", Display())[0]
    strongest = int(observed.maps["detect"].mean(axis=(0, 1, 2)).argmax())
    assert drawing.name == f"extraction-conv-unit{strongest}"
    np.testing.assert_array_equal(drawing.draw()[1]["condense"], observed.maps["condense"][..., strongest])


def test_the_pipeline_shows_the_last_layer_of_each_block():
    layers = [layer(name) for name in ("block1_conv1", "block1_conv2", "block2_conv1")]
    _, arrays = drawings(scene(*layers), "pipeline", Display())[0].draw()
    assert set(arrays) == {"image", "shares", "block1_conv2:condense", "block2_conv1:condense"}


def test_units_are_chosen_by_index_norm_or_activation():
    norm, activation = np.array([1.0, 3.0, 2.0]), np.array([5.0, np.nan, 6.0])
    assert choose_units(3, max_units=2).tolist() == [0, 1]
    assert choose_units(3, sort="norm", norm=norm).tolist() == [1, 2, 0]
    assert choose_units(3, sort="activation", activation=activation).tolist() == [2, 0, 1]
    assert choose_units(3, units=[2, 0, 2]).tolist() == [2, 0]
    with pytest.raises(ValueError, match="unit 3 does not exist: the layer has units 0 to 2"):
        choose_units(3, units=[3])
    with pytest.raises(ValueError, match="sort='norm'"):
        choose_units(3, sort="norm")


@pytest.mark.parametrize("classes", [2, 7, 30, 200])
def test_a_confusion_matrix_is_readable_for_few_and_many_classes(classes):
    matrix = np.eye(classes, dtype=int) * 50
    matrix[0, 1] = 5
    names = (AWKWARD * 30)[:classes]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        drawn = confusion_matrix_figure(Confusion(tuple(names), matrix), title="Test $split$")
    labels = [text for text in drawn.texts if text.get_rotation() == 90]
    assert len(labels) == classes and min(text.get_fontsize() for text in labels) >= 5.5
    assert drawn.get_size_inches().max() < 30


def test_a_confusion_matrix_prints_counts_colours_shares_and_hatches_classes_without_images():
    drawn = confusion_matrix_figure(Confusion(("a", "b", "c"), np.array([[8, 2, 0], [1, 3, 0], [0, 0, 0]])))
    assert {"8", "2", "1", "3", "11 of 14 images right; rows: true class; columns: predicted class"} <= set(
        texts(drawn)
    )
    for colour in (palette.AGREEMENT[204], palette.SEQUENTIAL[255], palette.SEQUENTIAL[204], palette.HATCH[0]):
        assert shows(drawn, colour)
    with pytest.raises(ValueError, match=r"\(2, 2\) with 3 labels"):
        confusion_matrix_figure(Confusion(("a", "b", "c"), np.eye(2)))


@pytest.mark.parametrize("count", [0, 1, 9])
def test_mistakes_are_captioned_with_truth_prediction_and_confidence(count):
    images = np.zeros((count, 20, 30, 1), np.uint8)
    true, predicted, confidence = np.zeros(count, int), np.ones(count, int), np.full(count, 0.875)
    mistakes = Mistakes(("car $x$", "truck"), images, true, predicted, confidence, np.arange(count))
    drawn = mistakes_figure(mistakes)
    assert texts(drawn).count("is car $x$") == count
    assert texts(drawn).count("said truck 88%") == count
    assert count or any("There are none" in text for text in texts(drawn))
    named = mistakes_figure(replace(mistakes, names=[f"photos/night/{'long ' * 20}{n}.jpg" for n in range(count)]))
    assert sum("…" in text and text.endswith(".jpg") for text in texts(named)) == count


def test_a_saved_figure_is_a_200_dpi_picture_a_drawing_and_its_arrays(tmp_path):
    kernel = np.random.default_rng(0).normal(size=(3, 3, 3, 5))
    layer = ObservedLayer(AWKWARD[1], kernel, rgb=True)
    figure = kernels_figure(layer, caption=Caption(AWKWARD[0], epoch=3))
    png, svg, npz = save_figure(figure, {"kernel": kernel}, tmp_path / "deep" / "kernels-block1.conv1")
    assert [path.name for path in (png, svg, npz)] == [f"kernels-block1.conv1.{end}" for end in ("png", "svg", "npz")]
    with Image.open(png) as picture:
        assert round(picture.info["dpi"][0]) == 200
        assert picture.size == tuple(np.rint(figure.get_size_inches() * 200).astype(int))
    xml.dom.minidom.parse(str(svg))
    np.testing.assert_array_equal(np.load(npz)["kernel"], kernel)
    assert len(list(png.parent.iterdir())) == 3


def test_saving_twice_gives_the_same_bytes(tmp_path):
    def save(name):
        return save_figure(show_kernel(np.eye(3)), {"kernel": np.eye(3)}, tmp_path / name)

    assert [a.read_bytes() == b.read_bytes() for a, b in zip(save("a")[:2], save("b")[:2], strict=True)] == [True] * 2


def test_a_figure_that_cannot_be_written_leaves_the_old_file_and_no_litter(tmp_path):
    path = tmp_path / "kernel"
    save_figure(show_kernel(np.eye(3)), {"kernel": np.eye(3)}, path)
    before = {file: file.read_bytes() for file in tmp_path.iterdir()}

    class Broken(Figure):
        def savefig(self, file, **_):
            file.write(b"half a picture")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        save_figure(Broken(), {}, path)
    assert {file: file.read_bytes() for file in tmp_path.iterdir()} == before


@pytest.mark.parametrize("text", AWKWARD)
def test_text_is_cut_to_its_width_on_one_line_without_characters_that_break_a_drawing(text):
    cut = shorten(text, 300, 8)
    assert text_width(cut, 8) <= 300 and "\n" not in cut and "\x00" not in cut and "\x1b" not in cut
    assert all(text_width(line, 8) <= 300 for line in wrap(f"{text} and {text}", 300, 8))


@pytest.mark.parametrize("text", ["a.jpg", "photos/2024/" + "x" * 300 + "/night/0042.png", "车" * 900, ""])
def test_a_long_path_loses_its_middle_and_keeps_its_end(text):
    cut = shorten_middle(text, 300, 8)
    assert text_width(cut, 8) <= 300
    if cut != text:
        start, end = cut.split("…")
        assert text.startswith(start) and text.endswith(end) and len(end) > len(start) > 0
    else:
        assert len(text) < 20


def test_a_figure_saved_at_another_resolution_keeps_its_tiles_in_place(tmp_path):
    figure = show_kernel(np.array([[-1.0, 1.0]]))
    figure.savefig(tmp_path / "half.png", dpi=100)
    full, half = pixels(figure), np.asarray(Image.open(tmp_path / "half.png").convert("RGB"))
    red = palette.colour_weights(np.array(1.0), 1.0)
    centre = [np.argwhere((image == red).all(axis=-1)).mean(axis=0) for image in (full, half)]
    np.testing.assert_allclose(centre[0] / 2, centre[1], atol=2)
