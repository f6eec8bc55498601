"""Feature maps as pictures: one layer at filter, detect and condense, and beside the kernels that made them."""

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from convlens.visualization import palette
from convlens.visualization.caption import UNKNOWN, Caption, beyond_text, footnotes, heading, size
from convlens.visualization.display import Display, limit_of_maps, shown_units
from convlens.visualization.groups import Group, draw_groups
from convlens.visualization.kernels import RESPONSES, response_name
from convlens.visualization.sheet import MARGIN, Sheet, number, shorten
from convlens.visualization.tiles import cell_size

if TYPE_CHECKING:
    from convlens.interpret import Observation

WIDTH = 1800
USUAL = Display()
STAGES = ("filter", "detect", "condense")
SIDE = 128


def _fit(size: tuple[int, int], side: int) -> tuple[int, int, int]:
    """(width, height, cell) in pixels for a map of `size` (height, width); one of more than twice `side` cells is
    thinned to that."""
    height, width = size
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
    observation: "Observation",
    layer: str,
    image: int = 0,
    *,
    caption: Caption = UNKNOWN,
    display: Display = USUAL,
) -> Figure:
    """What one layer makes of one image, each unit at filter, detect and condense, on one colour scale about zero.

    `image` is its place among the observation's. A cell has one size at every stage, so condensing is seen to shrink
    the map. Units that are zero on all images are marked. The scale is that of the filter stage's cells that no padding
    reaches; cells beyond it are marked.
    """
    observed = observation.layer(layer)
    caption, scale = caption.of_layer(observed), display.scale or "layer"
    maps = {stage: np.asarray(observed.maps[stage][image]) for stage in STAGES if stage in observed.maps}
    shape = maps["filter"].shape
    shown, which = shown_units(observed, display)
    ranges = palette.limits(maps["filter"], scale, limit_of_maps(observation.layers), observed.inside.get("filter"))
    _, dead = observed.activity()

    width, height, cell = _fit(shape[:2], SIDE)
    shares = [(array.shape[1] / shape[1], array.shape[0] / shape[0]) for array in maps.values()]
    sizes = [(max(1, round(width * wide)), max(1, round(height * high))) for wide, high in shares]
    groups = []
    for unit in shown:
        tiles = [palette.colour_activations(array[..., unit], ranges[unit]) for array in maps.values()]
        notes = [f"±{number(ranges[unit])}"] if scale == "unit" else []
        groups.append(Group(str(unit), tiles, notes, bool(dead[unit])))

    sheet = Sheet(width=WIDTH)
    photo = observation.images[image]
    wide, high = _photo_size(photo, 170)
    sheet.photo(MARGIN, MARGIN, photo, wide, high)
    shapes = ", ".join(f"{stage} {size(array.shape[:2])}" for stage, array in maps.items())
    name = observation.image_text(image)
    name = shorten(f"image: {name}", 700, palette.BODY_SIZE) if name else ""
    scale_text = f"scale: {scale}" + (", colours by square root" if scale == "unit" else "")
    facts = caption.facts(name, shapes, which, scale_text)
    y = heading(sheet, f"Feature maps of {caption.layer or 'a convolution'}", facts, WIDTH - wide, MARGIN + wide + 36)
    y = draw_groups(sheet, MARGIN, max(y, MARGIN + high + 30), groups, list(maps), sizes, max(cell, 8) + 8)
    if scale != "unit":
        y = sheet.activation_bar(MARGIN, y + 10, float(ranges[0]), "the same scale at every stage")
    out = beyond_text((array[..., shown], ranges[shown]) for array in maps.values())
    footnotes(sheet, y, [maps["filter"][..., shown]], dead=bool(dead[shown].any()), beyond=out)
    return sheet.figure()


def kernels_and_maps_figure(
    observation: "Observation", layer: str, *, caption: Caption = UNKNOWN, display: Display = USUAL
) -> Figure:
    """Each unit's kernel beside the feature maps that it produces, before ReLU, the lesson's picture.

    A kernel that reads a colour image is an RGB tile, of any other its strongest input channel is drawn, named under
    the unit. What kernels that read an image respond to is written beside each unit. The colour scale of maps is that
    of their cells that no padding reaches. Raises ValueError for a layer whose kernels are not paired with its maps.
    """
    observed = observation.layer(layer)
    if not observed.paired:
        raise ValueError(f"layer {layer} mixes its kernels before a map comes out: no kernel stands beside a map")
    caption, scale = caption.of_layer(observed), display.scale or "unit"
    kernel, maps, images = np.asarray(observed.kernel), np.asarray(observed.maps["filter"]), observation.images
    rgb, (_, dead), inside = observed.rgb, observed.activity(), observed.inside.get("filter")
    tuning = observed.tuning
    norms = np.sqrt((kernel.astype(np.float64) ** 2).sum(axis=(0, 1)))  # (channels, units)
    shown, which = shown_units(observed, display)
    paired = [other for other in observation.layers if other.paired]
    weights = palette.limits(
        kernel, scale, palette.largest(np.array([palette.largest(other.kernel) for other in paired]))
    )
    ranges = palette.limits(maps, scale, limit_of_maps(paired), inside)
    strongest = np.nan_to_num(norms).argmax(axis=0)

    groups = []
    for unit in shown:
        draw_kernel = palette.colour_rgb_kernel if rgb else palette.colour_weights
        seen = kernel[..., unit] if rgb else kernel[:, :, strongest[unit], unit]
        coloured = [palette.colour_activations(each[..., unit], ranges[unit]) for each in maps]
        tiles = [draw_kernel(seen, weights[unit]), *coloured]
        beside = [] if rgb or len(norms) == 1 else [f"reads {strongest[unit]}"]
        if tuning is not None and response_name(tuning, unit):
            beside.append(response_name(tuning, unit))
        if scale == "unit":
            beside += [f"w ±{number(weights[unit])}", f"a ±{number(ranges[unit])}"]
        groups.append(Group(str(unit), tiles, beside, bool(dead[unit])))

    wide, high, cell = _fit(maps.shape[1:3], SIDE)
    kernel_cell = cell_size(max(kernel.shape[:2]), SIDE, largest_cell=30)
    sizes = [(kernel.shape[1] * kernel_cell, kernel.shape[0] * kernel_cell), *[(wide, high)] * len(maps)]

    sheet = Sheet(width=1000)
    own = "scale: each unit has its own (w: weights, a: activations, whose colours go by the square root)"
    scale_text = own if scale == "unit" else f"scale: {scale}"
    slices = "kernel: the slice with the largest weights, which reads the map named beside it"
    what = "kernel: RGB, mid-grey is zero" if rgb else slices if len(norms) > 1 else ""
    shapes = f"kernels {size(kernel.shape[:3])}, maps {size(maps.shape[1:3])}"
    facts = caption.facts(shapes, what, which, scale_text, observation.changes_text)
    y = heading(sheet, f"Kernels of {caption.layer or 'a convolution'} and the feature maps they produce", facts, 1800)
    gutter = max(cell, kernel_cell, 12) + 8
    y = draw_groups(sheet, MARGIN, y, groups, ["kernel", *images], sizes, gutter)
    if scale != "unit":
        below = sheet.activation_bar(MARGIN, y + 10, float(ranges[0]), "before ReLU")
        if not rgb:
            sheet.colour_bar(MARGIN + 640, y + 10, float(weights[0]), "weight")
        y = below
    if tuning is not None:
        y = sheet.paragraph(MARGIN, y + 6, RESPONSES, 1800, palette.LABEL_SIZE, color=palette.QUIET_TEXT)
    out = beyond_text([(maps[..., shown], ranges[shown])])
    footnotes(sheet, y, [kernel[..., shown], maps[..., shown]], dead=bool(dead[shown].any()), beyond=out)
    return sheet.figure()
