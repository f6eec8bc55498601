"""Scores a run: reopen it -> evaluate -> evaluation.json, figures, TensorBoard."""

if __name__ == "__main__":
    from convlens.core.stopping import begin

    begin()  # before all other imports, in whose seconds Ctrl-C may come too

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from convlens.configs import Evaluate
from convlens.configs.cli import command
from convlens.core.errors import one_line
from convlens.core.quiet import quietly
from convlens.training import Run

if TYPE_CHECKING:
    from rich.console import Console

    from convlens.data import Dataset
    from convlens.training.evaluation import Evaluation


def evaluate(config: Evaluate) -> Path:
    """Scores the saved model of a run on one split and returns the run's folder."""
    run = Run.open(config.run) if config.run else Run.newest(config.runs_dir)
    with quietly():
        from rich.console import Console

        from convlens.core.progress import progress_bar
        from convlens.training import evaluate_model

        _ = run.labels, run.model  # read before the data: a damaged file is found at once

    console = Console(highlight=False, markup=False, soft_wrap=True)
    data = run.open_data(config.data)
    if data.fingerprint != (run.facts.get("dataset") or {}).get("fingerprint"):
        console.print(f"The data is not what run {run.path} was trained on: its fingerprint differs.", style="yellow")

    batch_size = config.batch_size or run.config.training.batch_size
    limit_batches = config.limit_batches or run.config.training.limit_batches
    batches = data.evaluation(config.split, batch_size, limit_batches=limit_batches)
    indices = data.evaluated(config.split, batch_size, limit_batches)
    with data.faults_as_user_errors(), progress_bar(f"Scoring {config.split} images", len(indices)) as progress:
        evaluation = evaluate_model(
            run.model, batches, run.labels, indices=indices, mirrored=config.mirrored, progress=progress
        )
    run.write_json(run.evaluation_path, {"split": config.split, "epoch": run.epoch, **evaluation.report()})
    figures = _draw(run, data, evaluation, config)

    _print_scores(console, run, evaluation, f"{config.split}{', mirrored too,' if config.mirrored else ''}")
    console.print(f"\nWritten {run.evaluation_path}, " + ", ".join(str(path) for path in figures))
    return run.path


def _draw(run: Run, data: "Dataset", evaluation: "Evaluation", config: Evaluate) -> list[Path]:
    """The confusion matrix and the most confident mistakes, as pictures; the matrix also for TensorBoard."""
    from convlens.visualization import confusion_matrix_figure, mistakes_figure, save_figure

    mirrored = ", mirror images too" if evaluation.mirrored else ""
    what = f"{run.name}, {config.split} split{mirrored}{_epoch(run)}"
    confusion = evaluation.confusion
    matrix = confusion_matrix_figure(confusion, title=f"Confusion matrix: {what}")
    paths = save_figure(matrix, confusion.arrays(), run.figures_dir / f"confusion_matrix_{config.split}")
    if run.config.training.tensorboard.enabled:
        from convlens.training.tensorboard import write_confusion

        write_confusion(run, config.split, matrix)

    indices = evaluation.indices[evaluation.mistakes(config.mistakes)]
    none = np.zeros((0, *run.model.input_shape[1:]), "uint8")
    images, _, names = data.examples(config.split, indices.tolist()) if len(indices) else (none, None, ())
    mistakes = evaluation.shown_mistakes(images, names)
    figure = mistakes_figure(mistakes, title=f"Most confident mistakes: {what}")
    paths += save_figure(figure, mistakes.arrays(), run.figures_dir / f"mistakes_{config.split}")
    return [path for path in paths if path.suffix == ".png"]


def _epoch(run: Run) -> str:
    """The epoch that the model comes from, after a comma; nothing where the run does not say it."""
    return "" if run.epoch is None else f", epoch {run.epoch}"


def _print_scores(console: "Console", run: Run, evaluation: "Evaluation", split: str) -> None:
    from convlens.core.tables import print_table

    top5 = f", top-5 {evaluation.top5:.4f}" if evaluation.top5 is not None else ""
    console.print(
        f"Run {run.path}{_epoch(run)}\n"
        f"{split.capitalize()} accuracy {evaluation.accuracy:.4f} on {evaluation.images:,} images{top5}, "
        f"loss {evaluation.loss:.4f}, expected calibration error {evaluation.calibration_error:.4f}, "
        f"{evaluation.images_per_second:,.0f} images/s\n"
    )
    columns = (evaluation.precision, evaluation.recall, evaluation.f1)
    rows = [
        [one_line(name), *(f"{column[row]:.4f}" for column in columns), f"{support:,}"]
        for row, (name, support) in enumerate(zip(run.labels, evaluation.support, strict=True))
    ]
    print_table(console, ["class", "precision", "recall", "F1", "images"], rows, text=["class"])


def main(words: Sequence[str] | None = None) -> None:
    """The command: what `words`, or the script's command line, ask for."""
    command("evaluate", Evaluate, evaluate, words)


if __name__ == "__main__":
    main()
