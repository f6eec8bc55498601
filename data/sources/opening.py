"""Which source a configuration names: the embedded dataset, a TFDS name, or a folder of photos."""

from convlens.configs import Data
from convlens.core.quiet import quietly
from convlens.data.base import Source


def open_source(config: Data, progress: bool) -> Source:
    """The source that a configuration names, found, prepared on first use, and every image of it looked at.

    Raises `UserError` for anything that the user can mend.
    """
    if config.source == "folder":
        from convlens.data.sources.folder import FolderSource

        return FolderSource(config, progress)
    with quietly():
        from convlens.data.sources.tfds import TfdsSource
        from convlens.data.sources.tfds_preparation import named_builder, prepare, rendered_cars_builder

    make_builder = {"rendered_cars": rendered_cars_builder, "tfds": named_builder}[config.source]
    return TfdsSource(prepare(lambda: make_builder(config), config, progress), config, progress)
