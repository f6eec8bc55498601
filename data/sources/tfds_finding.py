"""Finding a dataset that TFDS knows by name, one that was prepared earlier, or the embedded one. Nothing is written.

TFDS' own search ends in builders that read what they find as they are made. Here the folder comes first and is judged
by `check_description`; the builder is made afterwards.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import tensorflow_datasets as tfds
from tensorflow_datasets.core.utils import file_utils

from convlens.configs import Data
from convlens.core.errors import UserError, unknown
from convlens.data.sources.tfds_description import FEATURES, INFO, check_description, read_json
from convlens.data.sources.tfds_names import CONFIG, VERSION, DatasetName, parse_name, unknown_name
from convlens.data.sources.tfds_shards import one_line_reason


@dataclass(frozen=True)
class NamedDataset:
    """A dataset with a name, prepared or not.

    Attributes:
        name: as TFDS has it: dataset, configuration if any, version.
        data_dir: the folder in which TFDS keeps its datasets.
        folder: where this one lies, or would lie.
        given: what the user calls it, for errors.
        make_builder: reads what lies in the folder.
    """

    name: str
    data_dir: Path
    folder: Path
    given: str
    make_builder: Callable[[], tfds.core.DatasetBuilder]

    def is_prepared(self) -> bool:
        """Whether there is a list of what was prepared."""
        return (self.folder / INFO).exists()

    def open(self) -> tfds.core.DatasetBuilder:
        """Its builder, once the folder was judged. Raises `UserError` where it cannot be made, or must not."""
        if self.folder.is_dir():
            check_description(self.folder)
        try:
            return self.make_builder()
        except Exception as error:  # it interprets what others have written, which may fail in any way
            raise UserError(f"{self.given} cannot be opened: {one_line_reason(error)}.") from error


def rendered_cars(config: Data) -> NamedDataset:
    """The embedded dataset; its configurations are sizes and a two-class labelling."""
    from convlens.data.rendered_cars import RenderedCars

    name = config.name or "64"
    if name not in RenderedCars.builder_configs:
        raise UserError(unknown("rendered_cars configuration in data.name", name, RenderedCars.builder_configs))
    return _of_class(RenderedCars, DatasetName("rendered_cars", name, None), _data_dir(config), "data=rendered_cars")


def named(config: Data) -> NamedDataset:
    """The dataset `data.name`, from TFDS' own list or prepared earlier in `data.data_dir`.

    Raises `UserError` where there is none.
    """
    name, data_dir, given = parse_name(config.tfds_name), _data_dir(config), f"data.name={config.name}"
    name = name._replace(name=tfds.core.naming.camelcase_to_snakecase(name.name))
    try:
        code = tfds.core.registered.imported_builder_cls(name.name)
    except tfds.core.registered.DatasetNotFoundError:
        code = None
    except Exception as error:  # TFDS' own code for this dataset may need what is not installed
        raise UserError(f"{given} cannot be opened: {one_line_reason(error)}.") from error
    # As TFDS has it: files count where there is no code, or where the code may not know what was asked for.
    if code is None or name.version or (name.config and name.config not in code.builder_configs):
        default = code.default_builder_config.name if code and code.default_builder_config else None
        prepared = _prepared(name, default, data_dir, given)
        if prepared:
            return prepared
    if code is None:
        known = tfds.list_builders(with_community_datasets=False)
        raise UserError(
            unknown_name(config.tfds_name, known, Path(data_dir or tfds.core.constants.DATA_DIR).expanduser())
        )
    return _of_class(code, name, data_dir, given)


def _of_class(code: Any, name: DatasetName, data_dir: Path | None, given: str) -> NamedDataset:
    """A dataset for which there is code, a class of TFDS, in the version that the code makes."""
    bare = code.__new__(code)  # without its constructor, which would read the folder
    try:
        bare._builder_config = bare._create_builder_config(name.config, version=name.version)
        bare._version = bare._pick_version(name.version)
        root, folder = (Path(path).expanduser() for path in bare._build_data_dir(data_dir))
    except (ValueError, AssertionError) as error:  # no such configuration or version
        raise UserError(f"{given} cannot be opened: {one_line_reason(error)}.") from None

    options = {key: value for key, value in (("config", name.config), ("version", name.version)) if value}
    make_builder = partial(code, data_dir=data_dir, **options)
    return NamedDataset(folder.relative_to(root).as_posix(), root, folder, given, make_builder)


def _prepared(name: DatasetName, default: str | None, data_dir: Path | None, given: str) -> NamedDataset | None:
    """The newest version that was prepared, of those that are asked for; None where there is none."""
    for root in map(Path, file_utils.list_data_dirs(data_dir)):
        dataset = root / name.name
        for config in dict.fromkeys((name.config,) if name.config else (None, default, _default_config(dataset))):
            versions = list(_versions(dataset / config if config else dataset, name.version))
            if versions:
                folder = max(versions, key=lambda version: [int(number) for number in version.name.split(".")])
                make_builder = partial(tfds.builder_from_directory, folder)
                return NamedDataset(folder.relative_to(root).as_posix(), root, folder, given, make_builder)
    return None


def _versions(folder: Path, wanted: str | None) -> Iterator[Path]:
    """The folders of a dataset's versions that were prepared and are of the wanted numbers."""
    numbers = wanted.split(".") if wanted else ["*"] * 3
    for path in folder.iterdir() if folder.is_dir() else ():
        fits = all(mine in ("*", its) for mine, its in zip(numbers, path.name.split("."), strict=False))
        if VERSION.fullmatch(path.name) and fits and (path / FEATURES).exists():
            yield path


def _default_config(dataset: Path) -> str | None:
    """The configuration that is meant where none is named, as TFDS noted it when it prepared the dataset."""
    path = dataset / ".config" / "metadata.json"
    if not path.exists():
        return None
    config = read_json(path, "what TFDS notes of configurations", most=65536).get("default_config_name")
    if config is not None and not (isinstance(config, str) and CONFIG.fullmatch(config)):
        raise UserError(f"{path} has a default_config_name that TFDS would not have written.")
    return config


def _data_dir(config: Data) -> Path | None:
    if config.data_dir is None:
        return None
    data_dir = Path(config.data_dir).expanduser()
    if data_dir.exists() and not data_dir.is_dir():
        raise UserError(f"data.data_dir={data_dir} is not a folder; give the one where TFDS keeps prepared datasets.")
    return data_dir
