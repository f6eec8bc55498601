"""The same arithmetic in fewer passes while a model trains; the model, and what is saved, keeps Keras' own layers.

Batch norm: Keras takes the mean, the variance and the result one after another, each a pass over the maps in memory,
and as many passes back. TensorFlow on a CPU has one operation for it, with a gradient of its own. For JAX the mean and
the variance are taken in the same pass, and the gradient is written so that it needs two.

Max pooling, for JAX: the gradient of XLA's sliding window looks for each window's maximum again and scatters. Where
windows do not overlap, a maximum over two more axes needs neither, and XLA fuses it with what is before and after.
"""

import contextlib
from collections.abc import Callable, Iterator
from functools import partial

import keras
from keras import ops

from convlens.core.backend import by_backend
from convlens.training.devices import xla_pays_off


@contextlib.contextmanager
def faster_layers(model: keras.Model) -> Iterator[None]:
    """What is traced inside normalizes and pools in fewer passes, where that is faster; its values are the same.

    Moving averages included, to float precision; with JAX, as long as a map's mean is not hundreds of deviations away
    from its moving mean. So are gradients, except where a window has its maximum more than
    once: Keras gives all to the first of them, here each gets an equal share.
    """
    changed = {layer: call for layer in _layers(model) if (call := _faster(layer))}
    for layer, call in changed.items():
        layer.call = call
    try:
        yield
    finally:
        for layer in changed:
            del layer.call


def _faster(layer: keras.layers.Layer) -> Callable | None:
    """Another way to call a layer; None: its own is the fastest."""
    return by_backend(tensorflow=_faster_on_tensorflow, jax=_faster_on_jax)(layer)


def _faster_on_tensorflow(layer: keras.layers.Layer) -> Callable | None:
    if _is_plain_batch_norm(layer) and not xla_pays_off():
        return _fused_batch_norm(layer, _normalized_by_tensorflow)
    return None


def _faster_on_jax(layer: keras.layers.Layer) -> Callable | None:
    if _is_plain_batch_norm(layer):
        return _fused_batch_norm(layer, _normalized_by_jax())
    return _pooled_by_shape(layer) if _has_windows_apart(layer) else None


def _pooled_by_shape(layer: keras.layers.MaxPooling2D) -> Callable:
    high, wide = layer.pool_size

    def call(inputs):
        _, height, width, channels = inputs.shape
        rows, columns = height // high, width // wide
        windows = inputs[:, : rows * high, : columns * wide]
        return ops.max(ops.reshape(windows, (-1, rows, high, columns, wide, channels)), axis=(2, 4))

    return call


def _has_windows_apart(layer: keras.layers.Layer) -> bool:
    return (
        type(layer) is keras.layers.MaxPooling2D
        and tuple(layer.strides) == tuple(layer.pool_size)
        and layer.padding == "valid"
        and layer.data_format == "channels_last"
    )


def _fused_batch_norm(layer: keras.layers.BatchNormalization, normalized: Callable) -> Callable:
    otherwise = layer.call

    def call(inputs, training=None, mask=None):
        if not (training and layer.trainable) or mask is not None:
            return otherwise(inputs, training=training, mask=mask)
        near = ops.convert_to_tensor(layer.moving_mean)
        scale = ops.cast(layer.gamma, "float32") if layer.scale else ops.ones_like(near)
        offset = ops.cast(layer.beta, "float32") if layer.center else ops.zeros_like(near)
        outputs, mean, variance = normalized(inputs, scale, offset, near, layer.epsilon)
        for moving, of_batch in ((layer.moving_mean, mean), (layer.moving_variance, variance)):
            moving.assign(moving * layer.momentum + of_batch * (1 - layer.momentum))
        return ops.cast(outputs, layer.compute_dtype)

    return call


def _normalized_by_tensorflow(images, scale, offset, near_mean, epsilon):
    """Maps (batch, height, width, channels) normalized over a batch, and their means and variances (channels,).

    Computed in float32, whatever the type of the maps, as Keras does.
    """
    import tensorflow as tf

    images = tf.cast(images, tf.float32)
    outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
        x=images, scale=scale, offset=offset, mean=[], variance=[], epsilon=epsilon, is_training=True
    )
    # Of the values of a map in this batch, not estimated for all maps that there could be.
    values = tf.cast(tf.reduce_prod(tf.shape(images)[:-1]), tf.float32)
    return outputs, mean, variance * (values - 1) / values


def _normalized_by_jax() -> Callable:
    """The same for JAX; `near_mean` is about the mean, so that the variance is no difference of large numbers."""
    import jax
    import jax.numpy as jnp

    pixels = (0, 1, 2)

    @partial(jax.custom_vjp, nondiff_argnums=(4,))
    def normalized(images, scale, offset, near_mean, epsilon):
        return forward(images, scale, offset, near_mean, epsilon)[0]

    def forward(images, scale, offset, near_mean, epsilon):
        apart = images.astype("float32") - near_mean
        distance, square = jnp.mean(apart, pixels), jnp.mean(apart * apart, pixels)
        mean, variance = near_mean + distance, jnp.maximum(square - distance * distance, 0)
        shrink = jax.lax.rsqrt(variance + epsilon)
        outputs = (images - mean) * (shrink * scale) + offset
        return (outputs.astype(images.dtype), mean, variance), (images, scale, mean, shrink)

    def backward(epsilon, kept, gradients):
        # Moving averages have no gradient.
        images, scale, mean, shrink = kept
        gradient = gradients[0].astype("float32")
        centred = (images - mean) * shrink
        of_offset, of_scale = jnp.sum(gradient, pixels), jnp.sum(gradient * centred, pixels)
        values = images.size // images.shape[-1]
        of_images = (gradient - (of_offset + centred * of_scale) / values) * (shrink * scale)
        return of_images.astype(images.dtype), of_scale, of_offset, jnp.zeros_like(mean)

    normalized.defvjp(forward, backward)
    return normalized


def _is_plain_batch_norm(layer: keras.layers.Layer) -> bool:
    return (
        type(layer) is keras.layers.BatchNormalization
        and layer.input_spec.ndim == 4
        and layer.axis in (-1, 3)
        and not (layer.synchronized or layer.renorm)
    )


def _layers(model: keras.Model) -> Iterator[keras.layers.Layer]:
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _layers(layer)
        else:
            yield layer
