"""How fast feature maps are: python -m benchmarks.features [--net vgg --side 64 --images 1000]

All layers' maps in one streamed pass, against plain `predict` of the network, and against one `predict` per layer,
which is what people write.
"""

import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import machine, measuring
from benchmarks.measuring import Figure, Row, rate_of, take_turns
from benchmarks.training import configuration
from benchmarks.workers import prepared
from convlens.core.quiet import quietly

CLASSES = 4


def ours(net: str, side: int, count: int) -> Callable[[], float]:
    """To be called in turn: images a second whose maps of all layers and stages were given out, batch by batch."""
    from convlens.models import feature_extractor

    model, images = _model_and_images(net, side, count)
    extractor = feature_extractor(model)

    def work() -> int:
        for _ in extractor.stream(images):
            pass
        return count

    work()
    return lambda: rate_of(work)


def predict(net: str, side: int, count: int) -> Callable[[], float]:
    """To be called in turn: images a second of plain `predict`, which gives logits alone."""
    from convlens.models.inspection.features import BATCH

    model, images = _model_and_images(net, side, count)

    def work() -> int:
        model.predict(images, BATCH, verbose=0)
        return count

    work()
    return lambda: rate_of(work)


def predict_each(net: str, side: int, count: int) -> Callable[[], float]:
    """To be called in turn: images a second of one `predict` per convolution, each through a model that ends there."""
    import keras

    from convlens.models import conv_layers
    from convlens.models.inspection.features import BATCH

    model, images = _model_and_images(net, side, count)
    parts = [keras.Model(model.inputs, model.get_layer(layer.name).output) for layer in conv_layers(model)]

    def work() -> int:
        for part in parts:
            part.predict(images, BATCH, verbose=0)
        return count

    work()
    return lambda: rate_of(work)


def _model_and_images(net: str, side: int, count: int) -> tuple[Any, np.ndarray]:
    from convlens.models import build_model

    config = configuration(net, Path(tempfile.gettempdir()), 64).model
    images = np.random.default_rng(0).integers(0, 256, (count, side, side, 3), "uint8")
    return build_model(config, (side, side), 3, CLASSES, seed=0), images


def main(words: list[str] | None = None) -> None:
    options = measuring.parser("features", __doc__.splitlines()[0])
    options.add_argument("--net", default="vgg", choices=("lesson", "vgg", "resnet"))
    options.add_argument("--side", type=int, default=64)
    options.add_argument("--images", type=int, default=1000)
    given = options.parse_args(words)
    net, side, count, turns = given.net, given.side, given.images, given.turns
    if given.quick:
        net, side, count, turns = "lesson", 16, 40, 1
    with ExitStack() as stack:
        works = {
            "ours, every layer in one pass": (ours, net, side, count),
            "predict of the network": (predict, net, side, count),
            "one predict per layer": (predict_each, net, side, count),
        }
        workers = prepared(works, stack)
        rates = take_turns(workers, turns)
    with ExitStack() as stack:
        # Each in a fresh process: a process never tells that it holds less than it once did.
        sizes = {images: prepared({"ours": (ours, net, side, images)}, stack)["ours"] for images in (count // 4, count)}
        memory = {images: Figure((worker.peak_memory / 2**20,)) for images, worker in sizes.items()}
    first = next(iter(rates.values()))
    rows = [Row(name, figure, "images/s", first) for name, figure in rates.items()]
    rows += [Row(f"ours, {images} images", figure, "MiB at most") for images, figure in memory.items()]
    measuring.report(rows, machine.machine(), f"Feature maps, {net} at {side}", given.json)


if __name__ == "__main__":
    with quietly():  # warnings are no rows of a table
        main()
