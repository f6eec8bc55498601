"""Every figure by its name: what it shows, how it is read, what it needs, and who draws it.

A figure is a function with `@figure(...)` above it, in a module of this package; figures are listed nowhere else.
"""

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Literal

from convlens.core.errors import UserError, unknown

if TYPE_CHECKING:
    from pathlib import Path

    from convlens.gallery.inputs import FigureInputs
    from convlens.visualization import Drawing

# What a figure looks at beside the network itself. A split has images; masks come with a split.
Needs = Literal["kernels", "images", "split", "masks", "snapshots", "second_run"]

GROUPS = {
    "basics": "kernels, and what they make of images",
    "units": "what each unit reacts to, over many images",
    "attribution": "why this class?",
    "networks": "what it is made of, how it came to be, what it confuses",
    "comparison": "what two runs, a= and b=, differ in",
}
ALL = "all of these but comparison"  # what figures=all stands for
LAST = 100


@dataclass(frozen=True)
class Figure:
    """What a figure declares: the arguments of `figure`, and the functions that draw it."""

    name: str
    group: str | None
    needs: Needs
    shows: str
    reading: str
    page: str
    scale: str
    position: int
    draw: "Callable[[FigureInputs], Iterable[Drawing]]"
    extra_files: "Callable[[FigureInputs, Path], Iterable[Path]] | None" = None


_FIGURES: dict[str, Figure] = {}
_EXTRA_FILES: "dict[str, Callable[[FigureInputs, Path], Iterable[Path]]]" = {}


def figure(
    name: str,
    *,
    needs: Needs,
    shows: str,
    reading: str,
    page: str,
    group: str | None = None,
    scale: str = "",
    position: int = LAST,
) -> Callable:
    """Declares a function that draws a figure: it names its drawings at once, and computes each when it is drawn.

    Args:
        name: what people type, and what its files are called.
        needs: without which it is left out, with the reason.
        shows: what it shows, a line for `--help`.
        reading: how it is read, a sentence for the page of all figures.
        page: the document that says more, and the heading there: "gallery-units.md#ablation".
        group: one of `GROUPS`; None: drawn by its name alone.
        scale: which tiles share a range of colours, where that can be said of every such picture.
        position: in its group; the lowest comes first, and figures without one come last.

    Raises ValueError where another function draws a figure of that name, or there is no such group.
    """
    if group is not None and group not in GROUPS:
        raise ValueError(f"figure {name!r} has the group {group!r}; expected one of {', '.join(GROUPS)}")

    def register(draw: "Callable[[FigureInputs], Iterable[Drawing]]") -> Callable:
        known = _FIGURES.get(name)
        if known and (known.draw.__module__, known.draw.__qualname__) != (draw.__module__, draw.__qualname__):
            raise ValueError(f"{known.draw.__module__} and {draw.__module__} both draw a figure {name!r}")
        _FIGURES[name] = Figure(name, group, needs, shows, reading, page, scale, position, draw)
        return draw

    return register


def extra_files(name: str) -> Callable:
    """Declares a function that writes the files of a figure that are no drawings: a table, an animation."""

    def register(write: "Callable[[FigureInputs, Path], Iterable[Path]]") -> Callable:
        _EXTRA_FILES[name] = write
        return write

    return register


def figures() -> dict[str, Figure]:
    """Every figure by its name: group by group, in a group by position."""
    _import_all()
    order = [*GROUPS, None]
    ordered = sorted(_FIGURES.values(), key=lambda declared: (order.index(declared.group), declared.position))
    return {declared.name: replace(declared, extra_files=_EXTRA_FILES.get(declared.name)) for declared in ordered}


def groups() -> dict[str, tuple[str, ...]]:
    """The figures of each group, and of all of them but comparison."""
    known = figures()
    members = {group: tuple(name for name in known if known[name].group == group) for group in GROUPS}
    return members | {"all": tuple(name for group in GROUPS if group != "comparison" for name in members[group])}


def chosen_figures(names: Sequence[str]) -> list[str]:
    """The figures that a list of names and groups stands for, each once. Raises UserError for an unknown name."""
    known, grouped = figures(), groups()
    for name in names:
        if name not in known and name not in grouped:
            raise UserError(unknown("figure", name, [*grouped, *known]))
    chosen = [figure for name in names for figure in grouped.get(name, (name,))]
    return list(dict.fromkeys(chosen))


@cache
def _import_all() -> None:
    """Imports every module of this package; none imports more than NumPy before it draws."""
    package = importlib.import_module(__package__)
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{module.name}")
