"""One training from its configuration to its saved run: what its steps share, and how it is opened."""

import contextlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

import keras
from rich.console import Console

from convlens.configs import Train
from convlens.configs.schema import DataLocation, Model
from convlens.core.errors import Stopped, UserError, one_line
from convlens.core.program import command_line, word
from convlens.core.quiet import quietly
from convlens.models import build_model, check_model
from convlens.models.from_file import network_from_file
from convlens.training.batches import class_weights, steps_together
from convlens.training.checkpoint import State, checkpoints
from convlens.training.devices import (
    bytes_on_device,
    choose_devices,
    distributed,
    environment,
    keep_compiled,
    make_deterministic,
)
from convlens.training.optimization import build_optimizer
from convlens.training.recipe import explain, open_keys, settle, usual_side
from convlens.training.resume import changes, check_data, extend_run, state_to_resume
from convlens.training.run import Run
from convlens.training.saved_model import model_file
from convlens.training.transfer import freeze_base, initialize_from

if TYPE_CHECKING:
    from convlens.data import DataInfo, Dataset
    from convlens.training.snapshots import Pack
    from convlens.training.tensorboard import Drawings
    from convlens.training.training_data import RunData, TrainingData


@dataclass
class Session:
    """What the steps of one training share; `fit_model` needs the configuration, the run and the data."""

    config: Train  # once the data is open, with a value for every key
    run: Run = None  # type: ignore[assignment]  # a new one is made after its model, which may not fit
    data: "TrainingData" = None  # type: ignore[assignment]  # there is none until `open_data`
    devices: Sequence[str] = ("cpu:0",)  # batches are split over them
    on_device: bool = False  # whether the images, of a `data.Dataset`, are put on the accelerator (JAX)
    is_resumed: bool = False
    start: State | None = None  # the state of an earlier training in this run to go on from
    drawings: "Drawings | None" = None  # how TensorBoard's pictures are drawn; None: without pictures
    pack: "Pack | None" = None  # how snapshots of kernels and maps are packed; None: none are kept
    console: Console = field(default_factory=Console)

    @property
    def dataset(self) -> "Dataset":
        """The data where it is a `data.Dataset`: that of every training but `convlens.fit`'s."""
        return cast("Dataset", self.data)

    @property
    def run_data(self) -> "RunData":
        """The data of a session whose run is made here, as `train` and `convlens.fit` have it made."""
        return cast("RunData", self.data)

    @contextlib.contextmanager
    def on_its_devices(self) -> Iterator[None]:
        """Models built and trained inside lie on the session's devices and compute in its precision."""
        with distributed(list(self.devices)), precision(self.config.training.precision):
            yield

    @contextlib.contextmanager
    def reporting_stop(self, where: str) -> Iterator[None]:
        """Reports where training stopped (`where`, in words) and how to resume, if the block is stopped and has not
        reported it.
        """
        try:
            yield
        except Stopped as stop:
            self.report_stop(stop, where)
            raise

    def report_stop(self, stop: Stopped, where: str) -> None:
        """Prints where training stopped and how to resume, unless that was printed already."""
        if stop.reported:
            return
        by_command = command_line("train", resume=self.run.path)
        by_program = f"convlens.fit(model, ..., ['{word('resume', self.run.path)}'])"
        way = by_program if self.config.data.source == "arrays" else by_command
        line = f"Stopped {where}.\nGo on with: {way}"
        self.console.print(line, highlight=False, markup=False, soft_wrap=True)
        stop.reported = True

    def warn(self, line: str) -> None:
        self.console.print(one_line(line), style="yellow")


@contextlib.contextmanager
def precision(policy: str) -> Iterator[None]:
    """Models built inside the block compute with this dtype policy; models built afterwards do not."""
    previous = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(previous)


def open_session(config: Train, run: Run | None = None) -> Session:
    """Chooses the devices and sets the seeds; `run` is a run to resume.

    Raises `UserError` for devices, options of the optimizer and a place for images that there are not.
    """
    settings = config.training
    if settings.deterministic:
        try:
            make_deterministic(_environment_of(run).get("threads"))
        except RuntimeError:
            line = "training.deterministic=true must come before anything is computed; start Python anew."
            raise UserError(line) from None
    devices = choose_devices(settings.devices, settings.batch_size)
    keep_compiled(devices)
    bytes_on_device(config.data.cache, devices)  # refused where there is no such place
    build_optimizer(settings, steps_per_epoch=1)  # what it does not take is told before data is read
    with quietly():
        keras.utils.set_random_seed(config.seed)  # TensorFlow's too, which is imported for it
    console = Console(highlight=False, markup=False, soft_wrap=True)
    session = Session(config, devices=devices, is_resumed=run is not None, console=console)
    if run is not None:
        session.run = run
    return session


def open_data(session: Session, location: DataLocation | None = None) -> None:
    """Opens the session's dataset, which lies at `location` if one is given, and settles what was left open for it.

    Says what it is and what was chosen. Raises `UserError` where it is not the run's, or where the configuration does
    not fit it.
    """
    config, device = session.config, _kind_of(session.devices)
    data = _opened(session, location)
    session.data, session.config = data, _settled(session, data)
    _check_fit(session)
    session.console.print(one_line(_describe(data.info)))
    if not session.is_resumed and config.data.source == "folder":
        for line in explain(config, session.config, data.info.sizes["train"], data.stored_sizes(), device):
            session.console.print(line)
    images, batch_size = data.info.sizes["train"], session.config.training.batch_size
    if images < batch_size:
        session.console.print(
            f"{images} images to train on are fewer than training.batch_size={batch_size}: every "
            "step is an epoch and sees them all. Add images, or make the batch smaller.",
            style="yellow",
        )
    _place_images(session, data)


def build_session_model(session: Session) -> keras.Model:
    """A new network for the session's data, with the weights of `init_from` where these are asked for.

    To be called before there is a new run: weights that do not fit are no reason for an empty folder.
    """
    config, info = session.config, session.data.info
    given = (info.image_size, info.channels, len(info.classes))
    if config.model.family == "keras":
        network = network_from_file(_kept_network(session), *given, seed=config.seed)
        model = network.model
        for note in [] if session.is_resumed else network.notes:
            session.console.print(one_line(note))
    else:
        model = build_model(config.model, *given, seed=config.seed)
    if config.init_from and not (session.is_resumed and checkpoints(session.run.checkpoints_dir)):
        fresh = initialize_from(model, config.init_from)
        session.console.print(one_line(f"Weights from {config.init_from}; new: {', '.join(fresh) or 'none'}"))
    return model


def open_run(session: Session) -> None:
    """Creates the session's run, or reports what has changed since an earlier run was interrupted."""
    config, data = session.config, session.run_data
    order = {"order of images": "on the device" if session.on_device else f"each drawn from {data.order}"}
    if session.is_resumed:
        for line in changes(order | _environment_of(session.run), environment() | order):
            session.warn(f"Resumed under other conditions: {line}")
        return
    run = session.run = Run.create(config.runs_dir, config.name or config.data.source, config)
    run.write_labels(data.info.classes)
    if config.model.family == "keras" and config.data.source != "arrays":
        run.keep_architecture(model_file(config.model.network_file))
    run.write_facts(dataset=_facts(data, config), environment=environment() | order)
    if not run.is_latest:
        session.warn(f"{run.path.parent / 'latest'} is no link that can lead to this run, and stays what it is.")


@contextlib.contextmanager
def ready_to_fit(session: Session, model: keras.Model) -> Iterator[None]:
    """Inside the block, no other process may train in the run, and `session.start` is the state to resume from."""
    run, settings = session.run, session.config.training
    with run.locked(), session.reporting_stop("before the first step"):
        session.start = state_to_resume(run, settings, session.console.print, _most_in_checkpoint(model))
        if session.is_resumed and settings.epochs > run.config.training.epochs:
            extend_run(run, session.config, session.start)
        if settings.freeze_base:
            freeze_base(model)
        with session.run_data.faults_as_user_errors():
            yield


def _kept_network(session: Session) -> Model:
    """The configuration of a network in a file; of the run's own copy if there is one."""
    model = session.config.model
    kept = session.run.architecture_path if session.is_resumed else model_file(model.network_file)
    return model.model_copy(update={"path": str(kept)})


def _opened(session: Session, location: DataLocation | None) -> "Dataset":
    from convlens.data import open_dataset

    config, device = session.config, _kind_of(session.devices)
    if session.is_resumed:
        data = session.run.open_data(location or DataLocation())
        check_data(session.run, data.fingerprint)
        return data
    chooses_size = "data.image_size" in open_keys(config)
    return open_dataset(config.data, side_of=(lambda sizes: usual_side(sizes, device)) if chooses_size else None)


def _settled(session: Session, data: "Dataset") -> Train:
    """The configuration with a value for every key that depends on the data."""
    config, info = session.config, data.info
    if not session.is_resumed:
        config = settle(config, info.sizes["train"], info.image_size, len(session.devices))
        data.augment_as(config.data.augment)
    if config.data.value_range == "auto":  # other images must mean the same by the same values
        settled_data = config.data.model_copy(update={"value_range": info.value_range and list(info.value_range)})
        config = config.model_copy(update={"data": settled_data})
    return config


def _check_fit(session: Session) -> None:
    """Raises `UserError` where network, weights of classes or steps do not fit the data."""
    settings, model, data = session.config.training, session.config.model, session.data
    info = data.info
    check_model(model, info.image_size, info.channels, len(info.classes))
    if settings.class_weights:
        class_weights(settings, info.classes, data.labels("train"))
    steps_together(
        settings.steps_per_execution, data.steps(settings.batch_size, settings.limit_batches, settings.overfit)
    )


def _place_images(session: Session, data: "Dataset") -> None:
    """Reads the images into their cache, and decides whether they are kept on the accelerator."""
    settings, info = session.config.training, data.info
    pixels = (info.sizes["train"] + info.sizes["validation"]) * math.prod(info.image_size) * info.channels
    needed = pixels * (1 if info.value_range is None else 2)  # bytes a value
    fits = not settings.overfit and needed <= bytes_on_device(session.config.data.cache, list(session.devices))
    if fits or not (settings.limit_batches or settings.overfit):
        data.load()
    session.on_device = fits and data.keeps("train") and data.keeps("validation")


def _kind_of(devices: Sequence[str]) -> str:
    return "cpu" if "cpu" in devices[0] else "gpu"


def _environment_of(run: Run | None) -> dict:
    """The environment of an earlier training; empty if it is unknown."""
    return (run.facts.get("environment") if run else None) or {}


def _most_in_checkpoint(model: keras.Model) -> int:
    """Bytes that the state of training this model may take: an optimizer keeps a few numbers for each weight."""
    return 40 * model.count_params() + 2**26


def _describe(info: "DataInfo") -> str:
    sizes = ", ".join(f"{count:,} {split}" for split, count in info.sizes.items())
    height, width = info.image_size
    return f"{info.name}: {len(info.classes)} classes, {height} x {width} x {info.channels}, {sizes} images"


def _facts(data: "RunData", config: Train) -> dict:
    """What `run.json` records about the dataset."""
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
