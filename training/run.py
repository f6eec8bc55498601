"""A run folder: all that evaluating, drawing and another person need."""

import contextlib
import csv
import functools
import hashlib
import io
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from convlens.configs import Train
from convlens.configs.plain_yaml import BYTES as CONFIG_BYTES
from convlens.configs.saved import read_config
from convlens.configs.schema import DataLocation
from convlens.core.errors import UserError
from convlens.core.files import (
    atomic_symlink,
    atomic_write,
    full_disk_as_user_error,
    make_folder,
    unfinished_writes,
)
from convlens.core.locks import lock
from convlens.core.plain_json import parse_json
from convlens.core.plain_table import parse_table
from convlens.core.reading import read_regular, refuse_links_outside
from convlens.models.keras_file.archive import FILE_BYTES
from convlens.models.keras_file.other_formats import other_format
from convlens.models.keras_file.reading import has_sum, read_model
from convlens.training.records import Facts, Record, Scores, check
from convlens.training.run_folders import how_to_train, missing_run, new_folder, runs_below
from convlens.training.run_paths import FILES, FOLDERS, RunPaths
from convlens.training.sealed_json import is_sealed, sealed

if TYPE_CHECKING:
    import keras

    from convlens.data import Dataset

FORMAT = 1  # of a run's files, written into its run.json; runs of before there was a number are of format 0
# Bytes that are read of a file. The confusion matrix of 2,000 classes takes 40 MB.
FACTS_BYTES, SCORES_BYTES, LABELS_BYTES, METRICS_BYTES, SNAPSHOT_BYTES = 2**24, 2**26, 2**22, 2**24, 2**28
SCORES, LABELS, LABEL = 5_000_000, 200_000, 4096  # numbers in evaluation.json; classes, and characters of a name


class Run(RunPaths):
    """One training run on disk: what its files hold, read and written; `RunPaths` knows where they lie.

    A run of any earlier format opens; one of a later format is refused wherever something of it is asked for.

    ```python
    run = Run.open("runs/cars/latest")
    run.model, run.labels, run.data, run.metrics
    ```
    """

    @classmethod
    def create(cls, runs_dir: str | os.PathLike, name: str, config: Train) -> "Run":
        """A new folder of its own under `runs_dir/name`, with the configuration in it; `latest` points to it."""
        family = Path(runs_dir) / name
        try:
            family.mkdir(parents=True, exist_ok=True)
            run = cls(new_folder(family, after=next(iter(runs_below(Path(runs_dir))), None)))
        except OSError as error:
            raise UserError(
                f"Cannot make a run folder in {family}: {error.strerror}. Give another runs_dir=."
            ) from None
        run.write_config(config)
        latest = family / "latest"
        # A copy of runs may have a folder there, and some disks have no links: the run goes on without.
        if latest.is_symlink() or not latest.exists():
            with contextlib.suppress(OSError):
                atomic_symlink(latest, run.id)
        return run

    @classmethod
    def open(cls, path: str | os.PathLike, check: bool = True) -> "Run":
        """The run at a run folder, at `runs/<name>/latest`, or the newest one below `runs/<name>`.

        With `check`, a run without a saved model (nothing was learned yet) is refused too, and always one in which a
        file is no regular file, or a link leads out of it: reading and writing in it stays in it. Raises `UserError`.
        """
        path = Path(path)
        if not path.exists():
            raise UserError(missing_run(path))
        if not os.path.lexists(path / "config.yaml"):
            inside = runs_below(path) if path.is_dir() else []
            if not inside:
                if other_format(path):
                    raise UserError(other_format(path))
                raise UserError(f"{path} is not a run: it has no config.yaml. {how_to_train()}")
            path = next((run for run in inside if (run / "model.keras").is_file()), inside[0])
        run = cls(path.resolve() if path.is_symlink() else path)
        refuse_links_outside(run.path)
        run._check_kinds()
        run.config  # noqa: B018  reading it here makes a damaged configuration an error of opening
        if check and not run.model_path.exists():
            raise UserError(
                f"Run {path} has no model.keras: its training ended before the first epoch did. {how_to_train()}"
            )
        return run

    @classmethod
    def newest(cls, runs_dir: str | os.PathLike) -> "Run":
        """The newest run with a saved model anywhere below `runs_dir`. Raises `UserError` when there is none."""
        for path in runs_below(Path(runs_dir)):
            if (path / "model.keras").is_file():
                return cls.open(path)
        raise UserError(f"There is no trained run in {runs_dir}. {how_to_train()}")

    @functools.cached_property
    def config(self) -> Train:
        """The configuration that the run was trained with. It is parsed as data and checked, never instantiated."""
        self.facts  # noqa: B018  a run of a later format may have keys that are unknown here
        content = read_regular(self.config_path, most=CONFIG_BYTES, expected="a configuration of a few kilobytes")
        config = read_config(content, Train, origin=self.config_path)
        self._check_sum(self.config_path, content)
        # Whatever the file says: only what is typed may have a dataset downloaded, rendered or written.
        return config.model_copy(update={"data": config.data.model_copy(update={"prepare": False})})

    @functools.cached_property
    def labels(self) -> tuple[str, ...]:
        """Class names, in the order of the model's logits."""
        self.facts  # noqa: B018  a run of a later format may name them elsewhere
        path = self.labels_path
        if not os.path.lexists(path):
            raise UserError(f"{path} is missing: the run cannot name its classes.")
        content = self._read_summed(path, LABELS_BYTES, "names of classes, one a line")
        lines = content.decode("utf-8", "surrogateescape").split("\n", LABELS + 1)
        if not 1 < len(lines) <= LABELS + 1 or lines[-1] or max(map(len, lines)) > LABEL:
            raise UserError(
                f"{path} is damaged: expected the names of 1 to {LABELS:,} classes, a whole line of at most {LABEL:,} "
                "characters each."
            )
        return tuple(re.sub(r"\\(.)", lambda m: _ESCAPED.get(m[1], m[1]), line) for line in lines[:-1])

    @functools.cached_property
    def model(self) -> "keras.Model":
        """The best model by the monitored metric, not compiled. Raises `UserError`, also for one of other classes."""
        classes = len(self.labels) if os.path.lexists(self.labels_path) else None
        model = read_model(self.model_path, sha256=self.best.get("sha256"))
        if classes is not None and model.output_shape not in _outputs_for(classes):
            raise UserError(
                f"{self.model_path} gives {model.output_shape} where run {self.path} has {classes} classes; "
                f"{self.labels_path} or the model is of another run."
            )
        return model

    @functools.cached_property
    def data(self) -> "Dataset":
        """The dataset that the run was trained on; nothing is prepared for it."""
        return self.open_data()

    @property
    def facts(self) -> dict[str, Any]:
        """What the run depended on (dataset, versions, backend, devices), its best epoch and the format of its files.

        Raises `UserError` for a run of a later format than this version knows.
        """
        return self._read_json(self.facts_path, Facts, FACTS_BYTES)

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
        if before and before.get("sha256") and has_sum(self.model_path, before["sha256"]):
            return before
        return facts.get("best", {})

    @property
    def finished(self) -> bool:
        """Whether the run was trained and evaluated to its end."""
        return self.facts.get("finished", False)

    @property
    def metrics(self) -> list[dict[str, float]]:
        """A row an epoch. Raises `UserError`."""
        path = self.metrics_path
        if not os.path.lexists(path):
            return []
        content = self._read_summed(path, METRICS_BYTES, "a table of numbers")
        try:
            rows = parse_table(content.decode("utf-8", "replace"))
        except UserError as error:
            raise UserError(f"{path} {error}; it is damaged.") from None
        if not all(row.get("epoch", 0) >= 1 and row["epoch"].is_integer() for row in rows):
            raise UserError(f"{path} is damaged: a row is of no epoch.")
        return [{**row, "epoch": int(row["epoch"])} for row in rows]

    @property
    def evaluation(self) -> dict[str, Any]:
        """The last evaluation, as `evaluation.json` holds it; empty before there is one."""
        return self._read_json(self.evaluation_path, Scores, SCORES_BYTES)

    def open_data(self, location: DataLocation = DataLocation()) -> "Dataset":  # noqa: B008  it is frozen
        """The run's dataset, at another place on this machine if `location` names one.

        It is read, and prepared only with `location.prepare`: then where `location` says, or in TFDS' own place. Raises
        `UserError` when it is not there, or when its classes are not the ones that the model learned.
        """
        from convlens.training.run_data import check_image_shape, open_run_data

        dataset = open_run_data(self, location)
        if "model" in self.__dict__:
            check_image_shape(self, dataset)
        return dataset

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

    def read_snapshot(self, path: Path) -> bytes:
        """One of `snapshots`. Raises `UserError`."""
        return read_regular(path, most=SNAPSHOT_BYTES, expected="a snapshot of an epoch")

    def model_bytes(self) -> bytes:
        """The content of the saved model's file. Raises `UserError`."""
        return read_regular(self.model_path, most=FILE_BYTES, expected="a model")

    def keep_architecture(self, file: Path) -> None:
        """Keeps a copy of the network's file, from which training goes on even where that has changed since."""
        content = read_regular(file, most=FILE_BYTES, expected="a model")
        atomic_write(self.architecture_path, content, size=len(content))

    def drop_snapshot(self, epoch: int) -> None:
        self.snapshot_path(epoch).unlink(missing_ok=True)

    def write_snapshot(self, epoch: int, content: bytes) -> None:
        path = self.snapshot_path(epoch)
        make_folder(path.parent)
        atomic_write(path, content)

    def save_model(self, model: "keras.Model", *, epoch: int, **scores: float) -> None:
        """Saves the best model so far, without its optimizer, and the epoch that it comes from."""
        import keras

        # A second Model over the same graph: Keras saves the compile state of a compiled one, and loading it then
        # needs every custom schedule and metric.
        bare = keras.Model(model.inputs, model.outputs, name=model.name)
        previous_best = self.best

        def write(path: Path) -> None:
            bare.save(path)
            # Told before the file has its name: killed in between, the run still knows the model that it has.
            self.write_facts(best={"epoch": epoch, **scores, "sha256": _sha256(path)}, best_before=previous_best)

        # Beside the weights, what describes the layers takes as much as measured on our networks.
        size = 4 * bare.count_params() + 4_000 * len(bare.layers)
        atomic_write(self.model_path, write, size=max(size, _size_of(self.model_path)))
        self.__dict__.pop("model", None)

    def restore_model(self, content: bytes, best: dict[str, Any]) -> None:
        """Puts back the best model of an earlier moment, where training since then has replaced or damaged it."""
        self.write_facts(best=best, best_before=self.best)
        atomic_write(self.model_path, content)
        self.__dict__.pop("model", None)

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
            ours = (self.architecture_path, self.model_path, self.metrics_path, self.facts_path, self.labels_path)
            for path in (*ours, self.path / "snapshots" / "epoch-*.npz"):
                for unfinished in unfinished_writes(path):
                    if unfinished.is_symlink() or not unfinished.is_dir():
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
            with full_disk_as_user_error(self.path):
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

    def check_logs(self) -> None:
        """To be called before an old run is trained in.

        Raises `UserError` for a log that another name stands for, too: what is appended here would be there.
        """
        for name in self.logs():
            if os.stat(self.path / name).st_nlink > 1:
                raise UserError(
                    f"{self.path / name} has more names than this one (hard links), and training adds to it; copy the "
                    "run first, such as with cp -r."
                )

    def _check_kinds(self) -> None:
        for name in FILES:
            if (self.path / name).is_dir():
                raise UserError(f"{self.path / name} is a folder; expected a file of a run.")
        for name in FOLDERS:
            if (self.path / name).exists() and not (self.path / name).is_dir():
                raise UserError(f"{self.path / name} is a file; expected a folder of a run.")
        for path in self.snapshots:
            if path.is_dir():
                raise UserError(f"{path} is not a regular file; expected a snapshot of an epoch.")

    def write_json(self, path: Path, content: dict[str, Any]) -> None:
        """Writes values together with their own SHA-256 sum, so that damage is noticed when they are read."""
        self.write_text(path, sealed(content))

    def write_text(self, path: Path, text: str) -> None:
        atomic_write(path, text)

    def _read_json(self, path: Path, schema: type[Record], most: int) -> dict[str, Any]:
        """A file that `write_json` wrote, judged by its schema; empty before there is one. Raises `UserError`."""
        if not os.path.lexists(path):
            return {}
        raw = read_regular(path, most=most, expected="JSON as a run holds it")
        try:
            content = parse_json(raw, values=SCORES, errors="surrogateescape")
        except UserError as error:
            raise UserError(f"{path} is damaged: it {error}.") from None
        # First of all: a later format may have its sum in another place.
        _check_format(content.get("format", 0), path)
        content.pop("sha256", None)
        if not is_sealed(raw):
            raise UserError(f"{path} is damaged or was edited: its SHA-256 sum is another one.")
        check(schema, content, path)
        return content

    def _write_summed(self, path: Path, text: str) -> None:
        """Writes a file whose SHA-256 sum `run.json` keeps; until it is there, the sum of the one before counts too."""
        content, sums = text.encode("utf-8", "surrogateescape"), self.facts.get("sums", {})
        present = self._sum_there(path)
        # A file that is damaged already stays refused.
        previous_digests = [digest for digest in present if digest in sums.get(path.name, [])]
        self.write_facts(sums={**sums, path.name: [hashlib.sha256(content).hexdigest(), *previous_digests]})
        atomic_write(path, content)

    def _sum_there(self, path: Path) -> list[str]:
        """The SHA-256 sum of a file, if there is one that may be read."""
        try:
            content = read_regular(path, most=METRICS_BYTES, expected="a file of a run")
        except UserError:
            return []
        return [hashlib.sha256(content).hexdigest()]

    def _read_summed(self, path: Path, most: int, expected: str) -> bytes:
        content = read_regular(path, most=most, expected=expected)
        self._check_sum(path, content)
        return content

    def _check_sum(self, path: Path, content: bytes) -> None:
        sums = self.facts.get("sums", {}).get(path.name)
        if sums and hashlib.sha256(content).hexdigest() not in sums:
            raise UserError(f"{path} is damaged or was edited: its SHA-256 sum is not the one in {self.facts_path}.")


def _outputs_for(classes: int) -> list[tuple]:
    """The shapes of what a model may give for so many classes: of two, one number may tell."""
    return [(None, classes), *([(None, 1)] if classes == 2 else [])]


def _check_format(number: Any, path: Path) -> None:
    if type(number) is not int or number < 0:
        raise UserError(f"{path} is damaged: its format is {json.dumps(number)[:40]}, expected a whole number.")
    if number > FORMAT:
        raise UserError(
            f"Run {path.parent} is of format {number}, and this version of convlens reads formats up to {FORMAT}: a "
            "newer version wrote it. Update convlens, or name another run."
        )


_ESCAPED = {"n": "\n", "r": "\r"}


def _size_of(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
