import warnings
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from convlens.interpret import (
    Ablation,
    ConceptScores,
    Detectors,
    KernelSpectrum,
    LayerSpectrum,
    ReceptiveField,
    Scores,
    ShareAblation,
    TopPatches,
    UnitStatistics,
    UnitView,
    UnitViews,
)
from convlens.visualization import Caption, palette, save_figure
from convlens.visualization.ablation import ablation_figure
from convlens.visualization.concepts import concepts_figure
from convlens.visualization.overlays import DIMNESS, boxed_tile, crop_tile, masked_tile, rgb
from convlens.visualization.patches import top_patches_figure
from convlens.visualization.receptive_field import receptive_field_figure
from convlens.visualization.spectrum import kernel_spectrum_figure
from convlens.visualization.unit_statistics import unit_statistics_figure

CAPTION = Caption("run cars/1", "block1_conv1", 7, (5, 5))
CLASSES = ["car $x$", "lorry\nlong", "自動車"]
OF_TEST = replace(CAPTION, split="test", labels=CLASSES)
GREY = np.full((16, 24, 3), 100, np.uint8)
INK = rgb(palette.POSITIVE)


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.texts]


def area(figure: Figure, colour) -> int:
    """How many pixels of the figure have a colour."""
    agg = FigureCanvasAgg(figure)
    agg.draw()
    return int((np.asarray(agg.buffer_rgba())[..., :3] == np.asarray(colour)).all(axis=-1).sum())


def shows(figure: Figure, colour) -> bool:
    return area(figure, colour) > 0


def statistics(units=6, dead=(2,), classes=True, correlation=None, cosine=None, **derived):
    """Statistics of random units; `derived` are properties that the test knows better."""
    random = np.random.default_rng(0)
    active, mean, maximum = random.uniform(0.1, 0.9, (3, units))
    active[list(dead)] = 0
    class_mean = random.uniform(0.1, 0.9, (3, units)) if classes else None
    if correlation is None:
        correlation = random.uniform(-0.9, 0.9, (units, units))
        correlation[list(dead)] = correlation[:, list(dead)] = np.nan
    result = UnitStatistics("block1_conv1", 300, active, active, mean, maximum, class_mean, correlation, cosine)
    vars(result).update(derived)
    return result


def test_a_class_is_named_only_where_chance_would_rarely_prefer_one():
    result = statistics(
        dead=(),
        preferred_class=np.array([0, 1, 0, 2, 0, 0]),
        preference_p=np.array([0.5, 0.009, 1, 0, 0.011, 0.3]),
    )
    written = texts(unit_statistics_figure(result, caption=Caption(labels=["a car", "a van", "a bus"])))
    assert sum("a van" in text for text in written) == 1 and sum("a bus" in text for text in written) == 1
    assert not any("a car" in text for text in written)
    assert sum(text.endswith("  –") for text in written) == 4
    assert any("Welch" in text for text in written)


def patches(units=3, ranks=4, channels=3, size=5):
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (7, 16, 24, channels)).astype(np.uint8)
    corners = random.integers(-2, 14, (units, ranks, 2))
    values = np.sort(random.uniform(1, 9, (units, ranks)))[:, ::-1]
    values[-1] = 0
    rows = random.integers(0, 7, (units, ranks))
    boxes = np.concatenate([corners, corners + size], axis=-1)
    return TopPatches("conv", None, values, rows, corners, boxes, rows, images, np.arange(7) % 3, None)


def concepts(units=(2, 0), share=0.005):
    iou = np.array([[0.1, 0.02], [0.01, 0.03], [0.05, 0.3]])
    images = [np.random.default_rng(0).integers(0, 256, (3, 16, 24, 3)).astype(np.uint8)] * len(units)
    strong = [np.random.default_rng(unit).random((3, 16, 24)) > 0.5 for unit in units]
    masks = [np.zeros((3, 16, 24), bool)] * len(units)
    scores = ConceptScores(
        "conv", None, 300, share, ("wheel", "window $x$"), iou, np.ones(3), np.full(3, share), np.full(2, 0.1)
    )
    return scores, Detectors(units, images, strong, masks)


def views(count=7, effective=True):
    seen = np.random.default_rng(0).random((16, 24)) if effective else None
    fields = [
        ReceptiveField(f"block{index}_conv1", (16, 24), (8, 8), (10, 10), (2, 2), (-4, -5)) for index in range(count)
    ]
    return UnitViews(tuple(UnitView(field, (1, 4), seen) for field in fields), 3)


def ablation(units=30, classes=3, curves=True, images=300):
    random = np.random.default_rng(0)
    left = random.uniform(0.8, 0.92, (units, classes))
    left[:, -1] = np.nan
    counts = np.array([0, 2, 4])
    ordered, drawn = scores(np.array([[0.9], [0.5], [0.1]])), scores(random.uniform(0.1, 0.9, (15, 1)))
    together = ShareAblation("conv", counts, units, ordered, drawn, 5) if curves else None
    intact = scores(np.full((1, classes), 0.9))
    return Ablation("block1_conv1", np.arange(units), images, intact, scores(left), together)


def scores(class_accuracy, loss=0.0):
    """Of networks that classify so well in each class, NaN for one without images."""
    return Scores(class_accuracy[:, 0], class_accuracy, np.broadcast_to(loss, len(class_accuracy)))


def spectra(count=5):
    learned, random = (KernelSpectrum((27, 8), values, np.eye(8)) for values in (LEARNED, LEARNED / 2))
    return [LayerSpectrum(f"block{index}_conv1", learned, random) for index in range(count)]


LEARNED = np.array([4.0, 4, 0, 0, 0, 0, 0, 0])


FIGURES = {
    "unit_statistics": lambda: unit_statistics_figure(statistics(cosine=np.eye(6)), caption=OF_TEST),
    "statistics of many units without classes or kernels": lambda: unit_statistics_figure(
        statistics(300, (), classes=False), caption=CAPTION, sort="active"
    ),
    "top_patches": lambda: top_patches_figure(patches(), caption=OF_TEST),
    "patches in grey": lambda: top_patches_figure(patches(channels=1), caption=CAPTION),
    "patches of whole images": lambda: top_patches_figure(patches(size=40), caption=CAPTION, sort="index"),
    "receptive_field": lambda: receptive_field_figure(GREY, views(), caption=CAPTION),
    "receptive field without gradients": lambda: receptive_field_figure(GREY[..., :1], views(1, False)),
    "concepts": lambda: concepts_figure(*concepts(), caption=OF_TEST),
    "ablation": lambda: ablation_figure(ablation(), caption=OF_TEST),
    "ablation of one unit without curves": lambda: ablation_figure(ablation(1, 2, False), caption=CAPTION),
    "ablation for 200 classes": lambda: ablation_figure(ablation(classes=200), caption=CAPTION),
    "kernel_spectrum": lambda: kernel_spectrum_figure(spectra(), caption=CAPTION),
    "one spectrum": lambda: kernel_spectrum_figure(spectra(1)),
}


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_is_drawn_at_a_size_that_fits_a_page_and_without_a_warning(name, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = FIGURES[name]()
        paths = save_figure(figure, {}, tmp_path / "figure")
    assert figure.get_size_inches().max() < 25
    assert [path.suffix for path in paths] == [".png", ".svg", ".npz"]


@pytest.mark.parametrize("name", ["unit_statistics", "top_patches", "concepts", "ablation"])
def test_titles_name_run_epoch_layer_and_receptive_field(name):
    labels = " ".join(texts(FIGURES[name]()))
    for fact in ("run cars/1", "epoch 7", "block1_conv1", "receptive field 5×5 px", "test"):
        assert fact in labels


def test_the_table_marks_dead_units_and_duplicates_and_drops_none():
    correlation = np.full((6, 6), 0.3)
    correlation[4, 5] = correlation[5, 4] = 0.97
    written = texts(unit_statistics_figure(statistics(correlation=correlation), caption=OF_TEST))
    assert written.count("dead") == 1 and {"5  (0.97) duplicate", "4  (0.97) duplicate"} <= set(written)
    assert {str(unit) for unit in range(6)} <= set(written)


def test_the_table_is_sorted_by_what_is_asked_for():
    result = statistics(dead=())
    written = texts(unit_statistics_figure(result, sort="active"))
    shares = [f"{share:.0%}" for share in np.sort(result.active)[::-1]]
    assert [text for text in written if text in shares] == shares
    with pytest.raises(ValueError, match="expected one of index, active"):
        unit_statistics_figure(result, sort="name")


def test_maps_stand_above_the_diagonal_and_kernels_below():
    maps, kernels = np.full((4, 4), 0.8), np.full((4, 4), -0.4)
    both, alone = (
        unit_statistics_figure(statistics(4, (), correlation=maps, cosine=cosine)) for cosine in (kernels, None)
    )
    red, blue = (palette.colour_weights(np.array(value), 1.0) for value in (0.8, -0.4))
    half = 6 * 40**2  # pixels of the cells on one side of the diagonal; the colour bar holds some more
    assert half <= area(both, red) < 1.5 * half and half <= area(both, blue) < 1.5 * half
    assert area(alone, red) >= 2 * half and area(alone, blue) < half


def test_a_crop_shows_the_pixels_in_its_box_and_hatches_what_lies_outside_the_image():
    image = np.arange(16 * 24 * 3).reshape(16, 24, 3).astype(np.uint8)
    np.testing.assert_array_equal(crop_tile(image, (2, 3, 6, 7), 40)[::10, ::10], image[2:6, 3:7])
    tile = crop_tile(image, (-2, -2, 2, 2), 40)
    np.testing.assert_array_equal(tile[20::10, 20::10], image[:2, :2])
    np.testing.assert_array_equal(tile[:20], palette.hatch(40, 40)[:20])


def test_outside_its_box_an_image_is_dimmed():
    tile = boxed_tile(GREY, (4, 4, 12, 12), 96, INK)
    dimmed = round(100 * (1 - DIMNESS) + 255 * DIMNESS)
    assert (tile[20:44, 20:44] == 100).all() and (tile[60:, 60:] == dimmed).all()
    assert (tile[14:16, 16:48] == INK).all()  # the outline lies around the box


def test_a_part_is_outlined_and_the_unit_s_places_keep_their_colour():
    strong, part = np.zeros((2, 16, 24), bool)
    strong[:, :12], part[4:12, 4:12] = True, True
    tile = masked_tile(GREY, strong, part, 96, INK)
    assert (tile[16, 16:48] == INK).all() and (tile[24, 24] == 100).all() and (tile[:, 90] > 200).all()


def test_a_dead_unit_has_no_patches():
    figure = top_patches_figure(patches())
    assert texts(figure).count("dead") == 1 and shows(figure, palette.HATCH[0])


def test_patches_are_told_with_their_strength_and_class():
    place = np.zeros((1, 1), int)
    result = TopPatches(
        "conv",
        None,
        np.array([[2.5]]),
        place,
        place[..., None],
        np.array([[[0, 0, 3, 3]]]),
        place,
        GREY[None],
        [1],
        None,
    )
    assert "2.5 lorry" in texts(top_patches_figure(result, caption=Caption(labels=["car", "lorry"])))
    assert "2.5" in texts(top_patches_figure(result))


def test_a_receptive_field_states_its_size_also_in_the_padding():
    labels = texts(receptive_field_figure(GREY, views(1)))
    assert "sees 10×10 px" in labels and "matters: about 19×19 px" in labels
    assert any("mean over units and 3 images" in text for text in labels)


def test_concepts_state_the_overlap_with_the_best_part_first():
    labels = texts(concepts_figure(*concepts(share=0.02)))
    assert [text for text in labels if text.startswith("unit ")] == ["unit 2: window $x$  0.30", "unit 0: wheel  0.10"]
    assert "detectors by part: wheel 1, window $x$ 1" in " ".join(labels)
    assert "2 of 3 units overlap a part by 4% or more" in " ".join(labels)
    assert "the top 2.0% of a unit's activations" in " ".join(labels)


def test_ablation_states_changes_in_points_and_colours_classes_on_one_norm_about_zero():
    intact = Scores(np.array([0.8]), np.array([[0.8, 0.6]]), np.array([1.0]))
    silenced = Scores(np.array([0.8, 0.75]), np.array([[0.8, 0.65], [0.6, 0.7]]), np.array([0.9999, 1.1]))
    result = Ablation("conv", np.array([1, 4]), 20, intact, silenced)
    written = texts(ablation_figure(result))
    assert {"−5.0 points", "0 points", "+0.100", "0"} <= set(
        written
    ) and "What the network loses without a unit of conv" in written
    assert written.index("4") < written.index("1")  # the most needed first
    for change in (-0.2, 0.1, 0.0, 0.05):
        assert shows(ablation_figure(result), palette.colour_weights(np.array(change), 0.2))


def test_ablation_shows_what_is_left_of_accuracy_beside_units_drawn_at_random():
    axes = ablation_figure(ablation()).axes[-1]
    ordered = axes.lines[1]
    np.testing.assert_allclose(ordered.get_xydata(), [[0, 0.9], [2, 0.5], [4, 0.1]])


def test_a_spectrum_is_drawn_beside_that_of_random_weights():
    figure = kernel_spectrum_figure(spectra(1))
    random, learned = figure.axes[0].lines
    np.testing.assert_allclose(learned.get_ydata(), 2 * random.get_ydata())
    assert "effective rank 2.0 (random 2.0) of 8" in texts(figure)
