"""The page on which all figures of a folder are found, whenever they were drawn."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from convlens.gallery.captions import address_of, caption_of
from convlens.gallery.registry import FIGURES

_ABOUT = re.compile(r"(?P<layer>.*?)-?(?:unit(?P<unit>\d+))?-?(?P<note>image\d+)?")


TYPED = "kernels that were typed"


def write_page(folder: Path, title: str, layers: Sequence[str] = ()) -> Path:
    """Write `folder`/index.html over every picture in the folder, by layer and by unit as its name says.

    `layers` are the network's, as in the names of files, in its order; others come last. Where a picture is also
    animated, the animation is shown.
    """
    from convlens.visualization import write_index

    # A layer's name may hold a dot, at which with_suffix would cut another name.
    animated = {path.name.removesuffix(".gif") for path in folder.glob("*.gif")}
    stems = [path.name.removesuffix(".png") for path in folder.glob("*.png")]
    pictures = sorted(folder / f"{stem}{'.gif' if stem in animated else '.png'}" for stem in stems)
    entries = [_captioned(entry(path.name), folder) for path in pictures]
    places = {layer: place for place, layer in enumerate((*layers, TYPED))}
    figures = {figure: place for place, figure in enumerate(FIGURES)}

    def order(one):
        known = places.get(one.layer, -1 if one.layer is None else len(places))
        return known, one.layer or "", figures.get(one.figure, len(figures))

    return write_index(folder, sorted(entries, key=order), title=title)


def _captioned(picture, folder: Path):
    """With how to read it, and where that is explained."""
    caption = caption_of(picture.figure)
    if caption is None:
        return picture
    sentence, page, heading = caption
    return replace(picture, reading=sentence, page=f"docs/{page}", address=address_of(page, heading, folder) or "")


def entry(file: str):
    """What a picture is about: `<figure>-<layer>-unit3.png`, `<figure>-<layer>-image0.png` or less of it."""
    from convlens.visualization import Entry

    stem = Path(file).stem
    names = (name for name in sorted(FIGURES, key=len, reverse=True) if stem == name or stem.startswith(f"{name}-"))
    figure = next(names, None)
    if figure is None:
        return Entry(file, stem)
    if figure in ("kernel", "extraction") and "-unit" not in stem and "-" in stem:
        return Entry(file, figure, TYPED, note=stem.partition("-")[2])
    about = _ABOUT.fullmatch(stem.removeprefix(figure).removeprefix("-"))
    unit = about["unit"] and int(about["unit"])
    return Entry(file, figure, about["layer"] or None, unit, about["note"] or "")
