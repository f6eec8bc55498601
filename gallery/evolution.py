"""How the network came to be: its kernels and feature maps over the epochs."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from convlens import interpret, visualization
from convlens.core.errors import UserError
from convlens.core.progress import progress_bar
from convlens.gallery.file_names import FileNames
from convlens.gallery.registry import extra_files, figure

if TYPE_CHECKING:
    from convlens.gallery.inputs import FigureInputs
    from convlens.visualization import Drawing

MOST_FRAMES = 40


@figure(
    "evolution",
    group="networks",
    position=5,
    needs="snapshots",
    shows="kernels and maps from the start to the last epoch, also as an animation",
    reading="A frame an epoch, on one scale for all: what grows is seen to grow.",
    page="gallery-networks.md#evolution",
)
def evolution(inputs: "FigureInputs") -> "Iterator[Drawing]":
    """What each layer has come to: the last frame of its animation."""
    for layer in _layers(inputs):

        def draw(layer=layer):
            result = _over_epochs(inputs, layer)
            return visualization.evolution_frame(result, **_options(inputs, layer)), result.arrays()

        yield visualization.Drawing(f"evolution-{layer}", draw)


@extra_files("evolution")
def write_animations(inputs: "FigureInputs", folder: Path) -> Iterator[Path]:
    """The animation of each layer, a frame an epoch."""
    layers, files = _layers(inputs), FileNames(folder)
    with progress_bar("Animating", len(layers)) as progress:
        for done, layer in enumerate(layers, 1):
            result = _over_epochs(inputs, layer)
            name = files.of(f"evolution-{layer}")  # as the picture's, which it takes the place of on the page
            yield visualization.write_evolution(folder / f"{name}.gif", result, **_options(inputs, layer))
            progress(done, len(layers))


def _layers(inputs: "FigureInputs") -> list[str]:
    """The layers that snapshots were kept of: those that the user named, or each block's last."""
    kept = inputs.snapshots[-1].kernels
    chosen = [info for info in inputs.convolutions.values() if info.name in kept]
    if not chosen:
        raise UserError(f"the snapshots are of none of these layers, but of {', '.join(map(str, kept)) or 'none'}")
    return [info.name for info in (chosen if inputs.config.layers else visualization.last_of_each_block(chosen))]


def _over_epochs(inputs: "FigureInputs", layer: str) -> "interpret.Evolution":
    """A layer over the epochs that are shown: at most about MOST_FRAMES of them, the last one always."""
    from convlens.models import inside_cells

    every = max(1, -(-(len(inputs.snapshots) - 1) // MOST_FRAMES))
    result = interpret.evolution(inputs.snapshots[::-1][::every], layer)
    if result.maps is None:
        raise UserError(f"the snapshots have no maps of layer '{layer}'")
    info = inputs.convolutions[layer]
    inside = _thinned(inside_cells(inputs.model)[layer].get("detect"), result.maps.shape[1:3])
    image = inputs.data.examples("validation", [0])[0][0] if inputs.lacks_data is None else None
    return replace(result, shape=info.kernel.shape, reads_colour=inputs.in_colour(info), image=image, inside=inside)


def _options(inputs: "FigureInputs", layer: str) -> "dict[str, Any]":
    """What the picture and the animation are drawn with."""
    field = inputs.convolutions[layer].receptive_field
    caption = visualization.Caption(inputs.source, layer, receptive_field=field)  # the epoch is the frame's own
    return {"max_units": inputs.config.max_units, "caption": caption}


def _thinned(cells: np.ndarray | None, size: tuple[int, int]) -> np.ndarray | None:
    """Cells (height, width) as snapshots thin maps to a size; None where they cannot be those."""
    if cells is None:
        return None
    step = -(-cells.shape[0] // size[0])
    thinned = cells[::step, ::step]
    return thinned if thinned.shape == tuple(size) else None
