"""What all commands share: reading the command line, reporting a mistake in one line, running several jobs in turn."""

import contextlib
import inspect
import io
import itertools
import logging
import math
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import yaml
from hydra.core.override_parser.types import Glob, IntervalSweep, Override, RangeSweep
from hydra.errors import HydraException

from convlens.configs.composition import FOLDER, as_typed, compose, defaults, groups_of, key_meant, parse
from convlens.configs.schema import Section, section_of
from convlens.core import program, stopping, streams
from convlens.core.backend import choose_backend
from convlens.core.errors import Stopped, UserError, unknown
from convlens.core.files import outside_reason
from convlens.core.locks import require_locks

FLAGS = ("--help", "-h", "--multirun", "-m", "--cfg")
FAILED, MISTAKE, INTERRUPTED = 1, 2, 130
MOST_JOBS = 10_000  # of a sweep
REPORT = "CONVLENS_REPORT"  # where a job of a sweep tells its parent the folder of its run


@dataclass(frozen=True)
class Job:
    """One job of a sweep: its values, its exit code, and its folder, if it made one."""

    overrides: tuple[str, ...]
    exit_code: int
    run: Path | None


def command(
    name: str,
    schema: type[Section],
    execute: Callable[[Any], Path | None],
    words: Sequence[str] | None = None,
    *,
    summarize: Callable[[list[Job]], None] | None = None,
    choices: Callable[[], list[str]] = list,
    logged: bool = False,
) -> None:
    """Run a command's function on the configuration that the command line asks for, then exit.

    Exit codes: 0 done, 2 a mistake in what the user gave or a disk that takes no more (one line on stderr), 130 stopped
    by Ctrl-C, 143 by SIGTERM, 129 by the end of the terminal, 1 anything else.

    Args:
        name: of the command, and of its script and its YAML file.
        schema: the class that checks the configuration.
        execute: takes the checked configuration; returns the folder that it wrote, if any.
        words: what follows the command; None: what the command line of its script says.
        summarize: called with all jobs at the end of a sweep; None where the command does not sweep.
        choices: more lines for `--help`, on what its keys may be given.
        logged: what it prints is kept in a file as well, so that it may be lost.
    """
    program.recognize()
    with ending_well(program.spoken_name(name)) as ending:
        program.check_copy()
        flags, overrides = _split(sys.argv[1:] if words is None else words, name, schema)
        if flags & {"-h", "--help"}:
            print("\n".join([help_text(name, schema, sweeps=summarize is not None), *choices()]))
        elif "--cfg" in flags:
            print(yaml.safe_dump(compose(name, schema, overrides).document(), sort_keys=False).rstrip())
        elif flags & {"-m", "--multirun"}:
            if summarize is None:
                several = " Without -m, write a list with commas." if any("," in word for word in overrides) else ""
                raise UserError(f"{name} runs one job; -m only works with {program.command_line('train')}.{several}")
            sys.exit(_sweep(name, schema, overrides, summarize))
        else:
            prepare()
            ending.logged = logged
            written = execute(compose(name, schema, overrides))
            if written is not None and os.environ.get(REPORT):
                Path(os.environ[REPORT]).write_text(str(written))


@dataclass
class Ending:
    """What a command did before it ended; `logged`: its output was also written to a file."""

    logged: bool = False


@contextlib.contextmanager
def ending_well(name: str) -> Iterator[Ending]:
    """Ends the process properly however the block ends: reports a mistake in one line, a stop, or lost output."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a file's name may be none that can be written as text
    ending = Ending()
    try:
        with stopping.interruptible():
            yield ending
        sys.stdout.flush()
    except UserError as error:
        print(f"{name}: {error}", file=sys.stderr)
        sys.exit(MISTAKE)
    except OSError as error:
        reason = outside_reason(error)
        if not reason:
            raise
        print(f"{name}: {reason}", file=sys.stderr)
        sys.exit(MISTAKE)
    except Stopped as stop:
        if not stop.reported:
            print("\nStopped.", file=sys.stderr)
        sys.exit(128 + stop.signal)  # as the shell has it: 130 for Ctrl-C, 143 for SIGTERM, 129 for SIGHUP
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        sys.exit(INTERRUPTED)
    _report_lost_output(name, ending)


def _report_lost_output(name: str, ending: Ending) -> None:
    """Reports that output was lost, unless the reader closed the pipe, as `head` does.

    The exit code becomes 1 if the output exists nowhere else.
    """
    reason = streams.lost()
    if not reason or streams.closed_by_reader():
        return
    print(f"{name}: the printed lines are lost, since standard output cannot be written: {reason}.", file=sys.stderr)
    if not (ending.logged or streams.is_closed()):
        sys.exit(FAILED)


def prepare() -> None:
    """Silences libraries and checks the backend before Keras is imported. Raises `UserError` if nothing can run."""
    require_locks()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    logging.getLogger("absl").setLevel(logging.ERROR)  # TFDS and Keras write their hints to developers there
    logging.getLogger("tensorflow").addFilter(_is_not_retracing_advice)
    choose_backend()


def _is_not_retracing_advice(record: logging.LogRecord) -> bool:
    """False for TensorFlow's advice about retracing: several trainings in one process have to retrace."""
    return "tf.function retracing" not in str(record.msg)


def help_text(name: str, schema: type[Section], *, sweeps: bool) -> str:
    """What `--help` prints: groups with their choices, then every key with its default and its meaning."""
    lines = [f"{inspect.getdoc(schema)}", "", f"usage: {program.command_line(name)} [key=value ...]", ""]
    lines += ["  --help, -h        this text", "  --cfg             print the configuration and stop"]
    if sweeps:
        lines += ["  --multirun, -m    one job for each combination of comma-separated values: -m seed=0,1,2"]
    lines += ["", f"Write a list with commas, key=a,b{'; with -m, write it in brackets' if sweeps else ''}."]
    for group, choices in groups_of(name).items():
        lines += ["", f"{group}="]
        lines += [f"  {choice:18}{_first_comment(FOLDER / group / f'{choice}.yaml')}".rstrip() for choice in choices]
        if group == "experiment":
            lines += [f"  {'./mine.yaml':18}A file of your own, anywhere, in the form of those in {FOLDER / group}"]
    return "\n".join([*lines, "", "keys and their defaults:", *_key_lines(schema)])


def _key_lines(schema: type[Section], prefix: str = "") -> list[str]:
    """One line for each key, and one for each of its choices that has a meaning.

    The meanings are the comments in the schema's own source, so that the two cannot part.
    """
    lines = []
    for name, field in schema.model_fields.items():
        inner = section_of(field.annotation)
        if inner:
            lines += _key_lines(inner, f"{prefix}{name}.")
            continue
        meaning, explained = _meanings(schema, name)
        value = yaml.safe_dump(defaults(schema)[name], default_flow_style=True).split("\n")[0]
        listed = ", ".join(choice for choice in choices_of(field.annotation) if choice not in explained)
        line = f"  {f'{prefix}{name}={value}':48}{meaning}{f' ({listed})' if listed and not explained else ''}"
        lines.append(line.rstrip())
        lines += [f"      {choice:18}{explanation}" for choice, explanation in explained.items()]
    return lines


def _meanings(schema: type[Section], name: str) -> tuple[str, dict[str, str]]:
    """What a key means, and what its choices do, as the schema's comments have it."""
    source = inspect.getsource(schema)
    field = re.search(rf"^    {name}: (?:.*?)(?:  # (.*))?$((?:\n    #   \w+: .*)*)", source, re.MULTILINE)
    if field is None:
        return "", {}
    choices = re.findall(r"^    #   (\w+): (.*)$", field[2], re.MULTILINE)
    return field[1] or "", dict(choices)


def choices_of(annotation: Any) -> list[str]:
    """The words that a key accepts, whether it accepts only them or numbers and text as well."""
    if get_origin(annotation) is Literal:
        return [str(choice) for choice in get_args(annotation)]
    return [choice for part in get_args(annotation) for choice in choices_of(part)]


def _first_comment(path: Path) -> str:
    lines = [line[1:].strip() for line in path.read_text().splitlines() if line.startswith("#")]
    return next((line for line in lines if line and not line.startswith("@package")), "")


def _split(words: Sequence[str], name: str, schema: type[Section]) -> tuple[set[str], list[str]]:
    """Separates flags from overrides; raises UserError for an unknown flag."""
    for position, word in enumerate(words):
        if word.startswith("-") and word not in FLAGS:
            raise UserError(_unknown_flag_message(word, words[position + 1 :], name, schema))
    return {word for word in words if word in FLAGS}, [word for word in words if word not in FLAGS]


def _unknown_flag_message(flag: str, following: Sequence[str], name: str, schema: type[Section]) -> str:
    """The message for an unknown flag, which is often a key written as in other programs: `--lr 0.1`."""
    typed, _, value = flag.lstrip("-").partition("=")
    key = key_meant(name, schema, typed.replace("-", "_"))
    if not key:
        return unknown("flag", flag, FLAGS)
    separate = following and not value and "=" not in following[0] and not following[0].startswith("-")
    given = f"{flag} {following[0]}" if separate else flag
    value = value or (following[0] if separate else "...")
    return f"'{given}' is not a flag; write a key without dashes and with '=': {program.word(key, value)}"


def _sweep(name: str, schema: type[Section], overrides: list[str], summarize: Callable[[list[Job]], None]) -> int:
    """Runs each combination in its own process, so that memory does not grow from job to job."""
    combinations = _combinations(overrides, name)
    for words in combinations:
        compose(name, schema, words)
    start, inherited = program.job(name)
    varied = [word.key_or_group for word in parse(overrides) if word.is_sweep_override()]
    jobs = []
    with tempfile.TemporaryDirectory() as folder:
        for number, words in enumerate(combinations, start=1):
            apart = tuple(word for word in words if parse([word])[0].key_or_group in varied)
            print(f"\nJob {number} of {len(combinations)}: {' '.join(apart) or 'no overrides'}", flush=True)
            report = Path(folder) / str(number)
            code, asked_to_stop = _run_job([*start, *words], os.environ | inherited | {REPORT: str(report)})
            jobs.append(Job(apart, code, Path(report.read_text()) if report.exists() else None))
            if asked_to_stop or code - 128 in stopping.WATCHED:
                break
    summarize(jobs)
    return next((job.exit_code for job in jobs if job.exit_code), 0)


def _run_job(words: list[str], environment: dict[str, str]) -> tuple[int, bool]:
    """The exit code of a job, and whether a signal asked to stop while it ran.

    Ctrl-C reaches the job itself, and other signals are passed on to it; here we only wait for it to end in order.
    """
    signals: list[int] = []
    process: subprocess.Popen | None = None

    def pass_on(number, frame):
        signals.append(number)
        if process and number != signal.SIGINT:
            process.send_signal(number)

    with stopping.signals_to(pass_on):
        process = subprocess.Popen(words, env=environment)
        for number in signals:  # it came before the job did
            process.send_signal(number)
        code = process.wait()
    # A process that a signal ended has its number, negative; in a shell it has 128 more.
    return (code if code >= 0 else 128 - code), bool(signals)


def _combinations(overrides: list[str], script: str = "train") -> list[list[str]]:
    """Every combination of the comma-separated values; the last key varies fastest. Raises `UserError`."""
    choices = []
    for override in parse(overrides):
        if override.is_sweep_override():
            prefix = as_typed(override).split("=", 1)[0]
            choices.append([f"{prefix}={value}" for value in _values(override, script)])
        else:
            choices.append([as_typed(override)])
    jobs = math.prod(map(len, choices))
    if jobs > MOST_JOBS:
        raise UserError(f"These values make {jobs:,} jobs, more than {MOST_JOBS:,}; give fewer of them.")
    return [list(words) for words in itertools.product(*choices)]


def _values(override: Override, script: str) -> list[str]:
    """The values of a key with several of them, as they are typed. Raises `UserError` where they cannot be listed."""
    key, value = override.key_or_group, override.value()
    if isinstance(value, Glob | IntervalSweep):
        known = groups_of(script).get(key)
        instead = ",".join(known) if known else "0.001,0.01,0.1" if isinstance(value, IntervalSweep) else "A,B"
        raise UserError(f"'{as_typed(override)}' lists no values; list them with commas between them: {key}={instead}")
    many = f"'{as_typed(override)}' gives more than {MOST_JOBS:,} values; give fewer."
    if isinstance(value, RangeSweep) and (not value.step or _length(value) > MOST_JOBS):
        raise UserError(many if value.step else f"'{as_typed(override)}' has steps of 0; give another step.")
    try:
        return list(override.sweep_string_iterator())
    except HydraException as error:
        raise UserError(f"Cannot list the values of '{as_typed(override)}': {error}") from None


def _length(values: RangeSweep) -> float:
    # Hydra leaves none of them open, its types may.
    return ((values.stop or 0) - (values.start or 0)) / (values.step or 1)
