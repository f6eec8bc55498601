"""How the network came to be: its kernels and feature maps over the epochs."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from convlens import interpret, visualization

if TYPE_CHECKING:
    import numpy as np

    from convlens.gallery.subject import Subject
    from convlens.visualization import Drawing

MOST_FRAMES = 40


def evolution(subject: "Subject") -> "Iterator[Drawing]":
    """What each layer has come to: the last frame of its animation."""
    for layer in _layers(subject):

        def draw(layer=layer):
            epochs, kernels, options = _over_epochs(subject, layer)
            figure = visualization.evolution_frame(kernels, epochs, len(epochs) - 1, **options)
            return figure, {"epochs": epochs, "kernels": kernels, "maps": options["maps"]}

        yield visualization.Drawing(f"evolution-{layer}", draw)


def animations(subject: "Subject", folder: Path) -> Iterator[Path]:
    """The animation of each layer, a frame an epoch."""
    layers = _layers(subject)
    with subject.bars.bar("Animating", len(layers)) as told:
        for done, layer in enumerate(layers, 1):
            epochs, kernels, options = _over_epochs(subject, layer)
            name = f"evolution-{layer.replace('/', '_')}.gif"
            yield visualization.write_evolution(folder / name, kernels, epochs, **options)
            told(done)


def _layers(subject: "Subject") -> list[str]:
    """The layers that snapshots were kept of: those that the user named, or each block's last."""
    kept = subject.snapshots[-1].kernels
    chosen = [info for info in subject.convolutions.values() if info.name in kept]
    return [info.name for info in (chosen if subject.config.layers else visualization.last_of_each_block(chosen))]


def _over_epochs(subject: "Subject", layer: str) -> "tuple[list[int], np.ndarray, dict]":
    """The epochs shown, a layer's kernels at each, and the other arguments of its frames."""
    every = max(1, -(-(len(subject.snapshots) - 1) // MOST_FRAMES))
    shown = [*subject.snapshots[::-1][::every]][::-1]  # the last epoch always
    epochs, kernels = interpret.stack_snapshots(shown, "kernels", layer)
    _, maps = interpret.stack_snapshots(shown, "maps", layer)
    info = subject.convolutions[layer]
    image = None
    if subject.lacks_data is None:
        image = subject.data.examples("validation", [0])[0][0]
    caption = visualization.Caption(subject.source, layer, None, info.receptive_field)
    rgb = subject.in_colour(info)
    options = {"maps": maps[:, 0], "image": image, "rgb": rgb, "whole": info.kernel.shape}
    return epochs, kernels, {**options, "max_units": subject.config.max_units, "caption": caption}
