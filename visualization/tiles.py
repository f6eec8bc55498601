"""Tiles in a grid, as one uint8 array: cheap enough to write every epoch, and without Matplotlib."""

import math
from collections.abc import Sequence

import numpy as np

from convlens.visualization import palette

WIDEST = 2000  # pixels of a picture that TensorBoard keeps for every epoch


def enlarge(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """An array of shape (h, w, ...) brought to (height, width, ...) by nearest neighbour."""
    rows = np.arange(height) * image.shape[0] // height
    columns = np.arange(width) * image.shape[1] // width
    return image[rows][:, columns]


def cell_size(cells: int, side: float, largest_cell: int = 40) -> int:
    """Pixels a cell, a whole number, for a tile of `cells` cells to come out near `side` pixels."""
    return max(1, min(round(side / cells), largest_cell))


def tile_grid(
    tiles: Sequence[np.ndarray],
    *,
    columns: int | None = None,
    cell: int = 1,
    dead: Sequence[bool] | np.ndarray | None = None,
) -> np.ndarray:
    """Tiles of one shape in rows, a gutter of one cell (at least two pixels) around each; shape (height, width, 3).

    Each tile is (h, w, 3) uint8 and each of its pixels becomes a square of `cell` pixels. Cells of the grid without a
    tile are hatched; tiles of dead units get a coloured frame in the gutter.
    """
    if not len(tiles):
        raise ValueError("no tiles to lay out")
    columns = columns or math.ceil(math.sqrt(len(tiles)))
    rows = math.ceil(len(tiles) / columns)
    height, width = (side * cell for side in tiles[0].shape[:2])
    gutter = max(cell, 2)
    sheet = np.empty((rows * (height + gutter) + gutter, columns * (width + gutter) + gutter, 3), np.uint8)
    sheet[:] = palette.GUTTER
    for position in range(rows * columns):
        top = gutter + position // columns * (height + gutter)
        left = gutter + position % columns * (width + gutter)
        if position >= len(tiles):
            sheet[top : top + height, left : left + width] = palette.hatch(height, width)
            continue
        if dead is not None and dead[position]:
            frame = max(1, gutter // 2)
            sheet[top - frame : top + height + frame, left - frame : left + width + frame] = palette.DEAD
        sheet[top : top + height, left : left + width] = enlarge(tiles[position], height, width)
    return sheet


def kernel_tiles(kernel: np.ndarray, *, max_units: int = 64, max_channels: int = 16, side: int = 32) -> np.ndarray:
    """The kernels of a convolution as one picture, on one norm for the layer; shape (height, width, 3) uint8.

    `kernel` is (height, width, channels, units). Three channels are drawn as RGB, one as signed values, more as a
    matrix of input channel (down) by unit (across), always the first ones so that epochs can be compared.
    """
    kernel = np.asarray(kernel, np.float32)
    if kernel.ndim != 4:
        raise ValueError(f"kernel of shape {kernel.shape}; expected (height, width, channels, units)")
    kernel = kernel[:, :, :max_channels, :max_units]
    limit = palette.largest(kernel)
    height, width, channels, units = kernel.shape
    columns = units if 1 < channels != 3 else math.ceil(math.sqrt(units))
    cell = max(1, min(cell_size(max(height, width), side), WIDEST // (columns * (width + 1))))
    if channels == 3:
        return tile_grid([palette.colour_rgb_kernel(kernel[..., unit], limit) for unit in range(units)], cell=cell)
    tiles = [
        palette.colour_weights(kernel[:, :, channel, unit], limit)
        for channel in range(channels)
        for unit in range(units)
    ]
    return tile_grid(tiles, columns=columns, cell=cell)


def map_tiles(maps: np.ndarray, inside: np.ndarray | None = None, *, max_units: int = 64, side: int = 64) -> np.ndarray:
    """Feature maps of one image as one picture, on one norm for the layer; shape (height, width, 3) uint8.

    `maps` is (height, width, units); the first units are drawn, and those that are zero everywhere are framed. The norm
    is that of the cells `inside`, booleans (height, width), by default of all; cells beyond it are marked.
    """
    maps = np.asarray(maps, np.float32)
    if maps.ndim != 3:
        raise ValueError(f"maps of shape {maps.shape}; expected (height, width, units)")
    maps = maps[..., :max_units]
    coloured = palette.colour_activations(maps, palette.largest_inside(maps, inside))
    tiles = [coloured[:, :, unit] for unit in range(maps.shape[-1])]
    return tile_grid(tiles, cell=cell_size(max(maps.shape[:2]), side), dead=np.logical_not(maps.any(axis=(0, 1))))
