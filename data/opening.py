"""Where images come from: the embedded dataset, a TFDS name, or a folder of photos."""

from convlens.configs import Data
from convlens.core.errors import UserError
from convlens.core.progress import tell
from convlens.core.quiet import quietly
from convlens.data.dataset import Dataset


def open_dataset(config: Data, *, progress: bool = True) -> Dataset:
    """The dataset that a configuration describes, found, prepared on first use, and its labels read.

    Args:
        progress: show bars while preparing and reading, and say on stderr what was decided for the user.

    Raises:
        UserError: anything that the user can mend: names, folders, classes, splits, damaged files.
    """
    source = _open_source(config, progress)
    dataset = Dataset(source, config, progress)
    _refuse_unsuited_augmentation(config, dataset.info.channels)
    if progress:
        for note in source.notes:
            tell(note)
    return dataset


def _open_source(config: Data, progress: bool):
    if config.source == "folder":
        from convlens.data.sources.folder import FolderSource

        return FolderSource(config, progress)
    with quietly():
        from convlens.data.sources.tfds import TfdsSource
        from convlens.data.sources.tfds_preparation import named_builder, prepare, rendered_cars_builder

    make_builder = {"rendered_cars": rendered_cars_builder, "tfds": named_builder}[config.source]
    return TfdsSource(prepare(lambda: make_builder(config), config, progress), config, progress)


def _refuse_unsuited_augmentation(config: Data, channels: int) -> None:
    if channels == 3:
        return
    for name in ("saturation", "hue", "rand_augment"):
        if getattr(config.augment, name):
            raise UserError(
                f"data.augment.{name} works on colours but the images are grey; set it to 0, or data.channels to 3."
            )
