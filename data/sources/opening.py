"""Which source a configuration names: the embedded dataset, a TFDS name, or a folder of photos."""

from convlens.configs import Data
from convlens.core.errors import UserError
from convlens.core.quiet import quietly
from convlens.data.base import Source
from convlens.data.sources.tfds_names import parse_name


def open_source(config: Data, progress: bool) -> Source:
    """The source that a configuration names, found, prepared on first use, and every image of it looked at.

    Nothing is prepared where `data.prepare` is false. Raises `UserError` for anything that the user can mend.
    """
    if config.source == "folder":
        from convlens.data.sources.folder import FolderSource

        return FolderSource(config, progress)
    if config.source == "arrays":
        raise UserError("data.source=arrays are arrays that a program gave to convlens.fit; nothing here holds them.")
    if config.source == "tfds":
        parse_name(config.name)
    with quietly():
        from convlens.data.sources.tfds import TfdsSource
        from convlens.data.sources.tfds_finding import named, rendered_cars
        from convlens.data.sources.tfds_preparation import prepare

    find = {"rendered_cars": rendered_cars, "tfds": named}[config.source]
    return TfdsSource(prepare(find, config, progress), config, progress)
