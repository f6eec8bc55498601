"""CIFAR-10 to 94%: KERAS_BACKEND=jax python -m benchmarks.speedrun [--seeds 10] [words of train.py]

Trains `experiment=cifar10_speedrun` once a seed, as `train.py` does, and scores the test split with mirrored images.
Told: the accuracy of each seed and how many reach 94%, the seconds from the first step to the last one, validation and
the saving of models included, once XLA has compiled; the floating point operations of a training; and the share of the
device's own rate of matrix products.
"""

import json
import os
import tempfile
import time
from collections.abc import Callable

from benchmarks import machine, measuring
from benchmarks.measuring import Figure, Row
from configs import Train
from configs.composition import compose

GOAL = 0.94


def trainings(words: list[str], runs_dir: str) -> tuple[float, str, Callable[[int], dict]]:
    """The floating point operations of a training that the words configure, the type of numbers it computes in, and a
    function that trains with a seed and gives its accuracy and its seconds.
    """
    import keras
    from rich.console import Console

    from benchmarks.training import TRAINING_PASSES
    from data import open_dataset
    from interpret.costs import architecture
    from models import build_model
    from training import Run, evaluate_model, fit_model
    from training.backend import choose_devices, keep_compiled
    from training.fit import precision

    config = compose("train", Train, ["experiment=cifar10_speedrun", *words])
    keep_compiled(choose_devices(1, config.training.batch_size))
    data = open_dataset(config.data)
    info = data.info
    data.load()

    def trained(seed: int) -> dict:
        own = config.model_copy(update={"seed": seed})
        keras.utils.set_random_seed(seed)
        with precision(own.training.precision):
            model = build_model(own.model, info.image_size, info.channels, len(info.classes), seed=seed)
            run = Run.create(runs_dir, "speedrun", own)
            run.write_labels(info.classes)
            start = time.perf_counter()
            rows = fit_model(run, model, data, own, on_device=True, console=Console(quiet=True))
            whole = time.perf_counter() - start
        best = Run.open(run.path)
        scores = evaluate_model(best.model, data.evaluation("test", 1000), info.classes, mirrored=True)
        # The first epoch waits for the compiler; the others tell what it takes without.
        epochs = sum(row["seconds"] for row in rows[1:]) * len(rows) / max(1, len(rows) - 1)
        return {"accuracy": scores.accuracy, "epoch": best.epoch, "seconds": epochs, "whole": whole}

    training = config.training
    images = training.epochs * training.batch_size * data.steps(training.batch_size)
    model = build_model(config.model, info.image_size, info.channels, len(info.classes), seed=0)
    dtype = {"mixed_bfloat16": "bfloat16", "mixed_float16": "float16"}.get(training.precision, "float32")
    return 2 * TRAINING_PASSES * architecture(model).multiply_adds * images, dtype, trained


def main(words: list[str] | None = None) -> None:
    options = measuring.parser("speedrun", __doc__.splitlines()[0], turns=1)
    options.add_argument("--seeds", type=int, default=10)
    given, typed = options.parse_known_args(words)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    seeds = 1 if given.quick else given.seeds
    with tempfile.TemporaryDirectory() as folder:
        flops, dtype, trained = trainings(typed, folder)
        found = []
        for seed in range(seeds):
            found.append(trained(seed))
            print(f"seed {seed}: {json.dumps(found[-1])}", flush=True)
    ceiling = machine.ceiling(dtype)
    rate = Figure(tuple(ceiling() for _ in range(5)))
    accuracy, seconds = (Figure(tuple(one[key] for one in found)) for key in ("accuracy", "seconds"))
    rows = [
        Row("test accuracy, mirrored images too", accuracy, f"mean {sum(accuracy.values) / seeds:.4f}"),
        Row(f"seeds that reach {GOAL:.0%}", Figure((float(sum(a >= GOAL for a in accuracy.values)),)), f"of {seeds}"),
        Row("all epochs, once compiled", seconds, "seconds", share=flops / seconds.median / rate.median),
        Row("the whole of the last fit, compiling too", Figure((found[-1]["whole"],)), "seconds"),
        Row("arithmetic of a training", Figure((flops / 1e15,)), "PFLOP"),
        Row("the ceiling: a large product of matrices", Figure(tuple(r / 1e12 for r in rate.values)), "TFLOP/s"),
    ]
    measuring.tell(rows, machine.machine(), "CIFAR-10 speedrun", given.json)


if __name__ == "__main__":
    main()
