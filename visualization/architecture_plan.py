"""Where each layer of a network stands in a drawing: what is drawn at all, in which column, lane and row.

A *stop* is what is drawn: the image, and every layer that has a cost or changes how many numbers there are. Layers that
only change numbers one by one (normalization, activation, dropout, padding) are named at the stop before them.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from convlens.interpret import Architecture

SYMBOLS = {"Concatenate": "c", "Multiply": "×", "Subtract": "−", "Maximum": "max", "Minimum": "min"}
FOLDED_FROM = 24  # stops; a network of fewer is drawn in full
LONGEST_UNIT = 24  # stops that are looked for as one repeated unit


@dataclass
class Stop:
    """The image, or a layer that is drawn, with what is written beside it; `sources` and `merges` name other stops."""

    name: str
    kind: str  # the layer's class; "" of the image
    shape: tuple[int, ...]
    kernel: tuple[int, ...]  # the sides of its window; () where it has none
    sources: list[int]
    parameters: int
    multiply_adds: int | None
    folded: list[str] = field(default_factory=list)  # kinds of the layers folded into it
    merges: list[tuple[str, list[int]]] = field(default_factory=list)  # a symbol, and what else goes into it
    fields: list[tuple[int, int] | None] = field(default_factory=list)  # of its first and last repetition
    repeated: tuple[int, int] = (0, 1)  # which group of repeated stops it is in, 0: none; how often it is repeated
    column: int = 0
    lane: int = 0  # 0: the longest way through the network

    @property
    def is_vector(self) -> bool:
        return len(self.shape) != 3 or self.shape[:2] == (1, 1)

    @property
    def others(self) -> list[int]:
        """All stops that lead here other than by a single line."""
        return [source for _, sources in self.merges for source in sources]


def stops_of(architecture: "Architecture", *, fold: bool | None = None) -> list[Stop]:
    """The stops of a network, in the order of their computation, placed in columns and lanes.

    With `fold` (None: where there are many) units of stops that follow each other and are alike become one, with the
    sum of their costs.
    """
    stops = _by_column(_stops(architecture))
    if fold or (fold is None and len(stops) > FOLDED_FROM):
        stops = _folded(stops)
    _set_columns_and_lanes(stops)
    return stops


def rows_of(stops: Sequence[Stop], most: int) -> list[list[int]]:
    """Columns in rows of at most `most`, broken where the maps become smaller if there is more than one row."""
    columns = max(stop.column for stop in stops) + 1
    if columns <= most:
        return [list(range(columns))]
    stages: list[list[int]] = []
    size = None
    main = {stop.column: stop for stop in stops if stop.lane == 0}
    for column in range(columns):
        stop = main.get(column)
        new = size if stop is None or stop.is_vector else stop.shape[:2]
        if not stages or new != size:
            stages.append([])
        stages[-1].append(column)
        size = new
    rows: list[list[int]] = [[]]
    for stage in stages:
        if rows[-1] and len(rows[-1]) + len(stage) > most:
            rows.append([])
        for column in stage:
            if len(rows[-1]) == most:
                rows.append([])
            rows[-1].append(column)
    return rows


def _stops(architecture: "Architecture") -> list[Stop]:
    image_shape = tuple(architecture.image_shape)
    stops, depth = [Stop("image", "", image_shape, (), [], 0, 0, fields=[None])], [0]
    stop_of_layer = {-1: 0}
    numbers = {-1: math.prod(image_shape)}  # that each layer gives
    for index, layer in enumerate(architecture.layers):
        # A layer whose source was not seen takes its input from the one before it.
        feeding = [source for source in layer.sources if source < index] or [index - 1]
        sources = sorted({stop_of_layer[source] for source in feeding})
        numbers[index] = math.prod(layer.shape)
        framed = "Padding" in layer.kind or "Cropping" in layer.kind
        changes = layer.kernel or (numbers[index] != numbers[feeding[0]] and not framed)
        deepest = max(sources, key=lambda stop: (depth[stop], stop))
        if layer.multiply_adds != 0 or (len(sources) == 1 and changes and len(feeding) == 1):
            stop_of_layer[index] = len(stops)
            drawn = (layer.name, layer.kind, layer.shape, layer.kernel)
            costs = (layer.parameters, layer.multiply_adds)
            stops.append(Stop(*drawn, sources, *costs, fields=[layer.receptive_field]))
            depth.append(1 + depth[deepest])
            continue
        stop_of_layer[index] = deepest
        stop = stops[deepest]
        stop.parameters += layer.parameters
        if len(sources) > 1:
            stop.merges.append((SYMBOLS.get(layer.kind, "+"), [source for source in sources if source != deepest]))
        elif len(feeding) == 1:
            stop.folded.append(layer.kind)
    return stops


def _by_column(stops: list[Stop]) -> list[Stop]:
    """The stops in the order of columns: the order in which branches are computed depends on what precedes them."""
    _set_columns_and_lanes(stops)
    order = sorted(range(len(stops)), key=lambda index: (stops[index].column, -stops[index].lane))
    now = {old: new for new, old in enumerate(order)}
    return [_renamed(stops[old], now) for old in order]


def _renamed(stop: Stop, now: dict[int, int]) -> Stop:
    merges = [(symbol, sorted({now[source] for source in sources})) for symbol, sources in stop.merges]
    return replace(stop, sources=sorted({now[source] for source in stop.sources}), merges=merges)


def _folded(stops: list[Stop]) -> list[Stop]:
    signatures = [_kind_and_sources(stop, index) for index, stop in enumerate(stops)]
    kept: list[Stop] = []
    now: dict[int, int] = {}  # where each stop has gone
    index = group = 0
    while index < len(stops):
        length, times = _repetition(signatures, index, [bool(stop.merges) for stop in stops])
        group += times > 1
        for offset in range(length):
            same = [stops[index + offset + turn * length] for turn in range(times)]
            for turn in range(times):
                now[index + offset + turn * length] = len(kept)
            known = [stop.multiply_adds for stop in same if stop.multiply_adds is not None]
            kept.append(
                replace(
                    same[0],
                    parameters=sum(stop.parameters for stop in same),
                    multiply_adds=sum(known) if len(known) == len(same) else None,
                    fields=[same[0].fields[0], same[-1].fields[-1]],
                    repeated=(group, times) if times > 1 else (0, 1),
                )
            )
        index += length * times
    return [_renamed(stop, now) for stop in kept]


def _kind_and_sources(stop: Stop, index: int) -> tuple:
    """What two stops must have in common to be alike: their kind, and how far back their sources are."""
    merges = tuple((symbol, tuple(index - source for source in sources)) for symbol, sources in stop.merges)
    back = tuple(index - source for source in stop.sources)
    return stop.kind, stop.shape, stop.kernel, tuple(stop.folded), back, merges


def _repetition(signatures: Sequence[tuple], index: int, meets: Sequence[bool]) -> tuple[int, int]:
    """Length and number of the repeated units of stops that start at `index` and cover the most stops.

    Where ways meet in a unit, they do so at its end: a residual unit is drawn whole, not from its middle on.
    """
    best = (1, 1)
    for length in range(1, min(LONGEST_UNIT, (len(signatures) - index) // 2) + 1):
        if any(meets[index : index + length]) and not meets[index + length - 1]:
            continue
        unit, times = signatures[index : index + length], 1
        while signatures[index + times * length : index + (times + 1) * length] == unit:
            times += 1
        if times > 1 and length * times > best[0] * best[1]:
            best = (length, times)
    return best


def _set_columns_and_lanes(stops: list[Stop]) -> None:
    readers: dict[int, list[int]] = {}
    for index, stop in enumerate(stops):
        stop.column = 1 + max((stops[source].column for source in stop.sources), default=-1)
        for source in (*stop.sources, *stop.others):
            readers.setdefault(source, []).append(index)
    main: set[int] = set()
    index = max(range(len(stops)), key=lambda index: (stops[index].column, index))
    while index not in main:
        main.add(index)
        stops[index].lane = 0
        index = max(stops[index].sources, key=lambda source: stops[source].column, default=index)
    taken: dict[int, dict[int, int]] = {}  # by lane: the columns that are taken, and by which stop
    for index, stop in enumerate(stops):
        if index in main:
            continue
        reach = max((stops[reader].column for reader in readers.get(index, [])), default=stop.column)
        span = range(stop.column, max(reach, stop.column + 1))
        # A chain goes on in its own lane, whose columns were taken for it.
        lanes_of_sources = [stops[source].lane for source in stop.sources if stops[source].lane]
        for lane in (*lanes_of_sources, *range(1, len(stops) + 1)):
            owners = {taken.get(lane, {}).get(column, index) for column in span}
            if owners <= {index, *stop.sources}:
                break
        stop.lane = lane
        taken.setdefault(lane, {}).update(dict.fromkeys(span, index))
