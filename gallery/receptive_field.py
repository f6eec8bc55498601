"""What a unit of each layer can see of an image, and which of it matters."""

from typing import TYPE_CHECKING

from convlens import interpret, visualization
from convlens.core.progress import progress_bar
from convlens.gallery.registry import figure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convlens.gallery.inputs import FigureInputs
    from convlens.visualization import Drawing

FIELD_ON = 16  # images: each takes a gradient a unit


@figure(
    "receptive_field",
    group="units",
    position=4,
    needs="images",
    shows="which pixels a unit sees, in theory and in fact",
    reading="The box is all that a unit can see; the darker below, the more a pixel moves it.",
    page="gallery-units.md#receptive_field",
    scale="Each layer has its own range of colours.",
)
def receptive_field(inputs: "FigureInputs") -> "Iterator[Drawing]":
    def draw():
        images = next(iter(inputs.batches(FIELD_ON)))[0] if inputs.lacks_data is None else inputs.images
        layers = list(inputs.convolutions)
        with progress_bar("Measuring receptive fields", len(layers)) as progress:
            seen = interpret.unit_views(inputs.model, images, layers, progress=progress)
        image = inputs.images[0]
        figure = visualization.receptive_field_figure(image, seen, caption=inputs.caption())
        return figure, {"image": image, **seen.arrays()}

    yield visualization.Drawing("receptive_field", draw)
