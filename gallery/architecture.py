"""What the network is made of."""

from typing import TYPE_CHECKING

import numpy as np

from convlens import interpret, visualization
from convlens.gallery.registry import figure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convlens.gallery.material import Material
    from convlens.visualization import Drawing


@figure(
    "architecture",
    group="networks",
    place=1,
    needs="kernels",
    shows="the network's layers, shapes and cost",
    reading="Boxes are as large as the maps and as long as there are channels; below are weights and work.",
    page="gallery-networks.md#architecture",
)
def architecture(material: "Material") -> "Iterator[Drawing]":
    def draw():
        network = interpret.architecture(material.model)
        steps = [visualization.Step(**vars(layer)) for layer in network.layers]
        # What is not known is -1: an array has no None.
        costs = [-1 if layer.multiply_adds is None else layer.multiply_adds for layer in network.layers]
        arrays = {
            "layers": np.array([layer.name for layer in network.layers]),
            "parameters": np.array([layer.parameters for layer in network.layers]),
            "multiply_adds": np.array(costs),
        }
        return visualization.architecture_figure(network.image_shape, steps, caption=material.caption()), arrays

    yield visualization.Drawing("architecture", draw)
