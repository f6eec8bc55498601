"""The dataset that a run learned from, opened again: read where it lies, or where a person says that it lies now."""

from typing import TYPE_CHECKING, Any

from convlens.configs.schema import ADDRESS_KEYS, DataLocation
from convlens.core.errors import UserError
from convlens.core.program import word

if TYPE_CHECKING:
    from convlens.data import Dataset
    from convlens.training.run import Run


def open_run_data(run: "Run", location: DataLocation) -> "Dataset":
    """What `Run.open_data` gives. Raises `UserError`."""
    from convlens.data import open_dataset

    if run.config.data.source == "arrays":
        raise UserError(
            f"Run {run.path} learned from arrays that a program gave to convlens.fit, and no run keeps them. Give the "
            "images to draw with image=photo.jpg, or work on in that program."
        )
    typed = {key: value for key, value in location.model_dump().items() if value is not None}
    _refuse_other_source(run, typed)
    if location.prepare:
        _refuse_saved_places(run, typed)
    dataset = open_dataset(run.config.data.model_copy(update=typed))
    if dataset.info.classes != run.labels:
        raise UserError(
            f"The dataset is not the one that run {run.path} learned: it has {_shortened_list(dataset.info.classes)}, "
            f"the run knows {_shortened_list(run.labels)}."
        )
    return dataset


def check_image_shape(run: "Run", dataset: "Dataset") -> None:
    """Raises `UserError` if the images do not have the size that the model takes."""
    shape, taken = (*dataset.info.image_size, dataset.info.channels), run.model.input_shape[1:]
    if len(shape) != len(taken) or any(side not in (None, size) for side, size in zip(taken, shape, strict=True)):
        raise UserError(
            f"The model of run {run.path} takes images of shape {taken}, and its configuration makes them {shape}."
        )


def _refuse_other_source(run: "Run", typed: dict[str, Any]) -> None:
    """Raises `UserError` for a location of another kind of data than the run's; it would be ignored."""
    data = run.config.data
    right = next(f"data.{key}" for key in DataLocation.model_fields if key in data.address)
    for key in ADDRESS_KEYS:
        if key not in data.address and typed.get(key) is not None:
            raise UserError(
                f"{word(f'data.{key}', typed[key])} is not read: run {run.path} learned from {data.source}, whose "
                f"place is {right}."
            )


def _refuse_saved_places(run: "Run", typed: dict[str, Any]) -> None:
    """Raises `UserError` where only the saved configuration names a folder that preparing would write or unpack."""
    for key in ("data_dir", "manual_dir"):
        saved = getattr(run.config.data, key)
        if key in run.config.data.address and saved is not None and key not in typed:
            raise UserError(
                f"data.prepare=true prepares nothing in a place that only the configuration of run {run.path} "
                f"names. If that is what you want, add {word(f'data.{key}', saved)}"
            )


def _shortened_list(names: tuple[str, ...]) -> str:
    shown = ", ".join(name if len(name) <= 60 else f"{name[:59]}…" for name in names[:5])
    return f"{len(names)} classes ({shown}{', ...' if len(names) > 5 else ''})"
