"""The same arithmetic in fewer passes while a model trains; the model, and what is saved, keeps Keras' own layers.

Batch norm, for TensorFlow on a CPU: Keras takes the mean, the variance and the result one after another, each a pass
over the maps in memory, and as many passes back. TensorFlow has one operation for it, with a gradient of its own.

Max pooling, for JAX: the gradient of XLA's sliding window looks for each window's maximum again and scatters. Where
windows do not overlap, a maximum over two more axes needs neither, and XLA fuses it with what is before and after.
"""

import contextlib
from collections.abc import Callable, Iterator

import keras
from keras import ops

from training.backend import TENSORFLOW, xla_pays_off


@contextlib.contextmanager
def fewer_passes(model: keras.Model) -> Iterator[None]:
    """What is traced inside normalizes and pools in fewer passes, where that is faster; its values are the same.

    Moving averages included, to float precision. So are gradients, except where a window has its maximum more than
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
    if TENSORFLOW and not xla_pays_off() and _is_plain_batch_norm(layer):
        return _fused_batch_norm(layer)
    if not TENSORFLOW and _has_windows_apart(layer):
        return _pooled_by_shape(layer)
    return None


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


def _fused_batch_norm(layer: keras.layers.BatchNormalization) -> Callable:
    import tensorflow as tf

    otherwise = layer.call

    def call(inputs, training=None, mask=None):
        if not (training and layer.trainable) or mask is not None:
            return otherwise(inputs, training=training, mask=mask)
        images = tf.cast(inputs, tf.float32)
        channels = tf.shape(layer.moving_mean)
        outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=images,
            scale=tf.cast(layer.gamma, tf.float32) if layer.scale else tf.ones(channels),
            offset=tf.cast(layer.beta, tf.float32) if layer.center else tf.zeros(channels),
            mean=[],
            variance=[],
            epsilon=layer.epsilon,
            is_training=True,
        )
        # Of the values of a map in this batch, not estimated for all maps that there could be.
        values = tf.cast(tf.reduce_prod(tf.shape(images)[:-1]), tf.float32)
        variance *= (values - 1) / values
        for moving, found in ((layer.moving_mean, mean), (layer.moving_variance, variance)):
            moving.assign(moving * layer.momentum + found * (1 - layer.momentum))
        return tf.cast(outputs, layer.compute_dtype)

    return call


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
