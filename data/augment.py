"""Random changes to training images: Keras' own preprocessing layers, made a pure function of a key.

A Keras layer draws its random numbers from a generator whose state moves with every call. In a parallel pipeline the
order of calls is not fixed, and a run that is resumed would have to restore that state. So the layers draw from a
generator without state here: the n-th number of a batch follows from the batch's key and n.
"""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from convlens.configs.schema import Augment

# Whatever the model computes in: half precision cannot hold pixels from 0 to 255 and what lies between.
_DTYPE = "float32"


class _KeyedSeeds(keras.random.SeedGenerator):
    """Stands in for a layer's seed generator while one batch is traced."""

    def __init__(self, key: Any, fold_in: Callable[[Any, int], Any]):
        # The parent would make a variable, which a parallel pipeline must not touch.
        self._key, self._fold_in = key, fold_in
        self._drawn = 0

    def next(self, ordered: bool = True) -> Any:
        self._drawn += 1
        return self._fold_in(self._key, self._drawn)


class InTensorFlow:
    """The array operations that augmentation needs, for images in a tf.data pipeline; keys are int32 (2,)."""

    fold_in = staticmethod(tf.random.experimental.stateless_fold_in)
    where = staticmethod(tf.where)

    @staticmethod
    def as_float(images: tf.Tensor) -> tf.Tensor:
        return tf.cast(images, tf.float32)

    @staticmethod
    def clip(images: tf.Tensor) -> tf.Tensor:
        return tf.clip_by_value(images, 0, 255)

    @staticmethod
    def uniform(key: tf.Tensor) -> tf.Tensor:
        return tf.random.stateless_uniform((), key)

    @staticmethod
    def pad_and_crop(images: tf.Tensor, pixels: int, key: tf.Tensor) -> tf.Tensor:
        """Every image shifted by up to `pixels` either way, the border filled by reflection; shape and type stay.

        Keras' RandomCrop cuts a whole batch at one place. One gather does it for each image, at a fifteenth of the cost
        of RandomTranslation.
        """
        batch, height, width = tf.shape(images)[0], images.shape[1], images.shape[2]
        shifts = tf.random.stateless_uniform((2, batch, 1), key, -pixels, pixels + 1, tf.int32)
        rows = _reflected(tf.range(height) + shifts[0], height)
        columns = _reflected(tf.range(width) + shifts[1], width)
        positions = (tf.range(batch)[:, None, None] * height + rows[:, :, None]) * width + columns[:, None, :]
        return tf.gather(tf.reshape(images, (-1, images.shape[3])), positions)


class Augmentation:
    """Augments a batch of images with one-hot labels, inside a tf.data pipeline or, with another library, elsewhere.

    Every image of a batch is changed in its own way; RandAugment chooses its operations once for a batch, as Keras
    has it, and their strength for each image. MixUp and CutMix take turns at random where both are on.
    """

    def __init__(self, config: Augment, library: Any = InTensorFlow):
        self._library = library
        self._crop = config.crop
        self._changes = _changes(config)
        self._mixers = [layers.MixUp(config.mixup, dtype=_DTYPE)] if config.mixup else []
        if config.cutmix:
            self._mixers.append(layers.CutMix((config.cutmix, config.cutmix), dtype=_DTYPE))
        self._seeds: _KeyedSeeds | None = None
        for layer in self._changes + self._mixers:
            # Layers inside a layer (RandAugment has eleven) draw for themselves too.
            for part in layer._flatten_layers():
                part._get_seed_generator = lambda backend=None: self._seeds

    def __call__(self, images: Any, labels: Any, key: Any, mirrored: Any = None) -> tuple[Any, Any]:
        """uint8 images (batch, height, width, channels), labels (batch, classes), key -> both float32.

        `mirrored`, bool (batch,): which of them are flipped, where that is not left to chance.
        """
        if mirrored is not None:
            images = self._library.where(mirrored[:, None, None, None], images[:, :, ::-1], images)
        self._seeds = seeds = _KeyedSeeds(key, self._library.fold_in)
        if self._crop:
            images = self._library.pad_and_crop(images, self._crop, seeds.next())
        images = self._library.as_float(images)
        for layer in self._changes:
            images = layer(images, training=True)
        images, labels = self._mixed(images, labels, seeds)
        return self._library.clip(images), labels

    def _mixed(self, images: Any, labels: Any, seeds: _KeyedSeeds) -> tuple[Any, Any]:
        batches = [layer({"images": images, "labels": labels}, training=True) for layer in self._mixers]
        if not batches:
            return images, labels
        if len(batches) == 2:
            first = self._library.uniform(seeds.next()) < 0.5
            batches = [{name: self._library.where(first, batches[0][name], batches[1][name]) for name in batches[0]}]
        return batches[0]["images"], batches[0]["labels"]


def mirrored_in_even_epochs(config: Augment | None, count: int, seed: int) -> np.ndarray | None:
    """Which images of a split are mirrored in even epochs, bool (count,). In odd epochs the others are mirrored.

    So any two consecutive epochs show each image both ways, after https://arxiv.org/abs/2404.00498. None if images are
    not to be mirrored in this way.
    """
    if config is None or config.flip != "alternate":
        return None
    return np.random.default_rng((seed, count)).random(count) < 0.5


def changes_anything(config: Augment) -> bool:
    """Whether any augmentation is on; if not, images need not be converted to float32."""
    return any(value for name, value in config if name != "rand_magnitude")


def _reflected(positions: tf.Tensor, length: int) -> tf.Tensor:
    """Positions outside 0 ... length - 1 reflected back inside, however far out they are; the edge is not repeated."""
    if length == 1:
        return tf.zeros_like(positions)
    positions = tf.math.floormod(positions, 2 * (length - 1))
    return tf.minimum(positions, 2 * (length - 1) - positions)


def _changes(config: Augment) -> list[layers.Layer]:
    """The layers that are on: first what moves pixels, then what changes colours, then what hides them."""
    share = config.saturation / 2
    chosen: list[tuple[Any, type[layers.Layer], dict[str, Any]]] = [
        (config.flip is True, layers.RandomFlip, {"mode": "horizontal"}),
        # One layer with both modes would flip both ways or not at all.
        (config.vertical_flip, layers.RandomFlip, {"mode": "vertical"}),
        (
            config.translate,
            layers.RandomTranslation,
            {"height_factor": config.translate, "width_factor": config.translate},
        ),
        (config.rotate, layers.RandomRotation, {"factor": config.rotate / 360}),
        (config.zoom, layers.RandomZoom, {"height_factor": config.zoom}),
        (config.brightness, layers.RandomBrightness, {"factor": config.brightness}),
        # A single number would only raise the contrast.
        (config.contrast, layers.RandomContrast, {"factor": (config.contrast, config.contrast)}),
        # Around 0.5, which changes nothing; the range is that of saturation itself, a share.
        (config.saturation, layers.RandomSaturation, {"factor": (0.5 - share, 0.5 + share), "value_range": (0, 1)}),
        # Keras counts in half turns of the colour wheel, the configuration in turns.
        (config.hue, layers.RandomHue, {"factor": 2 * config.hue}),
        (config.rand_augment, layers.RandAugment, {"num_ops": config.rand_augment, "factor": config.rand_magnitude}),
        # A single number would be the upper end of a range of probabilities.
        (config.erase, layers.RandomErasing, {"factor": (config.erase, config.erase)}),
    ]
    return [layer(**arguments, dtype=_DTYPE) for wanted, layer, arguments in chosen if wanted]
