"""From what the user typed to a checked configuration: Hydra composes the YAML, the schema judges the result."""

import os
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from hydra import compose as hydra_compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import ValidationError

from convlens.configs.aliases import OF_GROUPS, key_by_alias
from convlens.configs.experiment_file import ExperimentFile, is_file_name, read_experiment
from convlens.configs.schema import Section, section_of
from convlens.configs.typed_words import annotation_of, fitting, is_readable, takes_list, with_paths
from convlens.core import program
from convlens.core.errors import UserError, nearest, unknown
from convlens.core.program import as_value

FOLDER = Path(__file__).resolve().parent
S = TypeVar("S", bound=Section)


def defaults(schema: type[Section]) -> dict[str, Any]:
    """Every key of a schema with its default, as written: a value for all blocks is not yet spread over them."""
    values: dict[str, Any] = {}
    for name, field in schema.model_fields.items():
        inner = section_of(field.annotation)
        values[name] = defaults(inner) if inner else field.default
    return values


def groups() -> dict[str, list[str]]:
    """The configuration groups and the choices that each offers: {"model": ["lesson", "resnet", "vgg"], ...}."""
    return {
        folder.name: sorted(file.stem for file in folder.glob("*.yaml"))
        for folder in sorted(FOLDER.iterdir())
        if folder.is_dir() and any(folder.glob("*.yaml"))
    }


def groups_of(script: str) -> dict[str, list[str]]:
    """The groups that a script's own defaults list names."""
    return {name: choices for name, choices in groups().items() if name in _default_choices(script)}


def compose(script: str, schema: type[S], overrides: list[str]) -> S:
    """The checked configuration of one job.

    Args:
        script: the YAML file to start from: "train", "evaluate" or "visualize".
        schema: what the result must obey.
        overrides: words of the command line, such as "experiment=cars", "experiment=./mine.yaml" (a file of the user)
            or "training.epochs=3".

    Raises:
        UserError: naming the first thing that is wrong, what was expected and the nearest valid choice.
    """
    overrides = [fitting(word, schema) for word in overrides]
    words, values_named_like_groups = _checked(script, schema, overrides)
    own = _own_experiment(script, overrides)
    ConfigStore.instance().store(name=f"{script}_schema", node=defaults(schema))
    try:
        opened: AbstractContextManager[list[str]] = own.choice() if own else nullcontext([])
        with opened as choice:
            with initialize_config_dir(str(FOLDER), version_base="1.3"):
                composed = hydra_compose(script, [*words, *choice])
        for override in values_named_like_groups:
            OmegaConf.update(composed, override.key_or_group, override.value())
        values: Any = OmegaConf.to_container(composed, resolve=True)
    except (HydraException, OmegaConfBaseException, yaml.YAMLError) as error:
        raise UserError(own.named_in(_one_line(error)) if own else _one_line(error)) from error
    if "name" in schema.model_fields and values["name"] is None:
        values["name"] = own.path.stem if own else _chosen(script, overrides).get("experiment")
    _refuse_empty_text(values)
    config = checked(schema, values, script=script, overrides=overrides)
    config.withhold(_from_environment(composed, values))
    typed = tuple(override.key_or_group for override in parse(overrides))
    config.remember(typed, (*typed, *_written_in_files(script, overrides, own)))
    return config


def parse(overrides: list[str]) -> list[Override]:
    """The command line's words as Hydra understands them.

    Raises:
        UserError: where a word is not of the form key=value.
    """
    for word in overrides:
        if "=" not in word and not word.startswith("~"):
            example = f"run={word}" if os.path.exists(word) else "run=runs/cars/latest or seed=1"
            raise UserError(f"Cannot read '{word}'; expected key=value, such as {example}.")
    try:
        return OverridesParser.create().parse_overrides([with_paths(word) for word in overrides])
    except HydraException as error:
        raise UserError(_unreadable(next(word for word in overrides if not is_readable(with_paths(word))))) from error


def _unreadable(word: str) -> str:
    """The message for a word that Hydra cannot parse, showing the value in quotes, with which it would be accepted."""
    key, _, value = word.partition("=")
    line = f"Cannot read '{word}'."
    if not value or not is_readable(f"{key}={as_value(value)}"):
        return f"{line} Expected key=value, such as training.epochs=3."
    return f"{line} Quote a value that holds commas, brackets or quotes: {program.word(key, value)}"


def checked(
    schema: type[S], values: Any, *, script: str | None = None, overrides: list[str] | None = None, origin: str = ""
) -> S:
    """Values that are nothing but data, judged by a schema.

    Args:
        schema: what the values must obey.
        values: nested dictionaries, as YAML gives them.
        script: the script's YAML, and
        overrides: the command line, both to name the file in which an unknown key was written.
        origin: where the values come from, if it is a single file.

    Raises:
        UserError: one line about the first value that does not obey.
    """
    try:
        return schema.model_validate(values)
    except ValidationError as error:
        errors = sorted(error.errors(include_url=False), key=lambda item: item["type"] != "extra_forbidden")
        alternatives = [other for other in errors[1:] if other["loc"][:-1] == errors[0]["loc"][:-1]]
        line = _explain(schema, errors[0], alternatives)
        stray = errors[0]["type"] == "extra_forbidden"
        file = origin or (_file_with(errors[0]["loc"], script, overrides or [], stray) if script else "")
        further = len({item["loc"][:2] for item in errors}) - 1
        more = f" ({further} more mistake{'s' if further > 1 else ''} after this one.)" if further else ""
        raise UserError(line + (f" It is in {file}." if file else "") + more) from error


def as_typed(override: Override) -> str:
    """A word of the command line, as it was typed."""
    return override.input_line or ""  # which Hydra keeps of every word that it parses


def _checked(script: str, schema: type[Section], overrides: list[str]) -> tuple[list[str], list[Override]]:
    """The overrides, ready for Hydra, once every name is known to the schema or to the groups.

    Overrides whose key is a value in this script but a group in another are returned separately: Hydra would look for
    a file.
    """
    known, elsewhere = groups_of(script), groups()
    words, apart = [], []
    for override in parse(overrides):
        key = override.key_or_group
        if override.package is not None:
            typed = as_typed(override)
            plain = f"{key}={typed.partition('=')[2]}"
            raise UserError(f"'{typed}' moves a group of keys elsewhere, where nothing can be moved; give {plain}.")
        if override.is_sweep_override():
            raise UserError(_several_values(override, script))
        if key in known and key not in schema.model_fields and isinstance(override.value(), dict):
            raise UserError(f"{key} takes one of {', '.join(known[key])}; it has no keys of its own.")
        if key in known and not isinstance(override.value(), dict):
            choice = override.value()
            if choice is None and not override.is_delete() and _default_choices(script)[key] is None:
                continue
            if key == "experiment" and is_file_name(choice):
                continue
            if choice is None and not override.is_delete():
                choice = "null"
            if not override.is_delete() and str(choice) not in known[key]:
                file = f"./{choice}.yaml" if choice and key == "experiment" and os.path.exists(f"{choice}.yaml") else ""
                raise UserError(unknown(key, choice, known[key], guess=file))
            words.append(as_typed(override).lstrip("+"))
        elif key in elsewhere and key not in known:
            _look_up(schema, key, list(known))
            apart.append(override)
        else:
            free = _look_up(schema, key, list(known))
            inside = free and annotation_of(schema, key) is None  # a name that somebody chose
            if not inside and not override.is_delete():
                _refuse_other_shape(schema, key, override.value())
            words.append(("++" if free else "") + as_typed(override).lstrip("+"))
    return words, apart


def _own_experiment(script: str, overrides: list[str]) -> ExperimentFile | None:
    """The user's file, where the experiment that was typed is one."""
    choice = _chosen(script, overrides).get("experiment")
    return read_experiment(Path(str(choice)), groups_of(script)) if is_file_name(choice) else None


def _written_in_files(script: str, overrides: list[str], own: ExperimentFile | None) -> list[str]:
    """The keys and groups that are set in the user's own experiment file and in the file that `debug=` chose."""
    debug = _chosen(script, overrides).get("debug")
    texts = [own.text] if own else []
    texts += [(FOLDER / "debug" / f"{debug}.yaml").read_text("utf-8")] if debug else []
    keys: list[str] = []
    for content in map(yaml.safe_load, texts):
        choices = [choice for choice in content.pop("defaults", []) if isinstance(choice, dict)]
        keys += [name.split()[-1].lstrip("/") for choice in choices for name in choice]
        keys += _leaves(content)
    return keys


def _leaves(values: dict[str, Any], prefix: str = "") -> list[str]:
    keys: list[str] = []
    for name, value in values.items():
        keys += _leaves(value, f"{prefix}{name}.") if isinstance(value, dict) else [f"{prefix}{name}"]
    return keys


def _look_up(schema: type[Section], key: str, group_names: list[str]) -> bool:
    """Whether the key lies in a dictionary that takes any name. Raises UserError where the key does not exist."""
    section = schema
    path = key.split(".")
    for depth, part in enumerate(path):
        field = section.model_fields.get(part)
        if field is None:
            prefix = ".".join(path[:depth])
            names = [f"{prefix}.{name}" if prefix else name for name in section.model_fields]
            names += [name for name in group_names if not prefix and name not in names]
            alias = key_by_alias(key, [*_paths(schema), *group_names])
            raise UserError(unknown("key", key, names, guess=alias or _likely(key, _paths(schema) + names)))
        inner = section_of(field.annotation)
        if inner is None:
            rest = path[depth + 1 :]
            if rest and not _takes_names(field.annotation):
                raise UserError(f"Unknown key '{key}': {'.'.join(path[: depth + 1])} is a value, not a group of keys.")
            return _takes_names(field.annotation)
        section = inner
    return False


def _refuse_other_shape(schema: type[Section], key: str, value: Any) -> None:
    """Raises UserError where a key that takes a value got keys in braces, or a key that takes keys got a list."""
    annotation = annotation_of(schema, key)
    takes_keys = annotation is None or _takes_names(annotation)
    if isinstance(value, dict) and annotation is None:
        for name, inner in value.items():
            _look_up(schema, f"{key}.{name}", [])
            _refuse_other_shape(schema, f"{key}.{name}", inner)
    elif isinstance(value, dict) and not takes_keys:
        expected = "one value, or several with commas between them" if takes_list(annotation) else "a single value"
        raise UserError(f"{key}={_short(value)} does not fit; expected {expected}.")
    elif isinstance(value, list) and takes_keys:
        example = f"{key}.{next(iter(section.model_fields))}" if (section := _section_at(schema, key)) else f"{key}.KEY"
        raise UserError(f"{key}={_short(value)} does not fit; expected keys, such as {example}=VALUE.")


def _section_at(schema: type[Section], key: str) -> type[Section] | None:
    section: type[Section] | None = schema
    for part in key.split("."):
        field = section.model_fields.get(part) if section else None
        section = section_of(field.annotation) if field else None
    return section


def key_meant(script: str, schema: type[Section], name: str) -> str:
    """The key that a misspelt name probably means: the name itself, a key with the same last word, or an alias; "" for
    none.
    """
    keys = [*_paths(schema), *groups_of(script)]
    same = [key for key in keys if key.split(".")[-1] == name.split(".")[-1]]
    return name if name in keys else key_by_alias(name, keys) or (nearest(name, same) or same[0] if same else "")


def _several_values(override: Override, script: str) -> str:
    key, value = as_typed(override).split("=", 1)
    line = f"'{key}={value}' gives several values, and {key} takes one at a time"
    return f"{line}; add -m to run one job for each." if script == "train" else f"{line}."


def _refuse_empty_text(values: dict[str, Any], prefix: str = "") -> None:
    """Raises UserError for an empty value, such as `resume=`; null is allowed."""
    for name, value in values.items():
        if isinstance(value, dict):
            _refuse_empty_text(value, f"{prefix}{name}.")
        elif value == "" or isinstance(value, list) and "" in value:
            raise UserError(f"{prefix}{name}= is empty; give it a value, or leave {prefix}{name}= out.")


def _likely(key: str, paths: list[str]) -> str:
    """The key that was probably meant: the same last word elsewhere, else the nearest in spelling."""
    same = [path for path in paths if path.split(".")[-1] == key.split(".")[-1]]
    return nearest(key, same) or (same[0] if same else nearest(key, paths))


def _takes_names(annotation: Any) -> bool:
    return any(getattr(part, "__origin__", part) is dict for part in (annotation, *get_args(annotation)))


def _paths(schema: type[Section], prefix: str = "") -> list[str]:
    paths = []
    for name, field in schema.model_fields.items():
        inner = section_of(field.annotation)
        paths += _paths(inner, f"{prefix}{name}.") if inner else [f"{prefix}{name}"]
    return paths


def _explain(schema: type[Section], error: Mapping[str, Any], alternatives: Sequence[Mapping[str, Any]]) -> str:
    """A pydantic error as one line in our words; `alternatives`: the errors of the other types that the key accepts."""
    section: type[Section] | None = schema
    path: list[str] = []
    for part in error["loc"]:
        field = section.model_fields.get(part) if isinstance(part, str) and section else None
        if field is None and error["type"] != "extra_forbidden":
            if isinstance(part, int):
                path.append(str(part))
            continue
        path.append(str(part))
        section = section_of(field.annotation) if field else section
    key, given, limit = ".".join(path), error["input"], error.get("ctx", {})
    if error["type"] == "extra_forbidden" and section is not None:
        prefix = ".".join(path[:-1])
        return unknown("key", key, [f"{prefix}.{name}" if prefix else name for name in section.model_fields])
    if error["type"] == "value_error":
        return f"{limit['error']}."
    if error["type"] == "literal_error":
        choices = [choice.strip(" '") for choice in limit["expected"].replace(" or ", ",").split(",")]
        guess = nearest(str(given), choices) if isinstance(given, str) else ""
        hint = f" Did you mean '{guess}'?" if guess else ""
        return f"{key}={_short(given)} is not a choice.{hint} Choices: {', '.join(choices)}."
    if error["type"] == "model_type" and section is not None:
        inner = ", ".join(f"{key}.{name}" for name in section.model_fields)
        meant = OF_GROUPS.get(key)
        value = "null" if given is None else str(given).lower() if isinstance(given, bool) else given
        hint = f" Did you mean {meant}={value}?" if meant else ""
        return f"{key} is a group of keys and takes no value of its own.{hint} Keys: {inner}."
    tiny = 0 < limit.get("ge", 1) < 1  # whoever gives zero, or less, need not know how small a number may be
    expected = {
        "greater_than_equal": "a number greater than 0" if tiny and given <= 0 else "a number of at least {ge}",
        "greater_than": "a number greater than {gt}",
        "less_than_equal": "a number of at most {le}",
        "less_than": "a number less than {lt}",
        "finite_number": "a finite number",
        "int_type": "a whole number",
        "int_from_float": "a whole number",
        "float_type": "a number",
        "bool_type": "true or false",
        "string_type": "text",
        "list_type": "one value, or several with commas between them",
        "dict_type": "a group of keys, such as {key}.KEY=1",
        "model_type": "a group of keys",
        "too_short": "at least {min_length} value(s), and got {actual_length}",
        "too_long": "at most {max_length} value(s), and got {actual_length}",
    }.get(error["type"])
    wanted = expected.format(**limit, key=key) if expected else error["msg"]
    words = [alternative["ctx"]["expected"] for alternative in alternatives if alternative["type"] == "literal_error"]
    wanted = " or ".join([wanted, *words])
    return f"{key}={_short(given)} does not fit; expected {wanted}."


def _file_with(path: tuple, script: str, overrides: list[str], stray: bool) -> str:
    """The chosen YAML file in which a key stands; an empty string for none, or where the command line gave the key.

    `stray`: no such key exists; any other one is a value, since a group of keys may stand in many files.
    """
    if ".".join(map(str, path)) in {override.key_or_group for override in parse(overrides)}:
        return ""
    for group, choice in reversed(_chosen(script, overrides).items()):
        own = group == "experiment" and is_file_name(choice)
        file = Path(str(choice)) if own else FOLDER / group / f"{choice}.yaml"
        content = yaml.safe_load(file.read_text("utf-8")) if file.is_file() else None
        for part in path[1:] if path[0] == group else path:
            content = content.get(part) if isinstance(content, dict) else None
        if content is not None and (stray or not isinstance(content, dict)):
            return str(file) if own else f"configs/{group}/{choice}.yaml"
    return ""


def _chosen(script: str, overrides: list[str]) -> dict[str, str | None]:
    """The choice in each group: what was typed, else the default."""
    typed: dict[str, Any] = {override.key_or_group: override.value() for override in parse(overrides)}
    return {group: typed.get(group, default) for group, default in _default_choices(script).items()}


def _default_choices(script: str) -> dict[str, str | None]:
    entries = yaml.safe_load((FOLDER / f"{script}.yaml").read_text())["defaults"]
    return {group: choice for entry in entries if isinstance(entry, dict) for group, choice in entry.items()}


def _from_environment(composed: DictConfig, values: Any, path: tuple = ()) -> dict[tuple, Any]:
    """The values that come from environment variables: {path of the key: the expression in the file}."""
    sources: dict[tuple, Any] = {}
    unresolved: Any = OmegaConf.to_container(composed, resolve=False)
    for key in composed:
        value, node = values[key], composed._get_node(key)
        if isinstance(value, dict) and isinstance(node, DictConfig):
            sources |= _from_environment(node, value, (*path, key))
        elif "oc.env" in str(unresolved[key]):
            sources[(*path, key)] = unresolved[key]
    return sources


def _short(value: Any) -> str:
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _sentence(text: str) -> str:
    text = " ".join(text.split())
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "?", "!")) else ".")


def _one_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    kept = [line for line in lines if not line.startswith(("full_key:", "object_type=", "See https", "reference_type"))]
    line, key = _sentence(" ".join(kept[:3])), getattr(error, "full_key", None)
    return f"{key}: {line}" if key and key not in line else line
