"""What must be said differently to TensorFlow and to JAX."""

import contextlib
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from convlens.core.backend import by_backend
from convlens.core.caching import cache_folder
from convlens.core.errors import UserError

if TYPE_CHECKING:
    import tensorflow as tf

COMPILED_BYTES = 2 * 2**30  # of compiled programs on disk, the oldest go first


def choose_devices(count: int | None, batch_size: int) -> list[str]:
    """Names of the devices to train on; None means every accelerator, or the one CPU.

    Raises `UserError` when there are fewer, or when a batch does not divide among them.
    """
    available = all_devices()
    if count is None:
        count = 1 if "cpu" in available[0] else len(available)
    if count > len(available):
        raise UserError(
            f"training.devices={count}, but {keras.backend.backend()} sees {len(available)}: {', '.join(available)}."
        )
    if batch_size % count:
        raise UserError(f"training.batch_size={batch_size} does not divide among {count} devices; give a multiple.")
    return available[:count]


def bytes_on_device(cache: str, devices: list[str]) -> float:
    """How many bytes of images, to train and to validate on, may lie on the accelerator; `cache` as configured.

    With `auto`, images lie there where JAX has one, and they take at most a quarter of its memory. Raises `UserError`
    where `device` is asked for and the images cannot lie there.
    """
    return by_backend(tensorflow=_bytes_for_tensorflow, jax=_bytes_for_jax)(cache, devices)


def _bytes_for_tensorflow(cache: str, devices: list[str]) -> float:
    if cache == "device":
        raise UserError("data.cache=device works only with JAX; set KERAS_BACKEND=jax, or use data.cache=memory.")
    return 0


def _bytes_for_jax(cache: str, devices: list[str]) -> float:
    import jax

    if cache == "device" and len(devices) > 1:
        raise UserError(f"data.cache=device works with one device, not {len(devices)}; set training.devices=1.")
    if cache == "device":
        return float("inf")
    if cache != "auto" or len(devices) > 1 or "cpu" in devices[0]:
        return 0
    return (jax.devices()[0].memory_stats() or {}).get("bytes_limit", 0) // 4


def keep_compiled(devices: list[str]) -> None:
    """What XLA compiles for an accelerator is kept on disk, and the next run of the same network does not wait for it.

    For JAX. Where JAX_COMPILATION_CACHE_DIR is set, JAX does as it says.
    """
    if "cpu" not in devices[0] and not os.environ.get("JAX_COMPILATION_CACHE_DIR"):
        by_backend(tensorflow=lambda: None, jax=_keep_compiled_by_jax)()


def _keep_compiled_by_jax() -> None:
    import jax

    jax.config.update("jax_compilation_cache_dir", str(cache_folder() / "jax"))
    jax.config.update("jax_compilation_cache_max_size", COMPILED_BYTES)


@contextlib.contextmanager
def distributed(devices: list[str]) -> Iterator[None]:
    """Models built and trained inside are copied to every device, each taking its share of every batch."""
    if len(devices) == 1:
        yield
        return
    with by_backend(tensorflow=_mirrored, jax=_data_parallel)(devices):
        yield


def _mirrored(devices: list[str]) -> contextlib.AbstractContextManager:
    import tensorflow as tf

    return tf.distribute.MirroredStrategy(devices).scope()


@contextlib.contextmanager
def _data_parallel(devices: list[str]) -> Iterator[None]:
    keras.distribution.set_distribution(keras.distribution.DataParallel(devices=devices))
    try:
        yield
    finally:
        keras.distribution.set_distribution(None)


def xla_pays_off() -> bool | str:
    """What to tell `model.compile` about XLA: Keras' own choice, except for TensorFlow on a CPU.

    There Keras chooses XLA, whose convolutions are about half as fast as those that TensorFlow takes from oneDNN.
    """
    return by_backend(tensorflow="auto" if "gpu" in all_devices()[0] else False, jax="auto")


def make_deterministic(threads: int | None = None) -> None:
    """The same seed gives the same weights, bit by bit, on the same kind of machine; some operations get slower.

    Call it before anything is computed. The sums of a convolution depend on how many threads share it: `threads` is
    the number of an earlier training that is to be continued; None: one a processor.
    """
    by_backend(tensorflow=_make_tensorflow_deterministic, jax=_make_jax_deterministic)(threads or processors())


def _make_tensorflow_deterministic(threads: int) -> None:
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    tf.config.experimental.enable_op_determinism()


def _make_jax_deterministic(threads: int) -> None:
    # Both are read when JAX first computes.
    os.environ["NPROC"] = str(threads)
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_gpu_deterministic_ops=true".strip()


def processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def one_hot_batches(batches: Any, classes: int, devices: int, images: int) -> Any:
    """Pairs of images and integer labels with the labels one-hot, as the loss takes them.

    JAX splits only batches that divide evenly among devices: there the last one, of so many images, loses the rest.
    """
    if not _is_stream(batches):
        return _ArrayBatches(batches, classes)
    import tensorflow as tf

    batches = batches.map(lambda images, labels: (images, tf.one_hot(labels, classes)))
    return by_backend(tensorflow=lambda *given: batches, jax=_evenly_split)(batches, devices, images)


def _evenly_split(batches: "tf.data.Dataset", devices: int, images: int) -> "tf.data.Dataset":
    """The same without what is over where batches, the last one of so many images, are split among devices."""
    if devices == 1:
        return batches
    import tensorflow as tf

    def without_rest(images, labels):
        whole = tf.shape(images)[0] // devices * devices
        return images[:whole], labels[:whole]

    # Without a filter, which hides how many batches come: Keras warns where a stream ends unexpectedly.
    return batches.take(len(batches) - (images < devices)).map(without_rest)


def weighted_batches(batches: Any, weights: np.ndarray) -> Any:
    """Pairs of images and one-hot labels with a third part, how much a mistake on each image costs.

    `weights` is (classes,). A label that MixUp made of two classes weighs what its parts weigh.
    """
    if not _is_stream(batches):
        return ((images, labels, labels @ weights) for images, labels in batches)
    import tensorflow as tf

    return batches.map(lambda images, labels: (images, labels, tf.linalg.matvec(labels, weights)))


def _is_stream(batches: Any) -> bool:
    """Whether batches come from `tf.data`; asked without importing TensorFlow, which may not be installed."""
    tensorflow = sys.modules.get("tensorflow")
    return tensorflow is not None and isinstance(batches, tensorflow.data.Dataset)


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


def compiled_loop(step: Callable) -> Callable:
    """Runs `step(state, constants, inputs) -> (logs, state)` for many steps' inputs in one compiled loop (JAX).

    The loop is called with the state, whose memory it takes over, the constants, and arrays with a row for each step;
    it gives the logs of the last step and the state after it.
    """
    import jax

    def steps(state, constants, inputs):
        form = jax.tree.structure(state)

        def one_step(leaves, inputs):
            logs, after = step(jax.tree.unflatten(form, leaves), constants, inputs)
            # The loop gives back what it took: arrays of the same types.
            after = [new.astype(old.dtype) for new, old in zip(jax.tree.leaves(after), leaves, strict=True)]
            return after, logs

        leaves, logs = jax.lax.scan(one_step, jax.tree.leaves(state), inputs)
        return {name: values[-1] for name, values in logs.items()}, jax.tree.unflatten(form, leaves)

    return jax.jit(steps, donate_argnums=0)


def compiled_calls(step: Callable) -> Callable:
    """The same, in one call a step: on a CPU, where XLA's convolutions are many times slower within a loop."""
    import jax

    compiled = jax.jit(step, donate_argnums=0)

    def steps(state, constants, inputs):
        for number in range(len(inputs[0])):
            logs, state = compiled(state, constants, tuple(array[number] for array in inputs))
        return logs, state

    return steps


def start_profile(folder: str) -> None:
    by_backend(tensorflow=_start_profile_of_tensorflow, jax=_start_profile_of_jax)(folder)


def stop_profile() -> None:
    by_backend(tensorflow=_stop_profile_of_tensorflow, jax=_stop_profile_of_jax)()


def _start_profile_of_tensorflow(folder: str) -> None:
    import tensorflow as tf

    tf.profiler.experimental.start(folder)


def _stop_profile_of_tensorflow() -> None:
    import tensorflow as tf

    tf.profiler.experimental.stop()


def _start_profile_of_jax(folder: str) -> None:
    import jax

    jax.profiler.start_trace(folder)


def _stop_profile_of_jax() -> None:
    import jax

    jax.profiler.stop_trace()


def environment() -> dict[str, Any]:
    """What the numbers of a run depend on beside its configuration and its data."""
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "backend": keras.backend.backend(),
        "keras": keras.__version__,
        keras.backend.backend(): import_module(keras.backend.backend()).__version__,
        "devices": all_devices(),
        "threads": by_backend(tensorflow=_threads_of_tensorflow, jax=_threads_of_jax)(),
        "code": _commit_of(Path(__file__)),
    }


def _threads_of_tensorflow() -> int:
    import tensorflow as tf

    return tf.config.threading.get_intra_op_parallelism_threads() or processors()


def _threads_of_jax() -> int:
    return int(os.environ.get("NPROC", processors()))


def _commit_of(file: Path) -> str | None:
    """The commit of the git repository that keeps a file, and whether files differ from it.

    None where none keeps it: it may lie in an environment within a repository that is somebody's own.
    """
    git = ["git", "--no-optional-locks", "-C", str(file.parent)]

    def output_of(*words: str) -> str:
        return subprocess.run([*git, *words], capture_output=True, text=True, check=True).stdout.strip()

    try:
        output_of("ls-files", "--error-unmatch", "--", file.name)
        commit, edited = output_of("rev-parse", "HEAD"), output_of("status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.CalledProcessError):
        return None
    return f"{commit}, edited" if edited else commit


def all_devices() -> list[str]:
    """Names of the accelerators, or of the CPUs where there is none."""
    return by_backend(tensorflow=_devices_of_tensorflow, jax=keras.distribution.list_devices)()


def _devices_of_tensorflow() -> list[str]:
    import tensorflow as tf

    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    return [device.name.removeprefix("/device:").lower() for device in devices]
