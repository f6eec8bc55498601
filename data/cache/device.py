"""Images that are kept on the accelerator: a step receives their indices, and selects and augments them there.

For JAX. The order of images and what happens to each follow from seed, epoch and step alone, as in the pipeline, but
by other random numbers.
"""

from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np

from convlens.configs.schema import Augment
from convlens.data.augment import Augmentation, changes_anything, mirrored_in_even_epochs
from convlens.data.images import STEPS


class InJax:
    """The array operations that augmentation needs, for images on the device; keys are uint32 (2,)."""

    fold_in = staticmethod(jax.random.fold_in)
    where = staticmethod(jnp.where)
    uniform = staticmethod(jax.random.uniform)

    @staticmethod
    def as_float(images: jax.Array) -> jax.Array:
        return images.astype("float32")

    @staticmethod
    def clip(images: jax.Array) -> jax.Array:
        return jnp.clip(images, 0, 255)

    @staticmethod
    def pad_and_crop(images: jax.Array, pixels: int, key: jax.Array) -> jax.Array:
        """Every image shifted by up to `pixels` either way, the border filled by reflection; shape and type stay."""
        batch, height, width, _ = images.shape
        shifts = jax.random.randint(key, (2, batch, 1), -pixels, pixels + 1)
        rows = _reflected(jnp.arange(height) + shifts[0], height)
        columns = _reflected(jnp.arange(width) + shifts[1], width)
        return images[jnp.arange(batch)[:, None, None], rows[:, :, None], columns[:, None, :]]


class DeviceTraining:
    """Training images on the device, and what each step of a training is given to pick its batch.

    Attributes: arrays (images uint8 or uint16 (n, height, width, channels), labels int32 (n,)): to be passed to `batch`
    where it is compiled; a constant of a compiled function would be copied into it.

    Args:
        weights: how much a mistake on each class costs, (classes,); None: all the same.
        steps: of an epoch.
    """

    def __init__(
        self,
        pixels: np.ndarray,
        labels: np.ndarray,
        classes: int,
        augment: Augment | None,
        weights: np.ndarray | None,
        *,
        batch_size: int,
        seed: int,
        steps: int,
        epochs: int,
    ):
        self.arrays = jax.device_put((pixels, labels))
        self._classes, self._weights = classes, weights
        self._augmentation = Augmentation(augment, InJax) if augment and changes_anything(augment) else None
        self._mirrored = mirrored_in_even_epochs(augment, len(labels), seed)
        self._batch_size, self._seed, self._steps, self._epochs = batch_size, seed, steps, epochs

    def step_inputs(self, start_epoch: int, start_step: int, together: int) -> Iterator[tuple[np.ndarray, ...]]:
        """The inputs of `together` steps at a time, from a start epoch and step on; no group crosses an epoch.

        Each group has the indices of the images of each step, int32 (steps, batch), random keys, uint32 (steps, 2), and
        epochs, int32 (steps,): the arguments that `batch` takes after the arrays, stacked.
        """
        first_epoch, first_step = start_epoch + start_step // self._steps, start_step % self._steps
        for epoch in range(first_epoch, self._epochs):
            order = np.random.default_rng((self._seed, epoch)).permutation(len(self.arrays[1])).astype(np.int32)
            for first in range(first_step if epoch == first_epoch else 0, self._steps, together):
                steps = range(first, min(first + together, self._steps))
                chosen = [order[step * self._batch_size : (step + 1) * self._batch_size] for step in steps]
                keys = [np.random.SeedSequence((self._seed, epoch, step)).generate_state(2) for step in steps]
                yield np.stack(chosen), np.stack(keys), np.full(len(steps), epoch, np.int32)

    def batch(
        self, arrays: tuple[jax.Array, jax.Array], indices: jax.Array, key: jax.Array, epoch: jax.Array
    ) -> tuple[jax.Array, ...]:
        """Images and one-hot labels and, if classes are weighted, the weight of each image."""
        images, labels = (array[indices] for array in arrays)
        images, labels = _in_pixels(images), jax.nn.one_hot(labels, self._classes)
        if self._augmentation:
            turned = None if self._mirrored is None else jnp.asarray(self._mirrored)[indices] ^ (epoch % 2 == 1)
            images, labels = self._augmentation(images, labels, key, turned)
        return (images, labels) if self._weights is None else (images, labels, labels @ self._weights)


class DeviceEvaluation:
    """Images that a model is evaluated on, in their order, on the device; arrays as those of `DeviceTraining`."""

    def __init__(self, pixels: np.ndarray, labels: np.ndarray, classes: int, batch_size: int):
        self.arrays = jax.device_put((pixels, labels))
        self._classes, self._batch_size = classes, batch_size

    def step_inputs(self, together: int) -> list[tuple[np.ndarray, ...]]:
        """The image indices of batches, int32 (batches, batch), `together` at a time; a smaller batch comes alone."""
        whole = len(self.arrays[1]) // self._batch_size * self._batch_size
        indices = np.arange(len(self.arrays[1]), dtype=np.int32)
        batches = indices[:whole].reshape(-1, self._batch_size)
        groups = [batches[first : first + together] for first in range(0, len(batches), together)]
        return [(group,) for group in [*groups, indices[None, whole:]] if group.size]

    def batch(self, arrays: tuple[jax.Array, jax.Array], indices: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Images and one-hot labels."""
        images, labels = (array[indices] for array in arrays)
        return _in_pixels(images), jax.nn.one_hot(labels, self._classes)


def _in_pixels(stored: jax.Array) -> jax.Array:
    """As `images.in_pixels`."""
    return stored if stored.dtype != jnp.uint16 else stored.astype("float32") / STEPS


def _reflected(positions: jax.Array, length: int) -> jax.Array:
    """Positions outside 0 ... length - 1 mirrored back in, however far out; the edge is not repeated."""
    if length == 1:
        return jnp.zeros_like(positions)
    positions = positions % (2 * (length - 1))
    return jnp.minimum(positions, 2 * (length - 1) - positions)
