"""A built network takes raw pixels, gives logits, and is nobody's but Keras' own once saved."""

import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import yaml

from convlens.configs import Model
from convlens.configs.schema import __file__ as schema
from convlens.core.errors import ModelError
from convlens.models import build_model, check_model

SMALL = {"filters": [4, 6], "head": {"dense": [5], "dropout": 0.5}}
NETWORKS = {
    "plain": SMALL,
    "normalized": {**SMALL, "convolutions": 2, "batch_norm": True, "dropout": 0.1},
    "residual": {"family": "resnet", "filters": [4, 6], "stride": [1, 2], "pooling": "none", "batch_norm": True},
}


def build(name="plain", channels=3, seed=0, **changes):
    return build_model(Model(**{**NETWORKS[name], **changes}), (16, 20), channels, 3, seed=seed)


def pixels(count=2, channels=3):
    return np.random.default_rng(0).integers(0, 256, (count, 16, 20, channels), dtype=np.uint8)


@pytest.fixture
def policy():
    yield keras.config.set_dtype_policy
    keras.config.set_dtype_policy("float32")


def test_layers_have_the_names_that_users_rely_on():
    assert [layer.name for layer in build("plain").layers] == [
        "images",
        "rescale",
        "block1_conv1",
        "block1_pool",
        "block2_conv1",
        "block2_pool",
        "head_flatten",
        "head_dense1",
        "head_dropout1",
        "logits",
    ]
    names = [layer.name for layer in build("normalized").layers]
    assert names[2:10] == [
        *("block1_conv1", "block1_bn1", "block1_relu1", "block1_conv2", "block1_bn2", "block1_relu2"),
        *("block1_pool", "block1_dropout"),
    ]


@pytest.mark.parametrize("name", NETWORKS)
def test_the_first_convolution_may_have_a_size_and_a_start_of_its_own(name):
    usual = build(name)
    network = build(name, first_kernel_size=5, first_stddev=0.01)
    first, *rest = [layer for layer in network.layers if isinstance(layer, keras.layers.Conv2D)]
    kernel = np.asarray(first.kernel)
    assert kernel.shape == (5, 5, 3, 4) and np.std(kernel) == pytest.approx(0.01, rel=0.15)
    for layer in rest:
        assert np.array_equal(layer.kernel, usual.get_layer(layer.name).kernel)
    shapes = check_model(Model(**NETWORKS[name], first_kernel_size=5), (16, 20), 3, classes=3)
    made = sum(np.prod(weight.shape) for weight in network.weights if not weight.path.startswith(("head", "logits")))
    assert sum(shape.parameters for shape in shapes) + (0 if name != "residual" else _stem(network)) == made


def _stem(network: keras.Model) -> int:
    return sum(np.prod(weight.shape) for weight in network.weights if weight.path.startswith("stem"))


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_is_one_flat_graph_of_built_in_layers(name):
    for layer in build(name).layers:
        assert type(layer).__module__.startswith("keras.") and not isinstance(layer, keras.Model)


def test_relu_lies_inside_the_convolution_unless_batch_norm_comes_between():
    assert build("plain").get_layer("block1_conv1").activation is keras.activations.relu
    conv = build("normalized").get_layer("block1_conv1")
    assert conv.activation is keras.activations.linear and not conv.use_bias


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("channels", [1, 3])
def test_bytes_and_floats_of_the_same_pixels_give_the_same_logits(name, channels):
    model, images = build(name, channels), pixels(channels=channels)
    logits = model.predict(images, verbose=0)
    assert logits.shape == (2, 3) and logits.dtype == "float32"
    np.testing.assert_array_equal(logits, model.predict(images.astype("float32"), verbose=0))


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize("name", NETWORKS)
def test_mixed_precision_still_gives_float32_logits_close_to_full_precision(policy, precision, name):
    exact = build(name).predict(pixels(), verbose=0)
    policy(precision)
    mixed = build(name)
    logits = mixed.predict(pixels(), verbose=0)
    assert mixed.get_layer("block2_pool" if name != "residual" else "stem_conv1").compute_dtype == precision[6:]
    assert logits.dtype == "float32"
    np.testing.assert_allclose(logits, exact, atol=0.05 * np.abs(exact).max())


def test_the_same_seed_gives_the_same_weights_and_another_seed_others():
    first, again, other, zero = build(seed=7), build(seed=7), build(seed=8), build(seed=0)
    for kernel in ("block1_conv1", "head_dense1", "logits"):
        kernels = [model.get_layer(kernel).get_weights()[0] for model in (first, again, other, zero, build(seed=0))]
        np.testing.assert_array_equal(kernels[0], kernels[1])
        np.testing.assert_array_equal(kernels[3], kernels[4])
        assert not np.array_equal(kernels[0], kernels[2]) and not np.array_equal(kernels[0], kernels[3])


def test_a_layer_keeps_its_first_weights_when_blocks_are_added_behind_it():
    short, longer = build(filters=[4, 6]), build(filters=[4, 6, 8])
    np.testing.assert_array_equal(*(model.get_layer("block2_conv1").get_weights()[0] for model in (short, longer)))


def test_layers_of_one_network_do_not_share_their_random_numbers():
    model = build(filters=[4, 4, 4])
    second, third = (model.get_layer(f"block{block}_conv1").get_weights()[0] for block in (2, 3))
    assert not np.array_equal(second, third)


def test_weight_decay_is_added_to_the_loss():
    model = build(weight_decay=0.1)
    kernels = [layer.kernel for layer in model.layers if hasattr(layer, "kernel")]
    expected = 0.1 * sum(float(keras.ops.sum(keras.ops.square(kernel))) for kernel in kernels)
    assert float(sum(model.losses)) == pytest.approx(expected, rel=1e-4)
    assert not build().losses


def test_a_network_that_does_not_fit_is_refused_with_the_block_named():
    with pytest.raises(ModelError, match="block5"):
        build(filters=[4] * 5)


def test_one_batch_can_be_learned_by_heart():
    model, images, labels = build(head={"dense": [16]}), pixels(12), np.arange(12) % 3
    model.compile(keras.optimizers.Adam(0.01), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(images, labels, epochs=40, batch_size=12, shuffle=False, verbose=0)
    np.testing.assert_array_equal(model.predict(images, verbose=0).argmax(axis=1), labels)


def test_saved_networks_predict_the_same_where_this_project_is_absent(tmp_path):
    for name in NETWORKS:
        model = build(name)
        model.save(tmp_path / f"{name}.keras")
        np.savez(tmp_path / f"{name}.npz", images=pixels(), logits=model.predict(pixels(), verbose=0))
    code = """
import pathlib, sys
sys.path = [entry for entry in sys.path if entry]
sys.modules.update(models=None, configs=None, data=None, training=None)  # importing any of them fails
import keras, numpy
for saved in pathlib.Path().glob("*.keras"):
    model, arrays = keras.saving.load_model(saved), numpy.load(saved.with_suffix(".npz"))
    numpy.testing.assert_array_equal(model.predict(arrays["images"], verbose=0), arrays["logits"])
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path, capture_output=True)


@pytest.mark.parametrize("name", ["lesson", "vgg", "resnet"])
def test_each_model_file_describes_a_network_for_small_and_larger_images(name):
    config = Model(**yaml.safe_load((Path(schema).parent / "model" / f"{name}.yaml").read_text()))
    for size, channels in ((28, 1), (64, 3)):
        assert build_model(config, (size, size), channels, 10, seed=0).output_shape == (None, 10)
