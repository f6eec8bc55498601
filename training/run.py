"""A run folder: all that evaluating, drawing and another person need."""

import contextlib
import csv
import functools
import hashlib
import io
import json
import os
import re
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from convlens.configs import Train
from convlens.configs.saved import read_config
from convlens.configs.schema import Where
from convlens.core.errors import UserError, nearest
from convlens.core.files import atomic_symlink, atomic_write, telling_full_disk, unfinished_writes
from convlens.core.locks import lock
from convlens.core.program import command_line, word
from convlens.models.keras_file.reading import read_model

if TYPE_CHECKING:
    import keras

    from convlens.data import Dataset

FORMAT = 1  # of a run's files, written into its run.json; runs of before there was a number are of format 0


class Run:
    """One training run on disk. It alone knows which file lies where in `runs/<name>/<unique id>/`.

    A run of any earlier format opens; one of a later format is refused wherever something of it is asked for.

    ```python
    run = Run.open("runs/cars/latest")
    run.model, run.labels, run.data, run.metrics
    ```
    """

    def __init__(self, path: str | os.PathLike):
        self.path = Path(path)

    @classmethod
    def create(cls, runs_dir: str | os.PathLike, name: str, config: Train) -> "Run":
        """A new folder of its own under `runs_dir/name`, with the configuration in it; `latest` points to it."""
        family = Path(runs_dir) / name
        try:
            family.mkdir(parents=True, exist_ok=True)
            run = cls(_new_folder(family, after=next(iter(_runs_below(Path(runs_dir))), None)))
        except OSError as error:
            raise UserError(
                f"Cannot make a run folder in {family}: {error.strerror}. Give another runs_dir=."
            ) from None
        run.write_config(config)
        atomic_symlink(family / "latest", run.id)
        return run

    @classmethod
    def open(cls, path: str | os.PathLike, check: bool = True) -> "Run":
        """The run at a run folder, at `runs/<name>/latest`, or the newest one below `runs/<name>`.

        With `check`, a run without a saved model (nothing was learned yet) is refused too. Raises `UserError`.
        """
        path = Path(path)
        if not path.exists():
            raise UserError(_missing(path))
        if not (path / "config.yaml").is_file():
            inside = _runs_below(path) if path.is_dir() else []
            if not inside:
                raise UserError(f"{path} is not a run: it has no config.yaml. {_how_to_train()}")
            path = next((run for run in inside if (run / "model.keras").is_file()), inside[0])
        run = cls(path.resolve() if path.is_symlink() else path)
        run.config  # noqa: B018  reading it here makes a damaged configuration an error of opening
        if check and not run.model_path.exists():
            raise UserError(
                f"Run {path} has no model.keras: its training ended before the first epoch did. {_how_to_train()}"
            )
        return run

    @classmethod
    def newest(cls, runs_dir: str | os.PathLike) -> "Run":
        """The newest run with a saved model anywhere below `runs_dir`. Raises `UserError` when there is none."""
        for path in _runs_below(Path(runs_dir)):
            if (path / "model.keras").is_file():
                return cls.open(path)
        raise UserError(f"There is no trained run in {runs_dir}. {_how_to_train()}")

    @property
    def id(self) -> str:
        return self.path.name

    @property
    def name(self) -> str:
        return self.path.absolute().parent.name

    @property
    def runs_dir(self) -> Path:
        """The folder of all runs that this one lies in, as it is to be named from the working folder."""
        above = self.path.absolute().parent.parent
        return above.relative_to(Path.cwd()) if above.is_relative_to(Path.cwd()) else above

    @property
    def config_path(self) -> Path:
        return self.path / "config.yaml"

    @property
    def model_path(self) -> Path:
        return self.path / "model.keras"

    @property
    def labels_path(self) -> Path:
        return self.path / "labels.txt"

    @property
    def facts_path(self) -> Path:
        return self.path / "run.json"

    @property
    def metrics_path(self) -> Path:
        return self.path / "metrics.csv"

    @property
    def evaluation_path(self) -> Path:
        return self.path / "evaluation.json"

    @property
    def log_path(self) -> Path:
        return self.path / "train.log"

    @property
    def tensorboard_dir(self) -> Path:
        return self.path / "tensorboard"

    @property
    def figures_dir(self) -> Path:
        return self.path / "figures"

    @property
    def checkpoints_dir(self) -> Path:
        return self.path / "checkpoints"

    @property
    def projector_dir(self) -> Path:
        """Where TensorBoard looks for the projector's files beside a run's curves."""
        return self.tensorboard_dir / "validation" / "plugins" / "org_tensorflow_tensorboard_projector"

    @property
    def snapshots(self) -> list[Path]:
        """What the network looked like over the epochs, in their order; see `interpret.unpack_snapshot`."""
        return sorted((self.path / "snapshots").glob("epoch-*.npz"))

    @property
    def snapshot_epochs(self) -> list[int]:
        """The epochs of which there are snapshots, in their order; 0 is the untrained network."""
        return [int(path.stem.removeprefix("epoch-")) for path in self.snapshots]

    @functools.cached_property
    def config(self) -> Train:
        """The configuration that the run was trained with. It is parsed as data and checked, never instantiated."""
        self.facts  # noqa: B018  a run of a later format may have keys that are unknown here
        config = read_config(self.config_path, Train)
        self._read_summed(self.config_path)
        # Whatever the file says: only what is typed may have a dataset downloaded, rendered or written.
        return config.model_copy(update={"data": config.data.model_copy(update={"prepare": False})})

    @functools.cached_property
    def labels(self) -> tuple[str, ...]:
        """Class names, in the order of the model's logits."""
        try:
            lines = self._read_summed(self.labels_path).decode("utf-8", "surrogateescape").split("\n")
        except FileNotFoundError:
            raise UserError(f"{self.labels_path} is missing: the run cannot name its classes.") from None
        return tuple(re.sub(r"\\(.)", lambda m: _ESCAPED.get(m[1], m[1]), line) for line in lines[:-1])

    @functools.cached_property
    def model(self) -> "keras.Model":
        """The best model by the monitored metric, not compiled."""
        return read_model(self.model_path, sha256=self.best.get("sha256"))

    @functools.cached_property
    def data(self) -> "Dataset":
        """The dataset that the run was trained on; nothing is prepared for it."""
        return self.open_data()

    @property
    def facts(self) -> dict[str, Any]:
        """What the run depended on (dataset, versions, backend, devices), its best epoch and the format of its files.

        Raises `UserError` for a run of a later format than this version knows.
        """
        return self._read_json(self.facts_path)

    @property
    def epoch(self) -> int | None:
        """The epoch that the saved model comes from, counted from 1; None before the first one."""
        return self.best.get("epoch")

    @property
    def best(self) -> dict[str, Any]:
        """What is known of the saved model: its epoch, its score and its SHA-256 sum; empty before there is one."""
        facts = self.facts
        before = facts.get("best_before")
        # A model gets its name after what is known of it is written, so that it may still be the one before.
        if before and self.model_path.exists() and _sha256(self.model_path) == before.get("sha256"):
            return before
        return facts.get("best", {})

    @property
    def finished(self) -> bool:
        """Whether the run was trained and evaluated to its end."""
        return self.facts.get("finished", False)

    @property
    def metrics(self) -> list[dict[str, float]]:
        """A row an epoch."""
        if not self.metrics_path.exists():
            return []
        table = io.StringIO(self._read_summed(self.metrics_path).decode())
        rows = [{key: float(value) for key, value in row.items()} for row in csv.DictReader(table)]
        return [{**row, "epoch": int(row["epoch"])} for row in rows]

    @property
    def evaluation(self) -> dict[str, Any]:
        """The last evaluation, as `evaluation.json` holds it; empty before there is one."""
        return self._read_json(self.evaluation_path)

    def open_data(self, where: Where = Where()) -> "Dataset":  # noqa: B008  Where is frozen
        """The run's dataset, at another place on this machine if `where` names one.

        It is read, and prepared only with `where.prepare`: then in a place that `where` names, or TFDS' own. Raises
        `UserError` when it is not there, or when its classes are not the ones that the model learned.
        """
        from convlens.data import open_dataset

        moved = {key: value for key, value in where.model_dump().items() if value is not None}
        self._refuse_other_source(moved)
        if where.prepare:
            self._refuse_saved_places(moved)
        dataset = open_dataset(self.config.data.model_copy(update=moved))
        if dataset.info.classes != self.labels:
            raise UserError(
                f"The dataset is not the one that run {self.path} learned: it has {_few(dataset.info.classes)}, "
                f"the run knows {_few(self.labels)}."
            )
        return dataset

    def _refuse_other_source(self, moved: dict[str, Any]) -> None:
        """Raises `UserError` for a place of another kind of data than the run's, which nobody would look at."""
        source = self.config.data.source
        for key in ("root",) if source != "folder" else ("data_dir", "manual_dir"):
            if moved.get(key) is not None:
                right = "data.data_dir" if source != "folder" else "data.root"
                raise UserError(
                    f"{word(f'data.{key}', moved[key])} is not read: run {self.path} learned from {source}, whose "
                    f"place is {right}."
                )

    def _refuse_saved_places(self, moved: dict[str, Any]) -> None:
        """Raises `UserError` where only the saved configuration names a folder that preparing would write or unpack."""
        for key in ("data_dir", "manual_dir"):
            saved = getattr(self.config.data, key)
            if self.config.data.source != "folder" and saved is not None and key not in moved:
                typed = word(f"data.{key}", saved)
                raise UserError(
                    f"data.prepare=true prepares nothing in a place that only the configuration of run {self.path} "
                    f"names. If that is what you want, add {typed}"
                )

    def write_config(self, config: Train) -> None:
        self._write_summed(self.config_path, yaml.safe_dump(config.document(), sort_keys=False))
        self.__dict__.pop("config", None)

    def write_labels(self, labels: tuple[str, ...]) -> None:
        escaped = (label.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r") for label in labels)
        self._write_summed(self.labels_path, "".join(f"{label}\n" for label in escaped))

    def write_metrics(self, rows: list[dict[str, float]]) -> None:
        table = io.StringIO()
        writer = csv.DictWriter(table, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        self._write_summed(self.metrics_path, table.getvalue())

    def write_facts(self, **facts: Any) -> None:
        """Adds facts to `run.json`; one of the same name is replaced.

        The run is of this version's format from here on, as what is written next will be.
        """
        self.write_json(self.facts_path, self.facts | facts | {"format": FORMAT})

    def drop_snapshot(self, epoch: int) -> None:
        self._snapshot_path(epoch).unlink(missing_ok=True)

    def write_snapshot(self, epoch: int, content: bytes) -> None:
        path = self._snapshot_path(epoch)
        path.parent.mkdir(exist_ok=True)
        atomic_write(path, content)

    def _snapshot_path(self, epoch: int) -> Path:
        return self.path / "snapshots" / f"epoch-{epoch:05d}.npz"

    def save_model(self, model: "keras.Model", *, epoch: int, **scores: float) -> None:
        """Saves the best model so far, without its optimizer, and the epoch that it comes from."""
        import keras

        # A second Model over the same graph: Keras saves the compile state of a compiled one, and loading it then
        # needs every custom schedule and metric.
        bare = keras.Model(model.inputs, model.outputs, name=model.name)
        before = self.best

        def write(path: Path) -> None:
            bare.save(path)
            # Told before the file has its name: killed in between, the run still knows the model that it has.
            self.write_facts(best={"epoch": epoch, **scores, "sha256": _sha256(path)}, best_before=before)

        # Beside the weights, what describes the layers takes as much as measured on our networks.
        size = 4 * bare.count_params() + 4_000 * len(bare.layers)
        atomic_write(self.model_path, write, size=max(size, _size_of(self.model_path)))
        self.__dict__.pop("model", None)

    def restore_model(self, content: bytes, best: dict[str, Any]) -> None:
        """Puts back the best model of an earlier moment, where training since then has replaced or damaged it."""
        self.write_facts(best=best, best_before=self.best)
        atomic_write(self.model_path, content)
        self.__dict__.pop("model", None)

    def logs(self) -> dict[str, int]:
        """The files that training only appends to, with their size in bytes."""
        files = [self.log_path, *(self.tensorboard_dir / "train").glob("*"), *self.tensorboard_dir.glob("validation/*")]
        return {str(file.relative_to(self.path)): file.stat().st_size for file in files if file.is_file()}

    def cut_logs(self, sizes: dict[str, int]) -> None:
        """Takes back what was appended to logs since they had these sizes."""
        for name, size in self.logs().items():
            if name not in sizes:
                (self.path / name).unlink()
            elif size > sizes[name]:
                os.truncate(self.path / name, sizes[name])

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps other processes from training in this run at the same time. Raises `UserError` when one does.

        Files that a killed training left unfinished are removed.
        """
        folder = os.open(self.path, os.O_RDONLY)
        try:
            lock(folder)
            # Not evaluation.json: another process may be writing it.
            ours = (self.model_path, self.metrics_path, self.facts_path, self.labels_path)
            for path in (*ours, self.path / "snapshots" / "epoch-*.npz"):
                for unfinished in unfinished_writes(path):
                    unfinished.unlink()
            yield
        except BlockingIOError:
            raise UserError(f"Another process is training run {self.path}; wait until it ends.") from None
        finally:
            os.close(folder)

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Turns what fails inside the block because the disk is full, or the folder is gone, into a `UserError`."""
        try:
            with telling_full_disk(self.path):
                yield
        except Exception:
            self.check_folder()
            raise

    def check_folder(self) -> None:
        """Raises `UserError` where the folder was deleted or moved since training began; it is not to be made anew."""
        if not self.config_path.exists():
            raise UserError(
                f"Run {self.path} is gone: its folder was deleted or moved while it was trained, which ended it."
            ) from None

    def write_json(self, path: Path, content: dict[str, Any]) -> None:
        """Writes values together with their own SHA-256 sum, so that damage is noticed when they are read."""
        self.write_text(path, _dumped(content | {"sha256": _sum_of(content)}))

    def write_text(self, path: Path, text: str) -> None:
        atomic_write(path, text)

    def _read_json(self, path: Path) -> dict[str, Any]:
        try:
            content = json.loads(path.read_text(encoding="utf-8", errors="surrogateescape"))
            # First of all: a later format may have its sum in another place.
            _check_format(content.get("format", 0), path)
            recorded = content.pop("sha256", None)
        except UserError:
            raise
        except FileNotFoundError:
            return {}
        except (ValueError, AttributeError, RecursionError) as error:
            raise UserError(f"{path} is damaged: {error}.") from None
        if recorded != _sum_of(content):
            raise UserError(f"{path} is damaged or was edited: its SHA-256 sum is another one.")
        return content

    def _write_summed(self, path: Path, text: str) -> None:
        """Writes a file whose SHA-256 sum `run.json` keeps; until it is there, the sum of the one before counts too."""
        content, sums = text.encode("utf-8", "surrogateescape"), self.facts.get("sums", {})
        there = [_sha256(path)] if path.exists() else []
        # A file that is damaged already stays refused.
        before = [found for found in there if found in sums.get(path.name, [])]
        self.write_facts(sums={**sums, path.name: [hashlib.sha256(content).hexdigest(), *before]})
        atomic_write(path, content)

    def _read_summed(self, path: Path) -> bytes:
        sums = self.facts.get("sums", {}).get(path.name)
        content = path.read_bytes()
        if sums and hashlib.sha256(content).hexdigest() not in sums:
            raise UserError(f"{path} is damaged or was edited: its SHA-256 sum is not the one in {self.facts_path}.")
        return content


def _check_format(number: Any, path: Path) -> None:
    if type(number) is not int or number < 0:
        raise UserError(f"{path} is damaged: its format is {json.dumps(number)[:40]}, expected a whole number.")
    if number > FORMAT:
        raise UserError(
            f"Run {path.parent} is of format {number}, and this version of convlens reads formats up to {FORMAT}: a "
            "newer version wrote it. Update convlens, or name another run."
        )


def _dumped(content: dict[str, Any]) -> str:
    return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _sum_of(content: dict[str, Any]) -> str:
    return hashlib.sha256(_dumped(content).encode("utf-8", "surrogateescape")).hexdigest()


_ESCAPED = {"n": "\n", "r": "\r"}


def model_file(source: str | os.PathLike) -> Path:
    """The model file of a run, or the file itself. Raises `UserError` where there is none."""
    path = Path(source) if Path(source).suffix in (".keras", ".h5", ".hdf5") else Run.open(source).model_path
    if not path.exists():
        raise UserError(f"Model file {path} does not exist; give a run or a .keras file.")
    return path


def lasting_name(source: str) -> str:
    """A run or a file by a name that goes on meaning it, where `runs/cars/latest` will soon be another run.

    Raises `UserError` where there is no model.
    """
    file = model_file(source)
    return source if file == Path(source) else str(file.parent)


def load_model(source: str | os.PathLike) -> "keras.Model":
    """The model of a run, or in a `.keras` file, not compiled.

    Raises `UserError` where there is no file, `models.ModelError` for one that is damaged, hostile or not a model.
    """
    return read_model(model_file(source))


def _size_of(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _new_folder(family: Path, after: Path | None) -> Path:
    """A folder named by the time, and by a later one than `after`, the newest run: a clock may have been set back."""
    while True:
        # UTC, so that names sort by time all year; the random part keeps runs of one millisecond apart.
        now, newest = datetime.now(UTC), _time_of(after) if after else None
        if newest and newest >= now.replace(microsecond=now.microsecond // 1000 * 1000):
            now = newest + timedelta(milliseconds=1)
        path = family / f"{now:%Y%m%d-%H%M%S}-{now.microsecond // 1000:03d}-{secrets.token_hex(3)}"
        try:
            path.mkdir()
            return path
        except FileExistsError:
            continue


def _time_of(run: Path) -> datetime | None:
    """When a run was begun, by its name; None for a folder of another name, such as one that was renamed."""
    named = re.fullmatch(r"(\d{8}-\d{6})-(\d{3})-[0-9a-f]{6}", run.name)
    try:
        return datetime.strptime(f"{named[1]}{named[2]}000+0000", "%Y%m%d-%H%M%S%f%z") if named else None
    except ValueError:
        return None


def _runs_below(folder: Path) -> list[Path]:
    """Run folders in `runs/` or in `runs/<name>/`, newest first: that to which `latest` leads is newest of its family.

    Those that were renamed come last, since nothing says when they were made.
    """
    runs = {config.parent for config in [*folder.glob("*/config.yaml"), *folder.glob("*/*/config.yaml")]}
    # A process that was killed may have left the link `latest` under a hidden name.
    named = [run for run in runs if run.name != "latest" and not run.name.startswith(".")]
    times = {run: (_time_of(run) is not None, run.name) for run in named}
    families: dict[Path, tuple] = {}
    for run in named:
        families[run.parent] = max(times[run], families.get(run.parent, times[run]))
    latest = {run for run in named if _is_latest(run)}
    return sorted(named, key=lambda run: (families[run.parent], 1) if run in latest else (times[run], 0), reverse=True)


def _is_latest(run: Path) -> bool:
    link = run.parent / "latest"
    return link.is_symlink() and os.readlink(link) == run.name


def _missing(path: Path) -> str:
    """The line for a run that does not exist: the nearest run, or how to train one."""
    runs = [run for parent in path.parents[:2] if parent.is_dir() for run in _runs_below(parent)]
    if not runs:
        return f"Run {path} does not exist. {_how_to_train()}"
    latest = {run.parent / "latest" for run in runs}
    known = [str(run) for run in runs] + [str(link) for link in latest if link.exists()]
    guess = nearest(str(path), known) or known[0]
    return f"Run {path} does not exist. Did you mean '{guess}'?"


def _how_to_train() -> str:
    return f"Train one with: {command_line('train', experiment='cars')}"


def _few(names: tuple[str, ...]) -> str:
    shown = ", ".join(names[:5])
    return f"{len(names)} classes ({shown}{', ...' if len(names) > 5 else ''})"
