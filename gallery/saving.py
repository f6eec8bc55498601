"""Drawn figures on disk: each as PNG, SVG and arrays, and a page on which all of a folder are found."""

from pathlib import Path
from typing import TYPE_CHECKING

from convlens.core.errors import UserError
from convlens.core.progress import progress_bar
from convlens.gallery.file_names import FileNames, names_of_layer
from convlens.gallery.index import write_page

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from matplotlib.figure import Figure

    from convlens.gallery.registry import Plan


def save(plans: "Sequence[Plan]", folder: Path, layers: "Sequence[str]" = ()) -> None:
    """Draws every figure, writes it as PNG, SVG and arrays with what stands beside it, and prints where.

    `layers` are the network's in its order, in which they stand on the page of all figures.
    """
    from convlens.visualization import save_figure

    names, beside, files = [], [], FileNames(folder)
    with progress_bar("Drawing", sum(len(plan.drawings) for plan in plans)) as progress:
        for plan in plans:
            before = len(names)
            for name, figure, arrays in drawn(plan):
                names.append(files.of(name))
                save_figure(figure, arrays, folder / names[-1])
                progress(len(names))
            if plan.beside and len(names) == before + len(plan.drawings):
                beside += _written_beside(plan, folder)
    page = write_page(folder, f"Figures in {folder}", [name for layer in layers for name in names_of_layer(layer)])
    if names:
        count = "1 figure" if len(names) == 1 else f"{len(names)} figures"
        print(f"{count} in {folder}, each as .png, .svg and, with the arrays behind it, .npz:")
    for name in names:
        print(f"  {name}.png")
    for path in beside:
        print(f"  {path.relative_to(folder)}" if path.is_relative_to(folder) else f"Written {path}")
    print(f"All on one page: {page}")


def drawn(plan: "Plan") -> "Iterator[tuple[str, Figure, dict[str, np.ndarray]]]":
    """Name, figure and arrays of each drawing of a plan, as far as they can be drawn.

    Raises UserError for what cannot be drawn where the figure was asked for by its name; else that is printed.
    """
    for drawing in plan.drawings:
        try:
            figure, arrays = drawing.draw()
        except UserError as error:
            _give_up(plan, error)
            return
        yield drawing.name, figure, arrays


def _written_beside(plan: "Plan", folder: Path) -> list[Path]:
    try:
        return list(plan.beside(folder))
    except UserError as error:
        _give_up(plan, error)
        return []


def _give_up(plan: "Plan", error: UserError) -> None:
    if plan.by_name:
        raise error
    print(f"No figure '{plan.figure}': {error}")
