"""Which explanation finds the pixels that count: they are deleted and inserted in its order."""

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


@figure(
    "deletion_insertion",
    group="attribution",
    position=2,
    needs="images",
    shows="which of them point at pixels that the network uses",
    reading="A good map: red rises early, blue falls early.",
    page="gallery-attribution.md#deletion_insertion",
)
def deletion_insertion(inputs: "FigureInputs") -> "Iterator[Drawing]":
    def draw():
        maps, targets = possible_maps(inputs), inputs.targets
        random = np.random.default_rng(inputs.config.seed).random(inputs.images.shape[:3])
        rivals = {**maps, "random": random}
        curves = {}
        with progress_bar("Deleting and inserting", len(rivals)) as progress:
            for done, (method, values) in enumerate(rivals.items(), 1):
                curves[method] = interpret.deletion_insertion(inputs.network, inputs.images, values, targets)
                progress(done, len(rivals))
        arrays = {f"{method}_deletion": scores.deletion for method, scores in curves.items()}
        arrays |= {f"{method}_insertion": scores.insertion for method, scores in curves.items()}
        reference = curves.pop("random")
        titled = {METHODS[method].title: scores for method, scores in curves.items()}
        figure = visualization.deletion_insertion_figure(titled, reference=reference, caption=inputs.caption())
        return figure, {"shares": reference.shares, "targets": targets, **arrays}

    yield visualization.Drawing("deletion_insertion", draw)
