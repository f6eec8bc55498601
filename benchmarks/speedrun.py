"""CIFAR-10 to 94%: KERAS_BACKEND=jax python -m benchmarks.speedrun [--seeds 10] [words of train.py]

Trains `experiment=cifar10_speedrun` once a seed, each in a process of its own, and scores the test split with mirrored
images. Told: the accuracy of each seed and how many reach 94%, the seconds of the epochs (the first one apart, it
compiles), the floating point operations of a training, and the share of the device's own rate of matrix products.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks import machine, measuring
from benchmarks.measuring import Figure, Row

ROOT = Path(__file__).resolve().parent.parent
GOAL = 0.94


def trained(seed: int, words: list[str], folder: Path) -> dict:
    """One training: its accuracy, its seconds, and what it computed."""
    runs = folder / str(seed)
    command = [sys.executable, "train.py", "experiment=cifar10_speedrun", f"seed={seed}", f"runs_dir={runs}", *words]
    _told(command)
    _told([sys.executable, "evaluate.py", f"runs_dir={runs}", "mirrored=true"])
    (run,) = (path.parent for path in runs.glob("*/*/evaluation.json") if path.parent.name != "latest")
    from configs.saved import read_config
    from configs.schema import Train
    from training import Run

    config, found = read_config(run / "config.yaml", Train), Run.open(run)
    rows, dataset = found.metrics, found.facts["dataset"]
    return {
        "accuracy": found.evaluation["accuracy"],
        "compiling": rows[0]["seconds"] - rows[-1]["seconds"],
        "seconds": sum(row["seconds"] for row in rows[1:]) * len(rows) / max(1, len(rows) - 1),
        "flops": _flops(found) * len(rows) * (dataset["sizes"]["train"] // config.training.batch_size),
    }


def _flops(run) -> float:
    """Floating point operations of a training step."""
    from benchmarks.training import TRAINING_PASSES
    from interpret.costs import architecture

    return 2 * TRAINING_PASSES * architecture(run.model).multiply_adds * run.config.training.batch_size


def _told(command: list[str]) -> None:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr.strip() or f"{' '.join(command)} ended with code {done.returncode}")


def device_rate(precision: str) -> float:
    """Floating point operations a second of a large product of matrices on the backend's device."""
    import keras

    dtype = {"float32": "float32", "mixed_bfloat16": "bfloat16", "mixed_float16": "float16"}[precision]
    side = 2048 if os.environ.get("JAX_PLATFORMS") == "cpu" or "cpu" in keras.distribution.list_devices()[0] else 8192
    a, b = (keras.random.normal((side, side), seed=seed, dtype=dtype) for seed in (0, 1))

    def products(count: int = 4) -> float:
        found = a
        for _ in range(count):
            found = keras.ops.matmul(found, b) * (1 / side)
        float(keras.ops.convert_to_numpy(found[0, 0]))  # waits for the device
        return count * 2.0 * side**3

    products()
    return max(measuring.rate_of(products) for _ in range(5))


def main(words: list[str] | None = None) -> None:
    options = measuring.parser("speedrun", __doc__.splitlines()[0], turns=1)
    options.add_argument("--seeds", type=int, default=10)
    given, typed = options.parse_known_args(words)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    seeds = 1 if given.quick else given.seeds
    with tempfile.TemporaryDirectory() as folder:
        found = []
        for seed in range(seeds):
            found.append(trained(seed, typed, Path(folder)))
            print(f"seed {seed}: {json.dumps(found[-1])}", flush=True)
        precision = next((word.split("=")[1] for word in typed if word.startswith("training.precision=")), None)
    rate = device_rate(precision or "mixed_bfloat16")
    accuracy, seconds = (Figure(tuple(one[key] for one in found)) for key in ("accuracy", "seconds"))
    share = found[0]["flops"] / seconds.median / rate
    rows = [
        Row("test accuracy, mirrored images too", accuracy, f"mean {sum(accuracy.values) / seeds:.4f}"),
        Row(f"seeds that reach {GOAL:.0%}", Figure((float(sum(a >= GOAL for a in accuracy.values)),)), f"of {seeds}"),
        Row("all epochs, validation included", seconds, "seconds", share=share),
        Row("compiling, in the first epoch", Figure(tuple(one["compiling"] for one in found)), "seconds"),
        Row("arithmetic of a training", Figure((found[0]["flops"] / 1e15,)), "PFLOP"),
        Row("the ceiling: a large product of matrices", Figure((rate / 1e12,)), "TFLOP/s"),
    ]
    measuring.tell(rows, machine.machine(), "CIFAR-10 speedrun", given.json)


if __name__ == "__main__":
    main()
