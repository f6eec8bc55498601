"""How long figures take: python -m benchmarks.figures [--net lesson --side 64 --images 2000]

The default gallery as a user starts it, against `import keras` alone; then every figure of figures=all by itself, drawn
and written in one process: what several of them need, such as one pass over a split, is counted where it is first asked
for.
"""

import argparse
import contextlib
import io
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import machine, measuring, photos
from benchmarks.measuring import Figure, Row, seconds_of, take_turns
from benchmarks.startup import seconds_of_script
from convlens.core.quiet import quietly


def each(run: Path, images: int) -> dict[str, float]:
    """Figure -> seconds to draw and write it."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from convlens.configs import Visualize
    from convlens.gallery.inputs import FigureInputs
    from convlens.gallery.planning import planned
    from convlens.gallery.registry import chosen_figures
    from convlens.gallery.saving import save
    from convlens.training import Run

    config = Visualize(run=str(run), figures=["all"], images=images)
    figures = chosen_figures(config.figures)
    seconds = {}
    with contextlib.redirect_stdout(io.StringIO()):
        for plan in planned(FigureInputs(config, Run.open(run), figures)):
            start = time.perf_counter()
            save([plan], run / "figures")
            seconds[plan.figure] = time.perf_counter() - start
    return seconds


def main(words: list[str] | None = None) -> None:
    options = measuring.parser("figures", __doc__.splitlines()[0], turns=3)
    options.add_argument("--net", default="lesson", choices=("lesson", "vgg", "resnet"))
    options.add_argument("--side", type=int, default=64)
    options.add_argument("--images", type=int, default=2000, help="of the split that statistics look at (default 2000)")
    given = options.parse_args(words)
    if given.quick:
        given = argparse.Namespace(**{**vars(given), "net": "lesson", "side": 16, "images": 16, "turns": 1})
    with tempfile.TemporaryDirectory() as folder:
        run = _trained(Path(folder), given.net, given.side, given.images)
        ways = {
            "ours: python visualize.py": lambda: seconds_of_script("visualize.py", f"run={run}"),
            "import keras, alone": lambda: seconds_of(
                lambda: subprocess.run([sys.executable, "-c", "import keras"], capture_output=True, check=True)
            ),
        }
        timings = take_turns(ways, given.turns)
        seconds = each(run, given.images)
    first = next(iter(timings.values()))
    rows = [Row(name, figure, "seconds", first) for name, figure in timings.items()]
    rows += [Row(f"  {name}", Figure((took,)), "seconds") for name, took in seconds.items()]
    rows.append(Row("figures=all, without start-up", Figure((sum(seconds.values()),)), "seconds"))
    title = f"Figures, {given.net} at {given.side}, statistics over {given.images} images"
    measuring.report(rows, machine.machine(), title, given.json)


def _trained(folder: Path, net: str, side: int, images: int) -> Path:
    """A run of one epoch, whose split has enough images."""
    data_dir = photos.write_records(folder, side, images=64, held_out=images)
    words = [f"model={net}", "data=tfds", f"data.name={photos.NAME}", f"data.data_dir={data_dir}"]
    seconds_of_script("train.py", *words, "training.epochs=1", f"runs_dir={folder}/runs")
    return (folder / "runs/tfds/latest").resolve()


if __name__ == "__main__":
    with quietly():  # warnings are no rows of a table
        main()
