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
from convlens.configs import Train
from convlens.configs.composition import compose
from convlens.core.quiet import quietly

GOAL = 0.94


def trainings(config: Train, runs_dir: str) -> tuple[float, Callable[[int], dict]]:
    """The floating point operations of a training, and a function that trains with a seed and gives its accuracy and
    its seconds.
    """
    from benchmarks.training import TRAINING_PASSES, fitting
    from convlens.interpret.architecture import architecture
    from convlens.models import build_model
    from convlens.training import evaluate_model

    training = config.training
    data, fit = fitting(config, runs_dir)
    info = data.info

    def trained(seed: int) -> dict:
        start = time.perf_counter()
        run = fit(seed)
        whole = time.perf_counter() - start
        scores = evaluate_model(run.model, data.evaluation("test", 1000), info.classes, mirrored=True)
        # The first epoch waits for the compiler; the others tell what it takes without.
        later = [row["seconds"] for row in run.metrics[1:] or run.metrics]
        epochs = sum(later) * training.epochs / len(later)
        return {"accuracy": scores.accuracy, "epoch": run.epoch, "seconds": epochs, "whole": whole}

    images = training.epochs * training.batch_size * data.steps(training.batch_size)
    model = build_model(config.model, info.image_size, info.channels, len(info.classes), seed=0)
    return 2 * TRAINING_PASSES * architecture(model).multiply_adds * images, trained


def main(words: list[str] | None = None) -> None:
    options = measuring.parser("speedrun", __doc__.splitlines()[0], turns=1)
    options.add_argument("--seeds", type=int, default=10)
    given, typed = options.parse_known_args(words)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    seeds = 1 if given.quick else given.seeds
    with tempfile.TemporaryDirectory() as folder:
        config = compose("train", Train, ["experiment=cifar10_speedrun", *typed])
        flops, trained = trainings(config, folder)
        results = []
        for seed in range(seeds):
            results.append(trained(seed))
            print(f"seed {seed}: {json.dumps(results[-1])}", flush=True)
    ceiling = machine.ceiling(config.training.precision)
    rate = Figure(tuple(ceiling() for _ in range(5)))
    accuracy, seconds = (Figure(tuple(result[key] for result in results)) for key in ("accuracy", "seconds"))
    rows = [
        Row("test accuracy, mirrored images too", accuracy, f"mean {sum(accuracy.values) / seeds:.4f}"),
        Row(f"seeds that reach {GOAL:.0%}", Figure((float(sum(a >= GOAL for a in accuracy.values)),)), f"of {seeds}"),
        Row("all epochs, once compiled", seconds, "seconds", share=flops / seconds.median / rate.median),
        Row("the last training, built, compiled and saved", Figure((results[-1]["whole"],)), "seconds"),
        Row("arithmetic of a training", Figure((flops / 1e15,)), "PFLOP"),
        Row("peak speed: a large matrix product", Figure(tuple(r / 1e12 for r in rate.values)), "TFLOP/s"),
    ]
    measuring.report(rows, machine.machine(), "CIFAR-10 speedrun", given.json)


if __name__ == "__main__":
    with quietly():  # warnings are no rows of a table
        main()
