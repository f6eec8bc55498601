"""What the JSON files of a run may say: the types of what is read from them, and ranges where a number costs memory.

Keys that are unknown here stay: another version may have written them, and nothing reads them.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from convlens.core.errors import UserError

Sum = Annotated[str, Field(pattern=r"\A[0-9a-fA-F]{64}\z")]
Count = Annotated[int, Field(ge=0, lt=10**12)]
Epoch = Annotated[int, Field(ge=1, lt=10**9)]
Share = Annotated[float, Field(ge=0, le=1)]
TEXT = 4096  # characters


def _text(value: Any) -> Any:
    # Not pydantic's: a class may be named after a folder whose bytes are no text.
    if not isinstance(value, str) or len(value) > TEXT:
        raise ValueError(f"Input should be a text of at most {TEXT:,} characters")
    return value


def _scalar(value: Any) -> Any:
    return _text(value) if not isinstance(value, bool | int | float | None) else value


def _scalars(value: Any) -> Any:
    return [_scalar(item) for item in value] if isinstance(value, list) else _scalar(value)


def _square(rows: list) -> list:
    if not all(isinstance(row, list) and len(row) == len(rows) and {*map(type, row)} <= {int} for row in rows):
        raise ValueError("Input should be as many rows of whole numbers as there are numbers in each")
    return rows


def _alike(rows: Any) -> Any:
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError("Input should be a list of groups of keys")
    for row in rows:
        if row.keys() != rows[0].keys() or type(row.get("epoch")) is not int or not all(map(str.isidentifier, row)):
            raise ValueError("Input should be rows of the same names, each of an epoch")
    return rows


Text = Annotated[Any, AfterValidator(_text)]


class Record(BaseModel):
    """A group of keys."""

    model_config = ConfigDict(extra="allow", strict=True, allow_inf_nan=False)


class Best(Record):
    """What is known of a saved model: its epoch, its scores and its SHA-256 sum; nothing before there is one."""

    __pydantic_extra__: dict[str, float] = Field(init=False)

    epoch: Epoch | None = None
    sha256: Sum | None = None


class Data(Record):
    fingerprint: Text
    name: Text = ""
    skipped: list[Text] = []


class Environment(Record):
    __pydantic_extra__: dict[str, Annotated[Any, AfterValidator(_scalars)]] = Field(init=False)

    threads: Annotated[int, Field(ge=1, le=4096)] | None = None


class Facts(Record):
    """`run.json`."""

    sums: dict[str, Annotated[list[Sum], Field(min_length=1)]] = {}
    dataset: Data | None = None
    environment: Environment | None = None
    best: Best = Best()
    best_before: Best = Best()
    finished: bool = False


class ClassScores(Record):
    name: Text
    precision: Share
    recall: Share
    f1: Share
    support: Count


class Mistake(Record):
    index: Count
    true: Text
    predicted: Text
    confidence: Share


class Scores(Record):
    """`evaluation.json`."""

    split: Text = ""
    epoch: Epoch | None = None
    mirrored: bool = False
    images: Count = 0
    accuracy: Share | None = None
    top5_accuracy: Share | None = None
    loss: float | None = None
    expected_calibration_error: Share | None = None
    images_per_second: float | None = None
    classes: list[ClassScores] = []
    confusion_matrix: Annotated[list, AfterValidator(_square)] | None = None
    mistakes: list[Mistake] = []


class Kept(Record, extra="forbid"):
    epoch: Epoch | None
    value: float | None

    @model_validator(mode="after")
    def _both(self) -> "Kept":
        if (self.epoch is None) != (self.value is None):
            raise ValueError("Input should be an epoch and its value, or none of them")
        return self


class Table(Record, extra="forbid"):
    rows: Annotated[list[dict[str, float | None]], BeforeValidator(_alike)]


class Elapsed(Record, extra="forbid"):
    elapsed: float


class Stopping(Record, extra="forbid"):
    wait: Count
    best: float | None
    best_epoch: Count
    stopped_epoch: Count


class Plateau(Record, extra="forbid"):
    wait: Count
    best: float | None
    cooldown_counter: Count


# What is kept of a callback, by the name of its class: attributes, and no others are ever set.
CALLBACKS: dict[str, type[Record]] = {
    "KeepBest": Kept,
    "MetricsTable": Table,
    "Clock": Elapsed,
    "EarlyStopping": Stopping,
    "ReduceLROnPlateau": Plateau,
}


class Resumable(Record):
    """`values.json` of a checkpoint, as far as training goes on from it."""

    best: Best
    logs: dict[str, Count]
    callbacks: dict[Literal[tuple(CALLBACKS)], dict[str, Any]]  # type: ignore[valid-type]  # pydantic sees the names


def check(schema: type[Record], content: dict[str, Any], path: Path) -> None:
    """Raises `UserError`, one line about the first value that is not of its type."""
    try:
        schema.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        where = ".".join(str(part)[:40] for part in first["loc"])
        raise UserError(
            f"{path} is damaged: {where[:200]}: {first['msg'][:200]}, got {shown(first['input'])}."
        ) from None


def shown(value: Any) -> str:
    text = repr(value) if isinstance(value, str | int | float | bool | None) else type(value).__name__
    return text if len(text) <= 40 else f"{text[:37]}..."


def check_resumable(values: dict[str, Any], path: Path, callbacks: Iterable[str] = ()) -> None:
    """Raises `UserError` unless the values of a checkpoint are such as training goes on from.

    `callbacks` are the classes of those that there must be something of.
    """
    check(Resumable, values, path)
    for name in callbacks:
        if name not in values["callbacks"]:
            raise UserError(f"{path} is damaged: callbacks: it has nothing of {name}.")
    for name, attributes in values["callbacks"].items():
        check(CALLBACKS[name], attributes, path)
