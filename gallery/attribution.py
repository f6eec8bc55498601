"""Why this class: each method's map of the pixels that speak for it."""

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from convlens import interpret, visualization
from convlens.core.errors import UserError
from convlens.core.progress import progress_bar
from convlens.gallery.registry import figure
from convlens.interpret.explanations import METHODS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.figure import Figure

    from convlens.gallery.inputs import FigureInputs
    from convlens.visualization import Drawing


@figure(
    "explanations",
    group="attribution",
    position=1,
    needs="images",
    shows="every method below beside every other, an image a figure",
    reading="Red speaks for the class, blue against it; each method has its own scale and its own faults.",
    page="gallery-attribution.md#explanations",
    scale="Each map has its own range of colours, written under it.",
)
def explanations(inputs: "FigureInputs") -> "Iterator[Drawing]":
    """Every method beside every other, an image a figure."""
    for index in range(len(inputs.photos)):

        def draw(index=index):
            return _drawn(inputs, possible_maps(inputs), slice(index, index + 1))

        yield visualization.Drawing(f"explanations-image{index}", draw)


def attribution(method: str, inputs: "FigureInputs") -> "Iterator[Drawing]":
    """One method, all images in a figure."""

    def draw():
        return _drawn(inputs, {method: _maps(inputs, method)}, slice(None))

    yield visualization.Drawing(method, draw)


@figure(
    "grad_cam",
    position=1,
    needs="images",
    shows="where the last convolution speaks for the class",
    reading="Red is where the last maps speak for the class.",
    page="gallery-attribution.md#grad-cam",
    scale="Each map has its own range of colours, written under it.",
)
def grad_cam(inputs: "FigureInputs") -> "Iterator[Drawing]":
    return attribution("grad_cam", inputs)


@figure(
    "grad_cam_plus_plus",
    position=2,
    needs="images",
    shows="the same, where several places do",
    reading="As Grad-CAM, with several small places counting as much as one large.",
    page="gallery-attribution.md#grad-cam-1",
    scale="Each map has its own range of colours, written under it.",
)
def grad_cam_plus_plus(inputs: "FigureInputs") -> "Iterator[Drawing]":
    return attribution("grad_cam_plus_plus", inputs)


@figure(
    "score_cam",
    position=3,
    needs="images",
    shows="the same, without gradients",
    reading="As Grad-CAM, each map weighed by the logit of the image seen through it alone.",
    page="gallery-attribution.md#score-cam",
    scale="Each map has its own range of colours, written under it.",
)
def score_cam(inputs: "FigureInputs") -> "Iterator[Drawing]":
    return attribution("score_cam", inputs)


@figure(
    "saliency",
    position=4,
    needs="images",
    shows="which pixels change the class's score most",
    reading="The darker a pixel, the more a small change of it moves the class.",
    page="gallery-attribution.md#saliency",
    scale="Each map has its own range of colours, written under it.",
)
def saliency(inputs: "FigureInputs") -> "Iterator[Drawing]":
    return attribution("saliency", inputs)


@figure(
    "smooth_grad",
    position=5,
    needs="images",
    shows="the same, averaged over noisy copies of the image",
    reading="Saliency, averaged over noisy copies of the image.",
    page="gallery-attribution.md#smoothgrad",
    scale="Each map has its own range of colours, written under it.",
)
def smooth_grad(inputs: "FigureInputs") -> "Iterator[Drawing]":
    return attribution("smooth_grad", inputs)


@figure(
    "integrated_gradients",
    position=6,
    needs="images",
    shows="what each pixel adds to the score, on the way from black",
    reading="Each pixel's share of what sets this image's logit apart from a black image's.",
    page="gallery-attribution.md#integrated-gradients",
    scale="Each map has its own range of colours, written under it.",
)
def integrated_gradients(inputs: "FigureInputs") -> "Iterator[Drawing]":
    return attribution("integrated_gradients", inputs)


@figure(
    "guided_backpropagation",
    position=7,
    needs="images",
    shows="saliency through positive paths only; sharp, and not specific to the class",
    reading="Fine structure that the network looks at; it hardly changes with the class.",
    page="gallery-attribution.md#guided-backpropagation",
    scale="Each map has its own range of colours, written under it.",
)
def guided_backpropagation(inputs: "FigureInputs") -> "Iterator[Drawing]":
    return attribution("guided_backpropagation", inputs)


@figure(
    "occlusion",
    position=8,
    needs="images",
    shows="what the score loses when a patch is covered",
    reading="Red are the places that lower the class when they are covered.",
    page="gallery-attribution.md#occlusion",
    scale="Each map has its own range of colours, written under it.",
)
def occlusion(inputs: "FigureInputs") -> "Iterator[Drawing]":
    return attribution("occlusion", inputs)


def possible_maps(inputs: "FigureInputs") -> "dict[str, np.ndarray]":
    """The maps (n, height, width) of every method that the model allows, by method; what it does not is printed."""
    inputs.target  # noqa: B018  a class that does not exist is reported once, not by each method
    for method in METHODS:
        if method not in inputs.attribution_maps:
            try:
                _maps(inputs, method)
            except UserError as error:
                print(f"Without {METHODS[method].title}: {error}")
                inputs.attribution_maps[method] = None
    computed = inputs.attribution_maps
    return {method: maps for method in METHODS if (maps := computed[method]) is not None}


def _drawn(
    inputs: "FigureInputs", maps: "dict[str, np.ndarray]", rows: slice
) -> "tuple[Figure, dict[str, np.ndarray]]":
    """The figure of some images with their maps, and the arrays behind it."""
    explained = interpret.Explanations(inputs.images, inputs.logits, inputs.targets, maps).of_images(rows)
    true = inputs.true_labels(rows)
    explained = replace(explained, true=None if true is None else np.array(true))
    notes = [
        [note for note in (verdict, change) if note]  # of an image's class, and what was done to its shape
        for change, verdict in zip(inputs.notes[rows], inputs.verdicts[rows], strict=True)
    ]
    caption = replace(inputs.caption(), labels=inputs.labels)
    return visualization.attribution_figure(explained, notes=notes, caption=caption), explained.arrays()


def _maps(inputs: "FigureInputs", method: str) -> "np.ndarray":
    """A method's maps (n, height, width) for the class that is explained, computed once.

    Raises UserError for a model to which the method does not apply.
    """
    maps = inputs.attribution_maps.get(method)
    if maps is None:
        with progress_bar(METHODS[method].title) as progress:
            maps = inputs.attribution_maps[method] = interpret.attribution_maps(
                inputs.network, inputs.images, inputs.targets, method,
                seed=inputs.config.seed, progress=progress,
            )  # fmt: skip
    return maps
