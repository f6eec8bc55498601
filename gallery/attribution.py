"""Why this class: each method's map of the pixels that speak for it."""

from dataclasses import replace
from typing import TYPE_CHECKING

from convlens import interpret, visualization
from convlens.core.errors import UserError
from convlens.core.progress import progress_bar
from convlens.interpret.explanations import METHODS

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from matplotlib.figure import Figure

    from convlens.gallery.material import Material
    from convlens.visualization import Drawing


def explanations(material: "Material") -> "Iterator[Drawing]":
    """Every method beside every other, an image a figure."""
    for index in range(len(material.photos)):

        def draw(index=index):
            return _drawn(material, possible_maps(material), slice(index, index + 1))

        yield visualization.Drawing(f"explanations-image{index}", draw)


def attribution(method: str, material: "Material") -> "Iterator[Drawing]":
    """One method, all images in a figure."""

    def draw():
        return _drawn(material, {method: _maps(material, method)}, slice(None))

    yield visualization.Drawing(method, draw)


def possible_maps(material: "Material") -> "dict[str, np.ndarray]":
    """The maps (n, height, width) of every method that the model allows, by method; what it does not is printed."""
    material.target  # noqa: B018  a class that does not exist is reported once, not by each method
    for method in METHODS:
        if method not in material.attribution_maps:
            try:
                _maps(material, method)
            except UserError as error:
                print(f"Without {METHODS[method].title}: {error}")
                material.attribution_maps[method] = None
    computed = material.attribution_maps
    return {method: computed[method] for method in METHODS if computed[method] is not None}


def _drawn(material: "Material", maps: "dict[str, np.ndarray]", rows: slice) -> "tuple[Figure, dict[str, np.ndarray]]":
    """The figure of some images with their maps, and the arrays behind it."""
    explained = interpret.Explanations(material.images, material.logits, material.targets, maps).of_images(rows)
    explained = replace(explained, true=material.true_labels(rows))
    notes = [
        [note for note in (verdict, change) if note]  # of an image's class, and what was done to its shape
        for change, verdict in zip(material.notes[rows], material.verdicts[rows], strict=True)
    ]
    caption = replace(material.caption(), labels=material.labels)
    return visualization.attribution_figure(explained, notes=notes, caption=caption), explained.arrays()


def _maps(material: "Material", method: str) -> "np.ndarray":
    """A method's maps (n, height, width) for the class that is explained, computed once.

    Raises UserError for a model to which the method does not apply.
    """
    if material.attribution_maps.get(method) is None:
        with progress_bar(METHODS[method].title) as progress:
            material.attribution_maps[method] = interpret.attribution_maps(
                material.network, material.images, material.targets, method,
                seed=material.config.seed, progress=progress,
            )  # fmt: skip
    return material.attribution_maps[method]
