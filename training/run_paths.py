"""What lies where in the folder of a run, `runs/<name>/<unique id>`."""

import os
import re
from pathlib import Path

FILES = (
    "config.yaml",
    "architecture.keras",
    "model.keras",
    "labels.txt",
    "metrics.csv",
    "evaluation.json",
    "run.json",
    "train.log",
)
FOLDERS = (
    *("checkpoints", "snapshots", "figures", "exports", "tensorboard"),
    *(f"tensorboard/{split}" for split in ("train", "validation", "test")),
)
_SNAPSHOT = re.compile(r"epoch-[0-9]{5,12}\.npz")


class RunPaths:
    """The paths in a run's folder. Nothing else in this project builds one."""

    def __init__(self, path: str | os.PathLike):
        self.path = Path(path)

    @property
    def is_latest(self) -> bool:
        """Whether `latest` leads to this run: it does not where that is a folder of its own."""
        return (self.path.parent / "latest").resolve() == self.path.resolve()

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
    def architecture_path(self) -> Path:
        """The file of a network that was trained with `model=keras`, as it was given; other runs have none."""
        return self.path / "architecture.keras"

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
        """What the network looked like over the epochs, in their order; see `interpret.unpack_snapshot`.

        Files of other names beside them, such as copies, are none.
        """
        files = (self.path / "snapshots").glob("epoch-*.npz")
        return sorted((file for file in files if _SNAPSHOT.fullmatch(file.name)), key=_epoch_of)

    @property
    def snapshot_epochs(self) -> list[int]:
        """The epochs of which there are snapshots, in their order; 0 is the untrained network."""
        return [_epoch_of(path) for path in self.snapshots]

    def snapshot_path(self, epoch: int) -> Path:
        return self.path / "snapshots" / f"epoch-{epoch:05d}.npz"

    def logs(self) -> dict[str, int]:
        """The files that training only appends to, with their size in bytes."""
        files = [self.log_path, *(self.tensorboard_dir / "train").glob("*"), *self.tensorboard_dir.glob("validation/*")]
        return {str(file.relative_to(self.path)): file.stat().st_size for file in files if file.is_file()}


def _epoch_of(snapshot: Path) -> int:
    return int(snapshot.stem.removeprefix("epoch-"))
