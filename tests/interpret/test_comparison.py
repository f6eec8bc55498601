"""Comparing two models, against computations of all images at once."""

import keras
import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from convlens.core.errors import ModelError
from convlens.interpret.assignment import best_assignment
from convlens.interpret.comparison import UnitMatch, arranged_kernels, compare, matched_kernels
from convlens.models import feature_maps

layers = keras.layers


def network(seed, widths=(6, 8), side=12):
    keras.utils.set_random_seed(seed)
    images = keras.Input((side, side, 3))
    x = layers.Rescaling(1 / 255)(images)
    for number, units in enumerate(widths, start=1):
        x = layers.Conv2D(units, 3, padding="same", activation="relu", name=f"conv{number}")(x)
        x = layers.MaxPooling2D(name=f"pool{number}")(x)
    return keras.Model(images, layers.Dense(3, name="logits")(layers.Flatten()(x)))


def permuted(model, orders):
    """The same function, its units in another order."""
    other = keras.models.clone_model(model)
    other.set_weights(model.get_weights())
    before = np.arange(3)
    for name, order in orders.items():
        kernel, bias = model.get_layer(name).get_weights()
        other.get_layer(name).set_weights([kernel[:, :, before][..., order], bias[order]])
        before = order
    places = 3 * 3
    kernel, bias = model.get_layer("logits").get_weights()
    rows = np.arange(len(kernel)).reshape(places, -1)[:, before].ravel()
    other.get_layer("logits").set_weights([kernel[rows], bias])
    return other


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (40, 12, 12, 3)).astype(np.uint8)


@pytest.fixture(scope="module")
def labels():
    return np.random.default_rng(1).integers(0, 3, 40)


def unbiased_cka(one, other):
    """Written out from its definition, term by term, for all images at once."""

    def hsic(first, second):
        n = len(first)
        first, second = (gram - np.diag(np.diag(gram)) for gram in (first, second))
        ones = np.ones(n)
        mixed = (ones @ first @ ones) * (ones @ second @ ones) / ((n - 1) * (n - 2))
        return (np.trace(first @ second) + mixed - 2 / (n - 2) * (ones @ first @ second @ ones)) / (n * (n - 3))

    flat = (values.reshape(len(values), -1).astype(np.float64) for values in (one, other))
    first, second = (values @ values.T for values in flat)
    return hsic(first, second) / np.sqrt(hsic(first, first) * hsic(second, second))


def biased_cka(one, other):
    """Kornblith et al. 2019, equation 7 of linear features."""
    x, y = (values.reshape(len(values), -1).astype(np.float64) for values in (one, other))
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    return np.linalg.norm(y.T @ x) ** 2 / (np.linalg.norm(x.T @ x) * np.linalg.norm(y.T @ y))


def detected(model, images, layer):
    return feature_maps(model, images, [layer], ["detect"])[layer]["detect"]


def test_a_model_is_wholly_similar_to_itself_and_to_itself_with_permuted_units(images):
    model = network(0)
    orders = {"conv1": np.array([3, 1, 0, 5, 4, 2]), "conv2": np.random.default_rng(3).permutation(8)}
    other = permuted(model, orders)
    np.testing.assert_allclose(other.predict(images, verbose=0), model.predict(images, verbose=0), atol=1e-4)
    for compared in (model, other):
        comparison = compare(model, compared, images, batch_size=16)
        np.testing.assert_allclose(np.diagonal(comparison.similarity), 1, atol=1e-5)
    for name, order in orders.items():
        match = comparison.units[name, name]
        np.testing.assert_array_equal(match.matches, np.argsort(order))
        np.testing.assert_allclose(match.strengths, 1, atol=1e-4)


def test_similarity_of_one_batch_is_the_unbiased_estimate_and_more_batches_stay_near_it(images):
    one, other = network(0), network(1, (5, 7))
    whole = compare(one, other, images, batch_size=40).similarity
    for row, first in enumerate(("conv1", "conv2")):
        for column, second in enumerate(("conv1", "conv2")):
            maps = detected(one, images, first), detected(other, images, second)
            assert whole[row, column] == pytest.approx(unbiased_cka(*maps), abs=1e-4)
    np.testing.assert_allclose(compare(one, other, images, batch_size=10).similarity, whole, atol=0.1)


def test_the_estimate_approaches_cka_as_images_become_many():
    random = np.random.default_rng(0)
    # Images of three brightnesses: a structure that 400 images show.
    many = (random.integers(0, 3, (400, 1, 1, 1)) * 80 + random.integers(0, 60, (400, 12, 12, 3))).astype(np.uint8)
    one, other = network(0), network(1)
    similarity = compare(one, other, many, batch_size=50).similarity
    assert similarity[0, 1] == pytest.approx(
        biased_cka(detected(one, many, "conv1"), detected(other, many, "conv2")), abs=0.02
    )


def test_correlations_of_units_are_those_of_all_maps_at_once_and_their_pairing_the_best(images):
    one, other = network(0), network(1, (5, 8))
    match = compare(one, other, images, batch_size=7).units["conv1", "conv1"]
    maps = [detected(model, images, "conv1").reshape(-1, units) for model, units in ((one, 6), (other, 5))]
    expected = np.corrcoef(*maps, rowvar=False)[:6, 6:]
    np.testing.assert_allclose(match.correlation, expected, atol=1e-5)
    rows, columns = linear_sum_assignment(-expected)
    assert match.matches[rows].tolist() == columns.tolist()
    assert sorted(match.matches)[:2] == [-1, 0] and np.isnan(match.strengths).sum() == 1 and match.by_cell


def test_layers_of_different_map_sizes_are_matched_by_their_means(images):
    one, other = network(0), network(1)
    match = compare(one, other, images, pairs=[("conv1", "conv2")], batch_size=16).units["conv1", "conv2"]
    means = [detected(model, images, name).mean(axis=(1, 2)) for model, name in ((one, "conv1"), (other, "conv2"))]
    np.testing.assert_allclose(match.correlation, np.corrcoef(*means, rowvar=False)[:6, 6:], atol=1e-4)
    assert not match.by_cell


def test_a_unit_that_never_changes_correlates_with_nothing_and_takes_nobodys_partner(images):
    one, other = network(0), network(0)
    kernel, bias = one.get_layer("conv1").get_weights()
    kernel[..., 2], bias[2] = 0, -1
    one.get_layer("conv1").set_weights([kernel, bias])
    match = compare(one, other, images, batch_size=16).units["conv1", "conv1"]
    assert np.isnan(match.correlation[2]).all() and np.isnan(match.strengths[2])
    assert match.matches.tolist() == list(range(6))


def test_predictions_are_counted_by_class_and_by_who_is_right(images, labels):
    one, other = network(0), network(1)
    agreement = compare(one, other, {"image": images, "label": labels}, batch_size=16).agreement
    predicted = [model.predict(images, verbose=0).argmax(axis=1) for model in (one, other)]
    right = [classes == labels for classes in predicted]
    np.testing.assert_allclose(agreement.accuracy, [side.mean() for side in right])
    for kind in range(3):
        np.testing.assert_allclose(agreement.class_accuracy[:, kind], [side[labels == kind].mean() for side in right])
    assert agreement.both[1, 0] == (right[0] & ~right[1]).sum() and agreement.both.sum() == 40
    assert compare(one, other, images).agreement is None


def test_similarity_does_not_depend_on_a_short_last_batch(images):
    one, other = network(0), network(1)
    comparison = compare(one, other, images[:34], batch_size=16)  # 16 and 18, not 16, 16 and 2
    assert comparison.images == 34 and np.isfinite(comparison.similarity).all()


def test_what_cannot_be_compared_is_refused(images, labels):
    one = network(0)
    with pytest.raises(ModelError, match="Unknown layer 'conv9'"):
        compare(one, one, images, ["conv9"])
    with pytest.raises(ModelError, match="at least 4 images"):
        compare(one, one, images[:3])
    with pytest.raises(ModelError, match="but the model takes"):
        compare(one, network(0, side=16), images)
    with pytest.raises(ModelError, match="a layer that is not compared"):
        compare(one, one, images, pairs=[("conv1", "pool1")])


def test_kernels_are_put_in_each_others_order_before_they_are_subtracted():
    model = network(0)
    orders = {"conv1": np.array([3, 1, 0, 5, 4, 2]), "conv2": np.random.default_rng(3).permutation(8)}
    other = permuted(model, orders)
    kernels = [side.get_layer("conv2").get_weights()[0] for side in (model, other)]
    match = UnitMatch(("conv2", "conv2"), np.eye(8), np.argsort(orders["conv2"]), True)
    matched = matched_kernels(*kernels, match, np.argsort(orders["conv1"]))
    np.testing.assert_array_equal(matched.second, kernels[0])
    assert not matched.difference.any()
    assert set(matched.arrays()) == {"kernel", "other", "difference", "matches", "strengths"}
    assert np.isnan(arranged_kernels(*kernels, np.array([-1, *range(1, 8)]))[..., 0]).all()
    with pytest.raises(ValueError, match="differ in more than their units"):
        arranged_kernels(kernels[0], kernels[0][:, :, :3])


@pytest.mark.parametrize("shape", [(1, 1), (5, 5), (4, 9), (9, 4), (40, 40), (0, 3)])
def test_the_assignment_is_as_good_as_the_best_one(shape):
    random = np.random.default_rng(sum(shape))
    for scores in (random.normal(size=shape), random.integers(-2, 3, shape)):
        assignment = best_assignment(scores)
        rows, columns = linear_sum_assignment(-np.asarray(scores, float))
        used = assignment[assignment >= 0]
        assert len(set(used.tolist())) == len(used) == min(shape)
        assert scores[assignment >= 0, used].sum() == pytest.approx(scores[rows, columns].sum())
