"""Exceptions that end the work early: a user's mistake, reported in one line, and a request to stop."""

import difflib
import re
import signal
from collections.abc import Iterable


class UserError(ValueError):
    """A mistake in what the user gave: a script prints it as one line and exits with code 2."""

    def __init__(self, line: str):
        super().__init__(one_line(line))


class ModelError(UserError):
    """A network that cannot be built, or does not support what was asked: what, why, what to do."""


class Stopped(KeyboardInterrupt):
    """Training was asked to stop by a signal, such as Ctrl-C's, and did, with its state saved.

    Attributes: signal; reported, whether a message has already said where training stopped and how to resume.
    """

    def __init__(self, number: signal.Signals):
        super().__init__()
        self.signal = number
        self.reported = False


def one_line(text: str) -> str:
    """Text as it is safe to print: a file's name may hold line breaks, or commands to the terminal."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", lambda match: repr(match[0])[1:-1], text)


def cause_of(error: BaseException) -> str:
    """An exception in one line, "ValueError: ..."; where it wraps another, the first of them, without its colours."""
    while deeper := error.__cause__ or error.__context__:
        error = deeper
    text = one_line(re.sub(r"\x1b\[[0-9;]*m", "", " ".join(str(error).split())))
    return f"{type(error).__name__}: {text if len(text) <= 300 else text[:297] + '...'}"


MOST_SHOWN = 60  # choices in a line


def nearest(given: str, choices: Iterable[str], *, likeness: float = 0.5) -> str:
    """The choice closest in spelling to what was given, or an empty string when none is close.

    `likeness`: how close it must be, 1 for the same letters.
    """
    names = {str(choice).lower(): str(choice) for choice in choices}
    word = str(given).lower()
    holding = [name for name in names if len(word) > 2 and word in name]
    near = difflib.get_close_matches(word, holding or names, n=len(names) or 1, cutoff=0.3 if holding else likeness)
    if not near:
        return ""
    likenesses = {name: difflib.SequenceMatcher(None, name, word).ratio() for name in near}
    return names[next(name for name in names if likenesses.get(name) == max(likenesses.values()))]


def unknown(kind: str, given: object, choices: Iterable[object], *, guess: str = "", where: str = "") -> str:
    """One line for a name that does not exist: what was given, the nearest choice (or a better guess), all choices.

    Of very many choices the first are shown, and `where` says where all of them stand, such as "labels.txt".
    """
    names = [str(choice) for choice in choices]
    guess = guess or nearest(str(given), names)
    hint = f" Did you mean '{guess}'?" if guess else ""
    shown = ", ".join(name if len(name) <= 60 else f"{name[:59]}…" for name in names[:MOST_SHOWN])
    if len(names) > MOST_SHOWN:
        shown += f", ... ({len(names)} in all{f': {where}' if where else ''})"
    return f"Unknown {kind} '{given}'.{hint} Choices: {shown}."
