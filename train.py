"""Trains a network: session -> data -> model -> fit -> evaluate the best -> report."""

if __name__ == "__main__":
    from convlens.core.stopping import begin

    begin()  # before all other imports, in whose seconds Ctrl-C may come too

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from convlens.configs import Train
from convlens.configs.cli import command, prepare
from convlens.configs.composition import compose
from convlens.configs.schema import DataLocation
from convlens.core.errors import UserError
from convlens.core.program import command_line, word
from convlens.core.quiet import quietly
from convlens.core.stopping import stopping_at_once
from convlens.core.streams import lasting_streams
from convlens.training import Run
from convlens.training.checks import check_choices
from convlens.training.network_file import with_input_of_network
from convlens.training.resume import check_folder, check_request, reason_against_more_epochs
from convlens.training.saved_model import lasting_name
from convlens.training.sweep import summarize

if TYPE_CHECKING:
    from convlens.interpret.snapshots import Snapshot
    from convlens.training import Evaluation, Session

DEAD_ON = 500  # images on which a unit must be zero to be called dead


def train(config: Train | Sequence[str]) -> Run:
    """Trains the network that a configuration describes, or goes on with a run, and returns the run.

    ```python
    run = convlens.train(["experiment=cars", "training.epochs=3"])
    run.model, run.labels, run.metrics
    ```

    It prints what the command prints, and sets the seeds of Python, NumPy and Keras.

    Args:
        config: a configuration, or the words that make one, as they are typed after the command.

    Raises:
        UserError: a mistake in what was asked for, in the data or on the disk.
        Stopped: Ctrl-C, SIGTERM or SIGHUP came (a KeyboardInterrupt); the state is saved, and `["resume=RUN"]` goes on
            from it.
    """
    prepare()
    if isinstance(config, str):
        raise UserError(f"Expected a list of words, such as ['experiment=cars'], and not the text {config!r}.")
    if not isinstance(config, Train):
        config = compose("train", Train, [str(word) for word in config])
    if config.resume:
        return _resume(config, config.resume)
    check_choices(config)
    if config.init_from:  # the new run may be the next `latest`
        config = config.model_copy(update={"init_from": lasting_name(config.init_from)})
    return _train(with_input_of_network(config))


def _resume(config: Train, folder: str) -> Run:
    run = Run.open(folder, check=False)
    goes_on = check_request(config, run)
    if run.finished and goes_on == run.config:
        print(f"Run {run.path} is finished; its best epoch is {run.epoch}. {_how_to_go_on(run)}")
        return run
    check_folder(run)
    data = config.data
    location = DataLocation(
        root=data.root, data_dir=data.data_dir, manual_dir=data.manual_dir, prepare=data.prepare is True
    )
    return _train(goes_on, run, location)


def _how_to_go_on(run: Run) -> str:
    new = f"For a new run from its weights: {word('init_from', run.path)}"
    stopped_early = len(run.metrics) < run.config.training.epochs
    if stopped_early or reason_against_more_epochs(run.config):
        return new
    more = command_line("train", resume=run.path, **{"training.epochs": 2 * run.config.training.epochs})
    return f"For more epochs: {more}. {new}"


def _train(config: Train, run: Run | None = None, location: DataLocation | None = None) -> Run:
    """Trains, or resumes `run`, whose data lies at `location`."""
    with stopping_at_once(), lasting_streams():
        started = time.perf_counter()
        with quietly():
            from convlens.training import fit_model
            from convlens.training.session import build_session_model, open_data, open_run, open_session, ready_to_fit

        session = open_session(config, run)
        open_data(session, location)
        record_pictures(session)
        with session.on_its_devices():
            model = build_session_model(session)
            open_run(session)
            with ready_to_fit(session, model):
                fit_model(session, model)
        evaluation = _evaluate_best(session)
        _report(session, evaluation, started)
        return session.run


def record_pictures(session: "Session") -> None:
    """Makes the session keep snapshots and, if they are wanted, pictures for TensorBoard."""
    from convlens.interpret import pack_snapshot

    session.pack = pack_snapshot
    if session.config.training.tensorboard.enabled:
        from convlens.training.tensorboard import Drawings
        from convlens.visualization import confusion_matrix_figure, kernel_tiles, map_tiles

        session.drawings = Drawings(kernels=kernel_tiles, maps=map_tiles, confusion=confusion_matrix_figure)


def _evaluate_best(session: "Session") -> "Evaluation":
    """Scores the saved model on the test images and writes the run's last facts."""
    from convlens.core.progress import progress_bar
    from convlens.training import evaluate_model

    settings, data = session.config.training, session.dataset
    run = session.run = Run.open(session.run.path)
    with session.reporting_stop(f"after the last epoch; all that was learned is saved in {run.path}"):
        batches = data.evaluation("test", settings.batch_size, limit_batches=settings.limit_batches)
        indices = data.evaluated("test", settings.batch_size, settings.limit_batches)
        with data.faults_as_user_errors(), progress_bar("Scoring test images", len(indices)) as progress:
            evaluation = evaluate_model(run.model, batches, run.labels, indices=indices, progress=progress)
        run.write_json(run.evaluation_path, {"split": "test", "epoch": run.epoch, **evaluation.report()})
        if settings.tensorboard.enabled:
            from convlens.training.tensorboard import write_hyperparameters

            scores = {"test_accuracy": evaluation.accuracy, "test_loss": evaluation.loss}
            write_hyperparameters(run, session.config, scores)
        run.write_facts(finished=True)
    return evaluation


def _report(session: "Session", evaluation: "Evaluation", started: float) -> None:
    """Prints what a person would notice about the training, how well it did and what to do next."""
    from convlens.core.progress import progress_bar
    from convlens.interpret import unit_statistics
    from convlens.interpret.snapshots import first_layer_cosine
    from convlens.models import conv_layers
    from convlens.training.diagnosis import diagnose, outcome_of
    from convlens.training.report import dead_units, summary

    run, data = session.run, session.dataset
    statistics = {}
    if conv_layers(run.model):
        with progress_bar("Looking for dead units", len(data.spread("validation", DEAD_ON))) as progress:
            statistics = unit_statistics(run.model, data.sample("validation", 64, DEAD_ON), progress=progress)
    first_layer = first_layer_cosine(run.model, start_of(run))
    outcome = outcome_of(run, data, evaluation.matrix, *first_layer)
    for line in [*dead_units(run.model, statistics), *diagnose(outcome)]:
        session.warn(line)
    session.console.print(summary(run, evaluation, time.perf_counter() - started))


def start_of(run: Run) -> "Snapshot | None":
    """The untrained network of a run; None where it is not kept, or damaged."""
    from convlens.interpret import unpack_snapshot

    try:
        return unpack_snapshot(run.read_snapshot(run.snapshots[0])) if 0 in run.snapshot_epochs else None
    except UserError:  # kept by an earlier training, and damaged since: that does not undo this one
        return None


def main(words: Sequence[str] | None = None) -> None:
    """The command: what `words`, or the script's command line, ask for."""
    command("train", Train, lambda config: train(config).path, words, summarize=summarize, logged=True)


if __name__ == "__main__":
    main()
