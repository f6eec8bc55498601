"""Which source a configuration names: the embedded dataset, a TFDS name, or a folder of photos."""

from convlens.configs import Data
from convlens.core.errors import UserError
from convlens.core.quiet import quietly
from convlens.data.base import Source
from convlens.data.sources.tfds_names import check_name, parse_name


def check_address(config: Data) -> None:
    """Raises `UserError` for an address where the source cannot find images; imports nothing heavy, reads no image."""
    if config.source == "folder":
        from convlens.data.sources.folder import check_root

        check_root(config.image_root)
    if config.source == "tfds":
        check_name(config)


def open_source(config: Data, progress: bool) -> Source:
    """Opens the source that a configuration names; it is prepared on first use, and every image is checked.

    Nothing is prepared if `data.prepare` is false. Raises `UserError` for a mistake that the user can correct.
    """
    if config.source == "folder":
        from convlens.data.sources.folder import FolderSource

        return FolderSource(config, progress)
    if config.source == "arrays":
        raise UserError("data.source=arrays are arrays that a program gave to convlens.fit; nothing here holds them.")
    if config.source == "tfds":
        parse_name(config.tfds_name)
    with quietly():
        from convlens.data.sources.tfds import TfdsSource
        from convlens.data.sources.tfds_finding import named, rendered_cars
        from convlens.data.sources.tfds_preparation import prepare

    find = {"rendered_cars": rendered_cars, "tfds": named}[config.source]
    return TfdsSource(prepare(find, config, progress), config, progress)
