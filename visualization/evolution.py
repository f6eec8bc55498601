"""How kernels and feature maps came to be: an animated picture, a frame an epoch."""

import io
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from convlens.core.files import atomic_write, make_folder
from convlens.visualization import palette
from convlens.visualization.caption import UNKNOWN, Caption, beyond, choose_units, footnotes, heading, size
from convlens.visualization.kernels import signed
from convlens.visualization.overlays import fitted
from convlens.visualization.save import DPI
from convlens.visualization.sheet import MARGIN, Sheet, line_height, number
from convlens.visualization.tiles import cell_size

SIDE, GAP = 128, 14  # pixels of a tile, and between tiles
WIDTH = 1500
FRAME_DPI = 120  # of an animation; a figure's own is 200
LINE = line_height(palette.LABEL_SIZE)
HOLD = 4  # the last frame stands so many times as long


def write_evolution(
    path: str | Path,
    kernels: np.ndarray,
    epochs: Sequence[int],
    *,
    maps: np.ndarray | None = None,
    image: np.ndarray | None = None,
    rgb: bool = False,
    whole: Sequence[int] | None = None,
    max_units: int = 32,
    seconds: float = 0.4,
    changed: Sequence[float] | None = None,
    inside: np.ndarray | None = None,
    caption: Caption = UNKNOWN,
) -> Path:
    """An animated GIF or, where `path` ends in .png or .apng, an animated PNG of what `evolution_frame` shows.

    `kernels` is (epochs, height, width, inputs, units), `maps` (epochs, height, width, units) of one `image`
    (height, width, channels). A frame stands `seconds`, the last one longer; the animation repeats. All epochs share
    one norm, so that growing weights are seen to grow. GIF has 256 colours, the same ones in every frame; PNG has all.

    Raises ValueError for another ending, or where the numbers of epochs differ.
    """
    path = Path(path)
    if path.suffix.lower() not in (".gif", ".png", ".apng"):
        raise ValueError(f"{path.name} does not end in .gif, .png or .apng")
    if len(kernels) != len(epochs) or (maps is not None and len(maps) != len(epochs)):
        raise ValueError(
            f"{len(epochs)} epochs for kernels of {len(kernels)}"
            + (f" and maps of {len(maps)}" if maps is not None else "")
        )
    options = {"maps": maps, "image": image, "rgb": rgb, "whole": whole, "max_units": max_units}
    options |= {"changed": changed, "inside": inside, "caption": caption}
    frames = [_pixels(evolution_frame(kernels, epochs, place, **options)) for place in range(len(epochs))]
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
    kernels: np.ndarray,
    epochs: Sequence[int],
    place: int,
    *,
    maps: np.ndarray | None = None,
    image: np.ndarray | None = None,
    rgb: bool = False,
    whole: Sequence[int] | None = None,
    max_units: int = 32,
    changed: Sequence[float] | None = None,
    inside: np.ndarray | None = None,
    caption: Caption = UNKNOWN,
) -> Figure:
    """The kernels of a layer, and their maps of one image, at the epoch `epochs[place]`; norms are those of all epochs.

    Shapes are those of `write_evolution`. Of a kernel of many inputs the strongest of the unit at the last epoch is
    drawn, the same in every frame. `whole` (height, width, inputs, units) is the layer's own shape, where `kernels`
    hold only the first of its inputs and units. `changed` is the median cosine of the kernels with the first ones, at
    each epoch. The norm of maps is that of their cells `inside`, booleans (height, width), by default of all.
    """
    kernels = np.asarray(kernels, np.float32)
    if kernels.ndim != 5 or not len(kernels):
        raise ValueError(f"kernels of shape {kernels.shape}; expected (epochs, height, width, inputs, units)")
    shown = choose_units(kernels.shape[-1], max_units=max_units)
    limit = palette.largest(kernels[..., shown])
    tiles = [_kernel_tile(kernels[..., unit], place, limit, rgb) for unit in shown]
    blocks = [("kernels", tiles, None)]
    if maps is not None:
        map_limit = palette.largest_inside(np.asarray(maps)[..., shown], inside)
        coloured = palette.colour_activations(np.asarray(maps)[place][..., shown], map_limit)
        never = ~np.asarray(maps)[..., shown].any(axis=(0, 1, 2))
        blocks.append(("what they make of the image", [coloured[:, :, at] for at in range(len(shown))], never))

    sheet = Sheet(width=WIDTH)
    *shape, count = whole or kernels.shape[1:]
    units = f"{len(shown)} of {count} units" if len(shown) < count else f"all {count} units"
    inputs = "" if rgb or shape[2] == 1 else "the strongest input of each"
    if inputs and kernels.shape[3] < shape[2]:
        inputs += f" among the first {kernels.shape[3]}"
    facts = caption.facts(f"kernels {size(shape)}", units, inputs, "scale: one norm for all epochs")
    y = heading(sheet, f"How {caption.layer or 'a layer'} came to be", facts, WIDTH - 60)
    y = _draw_time(sheet, y, epochs, place, changed)
    columns = min(len(shown), 8 if maps is not None and len(shown) > 4 else 12)
    step = _block_width(columns) + 70
    for index, (title, drawn, never) in enumerate(blocks):
        x = MARGIN + index * step
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
        sheet.activation_bar(MARGIN + step, bottom, map_limit, "all epochs", signed=bool((np.asarray(maps) < 0).any()))
    if image is not None:
        high, wide = fitted(*image.shape[:2], 150)
        sheet.photo(MARGIN + step + 560, bottom, image, wide, high)
    if maps is not None:
        footnotes(sheet, sheet.height + 10, [], beyond=beyond(np.asarray(maps)[..., shown], map_limit))
    return sheet.figure()


def _kernel_tile(kernels: np.ndarray, place: int, limit: float, rgb: bool) -> np.ndarray:
    """One unit's kernel of `kernels` (epochs, height, width, inputs) as colours."""
    if rgb:
        return palette.colour_rgb_kernel(kernels[place], limit)
    strongest = int(np.argmax(np.nan_to_num(np.square(kernels[-1], dtype=np.float64)).sum(axis=(0, 1))))
    return palette.colour_weights(kernels[place, :, :, strongest], limit)


def _tile_size(tile: np.ndarray) -> tuple[int, int]:
    height, width = tile.shape[:2]
    if max(height, width) > SIDE:
        return max(1, height * SIDE // max(height, width)), max(1, width * SIDE // max(height, width))
    cell = cell_size(max(height, width), SIDE, SIDE)
    cell -= cell * max(height, width) > SIDE
    return height * cell, width * cell


def _block_width(columns: int) -> int:
    return columns * (SIDE + GAP) - GAP


def _draw_time(sheet: Sheet, y: float, epochs: Sequence[int], place: int, changed: Sequence[float] | None) -> float:
    """The epoch, in words and as a bar that fills up."""
    told = f"epoch {epochs[place]}" + (" (not trained yet)" if epochs[place] == 0 else f" of {epochs[-1]}")
    sheet.text(MARGIN, y, told, palette.HEADING_SIZE, weight="bold")
    bar = np.empty((14, 600, 3), np.uint8)
    bar[:] = palette.HATCH[1]
    span = max(epochs[-1] - epochs[0], 1)
    bar[:, : round(600 * (epochs[place] - epochs[0]) / span)] = palette.AGREEMENT[170]
    sheet.paint(MARGIN + 420, y + 10, bar)
    if changed is not None and np.isfinite(changed[place]):
        y += line_height(palette.HEADING_SIZE)
        told = f"cosine with the start {signed(changed[place])} in the median: 1 is unchanged, 0 is all new"
        sheet.text(MARGIN, y, told, palette.LABEL_SIZE)
    return y + line_height(palette.HEADING_SIZE) + 20


def _pixels(figure: Figure) -> Image.Image:
    canvas = FigureCanvasAgg(figure)
    figure.set_dpi(DPI)
    with palette.without_glyph_warnings():
        canvas.draw()
    frame = Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3].copy())
    smaller = [round(side * FRAME_DPI / DPI) for side in frame.size]
    return frame.resize(smaller, Image.Resampling.BOX)


def _shared_palette(frames: Sequence[Image.Image]) -> Image.Image:
    """256 colours for all frames, so that what does not change does not flicker."""
    sample = [frames[place] for place in np.unique(np.linspace(0, len(frames) - 1, 6).astype(int))]
    strip = np.concatenate([np.asarray(frame) for frame in sample])
    shared = Image.fromarray(strip).quantize(256, method=Image.Quantize.MEDIANCUT)
    colours = np.array(shared.getpalette()).reshape(-1, 3)
    colours[colours.min(axis=1) >= 249] = palette.BACKGROUND  # a mean of near-whites would make the paper grey
    shared.putpalette(colours.ravel().tolist())
    return shared
