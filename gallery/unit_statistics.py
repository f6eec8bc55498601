"""How each unit behaves over many images: how often and how strongly it responds, to which class, beside which unit."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from convlens import interpret, visualization
from convlens.core.files import atomic_write, make_folder

if TYPE_CHECKING:
    from convlens.gallery.material import Material
    from convlens.visualization import Drawing


def unit_statistics(material: "Material") -> "Iterator[Drawing]":
    for layer in material.convolutions:

        def draw(layer=layer):
            statistics = material.unit_results.statistics[layer]
            figure = visualization.unit_statistics_figure(
                statistics, caption=material.caption_of_split(layer), units=material.config.units, sort="selectivity"
            )
            return figure, statistics.arrays()

        yield visualization.Drawing(f"unit_statistics-{layer}", draw)


def write_table(material: "Material", folder: Path) -> Iterator[Path]:
    """The statistics of every unit of every layer, as CSV."""
    table = interpret.table_csv(interpret.unit_table(material.unit_results.statistics))
    path = folder / "unit_statistics.csv"
    make_folder(folder)
    atomic_write(path, table.encode("utf-8", "backslashreplace"))  # a name may hold what UTF-8 has no bytes for
    yield path
