"""Which labelled part of an object each unit detects."""

from dataclasses import replace
from typing import TYPE_CHECKING

from convlens import interpret, visualization
from convlens.gallery.registry import figure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convlens.gallery.material import Material
    from convlens.visualization import Drawing

DETECTORS, DETECTOR_IMAGES = 8, 5


@figure(
    "concepts",
    group="units",
    place=3,
    needs="masks",
    shows="which units fire on which part of a vehicle; of rendered_cars",
    reading="The more the colour keeps to the red outlines, the better the unit detects that part; most do only in "
    "part.",
    page="gallery-units.md#concepts",
)
def concepts(material: "Material") -> "Iterator[Drawing]":
    for layer in material.convolutions:

        def draw(layer=layer):
            scores, statistics = material.unit_results.concepts[layer], material.unit_results.statistics[layer]
            ranked = scores.ranked() if material.config.units is None else material.config.units
            units = [int(unit) for unit in ranked if not statistics.dead[unit]][:DETECTORS]
            detectors = interpret.detectors(
                material.model, scores, material.unit_results.patches[layer], units, count=DETECTOR_IMAGES
            )
            caption = replace(material.caption(layer), split=material.split)
            return visualization.concepts_figure(scores, detectors, caption=caption), scores.arrays()

        yield visualization.Drawing(f"concepts-{layer}", draw)
