"""A saved configuration read back: data within limits, judged by the schema, never instantiated or resolved."""

from pathlib import Path
from typing import TypeVar

from convlens.configs.composition import checked
from convlens.configs.plain_yaml import parse_plain, read_text
from convlens.configs.schema import Section

S = TypeVar("S", bound=Section)


def read_config(source: Path | str, schema: type[S]) -> S:
    """The configuration in a YAML file (a `Path`) or in a text (a `str`).

    Interpolations such as `${oc.env:HOME}` stay the text that they are. Raises UserError, one line, for a text that is
    too long or too deep, has anchors, tags or a key twice, or says what the schema does not allow.
    """
    origin = str(source) if isinstance(source, Path) else ""
    text = read_text(source, "a configuration in YAML") if isinstance(source, Path) else source
    return checked(schema, parse_plain(text, origin or "The configuration"), origin=origin)
