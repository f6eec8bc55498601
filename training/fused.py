"""Batch norm in one operation while a model trains on a CPU; the model, and what is saved of it, keeps Keras' own.

Keras takes the mean, the variance and the result one after another, each a pass over the maps in memory, and as many
passes back. TensorFlow has one operation for all of it, with a gradient of its own.
"""

import contextlib
from collections.abc import Iterator

import keras

from training.backend import xla_pays_off


@contextlib.contextmanager
def fused_batch_norm(model: keras.Model) -> Iterator[None]:
    """What is traced inside normalizes batches in one operation, where that is faster; its values are the same.

    Moving averages included, to float precision. XLA fuses by itself, so that it changes nothing on a GPU or with JAX.
    """
    changed = [] if xla_pays_off() else [layer for layer in _layers(model) if _is_plain(layer)]
    for layer in changed:
        layer.call = _fused(layer)
    try:
        yield
    finally:
        for layer in changed:
            del layer.call


def _fused(layer: keras.layers.BatchNormalization):
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


def _is_plain(layer: keras.layers.Layer) -> bool:
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
