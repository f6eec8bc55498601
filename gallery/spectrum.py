"""How many different patterns a layer's kernels hold."""

from typing import TYPE_CHECKING

from convlens import interpret, visualization

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convlens.gallery.material import Material
    from convlens.visualization import Drawing


def kernel_spectrum(material: "Material") -> "Iterator[Drawing]":
    def draw():
        layers = material.convolutions.items()
        spectra = [interpret.layer_spectrum(layer, interpret.kernels_of(info)) for layer, info in layers]
        arrays = {name: values for spectrum in spectra for name, values in spectrum.arrays().items()}
        return visualization.kernel_spectrum_figure(spectra, caption=material.caption()), arrays

    yield visualization.Drawing("kernel_spectrum", draw)
