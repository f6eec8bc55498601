"""How the network came to be: its kernels and feature maps over the epochs."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from convlens import interpret, visualization
from convlens.core.errors import UserError
from convlens.core.progress import progress_bar
from convlens.gallery.file_names import FileNames
from convlens.gallery.registry import beside, figure

if TYPE_CHECKING:
    from convlens.gallery.material import Material
    from convlens.visualization import Drawing

MOST_FRAMES = 40


@figure(
    "evolution",
    group="networks",
    place=5,
    needs="snapshots",
    shows="kernels and maps from the start to the last epoch, also as an animation",
    reading="A frame an epoch, on one scale for all: what grows is seen to grow.",
    page="gallery-networks.md#evolution",
)
def evolution(material: "Material") -> "Iterator[Drawing]":
    """What each layer has come to: the last frame of its animation."""
    for layer in _layers(material):

        def draw(layer=layer):
            epochs, kernels, options = _over_epochs(material, layer)
            figure = visualization.evolution_frame(kernels, epochs, len(epochs) - 1, **options)
            arrays = {"epochs": epochs, "kernels": kernels, "maps": options["maps"]}
            return figure, arrays | ({"changed": options["changed"]} if options["changed"] else {})

        yield visualization.Drawing(f"evolution-{layer}", draw)


@beside("evolution")
def write_animations(material: "Material", folder: Path) -> Iterator[Path]:
    """The animation of each layer, a frame an epoch."""
    layers, files = _layers(material), FileNames(folder)
    with progress_bar("Animating", len(layers)) as progress:
        for done, layer in enumerate(layers, 1):
            epochs, kernels, options = _over_epochs(material, layer)
            name = files.of(f"evolution-{layer}")  # as the picture's, which it takes the place of on the page
            yield visualization.write_evolution(folder / f"{name}.gif", kernels, epochs, **options)
            progress(done, len(layers))


def _layers(material: "Material") -> list[str]:
    """The layers that snapshots were kept of: those that the user named, or each block's last."""
    kept = material.snapshots[-1].kernels
    chosen = [info for info in material.convolutions.values() if info.name in kept]
    if not chosen:
        raise UserError(f"the snapshots are of none of these layers, but of {', '.join(map(str, kept)) or 'none'}")
    return [info.name for info in (chosen if material.config.layers else visualization.last_of_each_block(chosen))]


def _over_epochs(material: "Material", layer: str) -> "tuple[list[int], np.ndarray, dict]":
    """The epochs shown, a layer's kernels at each, and the other arguments of its frames."""
    every = max(1, -(-(len(material.snapshots) - 1) // MOST_FRAMES))
    shown = [*material.snapshots[::-1][::every]][::-1]  # the last epoch always
    epochs, kernels = interpret.stack_snapshots(shown, "kernels", layer)
    _, maps = interpret.stack_snapshots(shown, "maps", layer)
    from convlens.models import inside_cells

    info = material.convolutions[layer]
    inside = _thinned(inside_cells(material.model)[layer].get("detect"), maps.shape[2:4])
    image = None
    if material.lacks_data is None:
        image = material.data.examples("validation", [0])[0][0]
    caption = visualization.Caption(material.source, layer, None, info.receptive_field)
    changed = None
    if epochs[0] == 0:
        changed = [_median_cosine(kernel, kernels[0]) for kernel in kernels]
    options = {
        "changed": changed,
        "inside": inside,
        "maps": maps[:, 0],
        "image": image,
        "rgb": material.in_colour(info),
        "whole": info.kernel.shape,
    }
    return epochs, kernels, {**options, "max_units": material.config.max_units, "caption": caption}


def _median_cosine(kernel: np.ndarray, start: np.ndarray) -> float:
    cosines = interpret.cosine_with_start(kernel, start)
    return float(np.median(cosines[np.isfinite(cosines)])) if np.isfinite(cosines).any() else float("nan")


def _thinned(cells: np.ndarray | None, size: tuple[int, int]) -> np.ndarray | None:
    """Cells (height, width) as snapshots thin maps to a size; None where they cannot be those."""
    if cells is None:
        return None
    step = -(-cells.shape[0] // size[0])
    thinned = cells[::step, ::step]
    return thinned if thinned.shape == tuple(size) else None
