"""How fast training is: python -m benchmarks.training [--net lesson --side 64 --batch 32 64]

Ours is the fit of `train.py`, from TFRecord files to checkpoints. Beside it, on the same network with batches of the
same size: Keras as its tutorials have it, and PyTorch by a plain loop over images in memory. The ceiling is the rate of
a large product of matrices, as images of this network. Ours on one batch, again and again, waits for no data.

On a GPU, with KERAS_BACKEND=jax, ours keeps the images there and runs an epoch's steps in one compiled loop; PyTorch's
images lie there too. What the end of an epoch takes is then not measured.
"""

import importlib.util
import itertools
import math
import os
import tempfile
import time
from collections.abc import Callable, Collection
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import machine, measuring, photos
from benchmarks.measuring import Row, rate_of, take_turns
from benchmarks.workers import prepared
from convlens.configs import Train
from convlens.configs.composition import compose
from convlens.core.quiet import quietly

if TYPE_CHECKING:
    from convlens.data import Dataset
    from convlens.training import Run
    from convlens.training.tensorboard import Drawings

NETS = ("lesson", "vgg", "vgg16", "resnet")
PEERS = {"tutorial": "Keras as in tutorials", "eager": "PyTorch, eager", "compile": "PyTorch, torch.compile"}
DEFAULT = (("lesson", 64, 64), ("vgg", 32, 64))
TRAINING_PASSES = 3  # forward; backward to the weights; backward to the images
WITHOUT_WAITING = "ours, on one batch in memory"  # what it is faster by is the share of waiting for data
END = "end of an epoch"
EPOCHS = 2  # of which the first one compiles


def configuration(net: str, data_dir: Path, batch_size: int, epochs: int = EPOCHS, **training: object) -> Train:
    """What `train.py` would be told."""
    words = [f"training.{name}={value}" for name, value in training.items()]
    return compose(
        "train",
        Train,
        [
            f"model={net}",
            "data=tfds",
            f"data.name={photos.NAME}",
            f"data.data_dir={data_dir}",
            f"training.epochs={epochs}",
            f"training.batch_size={batch_size}",
            *words,
        ],
    )


def ours(config: Train) -> Callable[[], float]:
    """To be called in turn: images a second within the last epoch of a fit, as its own line tells them."""
    _, fit = fitting(config, _runs(config))
    return lambda: fit().metrics[-1]["images_per_second"]


def epoch_end(config: Train, steps: int) -> Callable[[], float]:
    """To be called in turn: seconds that an epoch takes beside its steps, for validation and all that is written."""
    from convlens.training.tensorboard import Drawings
    from convlens.visualization import confusion_matrix_figure, kernel_tiles, map_tiles

    _, fit = fitting(config, _runs(config))

    def turn() -> float:
        drawn = []

        def confusion(result):
            drawn.append(time.perf_counter())
            return confusion_matrix_figure(result)

        rows = fit(drawings=Drawings(kernels=kernel_tiles, maps=map_tiles, confusion=confusion)).metrics
        # From one epoch's picture to the next one's, less the steps between them.
        return drawn[-1] - drawn[-2] - steps * config.training.batch_size / rows[-1]["images_per_second"]

    return turn


def tutorial(config: Train, side: int, steps: int) -> Callable[[], float]:
    """To be called in turn: images a second of an epoch, as Keras' and TFDS' tutorials train: load, map, batch, fit."""
    import keras
    import tensorflow as tf
    import tensorflow_datasets as tfds

    from convlens.models import build_model
    from convlens.training.session import precision

    data = tfds.load(photos.NAME, data_dir=config.data.data_dir, split="train")
    data = data.map(
        lambda example: (tf.cast(example["image"], tf.float32), example["label"]), num_parallel_calls=tf.data.AUTOTUNE
    )
    data = data.shuffle(1000).batch(config.training.batch_size, drop_remainder=True).prefetch(tf.data.AUTOTUNE)
    with precision(config.training.precision):
        model = build_model(config.model, (side, side), 3, len(photos.CLASSES), seed=0)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer="adamw", loss=loss, metrics=["accuracy"])
    model.fit(data, verbose=0)

    def epoch() -> int:
        model.fit(data, verbose=0)
        return steps * config.training.batch_size

    return lambda: rate_of(epoch)


def torch_peer(compiled: bool, config: Train, side: int, steps: int) -> Callable[[], float]:
    from benchmarks.torch_peer import training

    batch_size, half = config.training.batch_size, config.training.precision == "mixed_bfloat16"
    return training(config.model, side, len(photos.CLASSES), batch_size, steps, steps * batch_size, compiled, half)


def flops(config: Train, side: int) -> tuple[int, int]:
    """Floating point operations of a training step for one image, and how many weights are trained."""
    from convlens.interpret.architecture import architecture
    from convlens.models import build_model

    model = build_model(config.model, (side, side), 3, len(photos.CLASSES), seed=0)
    trained = sum(math.prod(weight.shape) for weight in model.trainable_weights)
    return 2 * TRAINING_PASSES * architecture(model).multiply_adds, trained


def fitting(config: Train, runs_dir: str) -> tuple["Dataset", Callable[..., "Run"]]:
    """The data, read and ready, and a function that trains a new network as `train.py` does and gives its run."""
    import keras
    from rich.console import Console

    from convlens.data import open_dataset
    from convlens.models import build_model
    from convlens.training import Run, Session, fit_model
    from convlens.training.devices import bytes_on_device, choose_devices, keep_compiled
    from convlens.training.session import precision

    devices = choose_devices(1, config.training.batch_size)
    keep_compiled(devices)
    on_device = bytes_on_device(config.data.cache, devices) > 0
    data = open_dataset(config.data, progress=False)
    info = data.info
    data.load()

    def fit(seed: int = 0, drawings: "Drawings | None" = None) -> Run:
        own, console = config.model_copy(update={"seed": seed}), Console(quiet=True)
        keras.utils.set_random_seed(seed)
        with precision(config.training.precision):
            model = build_model(config.model, info.image_size, info.channels, len(info.classes), seed=seed)
            run = Run.create(runs_dir, "benchmark", own)
            run.write_labels(info.classes)
            session = Session(own, run, data, on_device=on_device, drawings=drawings, console=console)
            fit_model(session, model)
        return Run.open(run.path)

    return data, fit


def _runs(config: Train) -> str:
    return tempfile.mkdtemp(prefix="runs-", dir=config.data.data_dir)


def measure(
    net: str, side: int, batch_size: int, steps: int, turns: int, policy: str, chosen: Collection[str]
) -> list[Row]:
    """The rows of one network at one size of images and one size of batches.

    Args:
        policy: Keras' of precision.
        chosen: which of `PEERS`.
    """
    on_gpu = machine.accelerator() is not None
    together: dict[str, Any] = {"precision": policy, **({"steps_per_execution": "epoch"} if on_gpu else {})}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        data_dir = photos.write_records(Path(folder), side, steps * batch_size)
        config = configuration(net, data_dir, batch_size, **together)
        a_step, trained = flops(config, side)
        peers: dict[str, tuple[Any, ...]] = {"tutorial": (tutorial, config, side, steps)}
        with_torch = importlib.util.find_spec("torch") is not None
        if with_torch:
            from benchmarks.torch_peer import parameters

            if parameters(config.model, side, len(photos.CLASSES)) != trained:
                raise AssertionError(f"PyTorch's {net} is not the same network")
            peers["eager"] = (torch_peer, False, config, side, steps)
            peers["compile"] = (torch_peer, True, config, side, steps)
        peers = {PEERS[name]: work for name, work in peers.items() if name in chosen}
        works: dict[str, tuple[Any, ...]] = {"ours": (ours, config)}
        if not on_gpu:  # where images that lie on the device are not waited for
            works[WITHOUT_WAITING] = (ours, configuration(net, data_dir, batch_size, overfit=True))
        compared = [*works, *peers]
        works |= peers if on_gpu else {**peers, END: (epoch_end, config, steps)}
        workers = prepared(works, stack)
        rates = take_turns({"ceiling": machine.ceiling(policy), "copy": machine.copying(), **workers}, turns)

    ceiling = measuring.Figure(tuple(rate / a_step for rate in rates["ceiling"].values))
    case = f"{net} at {side}, batches of {batch_size}{'' if policy == 'float32' else f', {policy}'}: "
    rows = [
        Row(f"{case}{name}", rates[name], "images/s", rates["ours"], rates[name].ratio_to(ceiling)) for name in compared
    ]
    if not with_torch:
        rows.append(Row(f"{case}PyTorch", None, "", note="left out: torch is not installed"))
    rows.append(
        Row(f"{case}peak speed", ceiling, f"images/s, {rates['ceiling'].median / 1e9:.0f} GFLOP/s", rates["ours"])
    )
    if END in rates:
        rows.append(Row(f"{case}{END}", rates[END], "seconds beside the steps"))
    return [*rows, Row("a large copy in memory", rates["copy"], "bytes/s")]


def main(words: list[str] | None = None) -> None:
    options = measuring.parser("training", __doc__.splitlines()[0], turns=3)
    options.add_argument("--net", nargs="+", choices=NETS)
    options.add_argument("--side", nargs="+", type=int, default=[64])
    options.add_argument("--batch", nargs="+", type=int, default=[64])
    options.add_argument("--steps", type=int, default=10, help="of an epoch (default 10)")
    options.add_argument("--peers", nargs="*", choices=PEERS, default=list(PEERS), help="default: all of them")
    options.add_argument("--precision", choices=("float32", "mixed_bfloat16", "mixed_float16"), default="float32")
    given = options.parse_args(words)
    # Every way is a process of its own, and all of them lie on a GPU together.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    cases: list[tuple[str, int, int]] = list(DEFAULT)
    if given.net:
        cases = list(itertools.product(given.net, given.side, given.batch))
    steps, turns = given.steps, given.turns
    if given.quick:
        cases, steps, turns = [("lesson", 16, 8)], 2, 1
    rows = [row for case in cases for row in measure(*case, steps, turns, given.precision, given.peers)]
    measuring.report(rows, machine.machine(), "Training", given.json)


if __name__ == "__main__":
    with quietly():  # warnings are no rows of a table
        main()
