"""What TensorBoard shows of a run: curves, the graph, weights, and pictures of what is being learned."""

import importlib.util
import io
import os
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from convlens.configs import Train
from convlens.configs.schema import Section
from convlens.core.backend import by_backend
from convlens.core.files import make_folder
from convlens.training.devices import start_profile, stop_profile
from convlens.training.evaluation import Confusion
from convlens.training.run import Run
from convlens.training.snapshots import detected_maps

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from convlens.training.callbacks import BalancedAccuracy
    from convlens.training.session import Session

FIGURE_DPI = 100
PROFILED_STEPS = (5, 10)  # past the slow first ones


@dataclass(frozen=True)
class Drawings:
    """How arrays become pictures, uint8 (height, width, 3) or figures. Scripts give functions of `visualization`."""

    kernels: Callable[[np.ndarray], np.ndarray]  # a kernel (height, width, channels, units)
    # One image's feature maps (height, width, units), and which of their cells no padding reaches (height, width)
    maps: Callable[[np.ndarray, np.ndarray], np.ndarray]
    confusion: Callable[[Confusion], "Figure"]


class Writers:
    """The event files of a training. There is one writer a folder: TensorBoard follows only the newest file of each."""

    def __init__(self, run: Run):
        self.training, self.validation = _writer(run, "train"), _writer(run, "validation")

    def flush(self) -> None:
        self.training.flush()
        self.validation.flush()


class Curves(keras.callbacks.Callback):
    """Scalars, the graph and weight histograms; training and validation share a chart.

    A step is an epoch, counted from 1 as in `metrics.csv`.
    """

    def __init__(self, writers: Writers, *, graph: bool, histograms_every: int):
        super().__init__()
        self.writers, self.graph, self.histograms_every = writers, graph, histograms_every

    def on_train_begin(self, logs=None):
        if self.graph:
            with self.writers.training.as_default():
                write_graph(self.model)
            self.writers.flush()

    def on_epoch_end(self, epoch, logs=None):
        import tensorflow as tf

        for name, value in logs.items():
            writer = self.writers.validation if name.startswith("val_") else self.writers.training
            with writer.as_default():
                tf.summary.scalar(name.removeprefix("val_"), value, step=epoch + 1)
        if _is_due(epoch, self.histograms_every):
            with self.writers.training.as_default():
                for weight in self.model.weights:
                    _write_histogram(f"weights/{weight.path}", keras.ops.convert_to_numpy(weight), epoch + 1)
        self.writers.flush()


class Pictures(keras.callbacks.Callback):
    """Kernels, feature maps of a few fixed images, and the confusion matrix, as they change over epochs.

    `images` is (n, height, width, channels) uint8; `matrix` gives the confusion matrix of the last validation;
    `inputs`: write the images themselves too, which is done once in a run.
    """

    def __init__(
        self,
        writers: Writers,
        drawings: Drawings,
        images: np.ndarray,
        classes: Sequence[str],
        matrix: Callable[[], np.ndarray],
        every: int,
        inputs: bool,
    ):
        super().__init__()
        self.writers, self.drawings, self.images = writers, drawings, images
        self.classes, self.matrix, self.every, self.inputs = classes, matrix, every, inputs

    def on_train_begin(self, logs=None):
        from convlens.models import inside_cells
        from convlens.models.inspection.convolutions import kernel_variables

        self.kernels = kernel_variables(self.model)
        if self.kernels:
            self.inside = inside_cells(self.model, image_size=self.images.shape[1:3])
            self.maps = detected_maps(self.model)
        if self.inputs:
            for number, image in enumerate(self.images, start=1):
                _write_picture(self.writers.validation, f"image_{number}/input", image, step=0)
            self.writers.flush()

    def on_epoch_end(self, epoch, logs=None):
        if not _is_due(epoch, self.every):
            return
        step, writers = epoch + 1, self.writers
        for layer, variable in self.kernels.items():
            kernel = self.drawings.kernels(keras.ops.convert_to_numpy(variable))
            _write_picture(writers.training, f"kernels/{layer}", kernel, step)
        for layer, maps_of_images in (self.maps(self.images) if self.kernels else {}).items():
            for number, maps in enumerate(maps_of_images, start=1):
                drawn = self.drawings.maps(maps, self.inside[layer]["filter"])
                _write_picture(writers.validation, f"image_{number}/{layer}", drawn, step)
        confusion = self.drawings.confusion(Confusion(tuple(self.classes), self.matrix()))
        _write_picture(writers.validation, "confusion_matrix", _pixels(confusion), step)
        writers.flush()


class Profile(keras.callbacks.Callback):
    """A TensorBoard profile of a few steps of the first epoch."""

    def __init__(self, run: Run):
        super().__init__()
        self.folder, self.running = str(run.tensorboard_dir), False

    def on_train_begin(self, logs=None):
        first, last = PROFILED_STEPS
        self.first = min(first, max(0, self.params["steps"] - (last - first)))
        self.last = min(last, self.params["steps"])
        self.done = False

    def on_train_batch_begin(self, batch, logs=None):
        if batch >= self.first and not self.done and not self.running:
            start_profile(self.folder)
            self.running = True

    def on_train_batch_end(self, batch, logs=None):
        if self.running and batch + 1 >= self.last:
            stop_profile()
            self.running, self.done = False, True


def open_writers(session: "Session") -> Writers | None:
    """The event files of a training; None if none are wanted or, after printing why, if they cannot be written."""
    if not session.config.training.tensorboard.enabled:
        return None
    if importlib.util.find_spec("tensorflow") is None:
        session.console.print("TensorBoard logs are left out: writing them needs TensorFlow.", highlight=False)
        return None
    return Writers(session.run)


def tensorboard_callbacks(
    session: "Session", writers: Writers | None, confusion: "BalancedAccuracy", begins: bool
) -> list[keras.callbacks.Callback]:
    """What the configuration asks to be logged; without `begins`, without what is written once in a run."""
    training, data, run = session.config.training, session.data, session.run
    wanted = training.tensorboard
    wants_profile = training.profile and begins
    logging: list[keras.callbacks.Callback] = [Profile(run)] if wants_profile else []
    if writers:
        logging.append(Curves(writers, graph=wanted.graph and begins, histograms_every=wanted.histograms_every))
    if writers and session.drawings and wanted.images_every:
        size = data.info.sizes["validation"]
        indices = np.linspace(0, size - 1, min(wanted.images, size)).astype(int).tolist()
        images = data.examples("validation", indices)[0]
        matrix = lambda: keras.ops.convert_to_numpy(confusion.matrix)  # noqa: E731
        logging.append(
            Pictures(writers, session.drawings, images, data.info.classes, matrix, wanted.images_every, begins)
        )
    return logging


def write_graph(model: keras.Model) -> None:
    """The model's layers, and on TensorFlow also its operations, into the default summary writer."""
    import tensorflow as tf

    bare = keras.Model(model.inputs, model.outputs, name=model.name)
    # The name that TensorBoard's graph plugin looks for, as keras.callbacks.TensorBoard writes it.
    metadata = tf.compat.v1.SummaryMetadata()
    metadata.plugin_data.plugin_name = "graph_keras_model"
    metadata.plugin_data.content = b"1"
    tf.summary.write("keras", bare.to_json(), step=0, metadata=metadata)
    by_backend(tensorflow=_write_operations, jax=lambda bare: None)(bare)


def _write_operations(model: keras.Model) -> None:
    import tensorflow as tf

    signature = [tf.TensorSpec(tensor.shape, tensor.dtype) for tensor in model.inputs]
    forward = tf.function(lambda images: model(images, training=False))
    tf.summary.graph(forward.get_concrete_function(*signature).graph)


def write_hyperparameters(run: Run, config: Train, scores: dict[str, float]) -> None:
    """What sweeps compare in the HParams tab: the settings that shape learning, and the final scores."""
    import tensorflow as tf
    from tensorboard.plugins.hparams import api

    values = {"seed": config.seed} | _flat("model", config.model) | _flat("training", config.training)
    writer = _writer(run, "")
    with writer.as_default():
        api.hparams(values, trial_id=run.id)
        for name, value in scores.items():
            tf.summary.scalar(name, value, step=0)
    writer.close()


def write_confusion(run: Run, split: str, figure: "Figure") -> None:
    """The confusion matrix of an evaluation, at the epoch that the saved model comes from."""
    writer = _writer(run, split)
    _write_picture(writer, "confusion_matrix", _pixels(figure), run.epoch or 0)
    writer.close()


def _write_picture(writer: Any, name: str, picture: np.ndarray, step: int) -> None:
    """What `tf.summary.image` writes, compressed in a quarter of its time to a tenth more bytes."""
    import tensorflow as tf
    from PIL import Image
    from tensorboard.plugins.image import metadata

    file = io.BytesIO()
    picture = np.rint(picture).astype(np.uint8)  # an image that a model takes may have finer steps
    pixels = np.ascontiguousarray(picture[..., 0] if picture.shape[-1] == 1 else picture)
    Image.fromarray(pixels).save(file, "PNG", compress_level=1)
    height, width = pixels.shape[:2]
    content = tf.constant([str(width), str(height), file.getvalue()])
    described = metadata.create_summary_metadata(display_name=None, description=None)
    with writer.as_default():
        tf.summary.write(name, content, step=step, metadata=described)


def _write_histogram(name: str, values: np.ndarray, step: int) -> None:
    """What `tf.summary.histogram` writes into the default writer, counted by NumPy instead of many small operations."""
    import tensorflow as tf
    from tensorboard.plugins.histogram.summary_v2 import histogram_pb

    tf.summary.experimental.write_raw_pb(histogram_pb(name, values).SerializeToString(), step=step)


def _pixels(figure: "Figure") -> np.ndarray:
    """A figure as (height, width, 3) uint8."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure.set_dpi(FIGURE_DPI)
    agg = FigureCanvasAgg(figure)
    with warnings.catch_warnings():
        # A class name in a script that no installed font has is drawn as boxes.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        agg.draw()
    return np.asarray(agg.buffer_rgba())[..., :3]


def _flat(prefix: str, section: Section) -> dict[str, bool | int | float | str]:
    """A section's values by dotted key; what HParams cannot hold becomes text, what is unset is left out."""
    values: dict[str, bool | int | float | str] = {}
    for key, value in section:
        name = f"{prefix}.{key}"
        if isinstance(value, Section):
            values |= _flat(name, value) if key != "tensorboard" else {}
        elif value is not None:
            values[name] = value if isinstance(value, bool | int | float | str) else str(value)
    return values


def _is_due(epoch: int, every: int) -> bool:
    return every > 0 and (epoch + 1) % every == 0


def _writer(run: Run, part: str) -> Any:
    import tensorflow as tf

    make_folder(run.tensorboard_dir / part)
    return tf.summary.create_file_writer(os.fsencode(run.tensorboard_dir / part))  # any bytes may make a name
