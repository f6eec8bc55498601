"""Mistakes in a network's description or in what is asked of a network, told in one line."""

import difflib
from collections.abc import Iterable


class ModelError(ValueError):
    """A network that cannot be built, or a question that a network cannot answer: what, why, what to do."""


def unknown(kind: str, given: str, choices: Iterable[str]) -> ModelError:
    """The error for a name that does not exist: what was given, the nearest choice, the choices."""
    names = list(choices)
    close = difflib.get_close_matches(given.lower(), names, n=1, cutoff=0.4)
    hint = f" Did you mean '{close[0]}'?" if close else ""
    shown = ", ".join(names[:20]) + (f", ... ({len(names)} in all)" if len(names) > 20 else "")
    return ModelError(f"Unknown {kind} '{given}'.{hint} Choices: {shown}.")
