"""What TensorBoard's projector shows: images as points in feature space."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from convlens import interpret, visualization
from convlens.core.errors import UserError, one_line
from convlens.core.program import tool_line
from convlens.core.progress import progress_bar
from convlens.gallery.registry import extra_files, figure

if TYPE_CHECKING:
    from convlens.gallery.inputs import FigureInputs
    from convlens.visualization import Drawing


@figure(
    "projector",
    group="networks",
    position=6,
    needs="split",
    shows="files for TensorBoard's projector: the split as a cloud of points",
    reading="Each point is an image; classes that the layer tells apart are islands.",
    page="gallery-networks.md#tensorboards-projector",
)
def projector(inputs: "FigureInputs") -> "Iterator[Drawing]":
    """Draws nothing: the projector reads files."""
    yield from ()


@extra_files("projector")
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
    labels = {} if points.labels is None else {"label": [inputs.labels[label] for label in points.labels]}
    run = inputs.run
    if run is not None and (inputs.config.out is not None or not run.tensorboard_dir.is_dir()):
        run = None  # there are no curves beside which it would stand
    folder = folder / "projector" if run is None else run.projector_dir
    visualization.write_projector(folder, points, {**labels, "index": inputs.sample.tolist()})
    shown = tool_line("tensorboard", "tensorboard.main", "--logdir", str(folder if run is None else run.path))
    print(one_line(f"The projector shows {layer}: {shown}"))
    yield folder
