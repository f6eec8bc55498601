"""Figures of whole networks: their layout, their norms, and what they tell."""

import random as python_random
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from convlens.interpret import (
    Agreement,
    Architecture,
    Comparison,
    ConfusionExamples,
    Evolution,
    LayerCost,
    MatchedKernels,
    Neighbours,
    UnitMatch,
)
from convlens.visualization import palette
from convlens.visualization.architecture import architecture_figure
from convlens.visualization.architecture_plan import rows_of, stops_of
from convlens.visualization.caption import Caption
from convlens.visualization.comparison import class_accuracy_figure, layer_similarity_figure, matched_units_figure
from convlens.visualization.confusion_examples import confusion_examples_figure
from convlens.visualization.evolution import evolution_frame, write_evolution
from convlens.visualization.neighbours import neighbours_figure

AWKWARD = ["$\\frac{a}$ <b>", 'a "quoted"\nname & more', "long" * 75, "x_1^{2}", "自動車", "\x00\x1b[0m", ""]


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.texts]


def pixels(figure: Figure) -> np.ndarray:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    agg = FigureCanvasAgg(figure)
    with palette.without_glyph_warnings():
        agg.draw()
    return np.asarray(agg.buffer_rgba())[..., :3]


def shows(figure: Figure, colour) -> bool:
    return bool((pixels(figure) == np.asarray(colour)).all(axis=-1).any())


def network(layers, image_shape=(16, 16, 3)):
    return Architecture(image_shape, tuple(layers))


def step(name, kind="Conv2D", shape=(16, 16, 8), sources=(), parameters=10, cost=1000, kernel=(3, 3), field=(3, 3)):
    if kind not in ("Conv2D", "Dense"):
        parameters, cost = 0, 0
    kernel = kernel if kind in ("Conv2D", "MaxPooling2D") else ()
    return LayerCost(name, kind, shape, kernel, parameters, cost, field, sources)


def residual(units):
    """A stem, then residual units of two convolutions."""
    steps = [step("stem", sources=(-1,))]
    for unit in range(units):
        before = len(steps) - 1
        steps.append(step(f"unit{unit}_conv1", sources=(before,)))
        steps.append(step(f"unit{unit}_relu", "ReLU", sources=(before + 1,)))
        steps.append(step(f"unit{unit}_conv2", sources=(before + 2,)))
        steps.append(step(f"unit{unit}_add", "Add", sources=(before, before + 3)))
    steps.append(step("mean", "GlobalAveragePooling2D", (8,), (len(steps) - 1,), field=None))
    steps.append(step("logits", "Dense", (4,), (len(steps) - 1,), field=None))
    return steps


def random_network(seed):
    """Layers that read any earlier ones, in any number."""
    chance = python_random.Random(seed)
    steps = [step("first", sources=(-1,))]
    for place in range(1, chance.randint(5, 60)):
        kind = chance.choice(["Conv2D", "Conv2D", "Add", "ReLU", "Concatenate", "MaxPooling2D", "Dense", "Flatten"])
        many = chance.randint(2, 4) if kind in ("Add", "Concatenate") else 1
        sources = tuple({max(-1, place - chance.randint(1, 6)) for _ in range(many)})
        shape = (chance.randint(1, 64),) if kind in ("Dense", "Flatten") else tuple(chance.choices([1, 7, 16], k=3))
        steps.append(step(f"{kind}{place}", kind, shape, sources, field=chance.choice([None, (3, 5), (9, 9)])))
    return steps


@pytest.mark.parametrize("fold", [False, True])
@pytest.mark.parametrize("seed", range(25))
def test_no_two_stops_share_a_place_and_none_stands_before_what_feeds_it(seed, fold):
    steps = random_network(seed)
    stops = stops_of(network(steps), fold=fold)
    places = [(stop.column, stop.lane) for stop in stops]
    assert len(set(places)) == len(places)
    assert all(stops[source].column < stop.column for stop in stops for source in stop.sources)
    assert sum(stop.parameters for stop in stops) == sum(one.parameters for one in steps)
    assert sum(stop.multiply_adds for stop in stops) == sum(one.multiply_adds for one in steps)
    rows = rows_of(stops, 7)
    assert [column for row in rows for column in row] == list(range(max(stop.column for stop in stops) + 1))
    assert max(map(len, rows)) <= 7


@pytest.mark.parametrize("seed", range(4))
def test_any_network_is_drawn(seed):
    drawn = architecture_figure(network(random_network(seed)))
    assert pixels(drawn).shape[2] == 3


def test_residual_units_that_are_alike_are_drawn_once_with_their_sums():
    stops = stops_of(network(residual(20)))
    assert [stop.name for stop in stops] == ["image", "stem", "unit0_conv1", "unit0_conv2", "mean", "logits"]
    assert [stop.repeated[1] for stop in stops] == [1, 1, 20, 20, 1, 1]
    assert stops[3].parameters == 200 and stops[3].merges == [("+", [1])] and stops[2].folded == ["ReLU"]
    drawn = architecture_figure(network(residual(20)))
    assert "20 × (sums below)" in texts(drawn)
    assert "unit19_conv2" in texts(architecture_figure(network(residual(20)), fold=False))


def test_a_branch_stands_beside_the_longest_way():
    steps = [
        step("stem", sources=(-1,)),
        step("conv1", sources=(0,)),
        step("conv2", sources=(1,)),
        step("shortcut", sources=(0,)),
        step("add", "Add", sources=(2, 3)),
    ]
    stops = {stop.name: stop for stop in stops_of(network(steps))}
    assert [stops[name].lane for name in ("stem", "conv1", "conv2", "shortcut")] == [0, 0, 0, 1]
    assert stops["shortcut"].column == stops["conv1"].column
    assert len(stops["conv2"].merges) == 1 and not stops["shortcut"].merges


def test_boxes_are_to_scale():
    steps = [step("a", shape=(32, 32, 10), sources=(-1,)), step("b", shape=(16, 16, 40), sources=(0,))]
    axes = architecture_figure(network(steps, (32, 32, 3))).axes[0]
    fronts = [(patch.get_width(), patch.get_height()) for patch in axes.patches if hasattr(patch, "get_height")]
    (_, image), (short, high), (long, low) = fronts
    assert high == pytest.approx(image) and high == pytest.approx(2 * low) and long == pytest.approx(4 * short)


def test_an_unknown_cost_is_told():
    steps = [step("own", "Own", sources=(-1,))]
    steps = [replace(steps[0], parameters=5, multiply_adds=None)]
    labels = " ".join(texts(architecture_figure(network(steps))))
    assert "MAC unknown" in labels and "at least 0 multiply-accumulates" in labels


def test_similarity_frames_each_rows_best_and_hatches_what_is_not_known():
    drawn = layer_similarity_figure(comparison([[0.9, 0.1], [np.nan, np.nan]], AWKWARD[:2], AWKWARD[2:4]))
    assert len(drawn.axes[0].lines) == 1 and shows(drawn, palette.HATCH[1])
    assert {"0.90", "0.10"} <= set(texts(drawn))
    assert any(text.startswith("40 images") for text in texts(drawn))
    many = layer_similarity_figure(comparison(np.eye(90), ["layer"] * 90, ["layer"] * 90), names=AWKWARD[4:6])
    assert many.get_size_inches().max() < 25


def comparison(similarity, layers, second_layers):
    return Comparison((tuple(layers), tuple(second_layers)), 40, np.array(similarity), {}, None)


def matched(kernel, second, strengths, matches):
    """Kernels of units that correlate with their partners as strongly as `strengths` say, and less with others."""
    correlation = np.zeros((len(matches), len(matches)))
    for unit, partner in enumerate(matches):
        correlation[unit, partner] = strengths[unit]
    return MatchedKernels(UnitMatch(("conv", "conv"), correlation, np.array(matches), True), kernel, second)


@pytest.mark.parametrize("channels", [1, 3, 40])
def test_kernels_and_their_difference_share_one_norm(channels):
    kernel = np.random.default_rng(0).normal(size=(3, 3, channels, 4))
    other = -kernel
    other[..., 3] = np.nan
    drawn = matched_units_figure(matched(kernel, other, [0.2, 0.9, 0.5, np.nan], [2, 0, 1, -1]), rgb=channels == 3)
    labels = texts(drawn)
    assert [text for text in labels if " ~ " in text and "·" not in text] == ["1 ~ 0", "2 ~ 1", "0 ~ 2", "3 ~ none"]
    # The differences are twice as large as the kernels, and on the same norm.
    assert f"±{2 * np.abs(kernel[..., :3]).max():.3g}" in " ".join(labels)
    assert shows(drawn, palette.HATCH[1])


def test_both_figures_of_a_comparison_say_which_is_taken_from_which():
    kernel = np.random.default_rng(0).normal(size=(3, 3, 3, 4))
    units = matched_units_figure(matched(kernel, kernel, np.ones(4), np.arange(4)), names=("old", "new"))
    result = Agreement(np.array([[[5, 5], [1, 9]], [[6, 4], [3, 7]]]), np.array([[3, 3], [5, 9]]))
    classes = class_accuracy_figure(result, names=("old", "new"), caption=Caption(labels=["cat", "dog"]))
    for drawn in (units, classes):
        written = texts(drawn)
        assert "new − old" in written and "difference" not in written
    assert any(text.startswith("−20.0 points") for text in texts(classes))  # dog: 0.7 − 0.9


def test_class_accuracy_tells_the_largest_difference_first():
    first, second = [[5, 5, 0], [2, 18, 0], [0, 0, 0]], [[6, 4, 0], [10, 10, 0], [0, 0, 0]]
    result = Agreement(np.array([first, second]), np.array([[3, 5], [10, 12]]))
    drawn = class_accuracy_figure(result, caption=Caption(labels=["cat", "dog", "emu"]))
    labels = texts(drawn)
    assert [name for name in labels if name in ("cat", "dog", "emu")] == ["dog", "cat", "emu"]
    assert "−40.0 points   of 20" in labels and "no images" in labels
    assert {"both right: 12 (40.0%)", "only A right: 10 (33.3%)", "only B right: 5 (16.7%)"} <= set(labels)


def test_neighbours_of_another_class_are_red():
    images = np.random.default_rng(0).integers(0, 256, (2, 9, 12, 1)).astype(np.uint8)
    rows = np.array([[0, 0, 1], [1, 1, 1]])
    near = Neighbours("conv", images, 1000, np.full((2, 3), 0.25), rows, rows, images, np.array([0, 1]))
    caption = Caption(split="test", labels=AWKWARD[:2])
    drawn = neighbours_figure(near, query_classes=[0, 1], names=AWKWARD[2:4], caption=caption)
    assert "among 1,000 images of test" in " ".join(texts(drawn))
    red = [text for text in drawn.texts if text.get_color() == palette.POSITIVE]
    assert len(red) == 2 and "83% of the neighbours" in " ".join(texts(drawn))


def test_a_confusion_shows_its_images_and_counts():
    images = np.stack([np.full((4, 4, 3), value, np.uint8) for value in (10, 90, 200)])
    examples = np.full((2, 2, 4), -1)
    examples[0, 0, 0], examples[0, 1, :2] = 0, (1, 2)
    confusions = ConfusionExamples(np.array([[1, 2], [0, 0]]), examples, images, np.arange(3))
    drawn = confusion_examples_figure(confusions, caption=Caption(labels=AWKWARD[:2]))
    assert all(shows(drawn, (value,) * 3) for value in (10, 90, 200))
    assert "2  (67%)" in texts(drawn) and "no images" in texts(drawn)


def test_of_many_classes_those_with_mistakes_are_shown():
    matrix = np.diag(np.full(20, 5))
    matrix[17, 18] = 3
    examples = np.full((20, 20, 1), 0)
    confusions = ConfusionExamples(matrix, examples, np.zeros((1, 4, 4, 3), np.uint8), np.zeros(1, int))
    drawn = confusion_examples_figure(confusions, caption=Caption(labels=[f"c{n}" for n in range(20)]))
    assert {"c17", "c18"} <= set(texts(drawn)) and "12 of 20 classes" in " ".join(texts(drawn))
    with pytest.raises(ValueError, match="2 labels for 20 classes"):
        confusion_examples_figure(confusions, caption=Caption(labels=["c1", "c2"]))


def grown(channels=3):
    """Kernels that double every epoch, of 4 epochs."""
    kernel = np.random.default_rng(0).normal(size=(3, 3, channels, 5)).astype(np.float32)
    return np.stack([kernel * 2**epoch for epoch in range(4)])


def test_all_epochs_share_one_norm():
    kernels = grown(1)
    kernels[:, 0, 0, 0, 0] = [1, 2, 4, 100]
    maps = np.ones((4, 6, 6, 5)) * np.array([1, 2, 4, 9])[:, None, None, None]
    for place, value in enumerate((1, 2, 4)):
        drawn = evolution_frame(Evolution("conv", (0, 1, 2, 3), kernels, maps), place)
        assert shows(drawn, palette.colour_weights(np.array(value), 100.0))
        assert shows(drawn, palette.colour_activations(np.array(value), 9.0))
    assert "epoch 0 (not trained yet)" in texts(evolution_frame(Evolution("conv", (0, 1, 2, 3), kernels), 0))
    assert "epoch 2 of 3" in texts(evolution_frame(Evolution("conv", (0, 1, 2, 3), kernels), 2))


@pytest.mark.parametrize("suffix", ["gif", "png"])
def test_an_animation_has_a_frame_an_epoch_and_holds_the_last(tmp_path, suffix):
    maps = np.random.default_rng(0).normal(size=(4, 6, 6, 5))
    result = Evolution("c", (0, 1, 5, 9), grown(), maps, image=np.zeros((6, 6, 3), np.uint8), reads_colour=True)
    path = write_evolution(tmp_path / f"made/conv.{suffix}", result, seconds=0.2)
    with Image.open(path) as animation:
        assert animation.n_frames == 4 and animation.info["loop"] == 0
        lasting = []
        for frame in range(4):
            animation.seek(frame)
            lasting.append(animation.info["duration"])
            corner = animation.convert("RGB").getpixel((0, 0))
            assert corner == palette.BACKGROUND
    assert lasting == [200, 200, 200, 800]


def test_what_cannot_be_animated_is_refused(tmp_path):
    with pytest.raises(ValueError, match="does not end in"):
        write_evolution(tmp_path / "conv.mp4", Evolution("conv", (0, 1, 2, 3), grown()))
    with pytest.raises(ValueError, match="3 epochs for kernels of 4"):
        write_evolution(tmp_path / "conv.gif", Evolution("conv", (0, 1, 2), grown()))
    assert not list(tmp_path.iterdir())


def test_kernels_keep_the_same_input_in_every_frame():
    kernels = np.zeros((2, 2, 2, 3, 1), np.float32)
    kernels[0, ..., 1, 0], kernels[1, ..., 2, 0] = 5, 4  # at the end the third input is the strongest
    strong = palette.colour_weights(np.array(4.0), 5.0)
    shown = [
        (pixels(evolution_frame(Evolution("conv", (1, 2), kernels), place)) == strong).all(axis=-1).sum()
        for place in (0, 1)
    ]
    assert shown[1] - shown[0] > 5000  # the colour bar has that colour too
