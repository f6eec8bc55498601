"""The images of a split that a network is asked about, and what it makes of them."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from convlens import interpret, visualization
from convlens.core.errors import UserError
from convlens.core.progress import progress_bar
from convlens.gallery.network_inputs import NetworkInputs

if TYPE_CHECKING:
    from convlens.configs import Visualize
    from convlens.data import Dataset
    from convlens.interpret.unit_pass import Collector
    from convlens.training import Run

BATCH = 64
PATCHES = 9  # images that a unit likes best
SHARE = 0.02  # of a unit's activations count as strong; the paper's 0.005 is too few for parts as large as these


@dataclass(frozen=True)
class UnitResults:
    """What one pass over a split says of units, by layer; empty where no figure asks for it."""

    statistics: dict[str, Any]
    patches: dict[str, Any] = field(default_factory=dict)
    concepts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Classified:
    """The model's output for each image of a split."""

    logits: np.ndarray  # (n, classes)
    true: np.ndarray  # (n,) the right class

    @property
    def predicted(self) -> np.ndarray:
        """(n,) the class that the model predicts."""
        return self.logits.argmax(axis=1)

    @property
    def confidence(self) -> np.ndarray:
        """(n,) the probability, in [0, 1], of the predicted class."""
        shares = np.exp(self.logits - self.logits.max(axis=1, keepdims=True))
        shares /= shares.sum(axis=1, keepdims=True)
        return shares.max(axis=1)


class SplitInputs(NetworkInputs):
    """A network with the dataset of its run: a sample of a split, evenly spread over it.

    Args:
        config: what the user chose: the split, and how many of its images.
        run: None for a model file, which has no dataset.
        figures: the names of the figures that will be drawn; no more is computed than they need.
    """

    def __init__(self, config: "Visualize", run: "Run | None", figures: Collection[str]):
        super().__init__(config, run)
        self.figures = figures

    @cached_property
    def data(self) -> "Dataset":
        """The run's dataset. Raises UserError where there is no run, or its images are gone."""
        if self.run is None:
            raise UserError("a model file has no dataset of its own; give run=")
        self.model  # noqa: B018  read before the images, which must be of its size
        return self.run.open_data(self.config.data)

    @cached_property
    def lacks_data(self) -> str | None:
        """Why there are no images except those that the user named; None if there are."""
        try:
            self.data  # noqa: B018  opening it is the question
        except UserError as error:
            return str(error)
        return None

    @property
    def split(self) -> str:
        """The split that the network is asked about, as titles name it."""
        return self.config.split

    def caption_of_split(self, layer: str | None = None) -> "visualization.Caption":
        """The same, with the split that was looked at and the names of its classes."""
        return replace(self.caption(layer), split=self.split, labels=self.labels)

    def batches(self, images: int, *, masks: bool = False) -> Iterator[tuple]:
        """At most so many images of the split, with labels and, if asked for, masks: see `Dataset.sample`."""
        return self.data.sample(self.config.split, BATCH, images, masks=masks)

    @property
    def sample(self) -> np.ndarray:
        """The index in the split of each image that `batches` gives when it is asked for as many as the user allows."""
        return self.data.spread(self.config.split, self.config.images)

    def images_in(self, images: int) -> int:
        """How many images `batches(images)` gives."""
        return min(images, self.data.info.sizes[self.config.split])

    def examples(self, rows: np.ndarray) -> np.ndarray:
        """Images of the sample that `batches` gives, (n, height, width, channels), by their rows in it."""
        return self.data.examples(self.config.split, self.sample[rows].tolist())[0]

    def names_of(self, index: np.ndarray) -> np.ndarray:
        """What people call images of the split, by index, such as their files' paths: text of the shape of `index`."""
        names = self.data.names(self.config.split, index.ravel().tolist())
        return np.array(names, dtype=str).reshape(index.shape)

    @cached_property
    def classified(self) -> Classified:
        """The model's output for the split."""
        logits, true = [], []
        total, batches = self.images_in(self.config.images), self.batches(self.config.images)
        with progress_bar("Classifying", total) as progress:
            for images, labels, _ in batches:
                logits.append(interpret.class_logits(self.network, images))
                true.append(labels)
                progress(sum(map(len, true)), total)
        return Classified(np.concatenate(logits), np.concatenate(true))

    @cached_property
    def unit_results(self) -> UnitResults:
        """What one pass over the split says of all units: no more than the figures ask for."""
        asks_for_concepts = "concepts" in self.figures and bool(self.data.info.part_names)
        collectors: dict[str, Collector] = {"statistics": interpret.StatisticsCollector()}
        if asks_for_concepts or "top_patches" in self.figures:
            collectors["patches"] = interpret.PatchesCollector(PATCHES)
        if asks_for_concepts:
            collectors["concepts"] = interpret.ConceptsCollector(self.data.info.part_names, SHARE)
        batches = self.batches(self.config.images, masks=asks_for_concepts)
        with progress_bar("Measuring all units", self.images_in(self.config.images)) as progress:
            results = interpret.unit_pass(
                self.model, batches, list(self.convolutions), collectors=list(collectors.values()), progress=progress
            )
        return UnitResults(**dict(zip(collectors, results, strict=True)))
