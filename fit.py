"""Trains a model of the user's own on arrays, from a notebook: check -> session -> run -> fit."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from convlens.configs import Model, Train
from convlens.configs.cli import prepare
from convlens.configs.composition import compose
from convlens.core.errors import ModelError, UserError
from convlens.core.quiet import quietly
from convlens.core.stopping import stopping_at_once
from convlens.core.streams import lasting_streams
from convlens.models.from_file import LOGITS, activation_at_end, file_input, sides
from convlens.train import record_pictures
from convlens.training import Run
from convlens.training.checks import check_choices
from convlens.training.resume import check_data, check_folder, check_request

if TYPE_CHECKING:
    import keras
    import numpy as np

    from convlens.training.array_data import ArrayData, Labelled

# What `fit` reads of a configuration, as keys or groups of keys.
KEYS = ("training", "seed", "name", "runs_dir", "resume", "data.validation_share")


def fit(
    model: "keras.Model",
    data: "tuple[np.ndarray, np.ndarray]",
    config: Sequence[str] = (),
    *,
    validation: "tuple[np.ndarray, np.ndarray] | None" = None,
    classes: Sequence[str] | None = None,
) -> Run:
    """Trains a built Keras model on arrays and returns its run, which figures and explanations take.

    ```python
    run = convlens.fit(model, (images, labels), ["training.epochs=5", "training.batch_size=32"])
    run.metrics  # a row an epoch
    convlens.draw("feature_maps", model=run.model, images=images[:2])  # the best epoch's; `model` is the last one's
    ```

    Training begins with the weights that the model has; frozen layers stay frozen. As with every run, its folder in
    `runs/arrays/` has metrics, checkpoints, snapshots and TensorBoard logs, and Ctrl-C saves the state. The arrays are
    neither kept nor augmented. The seeds of Python, NumPy and Keras are set, and the model is compiled anew.

    Args:
        model: Functional or Sequential, of built-in layers; takes images (batch, height, width, channels) in [0, 255],
            so that what scales them lies inside it, and gives logits (batch, classes), without a softmax.
        data: images (n, height, width, channels), uint8 or float in [0, 255], and their labels, integers (n,).
        config: words such as "training.epochs=5", as they are typed after `train`: keys of `training`, `seed`,
            `name`, `runs_dir`, `data.validation_share`, and `resume=RUN`, which goes on with an earlier `fit` of this
            model on these arrays.
        validation: images and labels that choose the best epoch; None: `data.validation_share` (0.1) of each class.
        classes: their names, in the order of the labels; None: "0", "1", ...

    Raises:
        UserError: arrays, labels, classes or keys that do not fit, and what `train` raises it for.
        ModelError: a model that gives no logits, or has layers that no run may hold.
        Stopped: Ctrl-C, SIGTERM or SIGHUP came (a KeyboardInterrupt); the state is saved.
    """
    prepare()
    settings = _settings(config)
    with stopping_at_once(), lasting_streams():
        with quietly():
            import convlens.training.fit  # noqa: F401  the libraries within say what is no news
        arrays = _array_data(model, data, validation, classes, settings)
        return _fit(model, arrays, settings)


def _settings(words: Sequence[str]) -> Train:
    """The configuration that the words make. Raises UserError for a key that `fit` does not read."""
    if isinstance(words, str):
        raise UserError(f"Expected a list of words, such as ['training.epochs=3'], and not the text {words!r}.")
    config = compose("train", Train, [str(word) for word in words])
    for key in config.typed:
        if not any(f"{key}.".startswith(f"{name}.") for name in KEYS):
            raise UserError(
                f"{key} is not read by convlens.fit, which takes a model and arrays. Keys: {', '.join(KEYS)}."
            )
    if config.training.precision != "float32":
        raise UserError(
            f"training.precision={config.training.precision} is not read by convlens.fit: the model's layers say "
            "themselves how they compute. Build it under keras.config.set_dtype_policy."
        )
    if config.training.devices not in (None, 1):
        raise UserError(f"training.devices={config.training.devices} is not for convlens.fit, which trains on one.")
    check_choices(config)
    training = config.training.model_copy(update={"devices": 1})
    # What the run says of itself: its data is not where `data.source` would look for it, its layers are in its model.
    source = config.data.model_copy(update={"source": "arrays"})
    network = Model(family="keras", path="model.keras", weights="file")
    return config.model_copy(update={"training": training, "data": source, "model": network})


def _array_data(
    model: "keras.Model",
    data: "Labelled",
    validation: "Labelled | None",
    classes: Sequence[str] | None,
    settings: Train,
) -> "ArrayData":
    """The arrays as training sees them, once they and the model are found to fit together."""
    from convlens.training.array_data import ArrayData, carved, checked_arrays

    outputs = _check_model(model)
    images, labels = data
    train = checked_arrays(images, labels, outputs)
    if validation is None:
        train, held_out = carved(train, settings.data.validation_share)
    else:
        images, labels = validation
        held_out = checked_arrays(images, labels, outputs, name="validation images")
    taken = model.input_shape[1:]
    for images in (train[0], held_out[0]):
        if any(side not in (None, given) for side, given in zip(taken, images.shape[1:], strict=True)):
            raise UserError(f"The model takes images of {sides(taken)}, and these are of {sides(images.shape[1:])}.")
    names = tuple(map(str, range(outputs))) if classes is None else tuple(map(str, classes))
    if len(set(names)) != outputs:
        raise UserError(f"The model gives {outputs} outputs; classes names {len(set(names))} different ones.")
    return ArrayData(train, held_out, names)


def _check_model(model: "keras.Model") -> int:
    """How many classes a model tells apart. Raises ModelError for one that no run could hold."""
    import keras

    if not getattr(model, "built", False) or not getattr(model, "inputs", None):
        raise ModelError("convlens.fit takes a Functional or a built Sequential model; this one has no inputs yet.")
    with tempfile.TemporaryDirectory(prefix="convlens-") as folder:
        file = Path(folder) / "model.keras"
        keras.Model(model.inputs, model.outputs, name=model.name).save(file)
        try:
            file_input(file)  # by the gate through which the run's model will be read
        except ModelError as error:
            raise ModelError(
                str(error).replace(f"Model file {file}", "The model").replace(str(file), "The model")
            ) from None
    if len(model.output_shape) != 2 or model.output_shape[1] < 2:
        raise ModelError(
            f"The model gives outputs of shape {model.output_shape}; expected (batch, classes), two or more."
        )
    activation = activation_at_end(model.outputs[0])
    if activation not in LOGITS:
        raise ModelError(
            f"The model ends in {activation}, and convlens trains on logits: let its last layer have no activation."
        )
    return model.output_shape[1]


def _fit(model: "keras.Model", arrays: "ArrayData", settings: Train) -> Run:
    """A new run, or one that is gone on with, to its last epoch."""
    from convlens.training import fit_model
    from convlens.training.batches import class_weights, steps_together
    from convlens.training.session import open_run, open_session, ready_to_fit

    run, config = None, settings
    if settings.resume:
        run = Run.open(settings.resume, check=False)
        config = check_request(settings, run)
        check_data(run, arrays.fingerprint)
        if run.finished and config == run.config:
            return run
        check_folder(run)
    session = open_session(config, run)
    session.data = arrays
    training = config.training
    if training.class_weights:
        class_weights(training, arrays.info.classes, arrays.labels("train"))
    steps_together(training.steps_per_execution, arrays.steps(training.batch_size, training.limit_batches))
    record_pictures(session)
    open_run(session)
    with ready_to_fit(session, model):
        fit_model(session, model)
    session.run.write_facts(finished=True)
    return Run.open(session.run.path)
