"""A figure laid out by hand: tiles, text and axes at positions in pixels of the final picture.

Tiles are painted by nearest neighbour into one raster at the resolution of the saved PNG, so a cell has the same
whole number of pixels everywhere, and hundreds of tiles cost no more than one. Text and graphs stay vectors.
"""

import io
import re
import unicodedata
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backend_bases import RendererBase
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.transforms import Bbox

from convlens.visualization import palette
from convlens.visualization.save import DPI
from convlens.visualization.tiles import enlarge

MARGIN = 50
POINT = DPI / 72  # pixels


def percent(share: float) -> str:
    """A share as people write it; a small one is not rounded away."""
    return f"{share:.1%}" if 0 < share < 0.1 else f"{share:.0%}"


def number(value: float) -> str:
    """A value in three significant digits with a proper minus sign."""
    return f"{value:.3g}".replace("-", "−")


class Sheet:
    """Collects what a figure shows; grows to hold it; `figure()` gives the Matplotlib figure.

    Places are (x, y) in pixels from the top left corner.
    """

    def __init__(self, width: int = 0):
        self.width, self.height = width, 0
        self._figure = SheetFigure(dpi=DPI)
        self._tiles: list[tuple[int, int, np.ndarray]] = []
        self._texts: list[tuple[float, float, str, dict]] = []
        self._axes: list[tuple[Axes, tuple[float, float, float, float]]] = []

    def _hold(self, right: float, bottom: float) -> None:
        self.width, self.height = max(self.width, round(right)), max(self.height, round(bottom))

    def grow_to(self, y: float) -> None:
        """Makes the sheet reach down to `y`: for what axes have around them, whose size is not known beforehand."""
        self._hold(0, y)

    def paint(self, x: float, y: float, colours: np.ndarray) -> None:
        """Colours of shape (height, width, 3) uint8, a pixel each."""
        self._tiles.append((round(x), round(y), colours))
        self._hold(x + colours.shape[1], y + colours.shape[0])

    def tile(self, x: float, y: float, colours: np.ndarray, width: int, height: int, *, dead: bool = False) -> None:
        """A tile enlarged by nearest neighbour, inside a thin outline; a dead unit's outline is heavy and orange."""
        line = 4 if dead else 1
        frame = np.empty((height + 2 * line, width + 2 * line, 3), np.uint8)
        frame[:] = palette.DEAD if dead else palette.OUTLINE
        frame[line:-line, line:-line] = enlarge(colours, height, width)
        self.paint(x - line, y - line, frame)

    def photo(self, x: float, y: float, image: np.ndarray, width: int, height: int) -> None:
        """An image with values in [0, 255]; a large one is averaged down, a small one shows its pixels."""
        from PIL import Image

        colours = palette.colour_image(image)
        if colours.shape[0] > height or colours.shape[1] > width:
            colours = np.asarray(Image.fromarray(colours).resize((width, height), Image.Resampling.BOX))
        self.tile(x, y, colours, width, height)

    def empty(self, x: float, y: float, width: int, height: int) -> None:
        """A place that holds nothing, and shows it."""
        self.paint(x, y, palette.hatch(height, width))

    def text(self, x: float, y: float, text: str, size: float = palette.LABEL_SIZE, **style: Any) -> None:
        """A line of text; `style` is Matplotlib's (ha, va, color, weight, rotation)."""
        style = {"ha": "left", "va": "top", "color": palette.TEXT, **style}
        self._texts.append((x, y, text, {"fontsize": size, **style}))
        reach = text_width(text, size, style.get("weight", "normal"))
        if not style.get("rotation"):
            share = {"left": 1.0, "center": 0.5, "right": 0.0}[style["ha"]]
            self._hold(x + reach * share, y + (line_height(size) if style["va"] == "top" else 0))

    def paragraph(self, x: float, y: float, text: str, width: float, size: float, **style: Any) -> float:
        """Text wrapped to a width; returns the y below it."""
        for line in wrap(text, width, size, style.get("weight", "normal")):
            self.text(x, y, line, size, **style)
            y += line_height(size)
        return y

    def axes(self, x: float, y: float, width: float, height: float) -> Axes:
        """Axes for a graph at a place; their ticks and labels lie around it, and need `grow_to` below it."""
        axes = self._figure.add_axes((0, 0, 1, 1), zorder=2)
        axes.tick_params(labelsize=palette.LABEL_SIZE, colors=palette.TEXT)
        for label in (*axes.get_xticklabels(), *axes.get_yticklabels()):
            label.set_fontfamily(palette.fonts())
        self._axes.append((axes, (x, y, width, height)))
        self._hold(x + width, y + height)
        return axes

    def colour_bar(
        self,
        x: float,
        y: float,
        limit: float,
        label: str,
        *,
        table: np.ndarray = palette.DIVERGING,
        root: bool = False,
        spell: Callable[[float], str] = number,
    ) -> float:
        """A horizontal colour bar, true for every tile drawn up to this limit; returns the y below it.

        With `root` the colours follow the square root, as those of activations do, and so do the ticks.
        """
        self.text(x, y, label, palette.LABEL_SIZE, color=palette.QUIET_TEXT)
        y += line_height(palette.LABEL_SIZE) + 4
        axes = self.axes(x + 40, y, 420, 22)
        ticks = [-1, -0.5, 0, 0.5, 1] if table is palette.DIVERGING else [0, 0.5, 1]
        scale = ScalarMappable(Normalize(ticks[0], 1), palette.colour_map(table))
        bar = self._figure.colorbar(scale, cax=axes, orientation="horizontal")
        values = [tick * abs(tick) * limit if root else tick * limit for tick in ticks]
        bar.set_ticks(ticks, labels=[spell(value) for value in values])
        bar.outline.set_linewidth(0.4)
        axes.tick_params(labelsize=palette.LABEL_SIZE, length=2, width=0.5)
        below = y + 22 + line_height(palette.LABEL_SIZE) + 34
        self._hold(x + 500, below)
        return below

    def activation_bar(self, x: float, y: float, limit: float, note: str, *, signed: bool = True) -> float:
        """The colour bar of activations, whose colours follow the square root; returns the y below it."""
        table = palette.DIVERGING if signed else palette.SEQUENTIAL
        return self.colour_bar(x, y, limit, f"activation, {note}; colours by square root", table=table, root=True)

    def figure(self) -> Figure:
        """The finished figure, sized to hold everything with a margin around it."""
        width, height = self.width + MARGIN, self.height + MARGIN
        raster = np.full((height, width, 4), 255, np.uint8)
        raster[..., :3] = palette.BACKGROUND
        for left, top, colours in self._tiles:
            raster[top : top + colours.shape[0], left : left + colours.shape[1], :3] = colours
        figure = self._figure
        figure.set_size_inches(width / DPI, height / DPI)
        figure.add_artist(_Raster(raster))
        for x, y, text, style in self._texts:
            figure.text(x / width, 1 - y / height, text, parse_math=False, fontfamily=palette.fonts(), **style)
        for axes, (x, y, wide, high) in self._axes:
            axes.set_position((x / width, 1 - (y + high) / height, wide / width, high / height))
        return figure


class SheetFigure(Figure):
    """A figure that a notebook shows by itself, whether or not pyplot was imported."""

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        return shown_png(self)


def shown_png(figure: Figure) -> tuple[bytes, dict[str, int]]:
    """A figure as a notebook shows it: PNG, and the width in pixels on the screen."""
    file = io.BytesIO()
    with palette.without_glyph_warnings():
        figure.savefig(file, format="png")
    width = round(figure.get_figwidth() * figure.dpi / 2)  # shown at half its size, sharp on a fine screen
    return file.getvalue(), {"width": width}


class _Raster(Artist):
    """The painted tiles, over the whole figure: copied where Matplotlib's own images are resampled, at ten times the
    cost. At another resolution than the sheet's the pixels are repeated or left out, never mixed."""

    def __init__(self, colours: np.ndarray):  # (height, width, 4)
        super().__init__()
        self._colours = colours

    def get_window_extent(self, renderer: RendererBase | None = None) -> Bbox:
        figure = self.get_figure()
        return Bbox.null() if figure is None else Bbox(figure.transFigure.transform([(0, 0), (1, 1)]))

    def draw(self, renderer: RendererBase) -> None:
        extent = self.get_window_extent(renderer)
        enlargement = renderer.get_image_magnification()
        shape = tuple(round(side * enlargement) for side in (extent.height, extent.width))
        pixels = self._colours if shape == self._colours.shape[:2] else enlarge(self._colours, *shape)
        graphics = renderer.new_gc()
        renderer.draw_image(graphics, extent.x0, extent.y0, pixels[::-1])
        graphics.restore()


def line_height(size: float) -> float:
    """Pixels from one line of text to the next at a font size in points."""
    return size * POINT * 1.3


@cache
def _ruler() -> RendererAgg:
    return RendererAgg(1, 1, DPI)


@cache
def text_width(text: str, size: float, weight: str = "normal") -> float:
    """The width of a line of text in pixels."""
    font = FontProperties(family=palette.fonts()[:1], size=size, weight=weight)
    with palette.without_glyph_warnings():
        return _ruler().get_text_width_height_descent(text, font, ismath=False)[0]


def plain(text: object) -> str:
    """Text on one line, without characters that a picture or an SVG file cannot hold."""
    # A file's name in another encoding than UTF-8 holds bytes that are no characters: they are shown as numbers.
    written = re.sub("[\udc80-\udcff]", lambda byte: f"\\x{ord(byte[0]) - 0xDC00:02x}", str(text))
    joined = " ".join(written.split())
    return "".join(character for character in joined if unicodedata.category(character)[0] != "C")


def shorten(text: object, width: float, size: float, weight: str = "normal") -> str:
    """Text on one line, cut with an ellipsis where it is wider than `width` pixels."""
    text = plain(text)
    if text_width(text[:400], size, weight) <= width and len(text) <= 400:
        return text
    low, high = 0, min(len(text), 400)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if text_width(text[:middle] + "…", size, weight) <= width else (low, middle - 1)
    return text[:low] + "…"


def shorten_middle(text: object, width: float, size: float, weight: str = "normal") -> str:
    """Text on one line, without its middle where it is wider than `width` pixels: a path keeps its file's name."""
    text = plain(text)
    if len(text) <= 400 and text_width(text, size, weight) <= width:
        return text
    low, high = 0, min(len(text) - 1, 400)
    while low < high:
        kept = (low + high + 1) // 2
        fits = text_width(_without_middle(text, kept), size, weight) <= width
        low, high = (kept, high) if fits else (low, kept - 1)
    return _without_middle(text, low)


def _without_middle(text: str, kept: int) -> str:
    """So many characters of a text, a third of them from its start."""
    start = kept // 3
    return f"{text[:start]}…{text[len(text) - (kept - start) :]}"


def wrap(text: str, width: float, size: float, weight: str = "normal") -> list[str]:
    """Text in lines no wider than `width` pixels; a word that is wider alone is shortened."""
    lines: list[str] = []
    for word in plain(text).split(" "):
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and text_width(longer, size, weight) <= width:
            lines[-1] = longer
        else:
            lines.append(shorten(word, width, size, weight))
    return lines
