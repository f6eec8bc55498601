"""A page to browse a folder of figures by: plain HTML, that needs no network and no server."""

import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from convlens.core.files import atomic_write, make_folder
from convlens.visualization import palette
from convlens.visualization.sheet import plain

NETWORK = "network"  # the part of the page for figures that are of no single layer


@dataclass(frozen=True)
class Entry:
    """A figure on the page; what it is not about is None."""

    file: str  # the picture's path, relative to the folder
    figure: str  # what kind it is: "kernels", "top_patches"
    layer: str | None = None
    unit: int | None = None
    note: str = ""  # what else tells it apart: the image's name, the class
    reading: str = ""  # a sentence on how to read it
    page: str = ""  # the document that says more
    address: str = ""  # where that lies, as seen from the page; "": it is not at hand
    words: str = ""  # of the command that it was drawn with


def write_index(
    folder: str | Path, entries: Iterable[Entry], *, title: str = "Figures", facts: Sequence[str] = ()
) -> Path:
    """Write `folder`/index.html and return its path: a part for each layer in the order given, by unit within it.

    Links are relative, so that the folder may be moved. Pictures are read as they are scrolled to. Where an `.svg` or
    `.npz` of a picture's name lies beside it, it is linked. Names are shown as they are, whatever they hold. `facts`
    stand under the title. A field filters by words; without JavaScript everything is shown.

    Raises ValueError for a picture outside of the folder.
    """
    folder = Path(folder)
    entries = list(entries)
    for entry in entries:
        if Path(entry.file).is_absolute() or ".." in Path(entry.file).parts:
            raise ValueError(f"{entry.file} is not in the folder of the page")
    by_layer: dict[str | None, list[Entry]] = {None: []}
    for entry in entries:
        by_layer.setdefault(entry.layer, []).append(entry)
    by_layer = {layer: of_layer for layer, of_layer in by_layer.items() if of_layer}
    anchors = {layer: f"part{number}" for number, layer in enumerate(by_layer)}
    links = [_link(anchor, layer, by_layer[layer]) for layer, anchor in anchors.items()]
    sections = [_section(folder, anchors[layer], layer, of_layer) for layer, of_layer in by_layer.items()]
    page = _PAGE.format(
        title=_text(title),
        facts=" · ".join(_text(fact) for fact in (*facts, f"{len(entries)} figures")),
        links="\n".join(links),
        sections="\n".join(sections) or "<p>There are no figures.</p>",
        text=palette.TEXT,
        quiet=palette.QUIET_TEXT,
        accent=palette.NEGATIVE,
        line=palette.GRID,
        paper=_hex(palette.HATCH[0]),
    )
    make_folder(folder)
    path = folder / "index.html"
    atomic_write(path, page.encode("utf-8", "backslashreplace"))  # a name may hold what UTF-8 has no bytes for
    return path


def _link(anchor: str, layer: str | None, entries: Sequence[Entry]) -> str:
    name = NETWORK if layer is None else layer
    return f'<a href="#{anchor}">{_text(name)} <small>{len(entries)}</small></a>'


def _section(folder: Path, anchor: str, layer: str | None, entries: Sequence[Entry]) -> str:
    of_layer = [entry for entry in entries if entry.unit is None]
    of_units: dict[int, list[Entry]] = {}
    for entry in entries:
        if entry.unit is not None:
            of_units.setdefault(entry.unit, []).append(entry)
    by_unit = [(unit, of_units[unit]) for unit in sorted(of_units)]
    jumps = " ".join(f'<a href="#{anchor}-unit{unit}">{unit}</a>' for unit, _ in by_unit)
    lines = [f'<section id="{anchor}">', f"<h2>{_text(NETWORK if layer is None else layer)}</h2>"]
    if of_layer:
        lines.append(_cards(folder, of_layer))
    if by_unit:
        lines.append(f'<p class="units">units {jumps}</p>')
    for unit, of_unit in by_unit:
        lines += [f'<h3 id="{anchor}-unit{unit}">unit {unit}</h3>', _cards(folder, of_unit)]
    return "\n".join([*lines, "</section>"])


def _cards(folder: Path, entries: Sequence[Entry]) -> str:
    return '<div class="cards">\n' + "\n".join(_card(folder, entry) for entry in entries) + "\n</div>"


def _card(folder: Path, entry: Entry) -> str:
    picture = Path(entry.file)
    links = [
        f'<a href="{_address(companion)}">{suffix[1:]}</a>'
        for suffix in (".svg", ".npz")
        # A layer's name may hold a dot, at which with_suffix would cut another name.
        if (folder / (companion := picture.parent / (picture.name.removesuffix(picture.suffix) + suffix))).is_file()
    ]
    about = [entry.figure, entry.layer or "", f"unit {entry.unit}" if entry.unit is not None else "", entry.note]
    words = _text(" ".join(filter(None, about)))
    searched = _text(" ".join(filter(None, (*about, entry.words)))).lower()
    note = f" <span>{_text(entry.note)}</span>" if entry.note else ""
    return (
        f'<figure data-words="{searched}"><a href="{_address(picture)}">'
        f'<img src="{_address(picture)}" alt="{words}" loading="lazy"></a>'
        f"<figcaption><b>{_text(entry.figure)}</b>{note} <small>{' '.join(links)}</small>"
        f"{_reading(entry)}{_drawn_with(entry)}</figcaption></figure>"
    )


def _reading(entry: Entry) -> str:
    """How a figure is read, and where that is explained."""
    if not entry.reading:
        return ""
    page = _text(entry.page)
    if entry.address:
        # A run is opened in a browser from its folder: what a link leads to is a file beside it.
        path, _, anchor = entry.address.partition("#")
        page = f'<a href="{html.escape(quote(path))}#{html.escape(quote(anchor))}">{page}</a>'
    more = f" More: {page}." if page else ""
    return f"<p>{_text(entry.reading)}{more}</p>"


def _drawn_with(entry: Entry) -> str:
    return f'<p class="words"><code>{_text(entry.words)}</code></p>' if entry.words else ""


def _address(path: Path) -> str:
    # A colon in the first part of a relative address would make it a scheme.
    return html.escape(quote(f"./{path.as_posix()}"))


def _text(text: object) -> str:
    return html.escape(plain(text))


def _hex(colour: Sequence[int]) -> str:
    return "#" + "".join(f"{channel:02x}" for channel in colour)


_PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
  body {{ margin: 0; font: 15px/1.5 "DejaVu Sans", system-ui, sans-serif; color: {text}; background: #fff; }}
  header {{ position: sticky; top: 0; z-index: 1; padding: 14px 28px 12px; background: #fff;
    border-bottom: 1px solid {line}; }}
  h1 {{ margin: 0; font-size: 22px; }}
  h2 {{ margin: 36px 0 12px; font-size: 18px; }}
  h3 {{ margin: 22px 0 8px; font-size: 15px; color: {quiet}; }}
  h2, h3, section {{ scroll-margin-top: 150px; }}
  p {{ margin: 2px 0 10px; color: {quiet}; }}
  a {{ color: {accent}; text-decoration: none; }}
  a:hover {{ text-decoration: underline; }}
  nav {{ display: flex; flex-wrap: wrap; gap: 4px 18px; max-height: 84px; overflow: auto; }}
  small {{ color: {quiet}; }}
  input {{ float: right; width: 230px; padding: 5px 10px; font: inherit; border: 1px solid {line};
    border-radius: 4px; }}
  main {{ padding: 0 28px 60px; }}
  .units {{ margin-top: 18px; }}
  .units a {{ display: inline-block; min-width: 20px; text-align: center; }}
  .cards {{ display: grid; grid-template-columns: repeat(auto-fill, minmax(330px, 1fr)); gap: 18px; }}
  figure {{ margin: 0; border: 1px solid {line}; border-radius: 4px; overflow: hidden; }}
  figure > a {{ display: flex; height: 250px; align-items: center; justify-content: center; background: #fff; }}
  img {{ max-width: 100%; max-height: 250px; object-fit: contain; }}
  figcaption {{ padding: 7px 12px; background: {paper}; border-top: 1px solid {line}; overflow-wrap: anywhere; }}
  figcaption span {{ color: {quiet}; }}
  figcaption p {{ margin: 2px 0 0; font-size: 13px; }}
  figcaption small {{ float: right; }}
  [hidden] {{ display: none !important; }}
</style>
</head>
<body>
<header>
<input type="search" placeholder="filter: kernels unit 3" aria-label="filter figures by words" hidden>
<h1>{title}</h1>
<p>{facts}</p>
<nav>
{links}
</nav>
</header>
<main>
{sections}
</main>
<script>
  const field = document.querySelector("input");
  field.hidden = false;
  field.addEventListener("input", () => {{
    const words = field.value.toLowerCase().split(/\\s+/).filter(Boolean);
    const fits = (figure) => words.every((word) => figure.dataset.words.includes(word));
    for (const figure of document.querySelectorAll("figure")) figure.hidden = !fits(figure);
    for (const part of document.querySelectorAll(".cards, section"))
      part.hidden = !part.querySelector("figure:not([hidden])");
    for (const name of document.querySelectorAll("h3")) name.hidden = name.nextElementSibling.hidden;
  }});
</script>
</body>
</html>
"""
