"""A figure of your own: python examples/custom_figure.py MODEL [FOLDER]

MODEL is the folder of a run, or a `.keras` file of any convolutional network. The figure `kernel_norms` shows how large
the kernel of each unit is. Once its function is decorated, `convlens.draw` takes its name, checks what it needs and
refuses a misspelt layer, as for every other figure.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import convlens
from convlens.gallery import FigureInputs, figure
from convlens.visualization import Drawing, save_figure


@figure(
    "kernel_norms",
    needs="kernels",
    shows="how large the kernel of each unit is",
    reading="A bar stands for a unit; the smallest kernel comes first.",
    page="",
)
def kernel_norms(inputs: FigureInputs) -> Iterator[Drawing]:
    """A picture a layer: the Euclidean norm of each unit's kernel, the smallest first."""
    for layer, info in inputs.convolutions.items():

        def draw(layer=layer, kernel=info.kernel):
            from matplotlib.figure import Figure  # only now: naming the figures must stay light

            norms = np.sqrt((kernel**2).sum(axis=(0, 1, 2)))
            picture = Figure(figsize=(6, 3), layout="constrained")
            axes = picture.subplots()
            axes.bar(range(len(norms)), np.sort(norms))
            axes.set(title=f"{inputs.source}, {layer}", xlabel="units, sorted", ylabel="norm of the kernel")
            return picture, {"norms": norms}

        yield Drawing(f"kernel_norms-{layer}", draw)


def main(model: str, folder: str = "figures") -> None:
    """Draws the figure of every layer; each is saved as PNG and SVG, with its arrays as NPZ."""
    figures = convlens.draw("kernel_norms", model=model)
    for name, picture in zip(figures.names, figures, strict=True):
        paths = save_figure(picture, figures.arrays[name], Path(folder) / name)
        print(f"Drawn {paths[0]}")


if __name__ == "__main__":
    main(*sys.argv[1:])
