"""What a network is made of, drawn to scale."""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Polygon, Rectangle

from convlens.visualization import palette
from convlens.visualization.architecture_plan import Stop, rows_of, stops_of
from convlens.visualization.caption import UNKNOWN, Caption, heading, size
from convlens.visualization.sheet import MARGIN, Sheet, line_height, shorten, text_width

if TYPE_CHECKING:
    from convlens.interpret import Architecture

TALLEST, LONGEST, UPRIGHT = 230, 150, 150  # pixels of the largest map, of the most channels, of the longest vector
SLANT = (0.26, 0.20)  # how far a map's width goes right and up, in shares of it
NARROWEST, WIDEST = 132, 236  # pixels of a column
TAIL, RING = 30, 12  # pixels between columns; the radius of the sign where ways meet
MOST_COLUMNS = 12
LINE = line_height(palette.LABEL_SIZE)
BAR = 8
SHORT = {"BatchNormalization": "BN", "Activation": "", "LayerNormalization": "LN", "ZeroPadding2D": "pad"}
LAYER_NAMES = {
    "Conv2D": "conv",
    "DepthwiseConv2D": "depthwise",
    "SeparableConv2D": "separable",
    "Conv2DTranspose": "transposed",
    "MaxPooling2D": "max pool",
    "AveragePooling2D": "mean pool",
    "GlobalAveragePooling2D": "global mean",
    "GlobalMaxPooling2D": "global max",
    "Dense": "dense",
}


def architecture_figure(
    architecture: "Architecture", *, caption: Caption = UNKNOWN, fold: bool | None = None
) -> Figure:
    """A network from left to right: what each layer makes of an image, as boxes to scale, and what that costs.

    A box is as high and as wide as a map and as long as it has channels; layers that only change numbers one by one
    are named in words. With `fold` (None: where there are many layers) units that follow each other and are alike are
    drawn once.
    """
    stops = stops_of(architecture, fold=fold)
    rows = rows_of(stops, MOST_COLUMNS)
    drawing = _Drawing(stops)
    sheet = Sheet(width=1300)
    least = "" if architecture.is_complete else "at least "
    facts = caption.facts(
        f"{_count(architecture.parameters)} weights",
        f"{least}{_count(architecture.multiply_adds)} multiply-accumulates an image (MAC; FLOPs are twice as many)",
        f"{len(architecture.layers)} layers",
        "boxes to scale: as high and wide as a map, as long as its channels; vectors upright, on their own scale",
    )
    widths = [sum(drawing.width(column) for column in row) for row in rows]
    y = heading(sheet, caption.layer or "What the network is made of", facts, max(1250, *widths))
    y = _legend(sheet, y)
    for row in rows:
        y = drawing.draw_row(sheet, y, row)
    return sheet.figure()


class _Drawing:
    """The stops of a network, with the scales that they share."""

    def __init__(self, stops: list[Stop]):
        self.stops = stops
        maps = [stop.shape for stop in stops if not stop.is_vector]
        self._pixel = TALLEST / max((max(shape[:2]) for shape in maps), default=1)
        self._channel = LONGEST / max((shape[2] for shape in maps), default=1)
        vectors = [_units(stop) for stop in stops if stop.is_vector]
        self._unit = UPRIGHT / max(vectors, default=1)
        self._weights = max(sum(stop.parameters for stop in stops), 1)
        self._cost = max(sum(stop.multiply_adds or 0 for stop in stops), 1)
        self._columns: dict[int, list[int]] = {}
        for index, stop in enumerate(stops):
            self._columns.setdefault(stop.column, []).append(index)

    def width(self, column: int) -> int:
        """Pixels of a column with the space after it, where ways meet."""
        stops = [self.stops[index] for index in self._columns[column]]
        texts = [text_width(text, palette.LABEL_SIZE) for stop in stops for text, _, _ in self._lines(stop)]
        wide = max(*(self._box(stop)[0] for stop in stops), min(max(texts, default=0), WIDEST - 10), NARROWEST - 10)
        return round(wide + 10 + TAIL + 2.4 * RING * max(len(stop.merges) for stop in stops))

    def draw_row(self, sheet: Sheet, y: float, row: Sequence[int]) -> float:
        """Draw columns left to right from y on; returns the y below them."""
        indices = [index for column in row for index in self._columns[column]]
        arcs = self._arcs(row)
        lanes = sorted({self.stops[index].lane for index in indices})
        y += 14 * len({level for level, *_ in arcs}) + (LINE + 16) * any(self.stops[p].repeated[0] for p in indices)
        lines_at, top = {}, y
        for lane in lanes:
            inside = [self.stops[index] for index in indices if self.stops[index].lane == lane]
            reach = max(RING + 4, *(self._box(stop)[1] / 2 for stop in inside))
            lines_at[lane] = (y + reach, y + 2 * reach + 12)  # the line that data flow along, and the labels
            y += 2 * reach + 12 + LINE * max(len(self._lines(stop)) for stop in inside) + 2 * BAR + 46
        lefts, x = {}, float(MARGIN)
        for column in row:
            lefts[column] = x
            x += self.width(column)
        axes = sheet.axes(0, top - 120, x + 40, y - top + 160)
        axes.set(xlim=(0, x + 40), ylim=(y + 40, top - 120))
        axes.axis("off")
        pen = _Pen(self, axes, lefts, {lane: line for lane, (line, _) in lines_at.items()})
        for column in row:
            for index in self._columns[column]:
                pen.draw_ways(index)
        for level, source, target, turn in arcs:
            pen.draw_arc(source, target, turn, top - 8 - 14 * level)
        for index in indices:
            stop = self.stops[index]
            self._draw_box(axes, stop, lefts[stop.column], lines_at[stop.lane][0])
            self._draw_labels(sheet, stop, lefts[stop.column], lines_at[stop.lane][1])
        self._draw_repeats(sheet, axes, lefts, top - 14 - 14 * len({level for level, *_ in arcs}), row)
        return y + 10

    def _arcs(self, row: Sequence[int]) -> list[tuple[int, int, int, int]]:
        """Ways that skip stops of the first lane: (level above the row, from, to, which of its merges or -1)."""
        skips = []
        for column in row:
            for index in self._columns[column]:
                stop = self.stops[index]
                for turn, (_, sources) in enumerate(stop.merges):
                    skips += [(source, index, turn) for source in sources if self.stops[source].lane == 0]
                if stop.lane == 0:
                    skipped = [s for s in stop.sources if self.stops[s].lane == 0 and self.stops[s].column < column - 1]
                    skips += [(source, index, -1) for source in skipped]
        skips.sort(key=lambda arc: self.stops[arc[1]].column - self.stops[arc[0]].column)
        levels: list[list[tuple[int, int]]] = []
        arcs = []
        for source, target, turn in skips:
            span = self.stops[source].column, self.stops[target].column
            level = 0
            while level < len(levels) and any(a < span[1] and span[0] < b for a, b in levels[level]):
                level += 1
            levels += [[]] * (level == len(levels))
            levels[level] = [*levels[level], span]
            arcs.append((level, source, target, turn))
        return arcs

    def middle(self, stop: Stop) -> float:
        """Where a box's middle is, from the left of its column."""
        tail = TAIL + 2.4 * RING * max(len(self.stops[index].merges) for index in self._columns[stop.column])
        return (self.width(stop.column) - tail) / 2

    def _sides(self, stop: Stop) -> tuple[float, float, float]:
        """Length, height and width of a box in pixels, before it is slanted."""
        if stop.is_vector:
            return 13, max(3.0, _units(stop) * self._unit), 34
        height, width, channels = stop.shape
        return max(3.0, channels * self._channel), max(5.0, height * self._pixel), max(5.0, width * self._pixel)

    def _box(self, stop: Stop) -> tuple[float, float]:
        length, height, width = self._sides(stop)
        return length + width * SLANT[0], height + width * SLANT[1]

    def _draw_box(self, axes: Axes, stop: Stop, left: float, line: float) -> None:
        length, height, width = self._sides(stop)
        right, up = width * SLANT[0], width * SLANT[1]
        x = left + self.middle(stop) - (length + right) / 2
        top = line - (height + up) / 2 + up
        front, lid, side = _colours(stop)
        style: dict[str, Any] = {"edgecolor": palette.LINE, "linewidth": 0.5, "joinstyle": "round", "zorder": 3}
        axes.add_patch(Rectangle((x, top), length, height, facecolor=front, **style))
        roof = [(x, top), (x + right, top - up), (x + length + right, top - up), (x + length, top)]
        axes.add_patch(Polygon(roof, facecolor=lid, **style))
        near, far = x + length, x + length + right
        face = [(near, top), (far, top - up), (far, top - up + height), (near, top + height)]
        axes.add_patch(Polygon(face, facecolor=side, **style))

    def _lines(self, stop: Stop) -> list[tuple[str, str, str]]:
        """The labels under a box: text, colour, weight."""
        lines = [(stop.name.rsplit("/", 1)[-1], palette.TEXT, "bold"), (size(stop.shape), palette.TEXT, "normal")]
        if not stop.kind:
            return lines
        window = f" {size(stop.kernel)}" if stop.kernel else ""
        lines.append((LAYER_NAMES.get(stop.kind, stop.kind) + window, palette.QUIET_TEXT, "normal"))
        folded = _kinds_text(stop.folded)
        lines += [(folded, palette.QUIET_TEXT, "normal")] if folded else []
        lines.append((_sees(stop), palette.QUIET_TEXT, "normal"))
        if stop.parameters or stop.multiply_adds != 0:
            cost = "MAC unknown" if stop.multiply_adds is None else f"{_count(stop.multiply_adds)} MAC"
            lines += [
                (f"{_count(stop.parameters)} weights", palette.NEGATIVE, "normal"),
                (cost, palette.POSITIVE, "normal"),
            ]
        return lines

    def _draw_labels(self, sheet: Sheet, stop: Stop, left: float, y: float) -> None:
        centre = left + self.middle(stop)
        width = min(2 * self.middle(stop), WIDEST)
        for text, ink, weight in self._lines(stop):
            text = shorten(text, width, palette.LABEL_SIZE)
            sheet.text(centre, y, text, palette.LABEL_SIZE, ha="center", color=ink, weight=weight)
            y += LINE
            for share, of in (
                (stop.parameters / self._weights, "weights"),
                ((stop.multiply_adds or 0) / self._cost, "MAC"),
            ):
                if text.endswith(of):
                    _draw_bar(sheet, centre - 60, y, 120, share, ink)
                    y += BAR + 9

    def _draw_repeats(self, sheet: Sheet, axes: Axes, lefts: dict[int, float], y: float, row: Sequence[int]) -> None:
        groups: dict[int, list[Stop]] = {}
        for column in row:
            for index in self._columns[column]:
                if self.stops[index].repeated[0]:
                    groups.setdefault(self.stops[index].repeated[0], []).append(self.stops[index])
        for stops in groups.values():
            first = min(lefts[stop.column] for stop in stops)
            last = max(lefts[stop.column] + self.width(stop.column) for stop in stops) - 12
            axes.plot([first, first, last, last], [y + 8, y, y, y + 8], color=palette.QUIET_TEXT, linewidth=0.8)
            times = f"{stops[0].repeated[1]} × (sums below)" if last - first > 190 else f"{stops[0].repeated[1]} ×"
            above = ((first + last) / 2, y - 4)
            sheet.text(*above, times, palette.LABEL_SIZE, ha="center", va="bottom", weight="bold")


class _Pen:
    """Draws the ways that data take in one row."""

    def __init__(self, drawing: _Drawing, axes: Axes, lefts: dict[int, float], lines: dict[int, float]):
        self._drawing, self._axes, self._lefts, self._lines = drawing, axes, lefts, lines

    def draw_ways(self, index: int) -> None:
        """What leads to a stop other than above the row, and the signs where ways meet after it."""
        stops = self._drawing.stops
        stop = stops[index]
        y = self._lines[stop.lane]
        centre = self._lefts[stop.column] + self._drawing.middle(stop)
        for source in stop.sources:
            start, height = self._leaving(source, stop.lane)
            if stops[source].lane == stop.lane:
                if stop.lane or stops[source].column == stop.column - 1:
                    self._line([start, centre], [y, y])
            else:
                self._line([start, start, centre], [height, y, y])
        end = self._lefts[stop.column] + self._drawing.width(stop.column)
        if stop.merges:
            self._line([centre, end], [y, y])
        for turn, (symbol, sources) in enumerate(stop.merges):
            x = self._ring(stop, turn)
            for source in sources:
                if stops[source].lane:
                    start, height = self._leaving(source, stops[source].lane)
                    self._line([start, x, x], [height, height, y])
            self._axes.add_patch(
                Circle((x, y), RING, facecolor="white", edgecolor=palette.LINE, linewidth=0.9, zorder=4)
            )
            points = palette.LABEL_SIZE if len(symbol) == 1 else palette.LABEL_SIZE - 3
            self._axes.text(x, y, symbol, fontsize=points, ha="center", va="center_baseline", zorder=5)

    def draw_arc(self, source: int, target: int, turn: int, height: float) -> None:
        """A way above the row, into a stop or into the sign after it."""
        stop = self._drawing.stops[target]
        y = self._lines[stop.lane]
        start, line = self._leaving(source, 0)
        end = self._ring(stop, turn) if turn >= 0 else self._lefts[stop.column] - 8
        self._line([start, start, end, end], [line, height, height, y])

    def _leaving(self, source: int, lane: int) -> tuple[float, float]:
        """Where a way starts: behind a stop and its signs, or at the left of the row if the stop is in another one."""
        stop = self._drawing.stops[source]
        if stop.column not in self._lefts:
            return MARGIN - 26, self._lines[0 if 0 in self._lines else lane]
        centre = self._lefts[stop.column] + self._drawing.middle(stop)
        end = self._lefts[stop.column] + self._drawing.width(stop.column) - 9
        self._line([centre, end], [self._lines[stop.lane]] * 2)
        return end, self._lines[stop.lane]

    def _ring(self, stop: Stop, turn: int) -> float:
        end = self._lefts[stop.column] + self._drawing.width(stop.column)
        return end - 9 - 2.4 * RING * (len(stop.merges) - turn) + RING

    def _line(self, xs: Sequence[float], ys: Sequence[float]) -> None:
        self._axes.plot(xs, ys, color=palette.LINE, linewidth=0.8, zorder=2, solid_joinstyle="round")


def _legend(sheet: Sheet, y: float) -> float:
    x = float(MARGIN)
    ink = {"color": palette.QUIET_TEXT}
    kinds = ((palette.AGREEMENT, "convolution"), (palette.SEQUENTIAL, "dense"), (None, "pooling, no weights"))
    for table, text in kinds:
        colour = palette.HATCH[1] if table is None else tuple(int(part) for part in table[100])
        sheet.tile(x, y + 3, _plain(colour), 16, 16)
        sheet.text(x + 26, y, text, palette.LABEL_SIZE, **ink)
        x += 26 + text_width(text, palette.LABEL_SIZE) + 36
    notes = "bars: share of all weights (blue), of all multiply-accumulates (red)  ·  sees: receptive field in pixels"
    sheet.text(x, y, notes + "  ·  circles: where ways meet, c: put side by side", palette.LABEL_SIZE, **ink)
    return y + LINE + 24


def _plain(colour: Sequence[int]) -> np.ndarray:
    return np.array([[colour]], np.uint8)


def _draw_bar(sheet: Sheet, x: float, y: float, width: int, share: float, ink: str) -> None:
    bar = np.empty((BAR, width, 3), np.uint8)
    bar[:] = palette.HATCH[1]
    bar[:, : max(round(width * share), 1 if share else 0)] = [int(ink[at : at + 2], 16) for at in (1, 3, 5)]
    sheet.paint(x, y, bar)


def _colours(stop: Stop) -> list[tuple[float, float, float]]:
    """Of a box's front, lid and side."""
    if not stop.kind:
        shades = [palette.BACKGROUND, palette.HATCH[0], palette.HATCH[1]]
    elif stop.multiply_adds == 0:
        shades = [palette.HATCH[1], palette.HATCH[0], palette.GUTTER]
    else:
        table = palette.SEQUENTIAL if stop.kind in ("Dense", "EinsumDense") else palette.AGREEMENT
        shades = [table[100], table[50], table[150]]
    return [(float(red) / 255, float(green) / 255, float(blue) / 255) for red, green, blue in shades]


def _sees(stop: Stop) -> str:
    known = [field for field in stop.fields if field is not None]
    if len(known) < len(stop.fields):
        return "sees all"
    sides = [str(field[0]) if field[0] == field[1] else size(field) for field in dict.fromkeys(known)]
    return f"sees {'–'.join(sides)} px"


def _kinds_text(kinds: Sequence[str]) -> str:
    names = [SHORT.get(kind, kind) for kind in kinds]
    counted = Counter(name for name in names if name)
    return " · ".join(name if times == 1 else f"{name} ×{times}" for name, times in counted.items())


def _units(stop: Stop) -> int:
    return stop.shape[-1] if stop.shape else 1


def _count(number: int) -> str:
    """12345678 as 12.3M."""
    for limit, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= limit:
            return f"{number / limit:.3g}{letter}" if number < 999.5 * limit else f"{number / limit:.0f}{letter}"
    return str(number)
