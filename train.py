"""Trains a network: compose -> data -> model -> fit -> evaluate -> save a run."""

if __name__ == "__main__":
    from convlens.core.stopping import begin

    begin()  # before all other imports, in whose seconds Ctrl-C may come too

import contextlib
import math
import time
from collections.abc import Iterator, Sequence

from convlens.configs import Train
from convlens.configs.cli import command, prepare
from convlens.configs.composition import compose
from convlens.configs.schema import Where
from convlens.core.errors import Stopped, UserError, one_line
from convlens.core.program import command_line, tool_line, word
from convlens.core.quiet import quietly
from convlens.core.stopping import stopping_at_once
from convlens.core.streams import lasting_streams
from convlens.data import check_address
from convlens.models import check_model
from convlens.training import Run
from convlens.training.checks import check_choices
from convlens.training.recipe import explain, open_keys, settle, usual_side
from convlens.training.resume import (
    changes,
    check_data,
    check_folder,
    check_request,
    lengthen,
    state_to_go_on_from,
    why_not_longer,
)
from convlens.training.run import lasting_name
from convlens.training.sweep import duration, summarize

DEAD_ON = 500  # images on which a unit must be zero to be called dead
MANY_DEAD = 0.2  # share of a layer's units that is worth a warning


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
        return _resume(config)
    check_choices(config)
    if config.init_from:  # the new run may be the next `latest`
        config = config.model_copy(update={"init_from": lasting_name(config.init_from)})
    check_address(config.data)
    if config.data.image_size and "model.filters" not in open_keys(config):
        check_model(config.model, config.data.image_size, config.data.channels or 3, classes=2)
    return _train(config)


def _resume(config: Train) -> Run:
    run = Run.open(config.resume, check=False)
    goes_on = check_request(config, run)
    if run.finished and goes_on == run.config:
        print(f"Run {run.path} is finished; its best epoch is {run.epoch}. {_how_to_go_on(run)}")
        return run
    check_folder(run)
    data = config.data
    moved = Where(root=data.root, data_dir=data.data_dir, manual_dir=data.manual_dir, prepare=data.prepare is True)
    return _train(goes_on, run, moved)


def _how_to_go_on(run: Run) -> str:
    new = f"For a new run from its weights: {word('init_from', run.path)}"
    stopped_early = len(run.metrics) < run.config.training.epochs
    if stopped_early or why_not_longer(run.config):
        return new
    more = command_line("train", resume=run.path, **{"training.epochs": 2 * run.config.training.epochs})
    return f"For more epochs: {more}. {new}"


def _train(config: Train, run: Run | None = None, moved: Where | None = None) -> Run:
    """`run` is one to go on with, whose data lies where `moved` says."""
    with stopping_at_once(), lasting_streams():
        return _trained(config, run, moved)


def _trained(config: Train, run: Run | None, moved: Where | None) -> Run:
    start = time.perf_counter()
    with quietly():
        import keras
        from rich.console import Console

        from convlens.core.progress import progress_bar
        from convlens.data import open_dataset
        from convlens.interpret import pack_snapshot
        from convlens.models import build_model
        from convlens.training import evaluate_model, fit_model
        from convlens.training.checkpoint import checkpoints
        from convlens.training.devices import (
            choose_devices,
            distributed,
            environment,
            keep_compiled,
            make_deterministic,
            room_on_device,
        )
        from convlens.training.fit import class_weights, precision, steps_together
        from convlens.training.optimization import build_optimizer
        from convlens.training.transfer import freeze_base, initialize_from

    console = Console(highlight=False, markup=False, soft_wrap=True)
    settings, is_resumed = config.training, run is not None
    before = (run.facts.get("environment") if run else None) or {}
    if settings.deterministic:
        try:
            make_deterministic(before.get("threads"))
        except RuntimeError:
            line = "training.deterministic=true must come before anything is computed; start Python anew."
            raise UserError(line) from None
    devices = choose_devices(settings.devices, settings.batch_size)
    keep_compiled(devices)
    room = room_on_device(config.data.cache, devices)
    build_optimizer(settings, steps_per_epoch=1)  # what it does not take is told before data is read
    with quietly():
        keras.utils.set_random_seed(config.seed)  # TensorFlow's too, which is imported for it

    device = "cpu" if "cpu" in devices[0] else "gpu"
    side_of = (lambda sizes: usual_side(sizes, device)) if "data.image_size" in open_keys(config) else None
    data = run.open_data(moved) if run else open_dataset(config.data, side_of=side_of)
    info, asked = data.info, config
    if run:
        check_data(run, data.fingerprint)
    else:
        config = settle(config, info.sizes["train"], info.image_size, len(devices))
        settings = config.training
        data.augment_as(config.data.augment)
    if config.data.value_range == "auto":  # other images must mean the same by the same values
        kept = config.data.model_copy(update={"value_range": list(info.value_range)})
        config = config.model_copy(update={"data": kept})
    check_model(config.model, info.image_size, info.channels, len(info.classes))
    if settings.class_weights:
        class_weights(settings, info.classes, data.labels("train"))
    steps = data.steps(settings.batch_size, settings.limit_batches, settings.overfit)
    steps_together(settings.steps_per_execution, steps)
    console.print(one_line(_describe(info)))
    if not run and config.data.source == "folder":
        for line in explain(asked, config, info.sizes["train"], data.stored_sizes(), device):
            console.print(line)
    if info.sizes["train"] < settings.batch_size:
        console.print(
            f"{info.sizes['train']} images to train on are fewer than training.batch_size={settings.batch_size}: every "
            "step is an epoch and sees them all. Add images, or make the batch smaller.",
            style="yellow",
        )
    needed = (info.sizes["train"] + info.sizes["validation"]) * math.prod(info.image_size) * info.channels
    needed *= 1 if info.value_range is None else 2  # bytes a value
    on_device = not settings.overfit and needed <= room
    if on_device or not (settings.limit_batches or settings.overfit):
        data.load()
    on_device = on_device and data.keeps("train") and data.keeps("validation")
    order = {"order of images": "on the device" if on_device else f"each drawn from {data.order}"}

    with distributed(devices), precision(settings.precision):
        model = build_model(config.model, info.image_size, info.channels, len(info.classes), seed=config.seed)
        if config.init_from and not (run and checkpoints(run.checkpoints_dir)):
            # Before there is a run: weights that do not fit are no reason for an empty folder.
            fresh = initialize_from(model, config.init_from)
            console.print(one_line(f"Weights from {config.init_from}; new: {', '.join(fresh) or 'none'}"))
        if run:
            for line in changes(order | before, environment() | order):
                console.print(one_line(f"Resumed under other conditions: {line}"), style="yellow")
        else:
            run = Run.create(config.runs_dir, config.name or config.data.source, config)
            run.write_labels(info.classes)
            run.write_facts(dataset=_facts(data, config), environment=environment() | order)
            if not run.is_latest:
                line = f"{run.path.parent / 'latest'} is no link that can lead to this run, and stays what it is."
                console.print(one_line(line), style="yellow")
        with run.locked(), _telling_stop(run, "before the first step", console):
            state = state_to_go_on_from(run, settings, console.print, _most_in_checkpoint(model))
            if is_resumed and settings.epochs > run.config.training.epochs:
                lengthen(run, config, state)
            if settings.freeze_base:
                freeze_base(model)
            with data.telling_faults():
                fit_model(
                    run,
                    model,
                    data,
                    config,
                    drawings=_drawings(settings),
                    pack=pack_snapshot,
                    devices=len(devices),
                    on_device=on_device,
                    start=state,
                    console=console,
                )

    run = Run.open(run.path)
    with _telling_stop(run, f"after the last epoch; all that was learned is saved in {run.path}", console):
        batches = data.evaluation("test", settings.batch_size, limit_batches=settings.limit_batches)
        indices = data.evaluated("test", settings.batch_size, settings.limit_batches)
        with data.telling_faults(), progress_bar("Scoring test images", len(indices)) as progress:
            evaluation = evaluate_model(run.model, batches, run.labels, indices=indices, progress=progress)
        run.write_json(run.evaluation_path, {"split": "test", "epoch": run.epoch, **evaluation.report()})
        _write_hyperparameters(run, config, evaluation)
        run.write_facts(finished=True)

    for line in [*_dead_units(run, data), *_noticed(run, data, evaluation)]:
        console.print(one_line(line), style="yellow")
    kept = "last" if settings.keep == "last" and run.epoch == settings.epochs else "best"
    console.print(
        f"\nTest accuracy {evaluation.accuracy:.4f} on {evaluation.images:,} images, {kept} epoch {run.epoch}, "
        f"{duration(time.perf_counter() - start)} in all\n"
        f"Run {run.path}\n\n"
        f"Next\n"
        f"  {tool_line('tensorboard', 'tensorboard.main', '--logdir', str(run.runs_dir))}\n"
        f"  {command_line('evaluate', run=run.path)}\n"
        f"  {command_line('visualize', run=run.path)}"
    )
    return run


@contextlib.contextmanager
def _telling_stop(run: Run, where: str, console) -> Iterator[None]:
    """Where a stop inside the block has not said yet how to go on, it is said here."""
    from convlens.training.fit import tell_stop

    try:
        yield
    except Stopped as stop:
        tell_stop(run, stop, where, console)
        raise


def _most_in_checkpoint(model) -> int:
    """Bytes that the state of training this model may take: an optimizer keeps a few numbers for each weight."""
    return 40 * model.count_params() + 2**26


def _dead_units(run: Run, data) -> list[str]:
    """A line for each layer of whose units many are zero wherever they look."""
    from convlens.core.progress import progress_bar
    from convlens.interpret import StatisticsCollector, unit_pass

    count = len(data.spread("validation", DEAD_ON))
    with progress_bar("Looking for dead units", count) as progress:
        batches = data.sample("validation", 64, DEAD_ON)
        (statistics,) = unit_pass(run.model, batches, collectors=[StatisticsCollector()], progress=progress)
    frozen = {layer.name for layer in run.model.layers if not layer.trainable}  # no rate would change them
    counted = {layer: (int(found.dead.sum()), len(found.dead), found.images) for layer, found in statistics.items()}
    return [
        f"{dead} of {units} units of {layer} are dead: zero on all of {images:,} validation images. "
        f"A lower training.optimizer.learning_rate keeps more alive; figures=unit_statistics shows which."
        for layer, (dead, units, images) in counted.items()
        if layer not in frozen and dead >= MANY_DEAD * units
    ]


def _noticed(run: Run, data, evaluation) -> list[str]:
    """A line for each of the most important things that a person would notice of the training."""
    from convlens.training.diagnosis import diagnose, outcome_of

    return diagnose(outcome_of(run, data, evaluation.matrix, *_first_layer(run)))


def _first_layer(run: Run) -> tuple[str, float | None]:
    """The first convolution that was trained, and how alike its kernels are to their start, the median of the cosines;
    None where their start is not kept."""
    import numpy as np

    from convlens.interpret import cosine_with_start, unpack_snapshot
    from convlens.models import conv_layers

    trained = {layer.name for layer in run.model.layers if layer.trainable}
    first = next((info for info in conv_layers(run.model) if info.name in trained), None)
    if first is None or 0 not in run.snapshot_epochs:
        return "", None
    try:
        start = unpack_snapshot(run.read_snapshot(run.snapshots[0])).kernels.get(first.name)
        cosines = np.array([]) if start is None else cosine_with_start(first.kernel, start)
    except UserError:  # kept by an earlier training, and damaged since: that does not undo this one
        cosines = np.array([])
    known = cosines[np.isfinite(cosines)]
    return first.name, float(np.median(known)) if len(known) else None


def _describe(info) -> str:
    sizes = ", ".join(f"{count:,} {split}" for split, count in info.sizes.items())
    height, width = info.image_size
    return f"{info.name}: {len(info.classes)} classes, {height} x {width} x {info.channels}, {sizes} images"


def _facts(data, config: Train) -> dict:
    info = data.info
    # Where the folder came out of the environment, its path stays there.
    root, written = config.data.root or "", config.document()["data"]["root"] or ""
    return {
        "name": info.name if root == written else config.data.source,
        "fingerprint": data.fingerprint,
        "image_size": list(info.image_size),
        "channels": info.channels,
        "sizes": info.sizes,
        "skipped": [line.replace(root, written) if root else line for line in info.skipped],
    }


def _drawings(settings):
    if not settings.tensorboard.enabled:
        return None
    from convlens.training.tensorboard import Drawings
    from convlens.visualization import confusion_matrix_figure, kernel_tiles, map_tiles

    return Drawings(kernels=kernel_tiles, maps=map_tiles, confusion=confusion_matrix_figure)


def _write_hyperparameters(run, config: Train, evaluation) -> None:
    if config.training.tensorboard.enabled:
        from convlens.training.tensorboard import write_hyperparameters

        write_hyperparameters(run, config, {"test_accuracy": evaluation.accuracy, "test_loss": evaluation.loss})


def main(words: Sequence[str] | None = None) -> None:
    """The command: what `words`, or the script's command line, ask for."""
    command("train", Train, lambda config: train(config).path, words, summarize=summarize, logged=True)


if __name__ == "__main__":
    main()
