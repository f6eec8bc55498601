"""How kernels and feature maps came to be: an animated picture, a frame an epoch."""

import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from convlens.core.files import atomic_write, make_folder
from convlens.visualization import palette
from convlens.visualization.caption import UNKNOWN, Caption, beyond_text, choose_units, footnotes, heading, size
from convlens.visualization.kernels import signed
from convlens.visualization.overlays import fitted
from convlens.visualization.save import DPI
from convlens.visualization.sheet import MARGIN, Sheet, line_height, number
from convlens.visualization.tiles import cell_size

if TYPE_CHECKING:
    from convlens.interpret import Evolution

SIDE, GAP = 128, 14  # pixels of a tile, and between tiles
WIDTH = 1500
FRAME_DPI = 120  # of an animation; a figure's own is 200
LINE = line_height(palette.LABEL_SIZE)
HOLD = 4  # the last frame stands so many times as long


def write_evolution(
    path: str | Path,
    evolution: "Evolution",
    *,
    max_units: int = 32,
    seconds: float = 0.4,
    caption: Caption = UNKNOWN,
) -> Path:
    """An animated GIF or, where `path` ends in .png or .apng, an animated PNG of what `evolution_frame` shows.

    A frame stands `seconds`, the last one longer; the animation repeats. All epochs share one colour scale, so that
    growing weights are seen to grow. GIF has 256 colours, the same ones in every frame; PNG has all.

    Raises ValueError for another ending, or where the numbers of epochs differ.
    """
    path, count = Path(path), len(evolution.epochs)
    if path.suffix.lower() not in (".gif", ".png", ".apng"):
        raise ValueError(f"{path.name} does not end in .gif, .png or .apng")
    if len(evolution.kernels) != count or (evolution.maps is not None and len(evolution.maps) != count):
        of_maps = "" if evolution.maps is None else f" and maps of {len(evolution.maps)}"
        raise ValueError(f"{count} epochs for kernels of {len(evolution.kernels)}{of_maps}")
    frames = [_pixels(evolution_frame(evolution, at, max_units=max_units, caption=caption)) for at in range(count)]
    lasting = [round(1000 * seconds)] * (len(frames) - 1) + [round(1000 * seconds * HOLD)]
    animation = {"save_all": True, "duration": lasting, "loop": 0}
    file = io.BytesIO()
    if path.suffix.lower() == ".gif":
        shared = _shared_palette(frames)
        frames = [frame.quantize(palette=shared, dither=Image.Dither.NONE) for frame in frames]
        frames[0].save(file, format="GIF", append_images=frames[1:], disposal=1, optimize=False, **animation)
    else:
        frames[0].save(file, format="PNG", append_images=frames[1:], **animation)
    make_folder(path.parent)
    atomic_write(path, file.getvalue())
    return path


def evolution_frame(
    evolution: "Evolution", index: int = -1, *, max_units: int = 32, caption: Caption = UNKNOWN
) -> Figure:
    """The kernels of a layer and their maps of one image at the epoch `epochs[index]`, on the scales of all epochs.

    Of a kernel of many inputs the strongest of the unit at the last epoch is drawn, the same in every frame. The scale
    of maps is that of the cells that no padding reaches, where they are known.
    """
    kernels, maps, rgb = np.asarray(evolution.kernels, np.float32), evolution.maps, evolution.reads_colour
    if kernels.ndim != 5 or not len(kernels):
        raise ValueError(f"kernels of shape {kernels.shape}; expected (epochs, height, width, inputs, units)")
    shown = choose_units(kernels.shape[-1], max_units=max_units)
    limit = palette.largest(kernels[..., shown])
    tiles = [_kernel_tile(kernels[..., unit], index, limit, rgb) for unit in shown]
    blocks: list[tuple[str, list[np.ndarray], np.ndarray | None]] = [("kernels", tiles, None)]
    if maps is not None:
        map_limit = palette.largest_inside(maps[..., shown], evolution.inside)
        coloured = palette.colour_activations(maps[index][..., shown], map_limit)
        dead = np.logical_not(maps[..., shown].any(axis=(0, 1, 2)))
        blocks.append(("what they make of the image", [coloured[:, :, at] for at in range(len(shown))], dead))

    sheet = Sheet(width=WIDTH)
    *shape, count = evolution.shape or kernels.shape[1:]
    units = f"{len(shown)} of {count} units" if len(shown) < count else f"all {count} units"
    inputs = "" if rgb or shape[2] == 1 else "the strongest input of each"
    if inputs and kernels.shape[3] < shape[2]:
        inputs += f" among the first {kernels.shape[3]}"
    facts = caption.facts(f"kernels {size(shape)}", units, inputs, "scale: one for all epochs")
    y = heading(sheet, f"How {caption.layer or evolution.layer} came to be", facts, WIDTH - 60)
    y = _draw_time(sheet, y, evolution, index)
    columns = min(len(shown), 8 if maps is not None and len(shown) > 4 else 12)
    step = _block_width(columns) + 70
    for block, (title, drawn, never) in enumerate(blocks):
        x = MARGIN + block * step
        sheet.text(x, y, title, palette.LABEL_SIZE, weight="bold")
        for at, tile in enumerate(drawn):
            high, wide = _tile_size(tile)
            left = x + at % columns * (SIDE + GAP)
            top = y + LINE + 12 + at // columns * (SIDE + LINE + GAP)
            sheet.tile(left, top, tile, wide, high, dead=bool(never is not None and never[at]))
            sheet.text(left, top + high + 2, str(shown[at]), palette.LABEL_SIZE, color=palette.QUIET_TEXT)
    bottom = y + LINE + 12 + math.ceil(len(shown) / columns) * (SIDE + LINE + GAP) + 16
    if rgb:
        sheet.text(
            MARGIN,
            bottom,
            f"mid-grey is zero, full colour ±{number(limit)}",
            palette.LABEL_SIZE,
            color=palette.QUIET_TEXT,
        )
    else:
        sheet.colour_bar(MARGIN, bottom, limit, "weight")
    if maps is not None:
        sheet.activation_bar(MARGIN + step, bottom, map_limit, "all epochs", signed=bool((maps < 0).any()))
    if evolution.image is not None:
        high, wide = fitted(evolution.image.shape[:2], 150)
        sheet.photo(MARGIN + step + 560, bottom, evolution.image, wide, high)
    if maps is not None:
        footnotes(sheet, sheet.height + 10, [], beyond=beyond_text([(maps[..., shown], map_limit)]))
    return sheet.figure()


def _kernel_tile(kernels: np.ndarray, index: int, limit: float, rgb: bool) -> np.ndarray:
    """One unit's kernel of `kernels` (epochs, height, width, inputs) as colours."""
    if rgb:
        return palette.colour_rgb_kernel(kernels[index], limit)
    strongest = int(np.argmax(np.nan_to_num(np.square(kernels[-1], dtype=np.float64)).sum(axis=(0, 1))))
    return palette.colour_weights(kernels[index, :, :, strongest], limit)


def _tile_size(tile: np.ndarray) -> tuple[int, int]:
    height, width = tile.shape[:2]
    if max(height, width) > SIDE:
        return max(1, height * SIDE // max(height, width)), max(1, width * SIDE // max(height, width))
    cell = cell_size(max(height, width), SIDE, SIDE)
    cell -= cell * max(height, width) > SIDE
    return height * cell, width * cell


def _block_width(columns: int) -> int:
    return columns * (SIDE + GAP) - GAP


def _draw_time(sheet: Sheet, y: float, evolution: "Evolution", index: int) -> float:
    """The epoch, in words and as a bar that fills up; returns the y below."""
    epochs, changed = evolution.epochs, evolution.changed
    words = f"epoch {epochs[index]}" + (" (not trained yet)" if epochs[index] == 0 else f" of {epochs[-1]}")
    sheet.text(MARGIN, y, words, palette.HEADING_SIZE, weight="bold")
    bar = np.empty((14, 600, 3), np.uint8)
    bar[:] = palette.HATCH[1]
    span = max(epochs[-1] - epochs[0], 1)
    bar[:, : round(600 * (epochs[index] - epochs[0]) / span)] = palette.AGREEMENT[170]
    sheet.paint(MARGIN + 420, y + 10, bar)
    if changed is not None and np.isfinite(changed[index]):
        y += line_height(palette.HEADING_SIZE)
        cosine = f"likeness to the start {signed(changed[index])} in the median (cosine: 1 unchanged, 0 all new)"
        sheet.text(MARGIN, y, cosine, palette.LABEL_SIZE)
    return y + line_height(palette.HEADING_SIZE) + 20


def _pixels(figure: Figure) -> Image.Image:
    agg = FigureCanvasAgg(figure)
    figure.set_dpi(DPI)
    with palette.without_glyph_warnings():
        agg.draw()
    frame = Image.fromarray(np.asarray(agg.buffer_rgba())[..., :3].copy())
    smaller = [round(side * FRAME_DPI / DPI) for side in frame.size]
    return frame.resize(smaller, Image.Resampling.BOX)


def _shared_palette(frames: Sequence[Image.Image]) -> Image.Image:
    """256 colours for all frames, so that what does not change does not flicker."""
    sample = [frames[index] for index in np.unique(np.linspace(0, len(frames) - 1, 6).astype(int))]
    strip = np.concatenate([np.asarray(frame) for frame in sample])
    shared = Image.fromarray(strip).quantize(256, method=Image.Quantize.MEDIANCUT)
    colours = np.array(shared.getpalette()).reshape(-1, 3)
    colours[colours.min(axis=1) >= 249] = palette.BACKGROUND  # a mean of near-whites would make the paper grey
    shared.putpalette(colours.ravel().tolist())
    return shared
