"""How time and memory grow: python -m benchmarks.scale [--images 1000 10000 --side 32]

Opening a folder of JPEGs, cold and again, and one epoch of its training batches, streamed and in memory; then training
steps of ever wider networks. Each in a process of its own, for its peak memory.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Literal

from benchmarks import machine, measuring, photos
from benchmarks.measuring import Figure, Row
from benchmarks.workers import Worker
from convlens.configs import Data
from convlens.core.quiet import quietly

BATCH = 64
STEPS = 6


def opening(root: Path, cache: Path) -> Callable[[], float]:
    """To be called in turn: seconds until a dataset is open; what was found in its images is kept in `cache`."""
    os.environ["XDG_CACHE_HOME"] = str(cache)
    from convlens.data import open_dataset

    def turn() -> float:
        start = time.perf_counter()
        open_dataset(Data(source="folder", root=str(root)), progress=False)
        return time.perf_counter() - start

    return turn


def epoch(root: Path, cache: Path, cache_kind: Literal["memory", "none"]) -> Callable[[], float]:
    """To be called in turn: seconds of one epoch, reading into memory included where `cache_kind` is memory."""
    os.environ["XDG_CACHE_HOME"] = str(cache)
    from convlens.data import open_dataset, pipeline  # noqa: F401  TensorFlow, imported before the clock runs

    data = open_dataset(Data(source="folder", root=str(root), cache=cache_kind), progress=False)

    def turn() -> float:
        start = time.perf_counter()
        for _ in data.training(BATCH, 0, 1):
            pass
        return time.perf_counter() - start

    return turn


def steps(width: int, side: int) -> Callable[[], float]:
    """To be called in turn: seconds of a training step of a network with `width` kernels in its first block."""
    import keras
    import numpy as np

    from convlens.configs.schema import Model
    from convlens.models import build_model

    model = build_model(Model(filters=[width, 2 * width, 4 * width]), (side, side), 3, len(photos.CLASSES), seed=0)
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), jit_compile=False)
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (BATCH, side, side, 3), "uint8")
    labels = generator.integers(0, len(photos.CLASSES), BATCH)
    model.train_on_batch(images, labels)

    def turn() -> float:
        start = time.perf_counter()
        for _ in range(STEPS):
            model.train_on_batch(images, labels)
        return (time.perf_counter() - start) / STEPS

    return turn


def of_images(count: int, side: int) -> list[Row]:
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        root, cache = photos.write_folder(Path(folder, "photos"), side, count), Path(folder, "cache")
        rows = []

        def measured(what: str, *work: Any) -> None:
            worker = stack.enter_context(Worker(*work))
            rows.append(Row(f"{count:,} images: {what}", Figure((worker(),)), "seconds"))
            rows.append(Row("", Figure((worker.peak_memory / 2**20,)), "MiB at most"))

        measured("opened for the first time", opening, root, cache)
        measured("opened again", opening, root, cache)
        measured("an epoch, streamed", epoch, root, cache, "none")
        measured("an epoch, read into memory first", epoch, root, cache, "memory")
        return rows


def of_width(width: int, side: int) -> list[Row]:
    with Worker(steps, width, side) as worker:
        seconds = worker()
        what = f"a step of {BATCH} images, {width}-{2 * width}-{4 * width} kernels at {side}"
        return [
            Row(what, Figure((1000 * seconds,)), "milliseconds"),
            Row("", Figure((worker.peak_memory / 2**20,)), "MiB at most"),
        ]


def main(words: list[str] | None = None) -> None:
    options = measuring.parser("scale", __doc__.splitlines()[0], turns=1)
    options.add_argument("--side", type=int, default=32)
    options.add_argument("--images", type=int, nargs="+", default=[1000, 10_000, 100_000])
    options.add_argument("--width", type=int, nargs="+", default=[16, 32, 64])
    given = options.parse_args(words)
    if given.quick:
        given = argparse.Namespace(json=given.json, side=8, images=[24], width=[2])
    rows = [row for count in given.images for row in of_images(count, given.side)]
    rows += [row for width in given.width for row in of_width(width, given.side)]
    measuring.report(rows, machine.machine(), "Growth", given.json)


if __name__ == "__main__":
    with quietly():  # warnings are no rows of a table
        main()
