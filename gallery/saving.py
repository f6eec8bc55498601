"""Writes figures to disk: each as PNG, SVG and arrays, and a page that shows all figures of the folder."""

from pathlib import Path
from typing import TYPE_CHECKING

from convlens.core.errors import UserError
from convlens.core.progress import progress_bar
from convlens.gallery.drawn_with import as_text, words_in
from convlens.gallery.file_names import FileNames, names_of_layer
from convlens.gallery.index import write_page

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from matplotlib.figure import Figure

    from convlens.gallery.planning import Plan


def save(plans: "Sequence[Plan]", folder: Path, layers: "Sequence[str]" = ()) -> None:
    """Draws every figure, writes it as PNG, SVG and arrays with what stands beside it, and prints each file's name.

    A picture takes the place of one of its name. `layers` are the network's in its order, in which they stand on the
    page of all figures.
    """
    from convlens.visualization import save_figure

    written, replaced, files = 0, 0, FileNames(folder)
    with progress_bar("Drawing", sum(len(plan.drawings) for plan in plans)) as progress:
        for plan in plans:
            count_before = written
            for name, figure, arrays in drawn(plan):
                if not written:
                    _say(f"Drawing into {folder}, each as .png, .svg and, with the arrays behind it, .npz:")
                path = folder / files.of(name)
                replaced += _remove_companions(path, plan.words)
                save_figure(figure, arrays, path, as_text(plan.words) if plan.words else None)
                _say(f"  {path.name}.png")
                progress(written := written + 1)
            if plan.extra_files and written == count_before + len(plan.drawings):
                for path in _extra_files_of(plan, folder):
                    _say(f"  {path.relative_to(folder)}" if path.is_relative_to(folder) else f"Written {path}")
    page = write_page(folder, f"Figures in {folder}", [name for layer in layers for name in names_of_layer(layer)])
    if written:
        replaced_text = f"; {replaced} took the place of pictures drawn with other choices" if replaced else ""
        _say(f"{written} figure{'s' * (written > 1)} in {folder}{replaced_text}")
    _say(f"All on one page: {page}")


def _say(line: str) -> None:
    """Prints at once, also into a pipe or a file: drawing takes minutes."""
    print(line, flush=True)


def _remove_companions(path: Path, words: str) -> bool:
    """Removes the files of a picture that these words did not draw, and returns whether other words drew it.

    Whenever drawing is stopped, a picture never stands beside the arrays or the animation of another.
    """
    picture = path.parent / f"{path.name}.png"
    known = words_in(picture)
    if not picture.is_file() or known == words:
        return False
    for suffix in (".svg", ".npz", ".gif"):
        (path.parent / f"{path.name}{suffix}").unlink(missing_ok=True)
    return known != ""


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


def _extra_files_of(plan: "Plan", folder: Path) -> list[Path]:
    try:
        return [] if plan.extra_files is None else list(plan.extra_files(folder))
    except UserError as error:
        _give_up(plan, error)
        return []


def _give_up(plan: "Plan", error: UserError) -> None:
    if plan.by_name:
        raise error
    _say(f"No figure '{plan.figure}': {error}")
