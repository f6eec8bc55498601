"""What TensorBoard shows of a run: curves, the graph, weights, and pictures of what is being learned."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import keras
import numpy as np

from configs import Train
from training.backend import TENSORFLOW, start_profile, stop_profile
from training.run import Run

PROFILED_STEPS = (5, 10)  # past the slow first ones


@dataclass(frozen=True)
class Drawings:
    """How arrays become pictures, (height, width, 3) uint8. The scripts give the functions of `visualization`."""

    kernels: Callable[[np.ndarray], np.ndarray]  # a kernel (height, width, channels, units)
    maps: Callable[[np.ndarray], np.ndarray]  # one image's feature maps (height, width, units)
    confusion: Callable[[np.ndarray, Sequence[str]], np.ndarray]  # a matrix (classes, classes) and the classes


class Curves(keras.callbacks.Callback):
    """Scalars, the graph and weight histograms; training and validation share a chart.

    A step is an epoch, counted from 1 as in `metrics.csv`.
    """

    def __init__(self, run: Run, *, graph: bool, histograms_every: int):
        super().__init__()
        self.training, self.validation = _writer(run, "train"), _writer(run, "validation")
        self.graph, self.histograms_every = graph, histograms_every

    def on_train_begin(self, logs=None):
        if self.graph:
            with self.training.as_default():
                write_graph(self.model)

    def on_epoch_end(self, epoch, logs=None):
        import tensorflow as tf

        for name, value in logs.items():
            writer = self.validation if name.startswith("val_") else self.training
            with writer.as_default():
                tf.summary.scalar(name.removeprefix("val_"), value, step=epoch + 1)
        if _is_due(epoch, self.histograms_every):
            with self.training.as_default():
                for weight in self.model.weights:
                    values = keras.ops.convert_to_numpy(weight)
                    tf.summary.histogram(f"weights/{weight.path}", values, step=epoch + 1)
        self.training.flush()
        self.validation.flush()


class Pictures(keras.callbacks.Callback):
    """Kernels, feature maps of a few fixed images, and the confusion matrix, as they change over epochs.

    `images` is (n, height, width, channels) uint8; `matrix` gives the confusion matrix of the last validation.
    """

    def __init__(
        self,
        run: Run,
        drawings: Drawings,
        images: np.ndarray,
        classes: Sequence[str],
        matrix: Callable[[], np.ndarray],
        every: int,
    ):
        super().__init__()
        self.training, self.validation = _writer(run, "train"), _writer(run, "validation")
        self.drawings, self.images, self.classes, self.matrix, self.every = drawings, images, classes, matrix, every

    def on_train_begin(self, logs=None):
        from models import feature_extractor

        self.extractor = feature_extractor(self.model, stages=("detect",))
        for number, image in enumerate(self.images, start=1):
            self._write(self.validation, f"image_{number}/input", image, epoch=-1)

    def on_epoch_end(self, epoch, logs=None):
        from models import conv_layers

        if not _is_due(epoch, self.every):
            return
        for layer in conv_layers(self.model):
            self._write(self.training, f"kernels/{layer.name}", self.drawings.kernels(layer.kernel), epoch)
        for layer, stages in self.extractor(self.images).items():
            for number, maps in enumerate(stages["detect"], start=1):
                self._write(self.validation, f"image_{number}/{layer}", self.drawings.maps(maps), epoch)
        matrix = self.drawings.confusion(self.matrix(), self.classes)
        self._write(self.validation, "confusion_matrix", matrix, epoch)
        self.training.flush()
        self.validation.flush()

    def _write(self, writer, name: str, picture: np.ndarray, epoch: int) -> None:
        import tensorflow as tf

        with writer.as_default():
            tf.summary.image(name, picture[None], step=epoch + 1)


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


def write_graph(model: keras.Model) -> None:
    """The model's layers, and on TensorFlow also its operations, into the default summary writer."""
    import tensorflow as tf

    bare = keras.Model(model.inputs, model.outputs, name=model.name)
    # The name that TensorBoard's graph plugin looks for, as keras.callbacks.TensorBoard writes it.
    metadata = tf.compat.v1.SummaryMetadata()
    metadata.plugin_data.plugin_name = "graph_keras_model"
    metadata.plugin_data.content = b"1"
    tf.summary.write("keras", bare.to_json(), step=0, metadata=metadata)
    if TENSORFLOW:
        signature = [tf.TensorSpec(tensor.shape, tensor.dtype) for tensor in model.inputs]
        forward = tf.function(lambda images: bare(images, training=False))
        tf.summary.graph(forward.get_concrete_function(*signature).graph)


def write_hyperparameters(run: Run, config: Train, scores: dict[str, float]) -> None:
    """What sweeps compare in the HParams tab: the settings that shape learning, and the final scores."""
    import tensorflow as tf
    from tensorboard.plugins.hparams import api

    values = {"seed": config.seed} | _flat("model", config.model) | _flat("training", config.training)
    with _writer(run, "").as_default():
        api.hparams(values, trial_id=run.id)
        for name, value in scores.items():
            tf.summary.scalar(name, value, step=0)


def _flat(prefix: str, section) -> dict[str, bool | int | float | str]:
    """A section's values by dotted key; what HParams cannot hold becomes text, what is unset is left out."""
    values = {}
    for key, value in section:
        name = f"{prefix}.{key}"
        if hasattr(value, "model_fields"):
            values |= _flat(name, value) if key != "tensorboard" else {}
        elif value is not None:
            values[name] = value if isinstance(value, bool | int | float | str) else str(value)
    return values


def _is_due(epoch: int, every: int) -> bool:
    return every > 0 and (epoch + 1) % every == 0


def _writer(run: Run, part: str):
    import tensorflow as tf

    return tf.summary.create_file_writer(str(run.tensorboard_dir / part))
