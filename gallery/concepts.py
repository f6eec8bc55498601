"""Which labelled part of an object each unit detects."""

from dataclasses import replace
from typing import TYPE_CHECKING

from convlens import interpret, visualization
from convlens.gallery.registry import figure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convlens.gallery.inputs import FigureInputs
    from convlens.visualization import Drawing

DETECTORS, DETECTOR_IMAGES = 8, 5


@figure(
    "concepts",
    group="units",
    position=3,
    needs="masks",
    shows="which units fire on which part of a vehicle; of rendered_cars",
    reading="The more the colour keeps to the red outlines, the better the unit detects that part; most do only in "
    "part.",
    page="gallery-units.md#concepts",
)
def concepts(inputs: "FigureInputs") -> "Iterator[Drawing]":
    for layer in inputs.convolutions:

        def draw(layer=layer):
            scores, statistics = inputs.unit_results.concepts[layer], inputs.unit_results.statistics[layer]
            ranked = scores.ranked() if inputs.config.units is None else inputs.config.units
            units = [int(unit) for unit in ranked if not statistics.dead[unit]][:DETECTORS]
            detectors = interpret.detectors(
                inputs.model, scores, inputs.unit_results.patches[layer], units, count=DETECTOR_IMAGES
            )
            caption = replace(inputs.caption(layer), split=inputs.split)
            return visualization.concepts_figure(scores, detectors, caption=caption), scores.arrays()

        yield visualization.Drawing(f"concepts-{layer}", draw)
