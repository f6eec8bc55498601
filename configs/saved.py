"""A saved configuration read back: data within limits, judged by the schema, never instantiated or resolved."""

from pathlib import Path
from typing import TypeVar

from convlens.configs.composition import checked
from convlens.configs.plain_yaml import decoded, parse_plain, read_text
from convlens.configs.schema import Section

S = TypeVar("S", bound=Section)


def read_config(source: Path | str | bytes, schema: type[S], *, origin: Path | None = None) -> S:
    """The configuration in a YAML file (a `Path`), in a text, or in the bytes of the file `origin`.

    Interpolations such as `${oc.env:HOME}` stay the text that they are. Raises UserError, one line, for a text that is
    too long or too deep, has anchors, tags or a key twice, or says what the schema does not allow.
    """
    origin = source if isinstance(source, Path) else origin
    if isinstance(source, Path):
        source = read_text(source, "a configuration in YAML")
    elif isinstance(source, bytes):
        source = decoded(source, origin)
    return checked(schema, parse_plain(source, str(origin or "The configuration")), origin=str(origin or ""))
