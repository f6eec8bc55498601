"""Few photographs: python -m benchmarks.small_data PHOTOS [--photographs 20 100 --classes 4 --side 32 --seeds 3]

How well a folder of photographs is learned with no flag at all, `python train.py experiment=folder data.root=...`,
beside a plain Keras script as the tutorials have it and torchvision's reference recipe. Each is a process of its own,
and the two others have the time that ours took, importing and scoring included.

PHOTOS holds train/<class>/* and test/<class>/*, such as CIFAR-10 as files. A cell is so many photographs a class, so
many classes, and a side to which photographs are brought. PyTorch may have a Python of its own: --torch PYTHON.
"""

import argparse
import itertools
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from rich.console import Console
from rich.table import Table

from convlens.core.quiet import quietly

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = {"keras": "keras_tutorial.py", "torch": "torch_reference.py"}
WAYS = {"ours": "ours, no flag", "keras": "Keras as in tutorials", "torch": "torchvision's recipe"}


@dataclass(frozen=True)
class Result:
    """One training: the share of test photographs that it names, and what it took."""

    way: str
    photographs: int
    classes: int
    side: int
    seed: int
    accuracy: float
    seconds: float
    epochs: float


def make_cell(photos: Path, folder: Path, photographs: int, classes: int, side: int, seed: int, test: int) -> Path:
    """`folder/train/<class>`, photographs chosen by the seed, and `folder/test/<class>`, always the same ones."""
    names = sorted(path.name for path in (photos / "train").iterdir() if path.is_dir())
    chosen = [names[index * len(names) // classes] for index in range(classes)]
    for split, count, key in (("train", photographs, (seed, photographs)), ("test", test, 0)):
        for name in chosen:
            files = sorted((photos / split / name).iterdir())
            if len(files) < count:
                raise SystemExit(f"{photos / split / name} has {len(files)} photographs, fewer than {count}.")
            (folder / split / name).mkdir(parents=True)
            for index in np.random.default_rng(key).permutation(len(files))[:count]:
                with Image.open(files[index]) as image:
                    resized = image.convert("RGB").resize((side, side), Image.Resampling.BICUBIC)
                resized.save(folder / split / name / f"{files[index].stem}.png")
    return folder


def ours(cell: Path, seed: int, spent: Callable[[], float], words: Sequence[str]) -> dict:
    """What the command without a flag reaches, and the seconds that it took."""
    with tempfile.TemporaryDirectory() as runs:
        start = spent()
        command = [sys.executable, str(ROOT / "train.py"), "experiment=folder", f"data.root={cell}"]
        _run([*command, f"seed={seed}", f"runs_dir={runs}", *words])
        seconds = spent() - start
        (evaluation,) = [path for path in Path(runs).glob("*/*/evaluation.json") if path.parent.name != "latest"]
        epochs = len((evaluation.parent / "metrics.csv").read_text().splitlines()) - 1
        return {"accuracy": json.loads(evaluation.read_text())["accuracy"], "seconds": seconds, "epochs": epochs}


def peer(script: str, python: str, cell: Path, side: int, seed: int, seconds: float, clock: str) -> dict:
    """What a script of others reaches in so many seconds."""
    command = [python, str(ROOT / "benchmarks" / script), str(cell), str(side), str(seed), str(seconds), clock]
    return json.loads(_run(command).splitlines()[-1])


def _run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return done.stdout


def _clock(name: str) -> Callable[[], float]:
    """Seconds: those on the wall, or those of all processors that ended processes below this one were given."""
    if name == "wall":
        return time.perf_counter
    return lambda: sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])


def _has_torch(python: str) -> bool:
    """Whether a Python has torchvision; without it the recipe is left out, which is said."""
    done = subprocess.run([python, "-c", "import torchvision"], capture_output=True)
    if done.returncode:
        print(f"{python} has no torchvision: its recipe is left out. pip install torch torchvision, or --torch PYTHON.")
    return not done.returncode


def table(results: Sequence[Result]) -> Table:
    """A row a cell: the mean accuracy of each way over seeds, and how far seeds lie apart."""
    rows = Table("photographs a class", "classes", "side", "seeds", *WAYS.values(), "seconds", title="Few photographs")
    cells = dict.fromkeys((result.classes, result.side, result.photographs) for result in results)
    for classes, side, photographs in cells:
        in_cell = [r for r in results if (r.classes, r.side, r.photographs) == (classes, side, photographs)]
        scores = {way: [r.accuracy for r in in_cell if r.way == way] for way in WAYS}
        seconds = statistics.mean(r.seconds for r in in_cell if r.way == "ours")
        marked = [_score_text(values, scores) for values in scores.values()]
        rows.add_row(f"{photographs:,}", str(classes), str(side), str(len(scores["ours"])), *marked, f"{seconds:.0f}")
    return rows


def _score_text(values: Sequence[float], scores: dict[str, list[float]]) -> str:
    if not values:
        return "not run"
    apart = f" ± {(max(values) - min(values)) / 2:.1%}" if len(values) > 1 else ""
    text = f"{statistics.mean(values):.1%}{apart}"
    best = max(statistics.mean(accuracies) for accuracies in scores.values() if accuracies)
    return f"[bold]{text}[/bold]" if statistics.mean(values) == best else text


def main(words: list[str] | None = None) -> None:
    options = argparse.ArgumentParser(prog="python -m benchmarks.small_data", description=__doc__.splitlines()[0])
    options.add_argument("photos", type=Path, help="a folder with train/<class>/* and test/<class>/*")
    options.add_argument("--photographs", type=int, nargs="+", default=[20, 100, 300, 1000], help="a class")
    options.add_argument("--classes", type=int, nargs="+", default=[2, 4, 10])
    options.add_argument("--side", type=int, nargs="+", default=[32, 128], help="pixels")
    options.add_argument("--seeds", type=int, default=3)
    options.add_argument("--test", type=int, default=250, help="test photographs a class")
    options.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    options.add_argument("--torch", default=sys.executable, metavar="PYTHON", help="a Python that has torchvision")
    options.add_argument("--clock", choices=("wall", "cpu"), default="wall", help="cpu: on a machine that is busy")
    options.add_argument("--json", type=Path, default=Path("benchmark-small_data.json"), help="where every value goes")
    given, typed = options.parse_known_args(words)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    wanted = {"ours", *given.ways}  # which says how long the others have
    ways = [way for way in WAYS if way in wanted and (way != "torch" or _has_torch(given.torch))]
    spent, results = _clock(given.clock), []
    for side, classes, photographs in itertools.product(given.side, given.classes, given.photographs):
        for seed in range(given.seeds):
            with tempfile.TemporaryDirectory() as folder:
                cell = make_cell(given.photos, Path(folder), photographs, classes, side, seed, given.test)
                for way in ways:
                    if way == "ours":
                        values = ours(cell, seed, spent, typed)
                        seconds = values["seconds"]
                    else:
                        python = given.torch if way == "torch" else sys.executable
                        values = peer(SCRIPTS[way], python, cell, side, seed, seconds, given.clock)
                    results.append(Result(way, photographs, classes, side, seed, **values))
                    print(json.dumps(asdict(results[-1])), flush=True)
            given.json.write_text(json.dumps([asdict(result) for result in results], indent=1) + "\n")
    Console(width=140, highlight=False).print(table(results))
    print(f"Every value: {given.json}")


if __name__ == "__main__":
    with quietly():  # warnings are no rows of a table
        main()
