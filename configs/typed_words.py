"""Prepares a word of the command line, as a person types it, so that Hydra reads what was meant."""

import os
import re
from collections.abc import Callable
from typing import Any, get_args, get_origin

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException

from convlens.configs.experiment_file import is_file_name
from convlens.configs.schema import Section, section_of
from convlens.core.program import as_value

_FUNCTION = re.compile(r"(choice|range|interval|glob|shuffle|sort|tag)\(")  # of Hydra's, in a value


def with_paths(word: str) -> str:
    """A word whose value may be a path: `~/` is expanded, and what Hydra would misread is quoted."""
    key, equals, value = word.partition("=")
    if value[:1] in ("'", '"', "[", "{") and not os.path.exists(value):
        return word
    value = re.sub(r"(^|,)~(?=/|$)", lambda start: start[1] + os.path.expanduser("~"), value)
    whole = os.path.exists(value) or (key == "experiment" and is_file_name(value) and not set(value) & set(",\\"))
    # In a value that is a path as it stands, ${...} is part of a name.
    return key + equals + (as_value(value) if whole else value)


def is_readable(word: str) -> bool:
    """Whether Hydra can read a word."""
    try:
        return bool(OverridesParser.create().parse_overrides([word]))
    except HydraException:
        return False


def fitting(word: str, schema: type[Section]) -> str:
    """A word whose value has the form that its key takes: commas make a list, and text may look like a number.

    `figures=basics,units` is `figures=[basics,units]`, and `data.name=64` is `data.name='64'`. What needs neither, or
    has a key that does not exist, is returned as it is.
    """
    key, equals, value = with_paths(word).partition("=")
    value, annotation = value.strip(), annotation_of(schema, key.lstrip("+~"))
    if not value or value == "null" or value[0] in "'\"[{" or annotation is None:
        whole = key + equals + value
        # 'a','b' begins with a quote and is a list all the same.
        several = value[:1] in ("'", '"') and takes_list(annotation) and _read(whole, Override.is_sweep_override)
        return f"{key}=[{value}]" if several else whole
    if re.search(r"(?<!\\)\$\{", value) or _FUNCTION.match(value):
        return f"{key}={value}"
    if takes_list(annotation):
        items = [_element(item.strip(), annotation) for item in value.split(",")]
        return f"{key}={items[0]}" if len(items) == 1 else f"{key}=[{','.join(items)}]"
    if _is_text(annotation):
        return f"{key}={_text(value)}"
    if str in _kinds(annotation) and "," not in value:
        return f"{key}={as_value(value)}"
    return f"{key}={value}"


def annotation_of(schema: type[Section], key: str) -> Any:
    """What a key's value must be, as the schema annotates it; None for a key that does not exist, or a group."""
    *groups, name = key.split(".")
    for group in groups:
        field = schema.model_fields.get(group)
        inner = None if field is None else section_of(field.annotation)
        if inner is None:
            return None
        schema = inner
    field = schema.model_fields.get(name)
    return None if field is None or section_of(field.annotation) is not None else field.annotation


def takes_list(annotation: Any) -> bool:
    """Whether a key takes a list of single values."""
    return any(not any(get_origin(kind) is list for kind in _kinds(inner)) for inner in _list_elements(annotation))


def _list_elements(annotation: Any) -> list[Any]:
    """The annotation of the elements of each kind of list that an annotation allows."""
    return [get_args(kind)[0] for kind in _kinds(annotation) if get_origin(kind) is list]


def _kinds(annotation: Any) -> list[Any]:
    """The single types of a union, without pydantic's annotations."""
    if hasattr(annotation, "__metadata__"):
        return _kinds(annotation.__origin__)
    union = get_origin(annotation) is not None and get_origin(annotation) not in (list, dict)
    parts = get_args(annotation) if union and not _is_literal(annotation) else ()
    return [kind for part in parts for kind in _kinds(part)] if parts else [annotation]


def _is_literal(annotation: Any) -> bool:
    return "Literal" in str(get_origin(annotation))


def _is_text(annotation: Any) -> bool:
    """Whether a key takes text and nothing else, or nothing at all."""
    return set(_kinds(annotation)) <= {str, type(None)}


def _element(item: str, annotation: Any) -> str:
    text = any(_is_text(element) for element in _list_elements(annotation))
    return _text(item) if text else (as_value(item) if item else item)


def _text(value: str) -> str:
    """Text, quoted where Hydra would read it as a number, as true or false, or not at all."""
    if not value or value[0] in "'\"" or "," in value:
        return value
    read = _read(f"key={value}", Override.value)
    if isinstance(read, str):
        return value
    return f"'{value}'" if isinstance(read, bool | int | float) else as_value(value)


def _read(word: str, ask: Callable[[Override], Any]) -> Any:
    """How Hydra parses a word; None if it cannot."""
    try:
        return ask(OverridesParser.create().parse_overrides([word])[0])
    except HydraException:
        return None
