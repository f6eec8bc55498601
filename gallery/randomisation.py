"""Whether an explanation depends on what was learned: its layers are randomised one after another."""

from typing import TYPE_CHECKING

import numpy as np

from convlens import interpret, visualization
from convlens.core.progress import progress_bar
from convlens.gallery.attribution import possible_maps
from convlens.gallery.registry import figure
from convlens.interpret.explanations import METHODS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convlens.gallery.inputs import FigureInputs
    from convlens.visualization import Drawing

CHECKED = ("grad_cam", "grad_cam_plus_plus", "saliency", "guided_backpropagation")
MOST_LAYERS = 8


@figure(
    "randomisation",
    group="attribution",
    position=3,
    needs="images",
    shows="which of them change when the network's weights are random",
    reading="A map that stays the same while weights are shuffled says nothing of what was learned.",
    page="gallery-attribution.md#randomisation",
    scale="Each map has its own range of colours, from zero.",
)
def randomisation(inputs: "FigureInputs") -> "Iterator[Drawing]":
    def draw():
        image, target = inputs.images[:1], inputs.targets[:1]
        layers, possible = _from_the_logits_down(inputs), possible_maps(inputs)
        checks = {}
        for method in (method for method in CHECKED if method in possible):
            with progress_bar(f"Shuffling under {METHODS[method].title}", len(layers)) as progress:
                checks[method] = interpret.randomisation_check(
                    inputs.network, image, getattr(interpret, method), target, layers=layers,
                    seed=inputs.config.seed, progress=progress,
                )  # fmt: skip
        titled = {METHODS[method].title: check for method, check in checks.items()}
        figure = visualization.randomisation_figure(image[0], titled, caption=inputs.caption())
        # There is one image: the arrays are without its axis.
        arrays = {
            f"{method}_{name}": array[:, 0]
            for method, check in checks.items()
            for name, array in check.arrays().items()
        }
        return figure, {"image": image[0], "layers": np.array(layers), **arrays}

    yield visualization.Drawing("randomisation", draw)


def _from_the_logits_down(inputs: "FigureInputs") -> list[str]:
    """The layers with kernels, last first, evenly thinned where there are many."""
    nodes = inputs.network.graph(inputs.images.shape[1:3]).nodes
    with_kernels = {
        id(node.layer): node.name
        for node in reversed(nodes)
        if hasattr(node.layer, "kernel") or hasattr(node.layer, "depthwise_kernel")
    }
    names = list(with_kernels.values())
    kept = np.linspace(0, len(names) - 1, min(len(names), MOST_LAYERS)).round().astype(int)
    return [names[index] for index in kept]
