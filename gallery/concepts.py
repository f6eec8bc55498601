"""Which labelled part of an object each unit detects."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from convlens import interpret, visualization
from convlens.gallery.material import SHARE
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
            shown = _detectors(material, layer, units)
            figure = visualization.concepts_figure(
                scores.iou, scores.names, units, shown.images, shown.strong, shown.masks, share=SHARE,
                caption=material.caption(layer), split=f"{statistics.images:,} images of {material.split}",
            )  # fmt: skip
            return figure, {name: getattr(scores, name) for name in ("iou", "threshold", "active", "area")}

        yield visualization.Drawing(f"concepts-{layer}", draw)


@dataclass(frozen=True)
class _Detectors:
    """An array (images, height, width, ...) for each unit."""

    images: list[np.ndarray]  # those that excite it most
    strong: list[np.ndarray]  # where it is strong in them
    masks: list[np.ndarray]  # where the part is that it covers best


def _detectors(material: "Material", layer: str, units: list[int]) -> _Detectors:
    from convlens.models import feature_maps

    if not units:
        return _Detectors([], [], [])
    scores, patches = material.unit_results.concepts[layer], material.unit_results.patches[layer]
    rows = [patches.rows[unit, :DETECTOR_IMAGES] for unit in units]
    stages = feature_maps(material.model, patches.images[np.concatenate(rows)], [layer])[layer]
    strong = interpret.strong_places(stages.get("detect", stages["filter"]), scores, patches.images.shape[1:3])
    by_unit = np.split(strong, len(units))  # each unit has as many images
    return _Detectors(
        [patches.images[of_unit] for of_unit in rows],
        [places[..., unit] for unit, places in zip(units, by_unit, strict=True)],
        [patches.masks[of_unit] == scores.concept[unit] for unit, of_unit in zip(units, rows, strict=True)],
    )
