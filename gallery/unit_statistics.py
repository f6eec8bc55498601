"""How each unit behaves over many images: how often and how strongly it responds, to which class, beside which unit."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from convlens import interpret, visualization
from convlens.core.files import atomic_write, make_folder
from convlens.gallery.registry import extra_files, figure

if TYPE_CHECKING:
    from convlens.gallery.inputs import FigureInputs
    from convlens.visualization import Drawing


@figure(
    "unit_statistics",
    group="units",
    position=1,
    needs="split",
    shows="how often and how strongly each unit fires, for which classes, and which are dead",
    reading="A row a unit: how often it is active, how strongly, for which class, and like which other.",
    page="gallery-units.md#unit_statistics",
)
def unit_statistics(inputs: "FigureInputs") -> "Iterator[Drawing]":
    for layer in inputs.convolutions:

        def draw(layer=layer):
            statistics = inputs.unit_results.statistics[layer]
            figure = visualization.unit_statistics_figure(
                statistics, caption=inputs.caption_of_split(layer), units=inputs.config.units, sort="selectivity"
            )
            return figure, statistics.arrays()

        yield visualization.Drawing(f"unit_statistics-{layer}", draw)


@extra_files("unit_statistics")
def write_table(inputs: "FigureInputs", folder: Path) -> Iterator[Path]:
    """The statistics of every unit of every layer, as CSV."""
    table = interpret.table_csv(interpret.unit_table(inputs.unit_results.statistics))
    path = folder / "unit_statistics.csv"
    make_folder(folder)
    atomic_write(path, table.encode("utf-8", "backslashreplace"))  # a name may hold what UTF-8 has no bytes for
    yield path
