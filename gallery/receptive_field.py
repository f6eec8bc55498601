"""What a unit of each layer can see of an image, and which of it matters."""

from typing import TYPE_CHECKING

import numpy as np

from convlens import interpret, visualization
from convlens.core.progress import progress_bar
from convlens.gallery.registry import figure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convlens.gallery.material import Material
    from convlens.visualization import Drawing, Sight

FIELD_ON = 16  # images: each takes a gradient a unit


@figure(
    "receptive_field",
    group="units",
    place=4,
    needs="images",
    shows="which pixels a unit sees, in theory and in fact",
    reading="The box is all that a unit can see; the darker below, the more a pixel moves it.",
    page="gallery-units.md#receptive_field",
    scale="Each layer has its own range of colours.",
)
def receptive_field(material: "Material") -> "Iterator[Drawing]":
    def draw():
        images = next(iter(material.batches(FIELD_ON)))[0] if material.lacks_data is None else material.images
        layers = list(material.convolutions)
        sights = []
        with progress_bar("Measuring receptive fields", len(layers)) as progress:
            for done, layer in enumerate(layers, 1):
                sights.append(_sight(material, images, layer))
                progress(done, len(layers))
        image = material.images[0]
        note = f"mean over units and {len(images)} image{'s' * (len(images) > 1)}"
        figure = visualization.receptive_field_figure(image, sights, caption=material.caption(), note=note)
        boxes, effects = np.array([sight.box for sight in sights]), np.stack([sight.effective for sight in sights])
        return figure, {"image": image, "layers": np.array(layers), "boxes": boxes, "effective": effects}

    yield visualization.Drawing("receptive_field", draw)


def _sight(material: "Material", images: np.ndarray, layer: str) -> "Sight":
    """What the unit in the middle of a layer's map sees of `images` (n, height, width, channels)."""
    # Not a name of the package itself, where the module of that name is.
    from convlens.interpret.receptive_field import receptive_field

    field = receptive_field(material.model, layer, images.shape[1:3])
    middle = tuple(side // 2 for side in field.map_size)
    effect = interpret.effective_receptive_field(material.model, images, layer).mean(axis=0)
    matters = float(interpret.effective_size(effect[None])[0])
    return visualization.Sight(layer, field.box(*middle), field.map_size, middle, effect, matters)
