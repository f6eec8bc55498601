"""A saved configuration read back: data within limits, judged by the schema, never instantiated or resolved."""

from pathlib import Path
from typing import Any, TypeVar

import yaml

from convlens.configs.composition import checked
from convlens.configs.schema import Section
from convlens.core.errors import UserError
from convlens.core.reading import read_regular

BYTES = 256 * 1024
DEPTH = 12
VALUES, LENGTH = 20_000, 10_000  # keys and values in all; characters in one of them
S = TypeVar("S", bound=Section)


def read_config(source: Path | str, schema: type[S]) -> S:
    """The configuration in a YAML file (a `Path`) or in a text (a `str`).

    Interpolations such as `${oc.env:HOME}` stay the text that they are. Raises UserError, one line, for a text that is
    too long or too deep, has anchors, tags or a key twice, or says what the schema does not allow.
    """
    origin = str(source) if isinstance(source, Path) else ""
    text = _text(source) if isinstance(source, Path) else source
    name = origin or "The configuration"
    if len(text.encode("utf-8", "surrogatepass")) > BYTES:
        raise UserError(f"{name} has more than {BYTES:,} bytes; a saved configuration has a few thousand.")
    try:
        loader = _Data(text)
        values = loader.get_single_data()
    except UserError as error:
        raise UserError(f"{name} {error}.") from None
    # Numbers of endless digits and dates that do not exist raise ValueError.
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UserError(f"{name} is not readable YAML: {' '.join(str(error).split())[:200]}.") from None
    if not isinstance(values, dict):
        raise UserError(f"{name} is not a configuration: found {type(values).__name__}, expected keys and values.")
    return checked(schema, values, origin=origin)


class _Data(yaml.SafeLoader):
    """YAML without what makes it more than data, refused as soon as it is met."""

    depth = 0
    values = 0

    def compose_node(self, parent: Any, index: Any) -> yaml.Node:
        event = self.peek_event()
        if isinstance(event, yaml.AliasEvent) or event.anchor:
            raise UserError(f"has a YAML anchor or alias, '{event.anchor[:40]}'; a saved configuration has none")
        if event.tag:
            raise UserError(f"has the YAML tag '{event.tag[:80]}'; a saved configuration is plain data")
        if isinstance(event, yaml.ScalarEvent) and len(event.value) > LENGTH:
            raise UserError(f"has a value of {len(event.value):,} characters")
        self.values += 1
        if self.values > VALUES:
            raise UserError(f"has more than {VALUES:,} values")
        self.depth += 1
        if self.depth > DEPTH:
            raise UserError(f"is nested deeper than {DEPTH} levels")
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        keys = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise UserError("has a list or a group where a key belongs")
            if key.value in keys:
                raise UserError(f"has the key '{key.value[:40]}' twice in one group")
            # Hydra would call what such a key names; here no key has a meaning beyond the schema.
            if key.value.startswith("_") or key.value == "<<":
                raise UserError(f"has the key '{key.value[:40]}', which would be an instruction; expected values only")
            keys.add(key.value)
        return super().construct_mapping(node, deep)


def _text(path: Path) -> str:
    try:
        return read_regular(path, most=BYTES, expected="a configuration in YAML of a few kilobytes").decode("utf-8")
    except UnicodeDecodeError:
        raise UserError(f"{path} is not a configuration: it is not UTF-8 text.") from None
