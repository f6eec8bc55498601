"""Figures of any network in a notebook or a script: no run, no YAML."""

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from convlens.core.errors import UserError, unknown
from convlens.core.program import command_line
from convlens.gallery.given import Given, GivenInputs
from convlens.gallery.planning import Plan, planned
from convlens.gallery.registry import chosen_figures
from convlens.gallery.saving import drawn

if TYPE_CHECKING:
    import os

    import keras
    import numpy as np
    from matplotlib.figure import Figure

    from convlens.configs import Visualize
    from convlens.training import Run

ARGUMENTS = ("model", "images", "labels", "data")  # of draw, besides its choices


class Choices(TypedDict, total=False):
    """The keys of `visualize.py` that `draw` takes, with the same meaning."""

    layers: str | Sequence[str] | None
    units: int | Sequence[int] | None
    max_units: int
    max_inputs: int
    sort: str
    scale: str
    split: str
    target: str | int | None
    seed: int


class Figures(list["Figure"]):
    """Matplotlib figures in the order in which they were drawn; a notebook shows them one below the other.

    Attributes:
        names: of each figure, such as "feature_maps-block1_conv1-image0".
        arrays: by name, the arrays behind a figure, as `visualize.py` saves them in its `.npz`.
    """

    def __init__(self, drawings: "Sequence[tuple[str, Figure, dict[str, np.ndarray]]]"):
        super().__init__(figure for _, figure, _ in drawings)
        self.names = [name for name, _, _ in drawings]
        self.arrays = {name: arrays for name, _, arrays in drawings}

    def _repr_png_(self) -> tuple[bytes, dict[str, int]] | None:
        """One picture of all figures, and the width at which it is shown."""
        from PIL import Image

        from convlens.visualization.sheet import shown_png

        shown = [shown_png(figure) for figure in self]
        if len(shown) < 2:
            return shown[0] if shown else None
        pictures = [Image.open(io.BytesIO(png)) for png, _ in shown]
        page = Image.new(
            "RGB", (max(picture.width for picture in pictures), sum(picture.height for picture in pictures)), "white"
        )
        top = 0
        for picture in pictures:
            page.paste(picture, (0, top))
            top += picture.height
        file = io.BytesIO()
        page.save(file, format="PNG")
        return file.getvalue(), {"width": max(about["width"] for _, about in shown)}


def draw(
    figures: str | Sequence[str],
    *,
    model: "keras.Model | Run | str | os.PathLike[str]",
    images: Any = None,
    labels: Sequence[str] | None = None,
    data: "tuple[np.ndarray, np.ndarray] | None" = None,
    **choices: Unpack[Choices],
) -> Figures:
    """Draws figures of a network and its feature maps.

    ```python
    convlens.draw("feature_maps", model=model, images=images[:2], layers=["conv1"], max_units=8)
    ```

    Args:
        figures: one name or several, of figures or of groups, as for `figures=` of `visualize.py`.
        model: a built Keras model, a run, or the path of a run or of a `.keras` file. It is never changed.
        images: pixels in [0, 255]: an array (n, height, width, channels) as the model takes it, a single image, or
            paths of image files, which are resized to fit. For a run also indices into its split; None: an example of
            each class. The figures architecture and kernel_spectrum need none.
        labels: names of the classes, if the model is not a run.
        data: many images (n, height, width, channels) and their class indices (n,), if the model is not a run; for
            figures that show how units behave over a split. All of them are used.
        choices: keys of `visualize.py`, with the same meaning: layers, units, max_units, max_inputs, sort, scale,
            split, target, seed.

    Raises UserError, in one line, if a name does not exist (with the nearest choice), if arguments do not fit together,
    or if a figure needs more than was given. In a group, a figure that needs more is left out, and a line says so.
    """
    names = [figures] if isinstance(figures, str) else list(figures)
    shown = chosen_figures(names)
    config = _checked(names, choices)
    given = Given.of(model, images, labels, data)
    if given.run is None and "split" in choices:
        raise UserError("split= chooses one of a run's splits; give a run as model=, or leave it out.")
    inputs = GivenInputs(config, shown, given)
    inputs.check()
    plans = planned(inputs)
    for plan in plans:
        _check_drawn(plan)
    return Figures([drawing for plan in plans for drawing in drawn(plan)])


def _checked(figures: list[str], choices: Mapping[str, Any]) -> "Visualize":
    """The choices as a configuration. Raises UserError for the first that does not exist or has no such value."""
    from convlens.configs import Visualize
    from convlens.configs.composition import checked

    for key in choices:
        if key not in Choices.__annotations__:
            raise UserError(unknown("key", key, [*ARGUMENTS, *Choices.__annotations__]))
    return checked(Visualize, {"figures": figures, **{key: _plain(value) for key, value in choices.items()}})


def _plain(value: Any) -> Any:
    """Arrays, tuples and ranges as lists of plain numbers, which YAML has."""
    if hasattr(value, "tolist"):
        return value.tolist()
    return [_plain(item) for item in value] if isinstance(value, list | tuple | range) else value


def _check_drawn(plan: Plan) -> None:
    """Refuses a figure that is nothing but files; of a group, it is left out."""
    if plan.drawings:
        return
    command = command_line("visualize", figures=plan.figure)
    reason = f"{plan.figure} writes files and draws no figure; the command that writes them: {command}"
    if plan.by_name:
        raise UserError(reason)
    print(f"No figure '{plan.figure}': {reason}")
