"""What must be said differently to TensorFlow and to JAX."""

import contextlib
import platform
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from typing import Any

import keras
import numpy as np

from configs import UserError

TENSORFLOW = keras.backend.backend() == "tensorflow"


def choose_devices(count: int | None, batch_size: int) -> list[str]:
    """Names of the devices to train on; None means every accelerator, or the one CPU.

    Raises `UserError` when there are fewer, or when a batch does not divide among them.
    """
    found = all_devices()
    if count is None:
        count = 1 if "cpu" in found[0] else len(found)
    if count > len(found):
        raise UserError(
            f"training.devices={count}, but {keras.backend.backend()} sees {len(found)}: {', '.join(found)}."
        )
    if batch_size % count:
        raise UserError(f"training.batch_size={batch_size} does not divide among {count} devices; give a multiple.")
    return found[:count]


@contextlib.contextmanager
def distributed(devices: list[str]) -> Iterator[None]:
    """Models built and trained inside are copied to every device, each taking its share of every batch."""
    if len(devices) == 1:
        yield
    elif TENSORFLOW:
        import tensorflow as tf

        with tf.distribute.MirroredStrategy(devices).scope():
            yield
    else:
        keras.distribution.set_distribution(keras.distribution.DataParallel(devices=devices))
        try:
            yield
        finally:
            keras.distribution.set_distribution(None)


def xla_pays_off() -> bool | str:
    """What to tell `model.compile` about XLA: Keras' own choice, except for TensorFlow on a CPU.

    There Keras chooses XLA, whose convolutions are about half as fast as those that TensorFlow takes from oneDNN.
    """
    return "auto" if not TENSORFLOW or "gpu" in all_devices()[0] else False


def make_deterministic() -> None:
    """The same seed gives the same weights, bit by bit, on the same machine; some operations get slower."""
    if TENSORFLOW:
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()


def one_hot_batches(batches: Any, classes: int, devices: int) -> Any:
    """Pairs of images and integer labels with the labels one-hot, as the loss takes them.

    JAX splits only batches that divide evenly among devices: there, the last batch loses what is over.
    """
    if not hasattr(batches, "map"):
        return _ArrayBatches(batches, classes)
    import tensorflow as tf

    batches = batches.map(lambda images, labels: (images, tf.one_hot(labels, classes)))
    if TENSORFLOW or devices == 1:
        return batches

    def without_rest(images, labels):
        whole = tf.shape(images)[0] // devices * devices
        return images[:whole], labels[:whole]

    return batches.map(without_rest).filter(lambda images, labels: tf.shape(images)[0] > 0)


def weighted_batches(batches: Any, weights: np.ndarray) -> Any:
    """Pairs of images and one-hot labels with a third part, how much a mistake on each image costs.

    `weights` is (classes,). A label that MixUp made of two classes weighs what its parts weigh.
    """
    if not hasattr(batches, "map"):
        return ((images, labels, labels @ weights) for images, labels in batches)
    import tensorflow as tf

    return batches.map(lambda images, labels: (images, labels, tf.linalg.matvec(labels, weights)))


class _ArrayBatches(keras.utils.PyDataset):
    """A list of batches of arrays, where TensorFlow is not installed."""

    def __init__(self, batches: Iterable[tuple[np.ndarray, np.ndarray]], classes: int):
        super().__init__()
        self.batches, self.classes = list(batches), classes

    def __len__(self):
        return len(self.batches)

    def __getitem__(self, index):
        images, labels = self.batches[index]
        return images, keras.utils.to_categorical(labels, self.classes)


def start_profile(folder: str) -> None:
    if TENSORFLOW:
        import tensorflow as tf

        tf.profiler.experimental.start(folder)
    else:
        import jax

        jax.profiler.start_trace(folder)


def stop_profile() -> None:
    if TENSORFLOW:
        import tensorflow as tf

        tf.profiler.experimental.stop()
    else:
        import jax

        jax.profiler.stop_trace()


def environment() -> dict[str, Any]:
    """What the numbers of a run depend on beside its configuration."""
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "backend": keras.backend.backend(),
        "keras": keras.__version__,
        keras.backend.backend(): version(keras.backend.backend()),
        "devices": all_devices(),
    }


def all_devices() -> list[str]:
    """Names of the accelerators, or of the CPUs where there is none."""
    if TENSORFLOW:
        import tensorflow as tf

        found = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
        return [device.name.removeprefix("/device:").lower() for device in found]
    return keras.distribution.list_devices()
