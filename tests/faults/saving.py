"""Kills a process while it saves, many times: python saving.py FOLDER KILLS SEED; prints what survived, as JSON.

The children save everything that a run holds without pause, so that nearly every kill comes in the middle of it.
Each is forked from this process, which imports Keras and computes nothing, as a fork must not lose its threads.
"""

import json
import os
import random
import signal
import sys
import time

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras  # noqa: E402, F401
import numpy as np  # noqa: E402

from convlens.configs import Train  # noqa: E402
from convlens.models import build_model  # noqa: E402
from convlens.training import Run  # noqa: E402
from convlens.training.checkpoint import State, newest_checkpoint, write_checkpoint  # noqa: E402

CONFIG = Train.model_validate({"model": {"filters": [4], "head": {"pooling": "average"}}})


def save_without_pause(run: Run, first: int) -> None:
    """Everything of one round says the same number, so that a mixture of two rounds would be seen."""
    model = build_model(CONFIG.model, (8, 8), 3, 3, seed=0)
    for number in range(first, first + 1_000_000):
        for weight in model.weights:
            weight.assign(np.full(weight.shape, number, "float32"))
        run.save_model(model, epoch=number, val_loss=float(number))
        run.write_metrics([{"epoch": number, "loss": float(number)}] * 50)
        run.write_json(run.evaluation_path, {"values": [number] * 500})
        arrays = {f"model.{index}": np.full(20_000, number, "float32") for index in range(5)}
        write_checkpoint(run.checkpoints_dir, State(number, 0, False, arrays, {"number": number}))


def check(run: Run, least: int) -> int:
    """The number of the newest checkpoint, at least `least`; raises where anything cannot be read or is mixed."""
    run = Run.open(run.path)
    assert run.config == CONFIG
    assert len({row["epoch"] for row in run.metrics}) == 1
    assert len(set(run.evaluation["values"])) == 1
    assert {float(value) for weight in run.model.get_weights() for value in weight.ravel()} == {run.epoch}
    state = newest_checkpoint(run.checkpoints_dir, lambda line: None)
    assert {float(value) for array in state.arrays.values() for value in array} == {state.values["number"]}
    assert state.epoch >= least
    return state.epoch


def in_a_child(work) -> int:
    child = os.fork()
    if child == 0:
        try:
            work()
            os._exit(0)
        except BaseException as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
            os._exit(1)
    return child


def main(folder: str, kills: int, seed: int) -> None:
    run, delays = Run.create(folder, "saved", CONFIG), random.Random(seed)
    survived = halfway = newest = 0
    for _ in range(kills):
        before = set(run.checkpoints_dir.glob("0*"))
        with run.locked():  # removes what the kill before left
            pass
        child = in_a_child(lambda: save_without_pause(run, newest + 1))  # noqa: B023  runs at once
        while set(run.checkpoints_dir.glob("0*")) == before:
            time.sleep(0.002)
        time.sleep(delays.uniform(0, 0.3))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        halfway += any(run.path.glob(".*")) or any(run.checkpoints_dir.glob(".*"))
        newest = max(int(path.name.split("epoch")[1].split("-")[0]) for path in run.checkpoints_dir.glob("0*"))
        survived += os.waitpid(in_a_child(lambda: check(run, newest)), 0)[1] == 0  # noqa: B023
    print(json.dumps({"tried": kills, "survived": survived, "halfway": halfway}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
