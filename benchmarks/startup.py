"""How long until something happens: python -m benchmarks.startup

Seconds of `--help`, and from launch to the end of the first epoch's first step on a prepared dataset.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks import machine, measuring, photos
from benchmarks.measuring import Row, seconds_of, take_turns
from convlens.core.quiet import quietly

ROOT = Path(__file__).resolve().parent.parent


def main(words: list[str] | None = None) -> None:
    options = measuring.parser("startup", __doc__.splitlines()[0])
    given = options.parse_args(words)
    turns, images = (1, 8) if given.quick else (given.turns, 1000)
    with tempfile.TemporaryDirectory() as folder:
        data_dir = photos.write_records(Path(folder), 32, images)
        data = ["data=tfds", f"data.name={photos.NAME}", f"data.data_dir={data_dir}", f"runs_dir={folder}/runs"]
        one_step = ["training.epochs=1", "training.limit_batches=1", "training.tensorboard.enabled=false"]
        ways = {
            "python train.py --help": lambda: seconds_of_script("train.py", "--help"),
            "python visualize.py --help": lambda: seconds_of_script("visualize.py", "--help"),
            "python train.py, one step, evaluated": lambda: seconds_of_script("train.py", *data, *one_step),
            "import keras, alone": lambda: seconds_of(
                lambda: subprocess.run([sys.executable, "-c", "import keras"], capture_output=True, check=True)
            ),
        }
        timings = take_turns(ways, turns)
    rows = [Row(name, figure, "seconds") for name, figure in timings.items()]
    measuring.report(rows, machine.machine(), "Start-up", given.json)


def seconds_of_script(script: str, *words: str) -> float:
    command = [sys.executable, str(ROOT / script), *words]
    return seconds_of(lambda: subprocess.run(command, cwd=ROOT, capture_output=True, check=True))


if __name__ == "__main__":
    with quietly():  # warnings are no rows of a table
        main()
