"""What a prepared dataset says of itself, judged before TFDS reads it.

TFDS imports whatever class `features.json` names, follows the paths that `dataset_info.json` gives for shards, and
reads both whole, however large. Here they are read within limits, and may name only TFDS' own features and files that
lie beside them. What is refused is refused before TFDS has seen it.
"""

import math
import os
import re
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from google.protobuf import json_format
from tensorflow_datasets.core.proto import dataset_info_pb2, feature_pb2

from convlens.core.errors import UserError
from convlens.core.plain_json import parse_json
from convlens.core.reading import read_regular
from convlens.data.images import MAX_PIXELS
from convlens.data.sources.tfds_names import CONFIG, VERSION

FEATURES, INFO = "features.json", "dataset_info.json"
BYTES = 4 * 1024 * 1024  # of each of these files, and of a list of labels
DEPTH = 64  # of JSON
LEVELS, COUNT = 16, 2_000  # of features in features, and of all of them
CLASSES = 1_000_000
# Of all splits; TFDS makes a few objects of each shard, and its datasets of images have a thousand or two.
SPLITS, SHARDS, RECORDS = 1_000, 5_000, 10**10
ELEMENTS, RANK = 2**31, 8  # of a tensor

_PACKAGE = "tensorflow_datasets.core.features."
_FORMATS = ("", "tfrecord", "riegeli", "array_record", "parquet")
_DTYPES = (
    *("bool", "string", "object", "float16", "float32", "float64", "bfloat16", "complex64", "complex128"),
    *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)),
)
_DATASET = re.compile(r"[a-zA-Z]\w{0,99}", re.ASCII)
# Python fills these in, and would do more for a template that asks for it: attributes, or a width of a gigabyte.
_TEMPLATE = re.compile(r"([\w@=+ .-]|\{(DATASET|SPLIT|FILEFORMAT|SHARD_INDEX|NUM_SHARDS|SHARD_X_OF_Y)\})*", re.ASCII)
_PATH_OR_CONTROL = re.compile(r"[/\\\x00-\x1f\x7f-\x9f]")


class Kind(NamedTuple):
    """A feature that may be described: the field of `Feature` that does it, and the keys of an older description."""

    field: str
    keys: frozenset[str] | None = frozenset()  # None: any key, each of which is a feature


_TENSOR = Kind("tensor", frozenset({"shape", "dtype", "encoding", "minimum", "maximum", "optional"}))
KINDS = {
    "audio_feature.Audio": Kind("audio", frozenset({"shape", "dtype", "file_format", "sample_rate", "lazy_decode"})),
    "bounding_boxes.BBoxFeature": Kind("bounding_box", frozenset({"bbox_format"})),
    "class_label_feature.ClassLabel": Kind("class_label", frozenset({"num_classes", "names"})),
    "dataset_feature.Dataset": Kind("sequence", frozenset({"feature", "length"})),
    "feature.Tensor": _TENSOR,
    "features_dict.FeaturesDict": Kind("features_dict", None),
    "image_feature.Image": Kind("image", frozenset({"shape", "dtype", "encoding_format", "use_colormap"})),
    "labeled_image.LabeledImage": Kind("image"),
    "scalar.Scalar": Kind("tensor"),
    "sequence_feature.Sequence": Kind("sequence", frozenset({"feature", "length"})),
    "tensor_feature.Tensor": _TENSOR,
    "text_feature.Text": Kind("text"),
    "translation_feature.Translation": Kind("translation", frozenset({"languages"})),
    "translation_feature.TranslationVariableLanguages": Kind("translation", frozenset({"languages"})),
    "video_feature.Video": Kind("video", frozenset({"shape", "encoding_format", "ffmpeg_extra_args"})),
}


def check_description(folder: Path) -> None:
    """Raises `UserError`, one line, where TFDS must not read what lies in a folder.

    Every file there has to be a regular one. Of `features.json` and `dataset_info.json`, either may be missing.
    """
    try:
        entries = {entry.name: entry.stat().st_mode for entry in os.scandir(folder) if _leads_somewhere(entry)}
    except OSError as error:
        raise UserError(f"{error.filename or folder} cannot be read: {error.strerror}.") from None
    for name, mode in entries.items():
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
            raise UserError(f"{folder / name} is not a regular file; expected the files of a prepared dataset.")
        if name.endswith(".labels.txt"):
            _read_text(folder / name, "the names of classes")
    if INFO in entries:
        _check_info(folder / INFO)
    if FEATURES in entries:
        _check_features(folder / FEATURES)


def read_json(path: Path, expected: str, *, most: int = BYTES) -> dict[str, Any]:
    """The keys and values of a JSON file, within limits. Raises `UserError`, which says that the file is damaged."""
    return _parse(_read_text(path, expected, most), path)


def _check_info(path: Path) -> None:
    content = read_json(path, "what TFDS writes of a dataset")
    try:
        info = json_format.ParseDict(content, dataset_info_pb2.DatasetInfo())
    except json_format.ParseError as error:
        raise UserError(_damaged(path, error)) from None
    if not _DATASET.fullmatch(info.name) or not VERSION.fullmatch(info.version):
        raise UserError(f"{path} does not describe a dataset: its name is {_short(info.name)}, version "
                        f"{_short(info.version)}.")  # fmt: skip
    if info.config_name and not CONFIG.fullmatch(info.config_name):
        raise UserError(f"{path} has a config_name {_short(info.config_name)} that TFDS would not have written.")
    for name in (info.file_format, *info.alternative_file_formats):
        if name not in _FORMATS:
            raise UserError(f"{path} has a file_format {_short(name)}; expected {', '.join(_FORMATS[1:])}.")
    _check_splits(info.splits, path)
    if info.HasField("features"):
        _Features(path).check(info.features, "features", 1)


def _check_splits(splits: Iterable[dataset_info_pb2.SplitInfo], path: Path) -> None:
    seen: set[str] = set()
    shards = 0
    for split in splits:
        if len(seen) == SPLITS:
            raise UserError(f"{path} has more than {SPLITS:,} splits.")
        if not _is_plain(split.name) or split.name in seen:
            raise UserError(
                f"{path} has a split {_short(split.name)}, which is a path instead of a name, or appears twice."
            )
        seen.add(split.name)
        if not _TEMPLATE.fullmatch(split.filepath_template):
            raise UserError(
                f"{path} has a filepath_template {_short(split.filepath_template)}; expected the name of a file beside "
                "it, such as {DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}."
            )
        lengths = split.shard_lengths
        shards += len(lengths)
        if shards > SHARDS or any(length < 0 for length in lengths) or sum(lengths) > RECORDS:
            raise UserError(f"{path} has a split {_short(split.name)} of impossible shards: {len(lengths):,} of "
                            f"{sum(lengths):,} records, and {shards:,} shards in all splits.")  # fmt: skip


def _check_features(path: Path) -> None:
    content = read_json(path, "what TFDS writes of a dataset's features")
    name = content.get("type", content.get("pythonClassName", content.get("python_class_name")))
    features = _Features(path)
    features.check_json(content, "features", 1)
    if name != f"{_PACKAGE}features_dict.FeaturesDict":
        raise UserError(f"{path} describes {_short(name)}; expected a FeaturesDict, with an image and a label.")


class _Features:
    """Judges the features that a file describes, each with those inside it, and counts them."""

    def __init__(self, path: Path):
        self._path = path
        self._count = 0

    def check_json(self, value: Any, where: str, level: int) -> None:
        """A feature in JSON: of the form that TFDS writes, or of the one that it wrote before version 4.5."""
        if not isinstance(value, dict):
            self._refuse(where, f"is {_short(value)}; expected the description of a feature")
        if "type" not in value:
            self.check(self._message(value, feature_pb2.Feature(), where), where, level)
            return
        kind = self._kind(value["type"], where, level)
        content, message_name = value.get("content"), value.get("proto_cls")
        if not message_name:
            self._check_older(kind, content, where, level)
            return
        field = feature_pb2.Feature.DESCRIPTOR.fields_by_name[kind.field]
        if message_name != field.message_type.full_name:
            self._refuse(where, f"has a content of {_short(message_name)}; expected {field.message_type.full_name}")
        if isinstance(content, str):
            content = _parse(content, self._path)
        feature = feature_pb2.Feature()
        self._message(content, getattr(feature, kind.field), where)
        self._check_content(kind, getattr(feature, kind.field), where, level)

    def check(self, feature: feature_pb2.Feature, where: str, level: int) -> None:
        """A feature as a message, after it was parsed."""
        kind = self._kind(feature.python_class_name, where, level)
        field = feature.WhichOneof("content")
        if field == "json_feature":
            self._check_older(kind, _parse(feature.json_feature.json, self._path), where, level)
        elif field != kind.field:
            self._refuse(where, f"has a content of {_short(field)}; expected {kind.field}")
        else:
            self._check_content(kind, getattr(feature, field), where, level)

    def _check_content(self, kind: Kind, content: Any, where: str, level: int) -> None:
        if kind.field == "features_dict":
            for name, inner in content.features.items():
                self.check(inner, self._inside(where, name), level + 1)
        elif kind.field == "sequence":
            self._check_number("length", content.length, where, -1, ELEMENTS)
            self.check(content.feature, where, level + 1)
        else:
            values = {field.name: value for field, value in content.ListFields()}
            if "shape" in values or kind.field in ("image", "video"):
                values["shape"] = [None if size == -1 else size for size in content.shape.dimensions]
            if "label" in values:
                values["num_classes"] = content.label.num_classes
            self._check_values(kind, values, where)

    def _check_older(self, kind: Kind, content: Any, where: str, level: int) -> None:
        """The content of a feature as keys and values, of which TFDS takes some for arguments of the class."""
        if not isinstance(content, dict):
            self._refuse(where, f"has the content {_short(content)}; expected keys and values")
        if kind.keys is None:
            for name, inner in content.items():
                self.check_json(inner, self._inside(where, name), level + 1)
            return
        for key in content:
            if key not in kind.keys:
                self._refuse(where, f"has a key {_short(key)} that TFDS would not have written")
        if kind.field == "sequence":
            if content.get("length") is not None:
                self._check_number("length", content["length"], where, -1, ELEMENTS)
            self.check_json(content.get("feature"), where, level + 1)
        else:
            self._check_values(kind, content, where)

    def _check_values(self, kind: Kind, values: dict[str, Any], where: str) -> None:
        shape = values.get("shape")
        if shape is not None:
            rank = {"image": (3,), "video": (4,)}.get(kind.field, range(RANK + 1))
            largest = math.isqrt(MAX_PIXELS) * 10 if kind.field in ("image", "video") else ELEMENTS
            if not _is_shape(shape, rank, largest):
                self._refuse(where, f"has the shape {_short(shape)}, which is impossible")
        if "dtype" in values and values["dtype"] not in _DTYPES:
            self._refuse(where, f"has the dtype {_short(values['dtype'])}, which TFDS does not have")
        if values.get("num_classes") is not None:
            self._check_number("num_classes", values["num_classes"], where, 0, CLASSES)
        for name in ("names", "languages"):
            if name in values and not all(isinstance(text, str) for text in _listed(values[name])):
                self._refuse(where, f"has the {name} {_short(values[name])}; expected a list of text")
        if values.get("ffmpeg_extra_args"):
            self._refuse(where, "has arguments for a program, ffmpeg_extra_args")

    def _kind(self, name: Any, where: str, level: int) -> Kind:
        self._count += 1
        if level > LEVELS or self._count > COUNT:
            self._refuse(where, f"is one of more than {COUNT:,} features, or nested deeper than {LEVELS} levels")
        kind = KINDS.get(name.removeprefix(_PACKAGE)) if isinstance(name, str) and name.startswith(_PACKAGE) else None
        if kind is None:
            self._refuse(where, f"is a {_short(name)}, which is not one of the TFDS features that may be read")
        return kind

    def _inside(self, where: str, name: Any) -> str:
        if not name or len(name) > 200 or re.search(r"[\x00-\x1f\x7f-\x9f]", name):
            self._refuse(where, f"holds a feature of the name {_short(name)}")
        return f"{where}.{name}"

    def _check_number(self, name: str, value: Any, where: str, least: int, most: int) -> None:
        if type(value) is not int or not least <= value <= most:
            self._refuse(where, f"has {name} {_short(value)}; expected {least} to {most:,}")

    def _message(self, value: Any, message: Any, where: str) -> Any:
        try:
            return json_format.ParseDict(value, message)
        except (json_format.ParseError, TypeError, AttributeError) as error:
            raise UserError(_damaged(self._path, error)) from None

    def _refuse(self, where: str, reason: str) -> NoReturn:
        raise UserError(f"{self._path}: {where if len(where) <= 200 else where[:200] + '…'} {reason}.")


def _leads_somewhere(entry: os.DirEntry) -> bool:
    """Not a broken link, which stands for a file that is missing."""
    return not entry.is_symlink() or os.path.exists(entry.path)


def _read_text(path: Path, expected: str, most: int = BYTES) -> str:
    try:
        return read_regular(path, most=most, expected=expected).decode("utf-8")
    except UnicodeDecodeError as error:
        raise UserError(_damaged(path, error)) from None


def _parse(text: str, path: Path) -> dict[str, Any]:
    try:
        return parse_json(text.encode("utf-8", "surrogatepass"), depth=DEPTH)
    except UserError as error:
        raise UserError(_damaged(path, f"it {error}")) from None


def _is_plain(name: str) -> bool:
    return 0 < len(name) <= 100 and any(map(str.isalnum, name)) and not _PATH_OR_CONTROL.search(name)


def _is_shape(shape: Any, ranks: Iterable[int], largest: int) -> bool:
    sizes = _listed(shape)
    known = [size for size in sizes if size is not None]
    return (
        len(sizes) in ranks
        and all(type(size) is int and 0 <= size <= largest for size in known)
        and math.prod(known) <= ELEMENTS
    )


def _listed(value: Any) -> list:
    """A list, also of a message; [value] for what is none, which then fits nowhere."""
    return list(value) if not isinstance(value, str | bytes | dict | int | float | None) else [value]


def _damaged(path: Path, reason: object) -> str:
    text = " ".join(str(reason).split())
    return f"{path} is damaged; delete {path.parent} and let it be prepared again ({text[:200]})."


def _short(value: Any) -> str:
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
