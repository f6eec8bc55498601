"""YAML that is nothing but data, read within limits: without anchors, tags, keys given twice or endless nesting."""

from pathlib import Path
from typing import Any

import yaml

from convlens.core.errors import UserError
from convlens.core.reading import read_regular

BYTES = 256 * 1024
DEPTH = 12
VALUES, LENGTH = 20_000, 10_000  # keys and values in all; characters in one of them
KEY, NUMBER = 100, 40  # characters of a key, of a number: in other bases and in base 60, YAML has numbers of any size
_NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")


def read_text(path: Path, expected: str) -> str:
    """The text of a configuration's file. Raises `UserError` for what is not `expected`, such as a folder."""
    return decoded(read_regular(path, most=BYTES, expected=f"{expected} of a few kilobytes"), path)


def decoded(content: bytes, path: Path | None) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        raise UserError(f"{path or 'This'} is not a configuration: it is not UTF-8 text.") from None


def parse_plain(text: str, name: str) -> dict[str, Any]:
    """The keys and values of a configuration, whatever they are. Raises `UserError`, which begins with the name."""
    if len(text.encode("utf-8", "surrogatepass")) > BYTES:
        raise UserError(f"{name} has more than {BYTES:,} bytes; a configuration has a few thousand.")
    try:
        values = _Data(text).get_single_data()
    except UserError as error:
        raise UserError(f"{name} {error}.") from None
    # Numbers of endless digits and dates that do not exist raise ValueError.
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UserError(f"{name} is not readable YAML: {' '.join(str(error).split())[:200]}.") from None
    if not isinstance(values, dict):
        raise UserError(f"{name} is not a configuration: found {type(values).__name__}, expected keys and values.")
    return values


class _Data(yaml.SafeLoader):
    """A YAML loader that refuses anchors, tags and whatever else is more than data, as soon as it meets it."""

    depth = 0
    values = 0

    def compose_node(self, parent: Any, index: Any) -> yaml.Node | None:
        event = self.peek_event()
        if isinstance(event, yaml.AliasEvent) or event.anchor:
            raise UserError(f"has a YAML anchor or alias, '{event.anchor[:40]}'; a configuration is plain data")
        if event.tag:
            raise UserError(f"has the YAML tag '{event.tag[:80]}'; a configuration is plain data")
        if isinstance(event, yaml.ScalarEvent) and len(event.value) > LENGTH:
            raise UserError(f"has a value of {len(event.value):,} characters")
        self.values += 1
        if self.values > VALUES:
            raise UserError(f"has more than {VALUES:,} values")
        self.depth += 1
        if self.depth > DEPTH:
            raise UserError(f"is nested deeper than {DEPTH} levels")
        node = super().compose_node(parent, index)
        if node is not None and node.tag in _NUMBERS and len(node.value) > NUMBER:
            raise UserError(f"has a number of {len(node.value):,} characters")
        self.depth -= 1
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        keys = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise UserError("has a list or a group where a key belongs")
            if len(key.value) > KEY:
                raise UserError(f"has a key of {len(key.value):,} characters")
            if key.value in keys:
                raise UserError(f"has the key '{key.value[:40]}' twice in one group")
            # Hydra would call what such a key names; here no key has a meaning beyond the schema.
            if key.value.startswith("_") or key.value == "<<":
                raise UserError(f"has the key '{key.value[:40]}', which would be an instruction; expected values only")
            keys.add(key.value)
        return super().construct_mapping(node, deep)
