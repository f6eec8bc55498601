import csv
import pickle

import keras
import numpy as np
import pytest

from convlens.core.errors import ModelError
from convlens.interpret.concepts import ConceptsCollector
from convlens.interpret.patches import PatchesCollector
from convlens.interpret.spectrum import kernel_spectrum, layer_spectrum, random_spectrum
from convlens.interpret.unit_pass import Batch, UnitLayer, unit_pass
from convlens.interpret.unit_statistics import (
    StatisticsCollector,
    kernel_cosines,
    table_csv,
    unit_statistics,
    unit_table,
)
from convlens.models import feature_maps

layers = keras.layers


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    images = keras.Input((12, 10, 3))
    x = layers.Conv2D(5, 3, activation="relu", name="conv1")(layers.Rescaling(1 / 255)(images))
    x = layers.Conv2D(4, 3, strides=2, use_bias=False, name="conv2")(x)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.Dense(3, name="logits")(layers.Flatten()(x))
    model = keras.Model(images, x)
    kernel, bias = model.get_layer("conv1").get_weights()
    kernel[..., 1] = 2 * kernel[..., 0]  # twins, up to scale
    bias[3] = -100  # dead
    model.get_layer("conv1").set_weights([kernel, bias])
    return model


@pytest.fixture(scope="module")
def split():
    random = np.random.default_rng(1)
    images = random.integers(0, 256, (23, 12, 10, 3)).astype(np.uint8)
    return {"image": images, "label": random.integers(0, 3, 23), "parts": random.integers(0, 2, (23, 12, 10))}


@pytest.fixture(scope="module")
def maps(model, split):
    return {layer: stages["detect"] for layer, stages in feature_maps(model, split["image"]).items()}


@pytest.fixture(scope="module")
def statistics(model, split):
    return unit_statistics(model, split, batch_size=7)


@pytest.mark.parametrize("layer", ["conv1", "conv2"])
def test_activity_equals_what_all_maps_at_once_say(statistics, maps, layer):
    of_layer, all_maps = statistics[layer], maps[layer].astype(np.float64)
    np.testing.assert_allclose(of_layer.active, (all_maps > 0).mean(axis=(0, 1, 2)))
    np.testing.assert_allclose(of_layer.active_images, (all_maps > 0).any(axis=(1, 2)).mean(axis=0))
    np.testing.assert_allclose(of_layer.mean, all_maps.mean(axis=(0, 1, 2)), rtol=1e-5)
    np.testing.assert_allclose(of_layer.maximum, all_maps.max(axis=(0, 1, 2)), rtol=1e-6)
    assert of_layer.images == 23
    assert of_layer.dead.tolist() == (~all_maps.any(axis=(0, 1, 2))).tolist()


@pytest.mark.parametrize("layer", ["conv1", "conv2"])
def test_what_a_unit_cares_for_follows_from_the_mean_of_each_class(statistics, maps, split, layer):
    of_layer = statistics[layer]
    means = np.array([maps[layer][split["label"] == label].mean(axis=(0, 1, 2)) for label in range(3)])
    np.testing.assert_allclose(of_layer.class_mean, means, rtol=1e-5)
    for unit in range(means.shape[1]):
        if of_layer.dead[unit]:
            assert np.isnan(of_layer.selectivity[unit]) and of_layer.preferred_class[unit] == -1
            continue
        first, *others = sorted(means[:, unit], reverse=True)
        rest = np.mean(others)
        assert of_layer.selectivity[unit] == pytest.approx((first - rest) / (first + rest), rel=1e-4)
        shares = means[:, unit] / means[:, unit].sum()
        assert of_layer.class_entropy[unit] == pytest.approx(-sum(p * np.log2(p) for p in shares if p), rel=1e-4)
        assert of_layer.preferred_class[unit] == means[:, unit].argmax()


@pytest.mark.parametrize("layer", ["conv1", "conv2"])
def test_the_chance_of_a_preference_is_welchs_test_times_the_classes(statistics, maps, split, layer):
    from scipy import stats

    of_layer = statistics[layer]
    means = maps[layer].mean(axis=(1, 2), dtype=np.float64)
    for unit, best in enumerate(of_layer.preferred_class):
        if best < 0:
            assert of_layer.preference_p[unit] == 1
            continue
        its = split["label"] == best
        test = stats.ttest_ind(means[its, unit], means[~its, unit], equal_var=False, alternative="greater")
        assert of_layer.preference_p[unit] == pytest.approx(min(1, 3 * test.pvalue), rel=1e-3)


def test_units_that_know_no_class_are_rarely_said_to_prefer_one_and_those_that_do_always_are():
    random = np.random.default_rng(0)
    labels = random.integers(0, 8, 800)
    rare = random.exponential(size=(800, 1, 1, 300)) * (random.random((800, 1, 1, 300)) < 0.02)
    plain = random.exponential(size=(800, 1, 1, 300))
    knowing = plain[..., :40] + (labels == 3)[:, None, None, None] * 0.8
    maps = np.concatenate([rare, plain, knowing], axis=-1).astype(np.float32)
    collector = StatisticsCollector()
    collector.start({"conv": UnitLayer("conv", 640, None, None)})
    for start in range(0, 800, 64):
        rows = slice(start, start + 64)
        collector.add(Batch(start, maps[rows], labels[rows], None, {"conv": maps[rows]}))
    of_layer = collector.result()["conv"]
    named = of_layer.preference_p < 0.01
    assert named[:300].mean() <= 0.02 and named[300:600].mean() <= 0.02
    assert named[600:].all() and (of_layer.preferred_class[600:] == 3).all()
    # The largest of eight is far from the mean of the others by chance alone: selectivity does not tell the two apart.
    assert np.median(of_layer.selectivity[:300]) > of_layer.selectivity[600:].max()


def test_duplicates_are_found_by_maps_and_by_kernels(statistics, maps, model):
    of_layer = statistics["conv1"]
    alive = [0, 1, 2, 4]
    expected = np.corrcoef(maps["conv1"].reshape(-1, 5)[:, alive], rowvar=False)
    np.testing.assert_allclose(of_layer.correlation[np.ix_(alive, alive)], expected, atol=1e-4)
    assert np.isnan(of_layer.correlation[3]).all() and of_layer.twin[3] == -1
    assert [pair[:2] for pair in of_layer.duplicates(0.99)] == [(0, 1)]
    assert (of_layer.twin[0], of_layer.twin[1]) == (1, 0)
    flat = model.get_layer("conv1").get_weights()[0].reshape(-1, 5)
    cosine = flat[:, 0] @ flat[:, 4] / np.linalg.norm(flat[:, 0]) / np.linalg.norm(flat[:, 4])
    assert of_layer.cosine[0, 1] == pytest.approx(1) and of_layer.cosine[0, 4] == pytest.approx(cosine, abs=1e-6)


def test_correlations_survive_maps_that_are_far_from_zero():
    images = keras.Input((8, 8, 1))
    offset = layers.Conv2D(2, 1, name="conv", bias_initializer=keras.initializers.Constant(3000.0))
    model = keras.Model(images, offset(images))
    offset.set_weights([np.array([1.0, -1.0]).reshape(1, 1, 1, 2), offset.get_weights()[1]])
    of_layer = unit_statistics(model, np.random.default_rng(0).uniform(0, 1, (9, 8, 8, 1)), batch_size=4)["conv"]
    assert of_layer.correlation[0, 1] == pytest.approx(-1, abs=1e-3)


def test_neither_the_size_nor_the_kind_of_batches_changes_the_answer(model, split, statistics):
    one_hot = np.eye(3)[split["label"]]
    ways = [
        unit_statistics(model, split, batch_size=23),
        unit_statistics(model, [(split["image"][:20], one_hot[:20]), (split["image"][20:], one_hot[20:])]),
    ]
    for way in ways:
        for layer, expected in statistics.items():
            np.testing.assert_allclose(way[layer].class_mean, expected.class_mean, rtol=1e-5)
            np.testing.assert_allclose(way[layer].correlation, expected.correlation, atol=1e-4)


def test_without_labels_what_concerns_classes_is_unknown(model, split):
    of_layer = unit_statistics(model, split["image"])["conv2"]
    assert (
        of_layer.class_mean is None and np.isnan(of_layer.selectivity).all() and (of_layer.preferred_class == -1).all()
    )


def test_one_pass_over_a_stream_answers_every_question(model, split, statistics):
    passed = []

    def stream():
        for start in range(0, 23, 8):
            passed.append(start)
            yield tuple(split[key][start : start + 8] for key in ("image", "label", "parts"))

    collectors = [StatisticsCollector(), PatchesCollector(2), ConceptsCollector(["a", "b"])]
    seen = []
    of_layer, patches, concepts = unit_pass(
        model, stream(), collectors=collectors, progress=lambda *now: seen.append(now)
    )
    assert passed == [0, 8, 16] and seen == [(8, None), (16, None), (23, None)]  # nobody knows how long a stream is
    np.testing.assert_allclose(of_layer["conv1"].mean, statistics["conv1"].mean, rtol=1e-5)
    assert set(patches) == set(concepts) == {"conv1", "conv2"}


def test_what_is_kept_does_not_grow_with_the_number_of_images(model, split):
    def kept(images):
        collectors = [StatisticsCollector(), PatchesCollector(2), ConceptsCollector(["a", "b"])]
        batches = ({key: array[:16] for key, array in split.items()} for _ in range(images // 16))
        unit_pass(model, batches, collectors=collectors)
        return len(pickle.dumps(collectors))

    assert kept(320) <= kept(32) * 1.01


def test_the_table_sorts_by_any_column_and_is_written_as_csv(statistics):
    table = unit_table(statistics)
    assert table["layer"].tolist() == ["conv1"] * 5 + ["conv2"] * 4 and table["unit"].tolist() == [*range(5), *range(4)]
    by_mean = unit_table(statistics, sort="mean")
    assert by_mean["mean"].tolist() == sorted(table["mean"], reverse=True)
    assert unit_table(statistics, sort="selectivity")["dead"][-1]
    assert table[0]["twin"] == 1 and table[0]["twin_cosine"] == pytest.approx(1)
    rows = list(csv.DictReader(table_csv(table).splitlines()))
    assert [float(row["mean"]) for row in rows] == table["mean"].tolist()
    assert rows[3]["dead"] == "True" and rows[3]["selectivity"] == ""
    with pytest.raises(ValueError, match="columns layer, unit, active"):
        unit_table(statistics, sort="weight")


def test_looking_at_units_leaves_the_model_as_it_was(model, split):
    before = [weights.copy() for weights in model.get_weights()]
    nodes = [len(layer._inbound_nodes) for layer in model.layers]
    attributes = [set(vars(layer)) for layer in model.layers]
    unit_statistics(model, split)
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))
    assert nodes == [len(layer._inbound_nodes) for layer in model.layers]
    assert attributes == [set(vars(layer)) for layer in model.layers]


def test_what_does_not_suit_the_model_is_refused(model, split):
    with pytest.raises(ModelError, match="Did you mean 'conv1'"):
        unit_statistics(model, split, ["conv_1"])
    with pytest.raises(ModelError, match="no images"):
        unit_statistics(model, [])
    with pytest.raises(ModelError, match=r"\(batch, 12, 10, 3\)"):
        unit_statistics(model, np.zeros((2, 12, 12, 3)))
    with pytest.raises(ModelError, match="labels of shape"):
        unit_statistics(model, [(split["image"], split["label"][:3])])


def test_orthogonal_kernels_have_a_flat_spectrum_and_copies_have_one_direction():
    orthogonal = np.linalg.qr(np.random.default_rng(0).normal(size=(27, 8)))[0].reshape(3, 3, 3, 8)
    flat = kernel_spectrum(orthogonal)
    np.testing.assert_allclose(flat.singular_values, np.ones(8))
    assert flat.mean_abs_cosine == pytest.approx(0, abs=1e-12) and flat.effective_rank == pytest.approx(8)
    copies = kernel_spectrum(np.repeat(orthogonal[..., :1], 8, axis=-1) * np.array([1, -2, 3, 4, 5, 6, 7, 8]))
    assert copies.mean_abs_cosine == pytest.approx(1) and copies.effective_rank == pytest.approx(1)


def test_a_kernels_singular_values_are_the_roots_of_its_gram_matrix():
    kernel = np.random.default_rng(0).normal(size=(3, 3, 2, 30))
    flat = kernel.reshape(18, 30)
    expected = np.sqrt(np.linalg.eigvalsh(flat @ flat.T)[::-1])
    np.testing.assert_allclose(kernel_spectrum(kernel).singular_values, expected)
    assert random_spectrum(kernel, 1).singular_values.sum() == random_spectrum(kernel, 1).singular_values.sum()


def test_a_layers_spectrum_stands_beside_that_of_random_kernels_under_its_name():
    kernel = np.random.default_rng(0).normal(size=(3, 3, 2, 5))
    spectrum = layer_spectrum("inner/conv", kernel, seed=1)
    arrays = spectrum.arrays()
    assert set(arrays) == {"inner:conv", "inner:conv:random"}
    np.testing.assert_array_equal(arrays["inner:conv"], kernel_spectrum(kernel).singular_values)
    np.testing.assert_array_equal(arrays["inner:conv:random"], random_spectrum(kernel, 1).singular_values)


def test_a_kernel_of_zeros_has_no_direction():
    kernel = np.random.default_rng(0).normal(size=(3, 3, 1, 3))
    kernel[..., 1] = 0
    assert kernel_cosines(kernel)[1].tolist() == [0, 0, 0]
    assert kernel_spectrum(np.zeros((3, 3, 1, 3))).effective_rank == 0
