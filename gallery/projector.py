"""What TensorBoard's projector shows: images as points in feature space."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from convlens import interpret, visualization
from convlens.core.errors import UserError, one_line
from convlens.core.program import tool_line
from convlens.core.progress import progress_bar
from convlens.gallery.registry import beside, figure

if TYPE_CHECKING:
    from convlens.gallery.inputs import FigureInputs
    from convlens.visualization import Drawing


@figure(
    "projector",
    group="networks",
    place=6,
    needs="split",
    shows="files for TensorBoard's projector: the split as a cloud of points",
    reading="Each point is an image; classes that the layer tells apart are islands.",
    page="gallery-networks.md#tensorboards-projector",
)
def projector(inputs: "FigureInputs") -> "Iterator[Drawing]":
    """No drawing: the projector shows files."""
    yield from ()


@beside("projector")
def write_projector(inputs: "FigureInputs", folder: Path) -> Iterator[Path]:
    """The split's images as points in the features that the logits are made of, or in the layer that the user named.

    Written beside the run's curves, where TensorBoard finds it, or in the folder of the figures.
    """
    named = inputs.config.layers or []
    if len(named) > 1:
        raise UserError(f"the projector shows one layer, not {len(named)}; name one in layers=")
    layer = named[0] if named else interpret.features_layer(inputs.model)
    count = inputs.config.images
    with progress_bar(f"Collecting {layer}", inputs.images_in(count)) as progress:
        points = interpret.embedding(inputs.model, inputs.batches(count), layer, most=count, progress=progress)
    columns = {"label": [inputs.labels[label] for label in points.labels], "index": inputs.sample.tolist()}
    by_the_curves = inputs.config.out is None and inputs.run.tensorboard_dir.is_dir()
    folder = inputs.run.projector_dir if by_the_curves else folder / "projector"
    visualization.write_projector(folder, points, columns)
    shown = tool_line("tensorboard", "tensorboard.main", "--logdir", str(inputs.run.path if by_the_curves else folder))
    print(one_line(f"The projector shows {layer}: {shown}"))
    yield folder
