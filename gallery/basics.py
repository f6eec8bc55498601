"""What the network looks like: kernels, feature maps and the steps between them."""

from typing import TYPE_CHECKING

from convlens import visualization
from convlens.gallery.registry import figure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convlens.gallery.inputs import FigureInputs
    from convlens.visualization import Drawing


def drawings_of_scene(figure: str, inputs: "FigureInputs") -> "Iterator[Drawing]":
    """The drawings of a figure that needs no more than kernels and maps of the images."""
    yield from visualization.plan(inputs.observation, figure, inputs.display, inputs.network_caption)


@figure(
    "kernels",
    group="basics",
    position=1,
    needs="images",
    shows="the kernels of a layer, side by side",
    reading="In a first layer blue to red is an edge, stripes a line; a deeper layer reads maps: its kernels are no "
    "pictures.",
    page="reading-the-pictures.md#kernels",
    scale="Each unit of a first layer has its own range of colours, a deeper layer has one for all; scale= chooses.",
)
def kernels(inputs: "FigureInputs") -> "Iterator[Drawing]":
    return drawings_of_scene("kernels", inputs)


@figure(
    "kernel",
    group="basics",
    position=2,
    needs="images",
    shows="one kernel with its numbers: of units=, or the strongest",
    reading="Lay it over a patch, multiply and add up over all channels, add the bias: one cell of the filter stage.",
    page="reading-the-pictures.md#kernel",
)
def kernel(inputs: "FigureInputs") -> "Iterator[Drawing]":
    return drawings_of_scene("kernel", inputs)


@figure(
    "kernels_and_maps",
    group="basics",
    position=3,
    needs="images",
    shows="each kernel beside the map that it makes",
    reading="In a first layer a map is red where the image looks like the kernel; a deeper unit adds up many maps.",
    page="reading-the-pictures.md#kernels_and_maps",
    scale="A layer has one range of colours for its kernels and one for its maps; scale= chooses.",
)
def kernels_and_maps(inputs: "FigureInputs") -> "Iterator[Drawing]":
    return drawings_of_scene("kernels_and_maps", inputs)


@figure(
    "feature_maps",
    group="basics",
    position=4,
    needs="images",
    shows="the maps of an image at filter, detect and condense",
    reading="Blue that is white after detect is what ReLU removed; condense keeps the strongest cells.",
    page="reading-the-pictures.md#feature_maps",
    scale="All tiles of a layer share a range of colours; scale= chooses.",
)
def feature_maps(inputs: "FigureInputs") -> "Iterator[Drawing]":
    return drawings_of_scene("feature_maps", inputs)


@figure(
    "extraction",
    group="basics",
    position=5,
    needs="images",
    shows="one unit at work: input, filter, detect, condense",
    reading="From left to right: find the feature, keep where it is present, keep less but the strongest.",
    page="reading-the-pictures.md#extraction",
    scale="Large tiles have the unit's own range of colours, small ones the layer's; scale= chooses.",
)
def extraction(inputs: "FigureInputs") -> "Iterator[Drawing]":
    return drawings_of_scene("extraction", inputs)


@figure(
    "relu",
    group="basics",
    position=6,
    needs="images",
    shows="what ReLU keeps of a unit's responses, and what it deletes",
    reading="Everything blue becomes zero; its share is written beside it.",
    page="reading-the-pictures.md#relu",
    scale="All units that are shown share one axis.",
)
def relu(inputs: "FigureInputs") -> "Iterator[Drawing]":
    return drawings_of_scene("relu", inputs)


@figure(
    "pipeline",
    group="basics",
    position=7,
    needs="images",
    shows="an image's way through the whole network",
    reading="From block to block resolution falls and the field of view grows; the strongest maps stand on top.",
    page="reading-the-pictures.md#pipeline",
    scale="Each layer has its own range of colours; scale= chooses.",
)
def pipeline(inputs: "FigureInputs") -> "Iterator[Drawing]":
    return drawings_of_scene("pipeline", inputs)
