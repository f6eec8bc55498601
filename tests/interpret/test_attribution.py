"""Attribution answers as its definition says, computed another way."""

import os

os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import keras
import numpy as np
import pytest
import tensorflow as tf

from convlens.core.errors import ModelError
from convlens.interpret import (
    Network,
    class_logits,
    completeness_gap,
    deletion_insertion,
    grad_cam,
    grad_cam_plus_plus,
    guided_backpropagation,
    input_gradient,
    integrated_gradients,
    occlusion,
    randomisation_check,
    saliency,
    score_cam,
    smooth_grad,
)

layers = keras.layers
SIDE, CLASSES = 12, 3


def network_of(head="logits", side=SIDE, channels=3, seed=0):
    """A small network, the same for the same seed whatever its end: logits, or a softmax in one of its forms."""
    keras.utils.set_random_seed(seed)
    images = keras.Input((side, side, channels))
    x = layers.Conv2D(5, 3, padding="same", activation="relu", name="conv1")(layers.Rescaling(1 / 255)(images))
    x = layers.MaxPooling2D(name="pool1")(x)
    x = layers.Conv2D(6, 3, padding="same", activation="relu", name="conv2")(x)
    x = layers.Flatten()(layers.MaxPooling2D(name="pool2")(x))
    if head == "dense softmax":
        x = layers.Dense(CLASSES, activation="softmax", name="logits")(x)
    else:
        x = layers.Dense(CLASSES, name="logits")(x)
        x = {
            "logits": lambda x: x,
            "softmax layer": layers.Softmax(),
            "activation layer": layers.Activation("softmax"),
            "softmax function": keras.ops.softmax,
        }[head](x)
    return keras.Model(images, x)


@pytest.fixture(scope="module")
def model():
    return network_of()


@pytest.fixture(scope="module")
def network(model):
    return Network(model)


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).uniform(0, 255, (3, SIDE, SIDE, 3)).astype("float32")


def by_hand(model, images, targets, layer):
    """Maps of a layer and the gradients of the targets' logits with respect to maps and images, by the backend."""
    inner = keras.Model(model.inputs, [model.get_layer(layer).output, model.outputs[0]])
    images = tf.constant(images)
    with tf.GradientTape() as tape:
        tape.watch(images)
        maps, logits = inner(images)
        score = tf.reduce_sum(tf.gather(logits, targets, axis=1, batch_dims=1))
    to_maps, to_images = tape.gradient(score, [maps, images])
    return maps.numpy(), to_maps.numpy(), to_images.numpy()


def test_saliency_is_the_largest_gradient_over_the_channels(model, network, images):
    targets = [2, 0, 1]
    gradients = by_hand(model, images, targets, "conv2")[2]
    np.testing.assert_allclose(input_gradient(network, images, targets), gradients, rtol=1e-4, atol=1e-8)
    np.testing.assert_allclose(saliency(network, images, targets), np.abs(gradients).max(-1), rtol=1e-4, atol=1e-8)


@pytest.mark.parametrize("layer", ["conv1", "pool1", "conv2"])
def test_grad_cam_weighs_maps_by_their_mean_gradient(model, network, images, layer):
    maps, gradients, _ = by_hand(model, images, [1, 1, 1], layer)
    expected = np.maximum((maps * gradients.mean(axis=(1, 2), keepdims=True)).sum(-1), 0)
    cam = grad_cam(network, images, 1, layer=layer, upsample=False)
    np.testing.assert_allclose(cam, expected, rtol=1e-4, atol=1e-7)


def test_grad_cam_plus_plus_is_its_equation_19(model, network, images):
    maps, gradients, _ = by_hand(model, images, [0, 1, 2], "conv2")
    cubes = maps.sum(axis=(1, 2), keepdims=True) * gradients**3
    alphas = np.divide(gradients**2, 2 * gradients**2 + cubes, out=np.zeros_like(maps), where=gradients != 0)
    weights = (alphas * np.maximum(gradients, 0)).sum(axis=(1, 2), keepdims=True)
    cams = grad_cam_plus_plus(network, images, [0, 1, 2], upsample=False)
    np.testing.assert_allclose(cams, np.maximum((maps * weights).sum(-1), 0), rtol=1e-3, atol=1e-7)


def test_the_default_layer_is_the_last_before_the_last_pooling(network, images):
    np.testing.assert_array_equal(grad_cam(network, images), grad_cam(network, images, layer="conv2"))


def test_a_map_is_enlarged_to_the_image(network, images):
    small, large = (grad_cam(network, images, 0, upsample=upsample) for upsample in (False, True))
    assert small.shape == (3, SIDE // 2, SIDE // 2) and large.shape == (3, SIDE, SIDE)
    np.testing.assert_allclose(large[:, 2:-2].mean(), small[:, 1:-1].mean(), rtol=0.05)


def test_score_cam_masks_the_image_with_every_map(model, network, images):
    maps = by_hand(model, images, [0, 0, 0], "conv2")[0]
    for image, its_maps, cam in zip(images, maps, score_cam(network, images, 2, upsample=False), strict=True):
        scores = []
        for unit in range(its_maps.shape[-1]):
            mask = tf.image.resize(its_maps[..., unit : unit + 1], (SIDE, SIDE)).numpy()
            reach = mask.max() - mask.min()
            mask = (mask - mask.min()) / reach if reach else np.zeros_like(mask)
            scores.append(model((image * mask)[None]).numpy()[0, 2])
        weights = np.exp(scores) / np.exp(scores).sum()
        np.testing.assert_allclose(cam, np.maximum(its_maps @ weights, 0), rtol=1e-4, atol=1e-6)


def test_occlusion_is_the_mean_fall_of_the_logit_under_every_square(model, network, images):
    size, stride = 5, 3  # the last square ends at the edge, so it is nearer than a stride
    for image, map_of_falls in zip(images, occlusion(network, images, 1, size=size, stride=stride), strict=True):
        before = model(image[None]).numpy()[0, 1]
        falls, covers = np.zeros((SIDE, SIDE)), np.zeros((SIDE, SIDE))
        for top in (0, 3, 6, 7):
            for left in (0, 3, 6, 7):
                covered = image.copy()
                covered[top : top + size, left : left + size] = image.mean(axis=(0, 1))
                fall = before - model(covered[None]).numpy()[0, 1]
                falls[top : top + size, left : left + size] += fall
                covers[top : top + size, left : left + size] += 1
        np.testing.assert_allclose(map_of_falls, falls / covers, rtol=1e-3, atol=1e-5)


def test_guided_backpropagation_equals_a_calculation_by_hand():
    keras.utils.set_random_seed(1)
    conv, dense = layers.Conv2D(2, 3, activation="relu"), layers.Dense(2)
    model = keras.Sequential([keras.Input((4, 4, 1)), conv, layers.Flatten(), dense])
    image = np.random.default_rng(3).normal(size=(4, 4)).astype("float32")
    kernel, weights = conv.kernel.numpy()[:, :, 0], dense.kernel.numpy()

    passed_back = np.zeros((4, 4))
    towards_the_maps = weights[:, 1].reshape(2, 2, 2)
    for row, column, unit in np.ndindex(2, 2, 2):
        window = image[row : row + 3, column : column + 3]
        active = (window * kernel[..., unit]).sum() > 0
        gradient = towards_the_maps[row, column, unit]
        if active and gradient > 0:
            passed_back[row : row + 3, column : column + 3] += gradient * kernel[..., unit]

    guided = guided_backpropagation(model, image[None, :, :, None], 1)[0, :, :, 0]
    np.testing.assert_allclose(guided, passed_back, rtol=1e-5, atol=1e-6)
    assert not np.allclose(guided, input_gradient(model, image[None, :, :, None], 1)[0, :, :, 0])


def test_a_relu_counts_wherever_it_stands(images):
    guided = []
    for form in ("inside", "activation layer", "relu layer", "function"):
        keras.utils.set_random_seed(2)
        inputs = keras.Input((SIDE, SIDE, 3))
        x = layers.Conv2D(4, 3, activation="relu" if form == "inside" else None)(inputs)
        relu = {"activation layer": layers.Activation("relu"), "relu layer": layers.ReLU(), "function": keras.ops.relu}
        x = relu.get(form, lambda x: x)(x)
        model = keras.Model(inputs, layers.Dense(CLASSES)(layers.Flatten()(x)))
        guided.append(guided_backpropagation(model, images, 0))
    for other in guided[1:]:
        np.testing.assert_allclose(other, guided[0], rtol=1e-5, atol=1e-7)


def test_integrated_gradients_add_up_to_the_difference_of_the_logits(model, network, images):
    baseline = np.full_like(images, 100)
    shares = integrated_gradients(network, images, 0, baseline=baseline)
    logits = model(images).numpy()[:, 0] - model(baseline).numpy()[:, 0]
    np.testing.assert_allclose(shares.sum(axis=(1, 2, 3)), logits, rtol=0.01)
    np.testing.assert_array_less(completeness_gap(network, images, shares, 0, baseline=baseline), 0.01)
    assert completeness_gap(network, images, 2 * shares, 0, baseline=baseline).min() > 0.9


def test_smooth_grad_is_the_gradient_averaged_over_seeded_noise(network, images):
    np.testing.assert_allclose(smooth_grad(network, images, 0, noise=0), saliency(network, images, 0), rtol=1e-4)
    first = smooth_grad(network, images, 0, samples=4, seed=0)
    np.testing.assert_allclose(smooth_grad(network, images, 0, samples=4, seed=0, batch_size=5), first, rtol=1e-4)
    assert not np.allclose(smooth_grad(network, images, 0, samples=4, seed=1), first)


@pytest.mark.parametrize("head", ["dense softmax", "softmax layer", "activation layer", "softmax function"])
def test_a_model_that_ends_in_a_softmax_is_asked_for_the_value_before_it(network, images, head):
    ending = Network(network_of(head))
    np.testing.assert_allclose(class_logits(ending, images), class_logits(network, images), rtol=1e-5)
    np.testing.assert_allclose(grad_cam(ending, images), grad_cam(network, images), rtol=1e-4, atol=1e-7)


def test_each_call_of_a_shared_layer_has_its_own_gradient(images):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((SIDE, SIDE, 3))
    conv = layers.Conv2D(3, 3, padding="same", activation="relu", name="conv")
    once = conv(inputs)
    twice = conv(once)
    model = keras.Model(inputs, layers.Dense(CLASSES)(layers.Flatten()(twice)))
    for layer, tensor in (("conv", once), ("conv@2", twice)):
        inner = keras.Model(inputs, [tensor, model.outputs[0]])
        with tf.GradientTape() as tape:
            maps, logits = inner(images)
            score = tf.reduce_sum(logits[:, 0])
        weights = tf.reduce_mean(tape.gradient(score, maps), axis=(1, 2), keepdims=True)
        expected = tf.nn.relu(tf.reduce_sum(weights * maps, axis=-1)).numpy()
        np.testing.assert_allclose(grad_cam(model, images, 0, layer=layer, upsample=False), expected, rtol=1e-4)


def test_without_a_target_the_likeliest_class_is_explained(network, images):
    likeliest = class_logits(network, images).argmax(axis=1)
    np.testing.assert_array_equal(saliency(network, images), saliency(network, images, likeliest))


def test_a_network_sees_weights_that_changed_after_it_was_compiled(images):
    model = network_of(seed=5)
    network = Network(model)
    before = saliency(network, images, 0)
    model.get_layer("logits").kernel.assign(2 * model.get_layer("logits").kernel)
    np.testing.assert_allclose(saliency(network, images, 0), 2 * before, rtol=1e-4)


def test_shuffled_weights_change_a_map_of_the_model_and_not_one_of_the_image_alone(model, network, images):
    weights = [weights.copy() for weights in model.get_weights()]
    honest = randomisation_check(network, images, saliency)
    assert honest.layers == ("logits", "conv2", "conv1")
    assert honest.similarity.shape == (3, 3) and honest.maps.shape == (3, *images.shape[:3])
    assert np.abs(honest.similarity).mean() < 0.6
    blind = randomisation_check(network, images, lambda network, images, targets: images.mean(axis=-1))
    np.testing.assert_allclose(blind.similarity, 1, rtol=1e-6)
    for before, after in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)


def test_what_was_frozen_is_shuffled_as_well(model, images):
    learning = randomisation_check(model, images, saliency)
    for layer in model.layers[:-1]:
        layer.trainable = False
    frozen = randomisation_check(model, images, saliency)
    np.testing.assert_array_equal(frozen.maps, learning.maps)
    assert not model.layers[1].trainable  # the model itself stays frozen


def test_deletion_and_insertion_tell_a_true_map_from_a_false_one():
    """On a model that sees the upper left quarter alone, the truth is known."""
    inputs = keras.Input((SIDE, SIDE, 1))
    dense = layers.Dense(2, use_bias=False)
    model = keras.Model(inputs, dense(layers.Flatten()(layers.Rescaling(1 / 255)(inputs))))
    truth = np.zeros((SIDE, SIDE), "float32")
    truth[:6, :6] = 1
    dense.kernel.assign(np.stack([0 * truth.ravel(), 0.2 * truth.ravel()], axis=1))
    image = (255 * truth)[None, :, :, None]
    scores = {}
    for name, maps in {"true": truth, "false": 1 - truth, "unknown": 0 * truth}.items():
        curves = deletion_insertion(model, image, maps[None], 1, steps=16)
        assert curves.deletion.shape == curves.insertion.shape == (1, 17)
        sure = 1 / (1 + np.exp(-0.2 * 36))
        np.testing.assert_allclose([curves.deletion[0, 0], curves.insertion[0, -1]], sure, rtol=1e-5)
        scores[name] = curves.insertion_area[0] - curves.deletion_area[0]
    assert scores["true"] > scores["unknown"] > scores["false"]


def test_progress_is_told_up_to_the_end(network, images):
    for ask in (smooth_grad, score_cam, occlusion):
        reports = []
        ask(network, images, batch_size=4, progress=lambda done, count, reports=reports: reports.append((done, count)))
        assert len(reports) > 1 and reports[-1][0] == reports[-1][1] and reports == sorted(reports)


def test_what_cannot_be_explained_is_refused_in_one_line(network, images):
    for call, message in {
        lambda: grad_cam(network, images, 3): "classes 0 to 2",
        lambda: grad_cam(network, images, [0, 1]): "one for each of 3 images",
        lambda: grad_cam(network, images, layer="conv22"): "Did you mean 'conv2'",
        lambda: grad_cam(network, images, layer="logits"): "expected maps",
        lambda: saliency(network, images[..., :1]): "the model takes",
        lambda: saliency(network, images[:0]): "no images",
    }.items():
        with pytest.raises(ModelError, match=message):
            call()
    with pytest.raises(ValueError, match="squares of 13 pixels"):
        occlusion(network, images, size=13)
    with pytest.raises(ValueError, match="one value a pixel"):
        deletion_insertion(network, images, np.zeros((3, 6, 6)))
    smooth = keras.Sequential([keras.Input((8, 8, 1)), layers.Conv2D(2, 3, activation="gelu"), layers.Flatten()])
    with pytest.raises(ValueError, match="has no ReLU"):
        guided_backpropagation(smooth, np.zeros((1, 8, 8, 1)))
