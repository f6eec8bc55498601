"""How many different patterns a layer's kernels hold."""

from typing import TYPE_CHECKING

from convlens import interpret, visualization
from convlens.gallery.registry import figure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convlens.gallery.inputs import FigureInputs
    from convlens.visualization import Drawing


@figure(
    "kernel_spectrum",
    group="units",
    position=6,
    needs="kernels",
    shows="in how many directions the kernels of a layer look, beside random ones",
    reading="Where blue is above grey on the left, training has strengthened a few directions.",
    page="gallery-units.md#kernel_spectrum",
)
def kernel_spectrum(inputs: "FigureInputs") -> "Iterator[Drawing]":
    def draw():
        layers = inputs.convolutions.items()
        spectra = [interpret.layer_spectrum(layer, interpret.kernels_of(info)) for layer, info in layers]
        arrays = {name: values for spectrum in spectra for name, values in spectrum.arrays().items()}
        return visualization.kernel_spectrum_figure(spectra, caption=inputs.caption()), arrays

    yield visualization.Drawing("kernel_spectrum", draw)
