"""A network and what it looks at: what every figure is made from, each part computed when it is first asked for."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from convlens import interpret, visualization
from convlens.configs import Visualize
from convlens.core.errors import UserError, unknown
from convlens.core.quiet import quietly
from convlens.gallery.choices import refuse_unknown
from convlens.gallery.photos import Photo, asks_for_data, read_files, read_photos
from convlens.gallery.progress import Bars

if TYPE_CHECKING:
    import keras

    from convlens.data import Dataset
    from convlens.models import ConvInfo
    from convlens.training import Run

BATCH = 64
PATCHES = 9  # images that a unit likes best
SHARE = 0.02  # of a unit's activations count as strong; the paper's 0.005 is too few for parts as large as these


@dataclass(frozen=True)
class Answers:
    """What was found out about units, by layer; None where nobody asked."""

    statistics: dict[str, Any]
    patches: dict[str, Any] | None = None
    concepts: dict[str, Any] | None = None


class Subject:
    """The model of a run, or of a file, with the images that the user named and the split that it can be asked about.

    Image files are read at once, so that a missing one is told before anything is loaded. `run` is None for a file.
    `asked` are the names of the figures that will be drawn.
    """

    def __init__(self, config: Visualize, run: "Run | None", asked: Collection[str]):
        self.config, self.run, self.asked = config, run, asked
        self.bars = Bars()
        self.maps: dict[str, np.ndarray | None] = {}  # what explanations were found already, by method
        self._files = read_files(config)

    @property
    def source(self) -> str:
        return f"run {self.run.name}/{self.run.id}" if self.run else Path(self.config.model).name

    @cached_property
    def model(self) -> "keras.Model":
        with quietly():
            from convlens.training.run import load_model

            return self.run.model if self.run else load_model(self.config.model)

    @cached_property
    def network(self) -> "interpret.Network":
        """The model, ready to be asked for gradients; raises ModelError where it has none to give."""
        return interpret.Network(self.model)

    @property
    def convolutions(self) -> "dict[str, ConvInfo]":
        """The convolutions that figures are drawn of, by name: those that the user named, or all."""
        return {name: self._all_convolutions[name] for name in self.config.layers or self._all_convolutions}

    @cached_property
    def _all_convolutions(self) -> "dict[str, ConvInfo]":
        with quietly():
            from convlens.models import conv_layers

            found = {info.name: info for info in conv_layers(self.model)}
        if not found:
            raise UserError("The model has no convolution: there are no kernels or feature maps to draw.")
        refuse_unknown(self.config, {name: info.output_shape[-1] for name, info in found.items()})
        return found

    def in_colour(self, info: "ConvInfo") -> bool:
        """Whether a convolution's kernels read the red, green and blue of the image itself."""
        first = info is next(iter(self._all_convolutions.values()))
        return first and info.reads is None and kernels_of(info).shape[2] == 3

    @cached_property
    def data(self) -> "Dataset":
        """The run's dataset. Raises UserError where there is no run, or its images are gone."""
        if self.run is None:
            raise UserError("a model file has no dataset of its own; give run=")
        return self.run.open_data(self.config.data)

    @cached_property
    def lacks_data(self) -> str | None:
        """Why there are no images but those that the user named; None where there are."""
        try:
            self.data  # noqa: B018  opening it is the question
        except UserError as error:
            return str(error)
        return None

    @property
    def labels(self) -> list[str]:
        """The names of the classes, or their numbers where they have none."""
        return list(self.run.labels) if self.run else [f"class {index}" for index in range(self.network.classes)]

    @cached_property
    def _photos(self) -> list[Photo]:
        dataset = self.data if self.run and asks_for_data(self.config) else None
        return read_photos(self.config, self.run, self._files, dataset)

    @cached_property
    def images(self) -> np.ndarray:
        """What the user wants to see looked at, as the model takes it: uint8 (n, height, width, channels)."""
        from convlens.data import fit_image
        from convlens.models.inspection.graph import image_shape

        height, width, channels = image_shape(self.model) or (None, None, 3)
        resize = self.run.config.data.resize if self.run else "crop"
        # Where a model takes any size, the first image's own is everyone's.
        size = tuple(side or own for side, own in zip((height, width), self._photos[0].pixels.shape[:2], strict=True))
        return np.stack([fit_image(photo.pixels, size, channels, resize) for photo in self._photos])

    @property
    def names(self) -> list[str]:
        return [photo.name for photo in self._photos]

    @property
    def true_labels(self) -> list[int | None]:
        return [photo.label for photo in self._photos]

    @cached_property
    def logits(self) -> np.ndarray:
        """What the model says of the images, (n, classes)."""
        return interpret.class_logits(self.network, self.images)

    @cached_property
    def targets(self) -> np.ndarray:
        """The class that is explained of each image, (n,): the one that the user named, or what the model says."""
        return self.logits.argmax(axis=1) if self.target is None else np.full(len(self.images), self.target)

    @cached_property
    def target(self) -> int | None:
        """The class that the user named. Raises UserError where there is none of that name."""
        target = self.config.target
        if target is None:
            return None
        if isinstance(target, str) and target not in self.labels:
            raise UserError(unknown("target", target, self.labels))
        index = self.labels.index(target) if isinstance(target, str) else target
        if not 0 <= index < len(self.labels):
            raise UserError(f"target={index} is not a class; give a name, or an index from 0 to {len(self.labels) - 1}")
        return index

    @cached_property
    def other(self) -> "Run":
        """The run that this one is compared with. Raises UserError where it knows other classes."""
        from convlens.training import Run

        other = Run.open(self.config.b)
        if other.labels != self.run.labels:
            raise UserError(f"{self.run.path} and {other.path} tell different classes apart; they cannot be compared.")
        return other

    @cached_property
    def comparison(self) -> "interpret.Comparison":
        """What differs between this run's model and the other's, on the same images."""
        count = self.config.images
        with self.bars.bar("Comparing", self.images_in(count)) as told:
            return interpret.compare(
                self.model, self.other.model, self.batches(count), self.config.layers, self.config.layers, progress=told
            )

    @cached_property
    def predictions(self) -> tuple[np.ndarray, np.ndarray]:
        """What the model says of the split, logits (n, classes), and what is right, (n,)."""
        logits, true = [], []
        with self.bars.bar("Classifying", self.images_in(self.config.images)) as told:
            for images, labels, _ in self.batches(self.config.images):
                logits.append(interpret.class_logits(self.network, images))
                true.append(labels)
                told(sum(map(len, true)))
        return np.concatenate(logits), np.concatenate(true)

    def examples(self, places: np.ndarray) -> np.ndarray:
        """Images of the sample that `batches` gives, (n, height, width, channels), by their places in it."""
        return self.data.examples(self.config.split, self.sample[places].tolist())[0]

    @cached_property
    def snapshots(self) -> "list[interpret.Snapshot]":
        """What the run's network looked like over the epochs."""
        try:
            return [interpret.unpack_snapshot(path.read_bytes()) for path in self.run.snapshots]
        except UserError as error:
            raise UserError(f"Snapshots of run {self.run.path}: {error}.") from None

    @cached_property
    def scene(self) -> "visualization.Scene":
        """Kernels and, from one forward pass, the maps of the images."""
        with quietly():
            from convlens.models import feature_extractor

            extractor = feature_extractor(self.model, list(self.convolutions))
        maps = extractor(self.images)
        layers = []
        for name, info in self.convolutions.items():
            kernel, paired = kernels_of(info), info.kind != "SeparableConv2D"
            rgb = self.in_colour(info)
            layers.append(visualization.Layer(name, kernel, maps[name], info.receptive_field, rgb, paired))
        epoch, labels = (self.run.epoch, self.run.labels) if self.run else (None, None)
        return visualization.Scene(layers, self.images, self.names, self.source, epoch, self._shares(), labels)

    @property
    def look(self) -> "visualization.Look":
        return visualization.Look(self.config.units, self.config.max_units, self.config.sort, self.config.scale)

    def caption(self, layer: str | None = None) -> "visualization.Caption":
        field = self.convolutions[layer].receptive_field if layer else None
        return visualization.Caption(self.source, layer, self.run.epoch if self.run else None, field)

    def batches(self, images: int, *, masks: bool = False) -> Iterator[tuple]:
        """At most so many images of the split, with labels and, if asked for, masks: see `Dataset.sample`."""
        with self.bars.paused():  # reading the split shows a bar of its own
            found = self.data.sample(self.config.split, BATCH, images, masks=masks)
        return found

    @property
    def sample(self) -> np.ndarray:
        """The index in the split of each image that `batches` gives when it is asked for as many as the user allows."""
        return self.data.spread(self.config.split, self.config.images)

    @property
    def places_in_sample(self) -> list[int]:
        """Where in the sample each image stands, -1 for one that is not in it."""
        place_of = {int(index): place for place, index in enumerate(self.sample)}
        return [place_of.get(photo.index, -1) for photo in self._photos]

    def images_in(self, images: int) -> int:
        """How many images `batches(images)` gives."""
        return min(images, self.data.info.sizes[self.config.split])

    def _shares(self) -> np.ndarray | None:
        if self.run is None:
            return None
        import keras

        logits = keras.ops.convert_to_tensor(self.model.predict(self.images.astype("float32"), verbose=0))
        return keras.ops.convert_to_numpy(keras.ops.softmax(logits))

    @cached_property
    def answers(self) -> Answers:
        """What one pass over the split says of all units: no more than the figures ask for."""
        asks_for_concepts = "concepts" in self.asked and bool(self.data.info.parts)
        collectors = {"statistics": interpret.StatisticsCollector()}
        if asks_for_concepts or "top_patches" in self.asked:
            collectors["patches"] = interpret.PatchesCollector(PATCHES)
        if asks_for_concepts:
            collectors["concepts"] = interpret.ConceptsCollector(self.data.info.parts, SHARE)
        batches = self.batches(self.config.images, masks=asks_for_concepts)
        with self.bars.bar("Asking every unit", self.images_in(self.config.images)) as told:
            results = interpret.unit_pass(
                self.model, batches, list(self.convolutions), collectors=list(collectors.values()), progress=told
            )
        return Answers(**dict(zip(collectors, results, strict=True)))


def kernels_of(info: "ConvInfo") -> np.ndarray:
    """A layer's kernels (height, width, channels, units); where each sees one channel only, channels is 1."""
    kernel: Any = info.kernel
    return kernel if info.kind == "Conv2D" else kernel.reshape(*kernel.shape[:2], 1, -1)
