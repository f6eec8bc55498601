"""How many different patterns a layer's kernels hold."""

from typing import TYPE_CHECKING

from convlens import interpret, visualization
from convlens.gallery.material import kernels_of
from convlens.gallery.registry import figure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convlens.gallery.material import Material
    from convlens.visualization import Drawing


@figure(
    "kernel_spectrum",
    group="units",
    place=6,
    needs="kernels",
    shows="in how many directions the kernels of a layer look, beside random ones",
    reading="Where blue is above grey on the left, training has strengthened a few directions.",
    page="gallery-units.md#kernel_spectrum",
)
def kernel_spectrum(material: "Material") -> "Iterator[Drawing]":
    def draw():
        spectra, arrays = [], {}
        for layer, info in material.convolutions.items():
            kernel = kernels_of(info)
            own, random = interpret.kernel_spectrum(kernel), interpret.random_spectrum(kernel)
            values = (own.singular_values, own.effective_rank, own.mean_abs_cosine)
            random_values = (random.singular_values, random.effective_rank, random.mean_abs_cosine)
            spectra.append(visualization.Spectrum(layer, own.shape, *values, *random_values))
            name = layer.replace("/", ":")
            arrays |= {name: own.singular_values, f"{name}:random": random.singular_values}
        return visualization.kernel_spectrum_figure(spectra, caption=material.caption()), arrays

    yield visualization.Drawing("kernel_spectrum", draw)
