"""How fast images arrive: python -m benchmarks.input [--side 64 --images 2000]

Images a second of the pipeline alone, from TFRecord files and from a folder of JPEGs, in memory, decoded on disk and
streamed, with and without augmentation, against what tutorials write and PyTorch's DataLoader. Files were read before:
the system has them in memory.
"""

import importlib.util
import os
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks import machine, measuring, photos
from benchmarks.measuring import Figure, Row, rate_for_a_while, take_turns
from benchmarks.workers import prepared
from convlens.configs import Data
from convlens.configs.schema import Augment
from convlens.core.quiet import quietly

AUGMENT = Augment(flip=True, crop=4)
EPOCHS = 1_000_000  # more than are ever taken


def ours(config: Data, batch_size: int, cache: Path) -> Callable[[], float]:
    """To be called in turn: images a second of whole epochs, after the first one. `cache`: in place of the user's."""
    os.environ["XDG_CACHE_HOME"] = str(cache)
    from convlens.data import open_dataset

    data = open_dataset(config, progress=False)
    steps = data.steps(batch_size)

    def turn() -> float:
        # Begun anew: one that waits for its next turn would be read ahead meanwhile.
        stream = iter(data.training(batch_size, 0, EPOCHS))

        def epoch() -> int:
            for _ in range(steps):
                next(stream)
            return steps * batch_size

        epoch()
        return rate_for_a_while(epoch)

    turn()
    return turn


def tutorial(data_dir: Path, batch_size: int) -> Callable[[], float]:
    """The same of `tfds.load().map().shuffle().batch().prefetch()`."""
    import tensorflow as tf
    import tensorflow_datasets as tfds

    data = tfds.load(photos.NAME, data_dir=data_dir, split="train")
    data = data.map(
        lambda example: (tf.cast(example["image"], tf.float32), example["label"]), num_parallel_calls=tf.data.AUTOTUNE
    )
    return _each_epoch(data.shuffle(1000).batch(batch_size, drop_remainder=True).prefetch(tf.data.AUTOTUNE), batch_size)


def keras_folder(root: Path, side: int, batch_size: int) -> Callable[[], float]:
    """The same of `keras.utils.image_dataset_from_directory`."""
    import keras

    folder = root / "train"
    return _each_epoch(
        keras.utils.image_dataset_from_directory(folder, image_size=(side, side), batch_size=batch_size, verbose=False),
        batch_size,
    )


def torch_folder(root: Path, batch_size: int) -> Callable[[], float]:
    from benchmarks.torch_peer import reading

    return reading(root / "train", batch_size, len(os.sched_getaffinity(0)))


def _each_epoch(data: Any, batch_size: int) -> Callable[[], float]:
    def epoch() -> int:
        return batch_size * sum(1 for _ in data)

    epoch()
    return lambda: rate_for_a_while(epoch)


def main(words: list[str] | None = None) -> None:
    options = measuring.parser("input", __doc__.splitlines()[0])
    options.add_argument("--side", type=int, default=64)
    options.add_argument("--images", type=int, default=2048)
    options.add_argument("--batch", type=int, default=64)
    given = options.parse_args(words)
    side, images, batch, turns = given.side, given.images, given.batch, given.turns
    if given.quick:
        side, images, batch, turns = 16, 16, 8, 1
    with tempfile.TemporaryDirectory() as temporary, ExitStack() as stack:
        records = photos.write_records(Path(temporary, "records"), side, images)
        folder = photos.write_folder(Path(temporary, "folder"), side, images)
        cache = Path(temporary, "cache")
        tfds: dict[str, Any] = {"source": "tfds", "name": photos.NAME, "data_dir": str(records)}
        jpegs: dict[str, Any] = {"source": "folder", "root": str(folder)}
        sources: dict[str, dict[str, tuple[Any, ...]]] = {
            "TFRecord": {
                "ours, in memory": (ours, Data(**tfds, cache="memory"), batch, cache),
                "ours, in memory, flip and crop": (ours, Data(**tfds, cache="memory", augment=AUGMENT), batch, cache),
                "ours, decoded on disk": (ours, Data(**tfds, cache="disk"), batch, cache),
                "ours, streamed": (ours, Data(**tfds, cache="none"), batch, cache),
                "tfds.load, map, shuffle, batch": (tutorial, records, batch),
            },
            "JPEGs": {
                "ours, in memory": (ours, Data(**jpegs, cache="memory"), batch, cache),
                "ours, in memory, flip and crop": (ours, Data(**jpegs, cache="memory", augment=AUGMENT), batch, cache),
                "ours, decoded on disk": (ours, Data(**jpegs, cache="disk"), batch, cache),
                "ours, streamed": (ours, Data(**jpegs, cache="none"), batch, cache),
                "image_dataset_from_directory": (keras_folder, folder, side, batch),
            },
        }
        if importlib.util.find_spec("torch"):
            sources["JPEGs"]["PyTorch's DataLoader with Pillow"] = (torch_folder, folder, batch)
        ways = {f"{source}: {name}": way for source, of_source in sources.items() for name, way in of_source.items()}
        rates = take_turns({"copy": machine.copying(), **prepared(ways, stack)}, turns)
    copied = rates.pop("copy")
    ceiling = Figure(tuple(rate / (side * side * 3) for rate in copied.values))
    rows = [
        Row(name, figure, "images/s", rates[f"{name.split(':')[0]}: ours, in memory"], figure.ratio_to(ceiling))
        for name, figure in rates.items()
    ]
    rows.append(Row("peak speed: a large copy in memory", ceiling, f"images/s, {copied.median / 1e9:.1f} GB/s"))
    if not importlib.util.find_spec("torch"):
        rows.append(Row("JPEGs: PyTorch's DataLoader", None, "", note="left out: torch is not installed"))
    measuring.report(rows, machine.machine(), f"Input, {images} images at {side}, batches of {batch}", given.json)


if __name__ == "__main__":
    with quietly():  # warnings are no rows of a table
        main()
