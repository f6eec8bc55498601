"""The page that shows all figures of a folder, whenever they were drawn."""

import os
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import convlens
from convlens.gallery.drawn_with import words_in
from convlens.gallery.registry import figures

if TYPE_CHECKING:
    from convlens.visualization import Entry

DOCS = Path(convlens.__file__).parent / "docs"  # beside the packages in a clone; a wheel has none
TYPED = "kernels that were typed"
_ABOUT = re.compile(r"(?P<layer>.*?)-?(?:unit(?P<unit>\d+))?-?(?P<note>image\d+)?")
# Of figures that another command draws into the same folder: how each is read, and its page.
_OTHERS = {
    "confusion_matrix": (
        "A row is a true class, a column what was said; blue is right, red was taken for another.",
        "reading-the-pictures.md#confusion_matrix-and-mistakes",
    )
}


def write_page(folder: Path, title: str, layers: Sequence[str] = ()) -> Path:
    """Write `folder`/index.html over every picture in the folder, by layer and by unit as its name says.

    Under each stand how it is read and the words of the command that it was drawn with: a folder may hold pictures of
    several calls. `layers` are the network's, as in the names of files, in its order; others come last. Where a picture
    is also animated, the animation is shown.
    """
    from convlens.visualization import write_index

    # A layer's name may hold a dot, at which with_suffix would cut another name.
    animated = {path.name.removesuffix(".gif") for path in folder.glob("*.gif")}
    stems = [path.name.removesuffix(".png") for path in folder.glob("*.png")]
    entries = []
    for picture, stem in sorted((f"{stem}{'.gif' if stem in animated else '.png'}", stem) for stem in stems):
        words = words_in(folder / f"{stem}.png")
        entries.append(replace(_explained(entry(picture), folder), words=words))
    layer_order = {layer: index for index, layer in enumerate((*layers, TYPED))}
    figure_order = {figure: index for index, figure in enumerate(figures())}

    def sort_key(picture: "Entry") -> tuple[int, str, int]:
        layer_rank = -1 if picture.layer is None else layer_order.get(picture.layer, len(layer_order))
        return layer_rank, picture.layer or "", figure_order.get(picture.figure, len(figure_order))

    return write_index(folder, sorted(entries, key=sort_key), title=title)


def explanation(figure: str) -> tuple[str, str] | None:
    """How a figure is read and the page that says more, also of `mistakes_test`; None for one that is not ours."""
    known = figures()
    for name in (figure, figure.rpartition("_")[0]):
        if name in known:
            return " ".join(filter(None, (known[name].reading, known[name].scale))), known[name].page
        if name in _OTHERS:
            return _OTHERS[name]
    return None


def _explained(picture: "Entry", folder: Path) -> "Entry":
    """The entry with the sentence on how to read it, and a link to the document."""
    known = explanation(picture.figure)
    if known is None:
        return picture
    reading, page = known
    document, _, heading = page.partition("#")
    return replace(picture, reading=reading, page=f"docs/{document}", address=address_of(document, heading, folder))


def address_of(document: str, heading: str, folder: Path) -> str:
    """Where a heading of the documents lies, as seen from a folder of figures; "" where they were not installed."""
    if not (DOCS / document).is_file():
        return ""
    try:
        relative = os.path.relpath((DOCS / document).resolve(), folder.resolve())
    except ValueError:  # on another drive
        return ""
    return f"{Path(relative).as_posix()}#{heading}"


def entry(file: str) -> "Entry":
    """What a picture is about: `<figure>-<layer>-unit3.png`, `<figure>-<layer>-image0.png` or less of it."""
    from convlens.visualization import Entry

    stem = Path(file).stem
    names = (name for name in sorted(figures(), key=len, reverse=True) if stem == name or stem.startswith(f"{name}-"))
    figure = next(names, None)
    if figure is None:
        return Entry(file, stem)
    if figure in ("kernel", "extraction") and "-unit" not in stem and "-" in stem:
        return Entry(file, figure, TYPED, note=stem.partition("-")[2])
    about = _ABOUT.fullmatch(stem.removeprefix(figure).removeprefix("-"))
    assert about is not None, "the pattern takes every name"
    unit = int(about["unit"]) if about["unit"] else None
    return Entry(file, figure, about["layer"] or None, unit, about["note"] or "")
