"""The page on which all figures of a folder are found, whenever they were drawn."""

import re
from pathlib import Path

from convlens.gallery.registry import FIGURES

_ABOUT = re.compile(r"(?P<layer>.*?)-?(?:unit(?P<unit>\d+))?-?(?P<note>image\d+)?")


def write_page(folder: Path, title: str) -> Path:
    """Write `folder`/index.html over every picture in the folder, by layer and by unit as its name says.

    Where a picture is also animated, the animation is shown.
    """
    from convlens.visualization import write_index

    # A layer's name may hold a dot, at which with_suffix would cut another name.
    animated = {path.name.removesuffix(".gif") for path in folder.glob("*.gif")}
    stems = [path.name.removesuffix(".png") for path in folder.glob("*.png")]
    pictures = sorted(folder / f"{stem}{'.gif' if stem in animated else '.png'}" for stem in stems)
    return write_index(folder, [entry(path.name) for path in pictures], title=title)


def entry(file: str):
    """What a picture is about: `<figure>-<layer>-unit3.png`, `<figure>-<layer>-image0.png` or less of it."""
    from convlens.visualization import Entry

    stem = Path(file).stem
    names = (name for name in sorted(FIGURES, key=len, reverse=True) if stem == name or stem.startswith(f"{name}-"))
    figure = next(names, None)
    if figure is None:
        return Entry(file, stem)
    about = _ABOUT.fullmatch(stem.removeprefix(figure).removeprefix("-"))
    unit = about["unit"] and int(about["unit"])
    return Entry(file, figure, about["layer"] or None, unit, about["note"] or "")
