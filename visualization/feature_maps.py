"""Feature maps as pictures: one layer at filter, detect and condense, and beside the kernels that made them."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from convlens.visualization import palette
from convlens.visualization.caption import UNKNOWN, Caption, beyond, choose_units, footnotes, heading, size, told
from convlens.visualization.groups import Group, draw_groups
from convlens.visualization.sheet import MARGIN, Sheet, number, shorten
from convlens.visualization.tiles import cell_size

WIDTH = 1800
STAGES = ("filter", "detect", "condense")
SIDE = 128


def _fit(height: int, width: int, side: int) -> tuple[int, int, int]:
    """(width, height, cell) in pixels for a map; a map of more than twice `side` cells is thinned to that."""
    longest = max(height, width)
    if longest > 2 * side:
        return max(1, width * 2 * side // longest), max(1, height * 2 * side // longest), 1
    cell = cell_size(longest, side)
    return width * cell, height * cell, cell


def _photo_size(image: np.ndarray, side: int) -> tuple[int, int]:
    height, width = image.shape[:2]
    factor = side / max(height, width)
    return max(1, round(width * factor)), max(1, round(height * factor))


def feature_maps_figure(
    image: np.ndarray,
    maps: Mapping[str, np.ndarray],
    *,
    caption: Caption = UNKNOWN,
    image_name: str = "",
    units: Sequence[int] | None = None,
    max_units: int = 32,
    sort: str = "index",
    scale: str = "layer",
    limit: float | None = None,
    norm: np.ndarray | None = None,
    dead: np.ndarray | None = None,
    inside: np.ndarray | None = None,
) -> Figure:
    """What one layer makes of one image, each unit at filter, detect and condense, all on one norm about zero.

    `image` is (height, width, channels) in [0, 255]; `maps` holds arrays of shape (height, width, units) under
    "filter" and, where an activation and a pooling follow, under "detect" and "condense". A cell has one size at every
    stage, so condensing is seen to shrink the map. `norm`, of shape (units,), is for sort "norm"; `limit` is for scale
    "global". `dead`, of shape (units,), marks units; by default those that are zero on this image. The norm is that of
    the filter stage's cells `inside`, booleans (height, width), by default of all; cells beyond it are marked.
    """
    maps = {stage: np.asarray(maps[stage]) for stage in STAGES if maps.get(stage) is not None}
    shape = maps["filter"].shape
    count = shape[-1]
    detected = maps.get("detect", maps["filter"])
    activation = detected.mean(axis=(0, 1))
    shown = choose_units(count, units=units, max_units=max_units, sort=sort, norm=norm, activation=activation)
    ranges = palette.limits(maps["filter"], scale, limit, inside)
    dead = ~detected.any(axis=(0, 1)) if dead is None else np.asarray(dead)

    width, height, cell = _fit(*shape[:2], SIDE)
    shares = [(one.shape[1] / shape[1], one.shape[0] / shape[0]) for one in maps.values()]
    sizes = [(max(1, round(width * wide)), max(1, round(height * high))) for wide, high in shares]
    groups = []
    for unit in shown:
        tiles = [palette.colour_activations(one[..., unit], ranges[unit]) for one in maps.values()]
        notes = [f"±{number(ranges[unit])}"] if scale == "unit" else []
        groups.append(Group(str(unit), tiles, notes, bool(dead[unit])))

    sheet = Sheet(width=WIDTH)
    wide, high = _photo_size(image, 170)
    sheet.photo(MARGIN, MARGIN, image, wide, high)
    shapes = ", ".join(f"{stage} {size(one.shape[:2])}" for stage, one in maps.items())
    name = shorten(f"image: {image_name}", 700, palette.BODY_SIZE) if image_name else ""
    scale_told = f"scale: {scale}" + (", colours by square root" if scale == "unit" else "")
    facts = caption.facts(name, shapes, told(shown, count, sort), scale_told)
    y = heading(sheet, f"Feature maps of {caption.layer or 'a convolution'}", facts, WIDTH - wide, MARGIN + wide + 36)
    y = draw_groups(sheet, MARGIN, max(y, MARGIN + high + 30), groups, list(maps), sizes, max(cell, 8) + 8)
    if scale != "unit":
        y = sheet.activation_bar(MARGIN, y + 10, float(ranges[0]), "the same norm at every stage")
    out = max(beyond(one[..., shown], ranges[shown]) for one in maps.values())
    footnotes(sheet, y, [maps["filter"][..., shown]], dead=bool(dead[shown].any()), beyond=out)
    return sheet.figure()


def kernels_and_maps_figure(
    kernel: np.ndarray,
    images: np.ndarray,
    maps: np.ndarray,
    *,
    caption: Caption = UNKNOWN,
    rgb: bool = False,
    units: Sequence[int] | None = None,
    max_units: int = 32,
    sort: str = "index",
    scale: str = "layer",
    limits: tuple[float, float] | None = None,
    activation: np.ndarray | None = None,
    dead: np.ndarray | None = None,
    inside: np.ndarray | None = None,
    notes: Sequence[str] = (),
) -> Figure:
    """Each unit's kernel beside the feature maps that it produces, before ReLU, the lesson's picture.

    `kernel` is (height, width, channels, units), `images` (n, height, width, channels) in [0, 255], `maps` the
    filter stage, (n, height, width, units). With `rgb` the kernel is an RGB tile, otherwise its strongest input
    channel, named under the unit. `limits` are the largest magnitudes of kernels and maps, for scale "global". The
    norm of maps is that of their cells `inside`, booleans (height, width), by default of all. `notes` join the title.
    """
    kernel, maps = np.asarray(kernel), np.asarray(maps)
    count = kernel.shape[-1]
    norms = np.sqrt((kernel.astype(np.float64) ** 2).sum(axis=(0, 1)))  # (channels, units)
    overall = np.sqrt((norms**2).sum(axis=0))
    shown = choose_units(count, units=units, max_units=max_units, sort=sort, norm=overall, activation=activation)
    weights = palette.limits(kernel, scale, limits and limits[0])
    ranges = palette.limits(maps, scale, limits and limits[1], inside)
    strongest = np.nan_to_num(norms).argmax(axis=0)
    dead = np.zeros(count, bool) if dead is None else np.asarray(dead)

    groups = []
    for unit in shown:
        draw_kernel = palette.colour_rgb_kernel if rgb else palette.colour_weights
        seen = kernel[..., unit] if rgb else kernel[:, :, strongest[unit], unit]
        coloured = [palette.colour_activations(each[..., unit], ranges[unit]) for each in maps]
        tiles = [draw_kernel(seen, weights[unit]), *coloured]
        beside = [] if rgb or len(norms) == 1 else [f"ch {strongest[unit]}"]
        if scale == "unit":
            beside += [f"w ±{number(weights[unit])}", f"a ±{number(ranges[unit])}"]
        groups.append(Group(str(unit), tiles, beside, bool(dead[unit])))

    wide, high, cell = _fit(*maps.shape[1:3], SIDE)
    kernel_cell = cell_size(max(kernel.shape[:2]), SIDE, largest_cell=30)
    sizes = [(kernel.shape[1] * kernel_cell, kernel.shape[0] * kernel_cell), *[(wide, high)] * len(maps)]

    sheet = Sheet(width=1000)
    scale_told = "scale: unit (weights ±w, activations ±a, by square root)" if scale == "unit" else f"scale: {scale}"
    what = "kernel: RGB" if rgb else "kernel: strongest input channel (ch)" if len(norms) > 1 else ""
    shapes = f"kernels {size(kernel.shape[:3])}, maps {size(maps.shape[1:3])}"
    facts = caption.facts(shapes, what, told(shown, count, sort), scale_told, *notes)
    y = heading(sheet, f"Kernels of {caption.layer or 'a convolution'} and the feature maps they produce", facts, 1800)
    gutter = max(cell, kernel_cell, 12) + 8
    y = draw_groups(sheet, MARGIN, y, groups, ["kernel", *images], sizes, gutter)
    if scale != "unit":
        below = sheet.activation_bar(MARGIN, y + 10, float(ranges[0]), "before ReLU")
        if not rgb:
            sheet.colour_bar(MARGIN + 640, y + 10, float(weights[0]), "weight")
        y = below
    out = beyond(maps[..., shown], ranges[shown])
    footnotes(sheet, y, [kernel[..., shown], maps[..., shown]], dead=bool(dead[shown].any()), beyond=out)
    return sheet.figure()
