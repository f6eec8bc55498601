"""Feature extraction in one row: Input, Filter, Detect, Condense."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from convlens.visualization import palette
from convlens.visualization.caption import UNKNOWN, Caption, beyond_text, footnotes, heading, size
from convlens.visualization.display import Display, limit_of_maps, reasons
from convlens.visualization.sheet import MARGIN, Sheet, line_height, number, percent, shorten
from convlens.visualization.tiles import cell_size

if TYPE_CHECKING:
    from convlens.interpret import Extraction, Observation, Reading

SIDE = 400
USUAL = Display()
SMALL = 132
ARROW = 80
STAGES = ("filter", "detect", "condense")
LINE = line_height(palette.LABEL_SIZE)
OTHERS = {"layer": "the layer's", "global": "the network's"}

Box = tuple[float, float, float, float]  # top, left, bottom, right in pixels of the image


@dataclass(frozen=True)
class _Steps:
    """What is drawn: a row an image, a column a step."""

    images: Sequence[np.ndarray]  # (height, width[, channels]) in [0, 255]
    names: Sequence[str]  # what is written under each image
    stages: Mapping[str, Sequence[np.ndarray]]  # (height, width) for each image, by stage
    kernel: np.ndarray | None = None  # drawn above: (height, width), or (height, width, 3) for RGB
    reading: "Reading | None" = None  # what a unit reads that does not read the image
    inside: np.ndarray | None = None  # cells of filter that set the scale, booleans (height, width); None: all
    boxes: Mapping[str, Box] = field(default_factory=dict)  # the part of the image that a stage covers, if not all


def extraction_figure(
    extraction: "Extraction",
    *,
    name: str = "",
    image_name: str = "",
    facts: Sequence[str] = (),
    caption: Caption = UNKNOWN,
) -> Figure:
    """One kernel at work on one image, a column a step, as the Kaggle lesson draws it.

    All steps are on one colour scale about zero, up to the largest magnitude of the filter stage. `name` is the
    kernel's, `facts` join the title.
    """
    stages = {stage: [getattr(extraction, stage)] for stage in STAGES}
    boxes = extraction.cover.boxes if extraction.padding == "valid" else {}
    names = [image_name] if image_name else []
    steps = _Steps(
        [extraction.input * 255], names, stages, extraction.kernel, inside=extraction.cover.inside, boxes=boxes
    )
    return _drawn(steps, _title(name, caption), caption, facts=facts)


def unit_extraction_figure(
    observation: "Observation", layer: str, unit: int, *, caption: Caption = UNKNOWN, display: Display = USUAL
) -> Figure:
    """One unit at work on each image: a row an image, a column a step.

    All steps are on one colour scale about zero, up to the largest magnitude of the unit's filter stage in cells that
    no padding reaches. Unless the scale "unit" is chosen they are drawn on that of the layer or of the network too,
    small. Of a unit that does not read the image, the maps that it reads are drawn before them.
    """
    observed = observation.layer(layer)
    caption, scale = caption.of_layer(observed), display.scale or "layer"
    reading = observed.reading(unit) if observed.reading else None
    is_picture = reading is None and (observed.rgb or observed.kernel.shape[2] == 1)
    kernel = observed.kernel[..., unit] if is_picture and observed.paired else None
    names = [observation.image_text(image) for image in range(len(observation.images))]
    steps = _Steps(
        list(observation.images), names,
        {stage: list(observed.maps[stage][..., unit]) for stage in STAGES if stage in observed.maps},
        kernel if kernel is None or observed.rgb else kernel[..., 0], reading, observed.inside.get("filter"),
    )  # fmt: skip
    limit = limit_of_maps(observation.layers if scale == "global" else [observed])
    shared = None if scale == "unit" else (scale, limit)
    return _drawn(
        steps, _title(f"unit {unit}", caption), caption, facts=reasons(observed, display, [unit]), shared=shared
    )


def _title(name: str, caption: Caption) -> str:
    return "Feature extraction by " + " of ".join(filter(None, (name, caption.layer)))


def _drawn(
    steps: _Steps, title: str, caption: Caption, *, facts: Sequence[str] = (), shared: tuple[str, float] | None = None
) -> Figure:
    """The figure; `shared` is the scale of other units too, "layer" or "global", and its limit."""
    filtered, reading, kernel = steps.stages["filter"], steps.reading, steps.kernel
    own = palette.largest_inside(np.stack(filtered)[..., None], steps.inside) if _alike(filtered) else None
    own = own or palette.largest(np.concatenate([np.ravel(array) for array in filtered]))

    columns = 1 + (reading is not None) + len(steps.stages)
    sheet = Sheet(width=MARGIN + 4 * SIDE + 3 * ARROW)
    right = MARGIN + max(columns, 4) * (SIDE + ARROW) - ARROW
    scales = "scale: unit" if shared is None else f"scale: unit; small: {shared[0]}"
    y = heading(sheet, title, caption.facts(*facts, scales), 1500)
    if kernel is not None:
        y = max(y, _draw_kernel(sheet, np.asarray(kernel), right))
    heads = ["Input" if reading is None else "Image", *([_reads(reading)] if reading else [])]
    for column, head in enumerate([*heads, *(stage.capitalize() for stage in steps.stages)]):
        words = shorten(head, SIDE + ARROW - 20, palette.HEADING_SIZE, "bold")
        sheet.text(MARGIN + column * (SIDE + ARROW), y, words, palette.HEADING_SIZE, weight="bold")
    y += line_height(palette.HEADING_SIZE)
    first = MARGIN + (1 + (reading is not None)) * (SIDE + ARROW)
    for row, image in enumerate(steps.images):
        image, stages = np.asarray(image), {stage: np.asarray(arrays[row]) for stage, arrays in steps.stages.items()}
        below = _draw_image(sheet, y, image, steps.names[row] if steps.names else "")
        if reading is not None:
            below = max(below, _draw_reading(sheet, y, image, reading, row))
        drawn = _draw_stages(sheet, (first, y), image, stages, own, steps.boxes)
        if shared is not None:
            drawn = _draw_small(sheet, (first, drawn), image, stages, *shared)
        y = max(below, drawn) + 32
    bottom = sheet.activation_bar(first, y, own, "the same scale at every step" if shared is None else "large tiles")
    if shared is not None:
        sheet.activation_bar(first + SIDE + ARROW + 60, y, shared[1], f"small tiles: {OTHERS[shared[0]]} scale")
    tiles: list[tuple[np.ndarray, float | np.ndarray]]
    tiles = [(array, own) for arrays in steps.stages.values() for array in arrays]
    tiles += [] if reading is None else [(reading.maps, reading.limits)]
    footnotes(sheet, bottom, filtered, beyond=beyond_text(tiles))
    return sheet.figure()


def _alike(arrays: Sequence[np.ndarray]) -> bool:
    return len({np.shape(array) for array in arrays}) == 1


def _reads(reading: "Reading") -> str:
    """How many maps a unit reads, and of which layer."""
    count = len(reading.channels)
    of = f" of {reading.layer}" if reading.layer else ""
    return f"Reads {reading.total} maps{of}" if count < reading.total else f"Reads {count} maps{of}"


def _draw_kernel(sheet: Sheet, kernel: np.ndarray, right: float) -> float:
    cell = cell_size(max(kernel.shape[:2]), 150, largest_cell=50)
    height, width = kernel.shape[0] * cell, kernel.shape[1] * cell
    draw = palette.colour_rgb_kernel if kernel.ndim == 3 else palette.colour_weights
    left = right - width
    sheet.tile(left, MARGIN, draw(kernel, palette.largest(kernel)), width, height)
    limit = f"kernel ±{number(palette.largest(kernel))}"
    sheet.text(right, MARGIN + height + 6, limit, palette.LABEL_SIZE, ha="right", color=palette.QUIET_TEXT)
    return MARGIN + height + LINE + 20


def _fitted(image: np.ndarray, side: float) -> tuple[int, int]:
    """(width, height) in pixels at which an image fills a square of `side`."""
    factor = side / max(image.shape[:2])
    return max(1, round(image.shape[1] * factor)), max(1, round(image.shape[0] * factor))


def _quiet(sheet: Sheet, x: float, y: float, text: str, width: float = SIDE + ARROW - 16) -> float:
    return sheet.paragraph(x, y, text, width, palette.LABEL_SIZE, color=palette.QUIET_TEXT)


def _arrow(sheet: Sheet, x: float, y: float, height: float, sign: str = "→") -> None:
    sheet.text(x - ARROW / 2, y + height / 2, sign, 16, ha="center", va="center", color=palette.QUIET_TEXT)


def _draw_image(sheet: Sheet, y: float, image: np.ndarray, name: str) -> float:
    width, height = _fitted(image, SIDE)
    sheet.photo(MARGIN, y, image, width, height)
    below = _quiet(sheet, MARGIN, y + height + 8, size(image.shape[:2]))
    return _quiet(sheet, MARGIN, below, name) if name else below


def _draw_reading(sheet: Sheet, y: float, image: np.ndarray, reading: "Reading", row: int) -> float:
    """The maps that a unit reads, strongest first, each beside its kernel."""
    x = MARGIN + SIDE + ARROW
    _arrow(sheet, x, y, _fitted(image, SIDE)[1], "⋯")  # layers lie between
    side = (SIDE - 2 * (LINE + 14)) // 3
    limit = palette.largest(reading.kernels)
    top = y
    for position, channel in enumerate(reading.channels):
        maps = reading.maps[row, ..., position]
        wide, high = _fitted(maps, side)
        sheet.tile(x, top, palette.colour_activations(maps, reading.limits[position]), wide, high)
        kernel = reading.kernels[..., position]
        cell = cell_size(max(kernel.shape), side * 3 // 4, largest_cell=30)
        across, down = kernel.shape[1] * cell, kernel.shape[0] * cell
        left = x + wide + 44
        sheet.text(left - 22, top + high / 2, "×", 12, ha="center", va="center", color=palette.QUIET_TEXT)
        sheet.tile(left, top + (high - down) / 2, palette.colour_weights(kernel, limit), across, down)
        note = f"{channel}: ±{number(reading.limits[position])}, adds {percent(reading.shares[position])}"
        sheet.text(x, top + high + 4, note, palette.LABEL_SIZE, color=palette.QUIET_TEXT)
        top += high + LINE + 14
    maps_left = reading.total - len(reading.channels)
    text = f"map × kernel ±{number(limit)}; each map on its own scale"
    if maps_left > 0:
        text += f"; {maps_left} more maps add the rest" if maps_left > 1 else "; one more map adds the rest"
    return _quiet(sheet, x, top, text, SIDE + 30)


def _draw_stages(
    sheet: Sheet,
    at: tuple[float, float],
    image: np.ndarray,
    stages: Mapping[str, np.ndarray],
    limit: float,
    boxes: Mapping[str, Box],
) -> float:
    """The stages of one image from (x, y) on, each after an arrow; returns the y below."""
    first, y = at
    # Every step is drawn where it lies in the image, so that a place of the image is at the same place of each tile.
    width, height = _fitted(image, SIDE)
    factor = width / image.shape[1]
    for column, (stage, step) in enumerate(stages.items()):
        x = first + column * (SIDE + ARROW)
        _arrow(sheet, x, y, height)
        top, left, bottom, right = boxes.get(stage, (0, 0, *image.shape[:2]))
        if stage in boxes:
            sheet.empty(x, y, width, height)
        corner = x + round(left * factor), y + round(top * factor)
        wide, high = (max(1, round((end - start) * factor)) for start, end in ((left, right), (top, bottom)))
        sheet.tile(*corner, palette.colour_activations(step, limit), wide, high)
        low, high = (number(float(edge)) for edge in (step.min(), step.max()))
        _quiet(sheet, x, y + height + 8, f"{size(step.shape)}, from {low} to {high}")
    return y + height + 8 + LINE


def _draw_small(
    sheet: Sheet,
    at: tuple[float, float],
    image: np.ndarray,
    stages: Mapping[str, np.ndarray],
    scale: str,
    limit: float,
) -> float:
    """The same stages on the scale that is shared with other units; returns the y below."""
    first, y = at
    width, height = _fitted(image, SMALL)
    for column, step in enumerate(stages.values()):
        x = first + column * (SIDE + ARROW)
        sheet.tile(x, y + 8, palette.colour_activations(step, limit), width, height)
        if column == 0:
            _quiet(sheet, x + width + 16, y + 8, f"the same on {OTHERS[scale]} scale, ±{number(limit)}", SIDE - width)
    return y + 8 + height
