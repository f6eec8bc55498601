"""Which explanation finds the pixels that count: they are deleted and inserted in its order."""

from typing import TYPE_CHECKING

import numpy as np

from convlens import interpret, visualization
from convlens.core.progress import progress_bar
from convlens.gallery.attribution import METHODS, possible_maps
from convlens.gallery.registry import figure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convlens.gallery.material import Material
    from convlens.visualization import Drawing


@figure(
    "deletion_insertion",
    group="attribution",
    place=2,
    needs="images",
    shows="which of them point at pixels that the network uses",
    reading="A good map: red rises early, blue falls early.",
    page="gallery-attribution.md#deletion_insertion",
)
def deletion_insertion(material: "Material") -> "Iterator[Drawing]":
    def draw():
        maps, targets = possible_maps(material), material.targets
        random = np.random.default_rng(material.config.seed).random(material.images.shape[:3])
        rivals = {**maps, "random": random}
        curves = {}
        with progress_bar("Deleting and inserting", len(rivals)) as progress:
            for done, (method, values) in enumerate(rivals.items(), 1):
                scores = interpret.deletion_insertion(material.network, material.images, values, targets)
                curves[method], shares = (scores.deletion, scores.insertion), scores.shares
                progress(done, len(rivals))
        arrays = {f"{method}_deletion": deleted for method, (deleted, _) in curves.items()}
        arrays |= {f"{method}_insertion": inserted for method, (_, inserted) in curves.items()}
        reference = curves.pop("random")
        figure = visualization.deletion_insertion_figure(
            {METHODS[method]: pair for method, pair in curves.items()}, shares,
            reference=reference, caption=material.caption(),
        )  # fmt: skip
        return figure, {"shares": shares, "targets": targets, **arrays}

    yield visualization.Drawing("deletion_insertion", draw)
