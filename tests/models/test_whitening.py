"""The layer that whitens makes the patches of training images vary independently."""

import keras
import numpy as np
import pytest

from convlens.configs import Model
from convlens.models import build_model
from convlens.models.whitening import filters, whitening


@pytest.fixture
def images():
    """Soft, coloured noise: neighbours and colours go together, as in photographs."""
    generator = np.random.default_rng(0)
    grey = generator.normal(0, 40, (6, 40, 41, 1))
    soft = grey[:, 1:, 1:] + grey[:, :-1, 1:] + grey[:, 1:, :-1]
    return np.clip(150 + soft + generator.normal(0, 12, (6, 39, 40, 3)), 0, 255).astype("uint8")


def patches(images):
    """Every 2 x 2 patch of images in [-1, 1], one a row, (n, height, width, channels) flattened."""
    scaled = images.astype("float64") / 127.5 - 1
    shifts = [scaled[:, dy : dy + scaled.shape[1] - 1, dx : dx + scaled.shape[2] - 1] for dy in (0, 1) for dx in (0, 1)]
    return np.concatenate(shifts, axis=-1).reshape(-1, 4 * images.shape[-1])


@pytest.mark.parametrize("channels", [1, 3])
def test_what_it_finds_is_uncorrelated_with_mean_zero_and_variance_one(images, channels):
    kernel, bias = whitening(images[..., :channels])
    whitened = patches(images[..., :channels]) @ kernel.reshape(-1, filters(channels)) + bias
    half = filters(channels) // 2
    covariance = np.cov(whitened[:, :half], rowvar=False)
    np.testing.assert_allclose(whitened.mean(0), 0, atol=1e-3)
    np.testing.assert_allclose(covariance, np.diag(np.diag(covariance)), atol=1e-3)
    # The faintest components fall short of one by what is added to their variance.
    assert np.all(np.diag(covariance) <= 1.001) and np.all(np.diag(covariance) > 0.9)
    np.testing.assert_array_equal(whitened[:, half:], -whitened[:, :half])


def test_components_come_largest_first(images):
    kernel, _ = whitening(images)
    lengths = np.linalg.norm(kernel.reshape(-1, filters(3))[:, : filters(3) // 2], axis=0)
    assert np.all(np.diff(lengths) > 0)  # the more a component varies, the less it is stretched


def test_images_without_any_difference_give_finite_weights():
    kernel, bias = whitening(np.full((2, 5, 5, 3), 7, "uint8"))
    assert np.isfinite(kernel).all() and np.isfinite(bias).all()


@pytest.mark.parametrize("family", ["convnet", "resnet"])
def test_the_network_shows_what_the_layer_finds_and_never_trains_it(images, family):
    model = build_model(Model(family=family, filters=[4], whiten=True), (39, 40), 3, 2, seed=0)
    layer = model.get_layer("whiten")
    kernel, bias = whitening(images)
    layer.set_weights([kernel, bias])
    maps = keras.Model(model.inputs, layer.output).predict(images, verbose=0)
    expected = np.maximum(patches(images) @ kernel.reshape(-1, 24).astype("float64") + bias, 0)
    np.testing.assert_allclose(maps[:, :-1, :-1].reshape(-1, 24), expected, atol=1e-4)
    assert not any(variable.path.startswith("whiten") for variable in model.trainable_variables)
