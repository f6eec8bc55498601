"""What every figure is drawn from: a network and what it looks at, each piece computed when it is first asked for."""

from functools import cached_property
from typing import TYPE_CHECKING

from convlens import interpret, visualization
from convlens.core.errors import UserError
from convlens.core.progress import progress_bar
from convlens.gallery.image_inputs import ImageInputs

if TYPE_CHECKING:
    from convlens.gallery.registry import Needs
    from convlens.training import Run


class FigureInputs(ImageInputs):
    """A network, its run's dataset, the images that the user named and, to compare it with, a second run."""

    def lacks(self, needs: "Needs") -> str | None:
        """Why a figure's needs cannot be met; None if they can."""
        if needs == "images" and self.run is None and self.config.image is None:
            return "model= needs an image to look at; give image=path/to/photo.jpg"
        if needs == "second_run" and self.config.b is None:
            return "comparing takes two runs; give a=runs/cars/latest b=runs/cars/another"
        if needs == "snapshots" and not (self.run and self.run.snapshots):
            return "there are no snapshots of the epochs; a run trained with training.snapshots=40 keeps them"
        if needs in ("split", "masks", "second_run") and self.lacks_data:
            return self.lacks_data
        if needs == "masks" and not self.data.info.part_names:
            return f"{self.data.info.name} has no masks of parts; the embedded dataset, rendered_cars, has."
        return None

    @property
    def display(self) -> "visualization.Display":
        config = self.config
        most = config.max_units if config.wrote("max_units") else None  # as suits the layer
        return visualization.Display(config.units, most, config.sort, config.scale, config.max_inputs)

    @cached_property
    def second_run(self) -> "Run":
        """The run to compare with. Raises UserError if its classes differ."""
        from convlens.training import Run

        if self.config.b is None:
            raise UserError("comparing takes two runs; give a=runs/cars/latest b=runs/cars/another")
        first, second = self.required_run, Run.open(self.config.b)
        if second.labels != first.labels:
            raise UserError(f"{first.path} and {second.path} have different classes; they cannot be compared.")
        return second

    @cached_property
    def comparison(self) -> "interpret.Comparison":
        """What differs between this run's model and the second's, on the same images."""
        count, layers = self.config.images, self.config.layers
        batches = self.batches(count)
        with progress_bar("Comparing", self.images_in(count)) as progress:
            return interpret.compare(self.model, self.second_run.model, batches, layers, layers, progress=progress)
