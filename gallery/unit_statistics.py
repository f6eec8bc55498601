"""How each unit behaves over many images: how often and how strongly it responds, to which class, beside which unit."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from convlens import interpret, visualization
from convlens.core.files import atomic_write, make_folder
from convlens.gallery.registry import beside, figure

if TYPE_CHECKING:
    from convlens.gallery.material import Material
    from convlens.visualization import Drawing


@figure(
    "unit_statistics",
    group="units",
    place=1,
    needs="split",
    shows="how often and how strongly each unit fires, for which classes, and which are dead",
    reading="A row a unit: how often it is active, how strongly, for which class, and like which other.",
    page="gallery-units.md#unit_statistics",
)
def unit_statistics(material: "Material") -> "Iterator[Drawing]":
    for layer in material.convolutions:

        def draw(layer=layer):
            statistics = material.unit_results.statistics[layer]
            figure = visualization.unit_statistics_figure(
                statistics, caption=material.caption_of_split(layer), units=material.config.units, sort="selectivity"
            )
            return figure, statistics.arrays()

        yield visualization.Drawing(f"unit_statistics-{layer}", draw)


@beside("unit_statistics")
def write_table(material: "Material", folder: Path) -> Iterator[Path]:
    """The statistics of every unit of every layer, as CSV."""
    table = interpret.table_csv(interpret.unit_table(material.unit_results.statistics))
    path = folder / "unit_statistics.csv"
    make_folder(folder)
    atomic_write(path, table.encode("utf-8", "backslashreplace"))  # a name may hold what UTF-8 has no bytes for
    yield path
