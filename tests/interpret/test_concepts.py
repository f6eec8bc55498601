import keras
import numpy as np
import pytest
from scipy.interpolate import RegularGridInterpolator

from convlens import interpret
from convlens.core.errors import ModelError
from convlens.interpret.concepts import BINS, ConceptsCollector, bin_edges, concept_scores, enlarge, strong_cells
from convlens.interpret.receptive_field import receptive_field
from convlens.models import feature_maps

layers = keras.layers
NAMES = ("road", "wheel", "window", "lamp")
COLOURS = np.array([[40, 40, 40], [220, 30, 30], [30, 220, 30], [30, 30, 220]])


@pytest.fixture(scope="module")
def split():
    """Images of coloured rectangles, a colour a part."""
    random = np.random.default_rng(0)
    parts = np.zeros((40, 24, 24), np.int64)
    for mask in parts:
        for part in (1, 2, 3):
            top, left = random.integers(0, 18, 2)
            height, width = random.integers(3, 8, 2)
            mask[top : top + height, left : left + width] = part
    images = (COLOURS[parts] + random.integers(-20, 21, (*parts.shape, 3))).clip(0, 255).astype(np.uint8)
    return {"image": images, "parts": parts}


def detectors(*after, kernel=1):
    """A network whose units 0, 1 and 2 answer to the colours of wheel, window and lamp, and unit 3 to darkness."""
    images = keras.Input((24, 24, 3))
    conv = layers.Conv2D(4, kernel, padding="same", activation="relu", name="conv")
    x = conv(images)
    for layer in after:
        x = layer(x)
    model = keras.Model(images, x)
    weights = np.full((kernel, kernel, 3, 4), -1.0)
    weights[..., [0, 1, 2], [0, 1, 2]] = 1
    conv.set_weights([weights / kernel**2, np.array([-60, -60, -60, 200.0])])
    return model


def brute_force(model, split, scores, layer):
    """Intersection over union, counted pixel by pixel on maps enlarged by SciPy."""
    maps = model(split["image"].astype("float32")).numpy()
    down, across = scores.field.centres()
    points = np.stack(np.meshgrid(np.arange(24.0), np.arange(24.0), indexing="ij"), axis=-1)
    points = np.stack([points[..., 0].clip(down[0], down[-1]), points[..., 1].clip(across[0], across[-1])], axis=-1)
    iou = np.zeros((4, len(NAMES)))
    for unit in range(4):
        strong = np.stack(
            [RegularGridInterpolator((down, across), one)(points) for one in maps[..., unit]]
        ) >= scores.threshold[unit] * (1 - 1e-6)
        for part in range(len(NAMES)):
            is_part = split["parts"] == part
            iou[unit, part] = (strong & is_part).sum() / (strong | is_part).sum()
    return iou


def test_units_built_to_detect_a_part_are_found_to_detect_it(split):
    scores = concept_scores(detectors(), split, NAMES, share=0.3)["conv"]
    assert [NAMES[concept] for concept in scores.concept] == ["wheel", "window", "lamp", "road"]
    np.testing.assert_allclose(scores.score[:3], 1)
    assert scores.ranked("lamp")[0] == 2
    np.testing.assert_allclose(scores.area, np.bincount(split["parts"].ravel()) / split["parts"].size)


@pytest.mark.parametrize("share", [0.005, 0.02, 0.3])
def test_the_overlap_is_that_of_brute_force(split, share):
    model = detectors()
    scores = concept_scores(model, split, NAMES, share=share, batch_size=7)["conv"]
    np.testing.assert_allclose(scores.iou, brute_force(model, split, scores, "conv"), atol=1e-4)


def test_the_overlap_of_small_maps_is_that_of_brute_force(split):
    model = detectors(layers.MaxPooling2D(3), layers.Conv2D(4, 3, kernel_initializer="ones", name="last"), kernel=3)
    scores = concept_scores(model, split, NAMES, ["last"], share=0.1)["last"]
    assert scores.field.map_size == (6, 6)
    np.testing.assert_allclose(scores.iou, brute_force(model, split, scores, "last"), atol=2e-3)


@pytest.mark.parametrize("share", [0.005, 0.05, 0.2])
def test_a_threshold_is_what_the_top_share_of_a_units_activations_reach(split, share):
    model = detectors(kernel=3)
    scores = concept_scores(model, split, NAMES, share=share)["conv"]
    maps = feature_maps(model, split["image"])["conv"]["detect"]
    for unit in range(4):
        falling = np.sort(maps[..., unit].ravel())[::-1]
        exact = falling[int(np.ceil(share * falling.size)) - 1]
        if exact > 0:
            assert exact * (1 - 1 / 32) <= scores.threshold[unit] <= exact
        else:
            assert 0 < scores.threshold[unit] < 1e-30


def test_pixels_outside_the_named_parts_count_nowhere(split):
    model = detectors()
    cut = split["parts"].copy()
    cut[:, :, 12:] = 255
    half = concept_scores(model, {"image": split["image"], "parts": cut}, NAMES, share=0.3)["conv"]
    np.testing.assert_allclose(half.score[:3], 1)
    assert half.area.sum() == pytest.approx(1)


def test_a_unit_that_is_never_active_covers_nothing(split):
    model = detectors()
    weights, bias = model.get_layer("conv").get_weights()
    model.get_layer("conv").set_weights([weights, bias - 1000])
    scores = concept_scores(model, split, NAMES)["conv"]
    assert not scores.iou.any() and not scores.active.any()


def test_maps_are_enlarged_between_the_centres_of_what_units_see():
    images = keras.Input((9, 9, 1))
    model = keras.Model(images, layers.Conv2D(1, 3, strides=2, name="conv")(images))
    field = receptive_field(model, "conv")  # centres at pixels 1, 3, 5, 7
    ramp = np.broadcast_to(np.array([1.0, 3, 5, 7], np.float32)[:, None, None], (4, 4, 1))
    np.testing.assert_allclose(enlarge(ramp, field, (9, 9))[:, 4, 0], [1, 1, 2, 3, 4, 5, 6, 7, 7])
    np.testing.assert_allclose(enlarge(ramp, field, (3, 3))[:, 1, 0], [1, 4, 7])


def test_strong_cells_are_those_that_the_scores_count(split):
    model = detectors()
    scores = concept_scores(model, split, NAMES, share=0.05)["conv"]
    strong = strong_cells(feature_maps(model, split["image"])["conv"]["detect"], scores, (24, 24))
    np.testing.assert_allclose(strong.mean(axis=(0, 1, 2)), scores.active, atol=1e-4)


def test_bins_grow_by_a_thirty_second_of_an_octave():
    edges = bin_edges()
    assert len(edges) == BINS and (np.diff(edges) > 0).all()
    steps = np.diff(edges[1:]) / edges[1:-1]
    assert steps.max() <= 1 / 32 + 1e-6 and steps.min() >= 1 / 64


def test_scores_without_masks_or_names_are_refused(split):
    with pytest.raises(ModelError, match="need masks"):
        concept_scores(detectors(), split["image"], NAMES)
    with pytest.raises(ValueError, match="share=1.5"):
        ConceptsCollector(NAMES, 1.5)
    with pytest.raises(ValueError, match="labelled parts are road, wheel"):
        concept_scores(detectors(), split, NAMES)["conv"].ranked("door")


def test_detectors_are_strong_where_the_part_is_that_they_detect(split):
    model = detectors()
    collectors = [ConceptsCollector(NAMES, 0.3), interpret.PatchesCollector(4)]
    scores, patches = (by_layer["conv"] for by_layer in interpret.unit_pass(model, split, collectors=collectors))
    assert scores.images == 40 and scores.share == 0.3
    shown = interpret.detectors(model, scores, patches, [2, 0], count=3)
    assert shown.units == (2, 0) and [images.shape for images in shown.images] == [(3, 24, 24, 3)] * 2
    for strong, masks in zip(shown.strong, shown.masks, strict=True):
        np.testing.assert_array_equal(strong, masks)  # an overlap of 1
        assert masks.any()
    assert interpret.detectors(model, scores, patches, []).images == []
