"""What every figure is made from: a network and what it looks at, each piece computed when it is first asked for."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from convlens import interpret, visualization
from convlens.configs import Visualize
from convlens.core.errors import ModelError, UserError, unknown
from convlens.core.progress import progress_bar
from convlens.core.quiet import quietly
from convlens.gallery.choices import refuse_unknown
from convlens.gallery.photos import Photo, asks_for_data, read_files, read_photos

if TYPE_CHECKING:
    import keras

    from convlens.data import Dataset
    from convlens.models import ConvInfo
    from convlens.training import Run

SNAPSHOTS_BYTES = 2**30  # of all snapshots of a run, unpacked
BATCH = 64
KNOWN = 500  # validation images that say what is like the training data
UNLIKE = "none of these, perhaps: it is unlike the images of the dataset"
PATCHES = 9  # images that a unit likes best
SHARE = 0.02  # of a unit's activations count as strong; the paper's 0.005 is too few for parts as large as these

# Whoever has a split has images, whoever has masks has both.
Needs = Literal[
    "kernels", "images", "split", "masks", "snapshots", "second_run"
]  # has the split: has images; masks: both


@dataclass(frozen=True)
class UnitResults:
    """What one pass over a split says of units, by layer; None where no figure asks for it."""

    statistics: dict[str, Any]
    patches: dict[str, Any] | None = None
    concepts: dict[str, Any] | None = None


@dataclass(frozen=True)
class Classified:
    """What the model says of each image of a split."""

    logits: np.ndarray  # (n, classes)
    true: np.ndarray  # (n,) the right class

    @property
    def predicted(self) -> np.ndarray:
        """(n,) the class that the model says."""
        return self.logits.argmax(axis=1)

    @property
    def confidence(self) -> np.ndarray:
        """(n,) the probability, in [0, 1], of the class that the model says."""
        shares = np.exp(self.logits - self.logits.max(axis=1, keepdims=True))
        shares /= shares.sum(axis=1, keepdims=True)
        return shares.max(axis=1)


class Material:
    """The model of a run, or of a file, with the images that the user named and the split that it can be asked about.

    Image files are read at once, so that a missing one is reported before anything is loaded.

    Args:
        config: what the user chose.
        run: None for a model file.
        figures: the names of the figures that will be drawn; no more is computed than they need.
    """

    def __init__(self, config: Visualize, run: "Run | None", figures: Collection[str]):
        self.config, self.run, self.figures = config, run, figures
        self.attribution_maps: dict[str, np.ndarray | None] = {}  # computed so far, by method; None: not possible
        self._files = read_files(config, run)

    @property
    def source(self) -> str:
        """The network's name in titles."""
        return f"run {self.run.name}/{self.run.id}" if self.run else Path(self.config.model).name

    @cached_property
    def model(self) -> "keras.Model":
        with quietly():
            from convlens.training.saved_model import load_model

            return self.run.model if self.run else load_model(self.config.model)

    @cached_property
    def network(self) -> "interpret.Network":
        """The model, ready to be asked for gradients; raises ModelError where it has none to give."""
        return interpret.Network(self.model)

    @property
    def convolutions(self) -> "dict[str, ConvInfo]":
        """The convolutions that figures are drawn of, by name: those that the user named, or all."""
        return {name: self._all_convolutions[name] for name in self.config.layers or self._all_convolutions}

    @property
    def representative_layers(self) -> list[str]:
        """The convolutions that the user named, or the last of each block."""
        chosen = list(self.convolutions.values())
        return [info.name for info in (chosen if self.config.layers else visualization.last_of_each_block(chosen))]

    @cached_property
    def _all_convolutions(self) -> "dict[str, ConvInfo]":
        with quietly():
            from convlens.models import conv_layers

            convolutions = {info.name: info for info in conv_layers(self.model)}
        if not convolutions:
            raise UserError("The model has no convolution: there are no kernels or feature maps to draw.")
        refuse_unknown(self.config, {name: info.output_shape[-1] for name, info in convolutions.items()})
        return convolutions

    def reads_image(self, info: "ConvInfo") -> bool:
        """Whether a convolution reads the image itself."""
        return info is next(iter(self._all_convolutions.values())) and info.reads is None

    def in_colour(self, info: "ConvInfo") -> bool:
        """Whether a convolution's kernels read the red, green and blue of the image itself."""
        return self.reads_image(info) and kernels_of(info).shape[2] == 3

    @property
    def split(self) -> str:
        """The split that the network is asked about, as titles name it."""
        return self.config.split

    def lacks(self, needs: Needs) -> str | None:
        """Why there is not what a figure needs; None where there is."""
        if needs == "images" and self.run is None and self.config.image is None:
            return "model= needs an image to look at; give image=path/to/photo.jpg"
        if needs == "second_run" and self.config.b is None:
            return "comparing takes two runs; give a=runs/cars/latest b=runs/cars/another"
        if needs == "snapshots" and not (self.run and self.run.snapshots):
            return "there are no snapshots of the epochs; a run trained with training.snapshots=40 keeps them"
        if needs in ("split", "masks", "second_run") and self.lacks_data:
            return self.lacks_data
        if needs == "masks" and not self.data.info.parts:
            return f"{self.data.info.name} has no masks of parts; the embedded dataset, rendered_cars, has."
        return None

    @cached_property
    def data(self) -> "Dataset":
        """The run's dataset. Raises UserError where there is no run, or its images are gone."""
        if self.run is None:
            raise UserError("a model file has no dataset of its own; give run=")
        self.model  # noqa: B018  read before the images, which must be of its size
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
    def photos(self) -> list[Photo]:
        """The images that the user named, each at its own size."""
        dataset = self.data if self.run and asks_for_data(self.config) else None
        return read_photos(self.config, self.run, self._files, dataset)

    @cached_property
    def images(self) -> np.ndarray:
        """What the user wants to see looked at, as the model takes it: (n, height, width, channels) in [0, 255]."""
        from convlens.data import fit_image
        from convlens.models.inspection.graph import image_shape

        height, width, channels = image_shape(self.model) or (None, None, 3)
        # Where a model takes any size, the first image's own is everyone's.
        size = tuple(side or own for side, own in zip((height, width), self.photos[0].pixels.shape[:2], strict=True))
        return np.stack([fit_image(photo.pixels, size, channels, self._resize) for photo in self.photos])

    @property
    def _resize(self) -> str:
        """How images are brought to the model's shape."""
        return self.run.config.data.resize if self.run else "crop"

    @property
    def names(self) -> list[str]:
        return [photo.name for photo in self.photos]

    @property
    def notes(self) -> list[str]:
        """Of each image, what was done to its shape before the network saw it."""
        size = self.images.shape[1:3]
        return [told_fit(photo.pixels.shape[:2], size, self._resize) for photo in self.photos]

    def true_labels(self, rows: slice = slice(None)) -> list[int] | None:
        """The right class of each image; None where that of any is not known."""
        labels = [photo.label for photo in self.photos[rows]]
        return None if None in labels else labels

    @cached_property
    def logits(self) -> np.ndarray:
        """What the model says of the images, (n, classes)."""
        return interpret.class_logits(self.network, self.images)

    @cached_property
    def targets(self) -> np.ndarray:
        """The class that is explained of each image, (n,): the one that the user named, or what the model says."""
        return self.logits.argmax(axis=1) if self.target is None else np.full(len(self.images), self.target)

    @cached_property
    def familiarity(self) -> "interpret.Familiarity | None":
        """What the network's scores are on its run's validation images; None where there are none to be had."""
        if self.run is None or self.lacks_data:
            return None
        split = "validation" if self.data.info.sizes.get("validation") else self.config.split
        total, logits = min(KNOWN, self.data.info.sizes[split]), []
        with progress_bar("Looking at known images", total) as progress:
            for images, _, _ in self.data.sample(split, BATCH, total):
                logits.append(interpret.class_logits(self.network, images))
                progress(sum(map(len, logits)), total)
        return interpret.Familiarity(interpret.energy_score(np.concatenate(logits)))

    @cached_property
    def verdicts(self) -> list[str]:
        """Of each image that is of no split: that it is perhaps of none of the classes, where it is unlike them."""
        strangers = [photo.label is None for photo in self.photos]
        try:
            unlike = any(strangers) and self.familiarity and self.familiarity.unlike(self.logits)
        except ModelError:  # no classifier, or one that is out of reach: nothing is said
            unlike = None
        if unlike is None or unlike is False:
            return [""] * len(strangers)
        return [UNLIKE if stranger and far else "" for stranger, far in zip(strangers, unlike, strict=True)]

    @cached_property
    def target(self) -> int | None:
        """The class that the user named. Raises UserError where there is none of that name."""
        target = self.config.target
        if target is None:
            return None
        if isinstance(target, str) and target not in self.labels:
            where = str(self.run.labels_path) if self.run else ""
            raise UserError(unknown("target", target, self.labels, where=where))
        index = self.labels.index(target) if isinstance(target, str) else target
        if not 0 <= index < len(self.labels):
            raise UserError(f"target={index} is not a class; give a name, or an index from 0 to {len(self.labels) - 1}")
        return index

    @cached_property
    def second_run(self) -> "Run":
        """The run that this one is compared with. Raises UserError where it knows other classes."""
        from convlens.training import Run

        second = Run.open(self.config.b)
        if second.labels != self.run.labels:
            raise UserError(f"{self.run.path} and {second.path} tell different classes apart; they cannot be compared.")
        return second

    @cached_property
    def comparison(self) -> "interpret.Comparison":
        """What differs between this run's model and the second's, on the same images."""
        count, layers = self.config.images, self.config.layers
        batches = self.batches(count)
        with progress_bar("Comparing", self.images_in(count)) as progress:
            return interpret.compare(self.model, self.second_run.model, batches, layers, layers, progress=progress)

    @cached_property
    def classified(self) -> Classified:
        """What the model says of the split."""
        logits, true = [], []
        total, batches = self.images_in(self.config.images), self.batches(self.config.images)
        with progress_bar("Classifying", total) as progress:
            for images, labels, _ in batches:
                logits.append(interpret.class_logits(self.network, images))
                true.append(labels)
                progress(sum(map(len, true)), total)
        return Classified(np.concatenate(logits), np.concatenate(true))

    def examples(self, rows: np.ndarray) -> np.ndarray:
        """Images of the sample that `batches` gives, (n, height, width, channels), by their rows in it."""
        return self.data.examples(self.config.split, self.sample[rows].tolist())[0]

    @cached_property
    def snapshots(self) -> "list[interpret.Snapshot]":
        """What the run's network looked like over the epochs."""
        run = self.run
        try:
            if sum(interpret.unpacked_bytes(run.read_snapshot(path)) for path in run.snapshots) > SNAPSHOTS_BYTES:
                raise UserError(f"they would take more than {SNAPSHOTS_BYTES:,} bytes")
            return [interpret.unpack_snapshot(run.read_snapshot(path)) for path in run.snapshots]
        except UserError as error:
            raise UserError(f"Snapshots of run {run.path}: {error}.") from None

    def start_of(self, info: "ConvInfo") -> np.ndarray | None:
        """What a layer's kernels were before learning, as far as the first snapshot kept them; None where none did."""
        if self.run is None or not self.run.snapshots:
            return None
        first = self.snapshots[0]
        start = first.kernels.get(info.name) if first.epoch == 0 else None
        return start if start is not None and info.kind == "Conv2D" else None

    def _tuning(self, info: "ConvInfo", kernel: np.ndarray) -> "interpret.KernelTuning | None":
        """What kernels that read the image itself answer to, where they are large enough to answer to anything."""
        sees_image = info is next(iter(self._all_convolutions.values())) and info.reads is None
        fits = kernel.shape[2] in (1, 3) and min(kernel.shape[:2]) >= 3
        return interpret.kernel_tuning(kernel) if sees_image and fits else None

    @cached_property
    def scene(self) -> "visualization.Scene":
        """Kernels and, from one forward pass, the maps of the images."""
        with quietly():
            from convlens.models import feature_extractor, inside_cells
            from convlens.models.inspection.graph import STAGES

            stages = (*STAGES, "input") if "extraction" in self.figures else STAGES
            extractor = feature_extractor(self.model, list(self.convolutions), stages)
            inside = inside_cells(self.model, image_size=self.images.shape[1:3])
        maps = extractor(self.images)
        layers = []
        for name, info in self.convolutions.items():
            read = maps[name].pop("input", None)
            kernel, paired = kernels_of(info), info.kind != "SeparableConv2D"
            start = self.start_of(info)
            layer = visualization.Layer(
                name, kernel, maps[name], info.receptive_field, self.in_colour(info), paired,
                start=start, changed=None if start is None else interpret.cosine_with_start(kernel, start),
                tuning=self._tuning(info, kernel) if paired else None, inside=inside[name],
                reading=None if read is None or self.reads_image(info) else partial(read_by, info, read, inside),
            )  # fmt: skip
            layers.append(layer)
        labels = self.run.labels if self.run else None
        return visualization.Scene(
            layers, self.images, self.names, self.source, self.epoch, self._shares(), labels, self.notes,
            self.verdicts if "pipeline" in self.figures else (),
            left_out=len(self._all_convolutions) - len(layers),
        )  # fmt: skip

    @property
    def look(self) -> "visualization.Look":
        return visualization.Look(self.config.units, self.config.max_units, self.config.sort, self.config.scale)

    @property
    def epoch(self) -> int | None:
        return self.run.epoch if self.run else None

    def caption(self, layer: str | None = None) -> "visualization.Caption":
        field = self.convolutions[layer].receptive_field if layer else None
        return visualization.Caption(self.source, layer, self.epoch, field)

    def batches(self, images: int, *, masks: bool = False) -> Iterator[tuple]:
        """At most so many images of the split, with labels and, if asked for, masks: see `Dataset.sample`."""
        return self.data.sample(self.config.split, BATCH, images, masks=masks)

    @property
    def sample(self) -> np.ndarray:
        """The index in the split of each image that `batches` gives when it is asked for as many as the user allows."""
        return self.data.spread(self.config.split, self.config.images)

    @property
    def rows_in_sample(self) -> list[int]:
        """Where in the sample each image stands, -1 for one that is not in it."""
        row_of = {int(index): row for row, index in enumerate(self.sample)}
        return [row_of.get(photo.index, -1) for photo in self.photos]

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
    def unit_results(self) -> UnitResults:
        """What one pass over the split says of all units: no more than the figures ask for."""
        asks_for_concepts = "concepts" in self.figures and bool(self.data.info.parts)
        collectors = {"statistics": interpret.StatisticsCollector()}
        if asks_for_concepts or "top_patches" in self.figures:
            collectors["patches"] = interpret.PatchesCollector(PATCHES)
        if asks_for_concepts:
            collectors["concepts"] = interpret.ConceptsCollector(self.data.info.parts, SHARE)
        batches = self.batches(self.config.images, masks=asks_for_concepts)
        with progress_bar("Asking every unit", self.images_in(self.config.images)) as progress:
            results = interpret.unit_pass(
                self.model, batches, list(self.convolutions), collectors=list(collectors.values()), progress=progress
            )
        return UnitResults(**dict(zip(collectors, results, strict=True)))


def told_fit(own: tuple[int, int], size: tuple[int, int], resize: str) -> str:
    """What bringing an image of its `own` (height, width) to another size does to its shape; "" for nothing."""
    height, width = own
    factor = max(size[0] / height, size[1] / width)
    shown = min(height, round(size[0] / factor)), min(width, round(size[1] / factor))
    if height - shown[0] < 2 and width - shown[1] < 2:
        return ""
    if resize == "crop":
        return f"cropped: the middle {shown[0]}×{shown[1]} of {height}×{width}"
    return f"{'stretched' if resize == 'stretch' else 'between black bars'}: it was {height}×{width}"


def read_by(
    info: "ConvInfo", maps: np.ndarray, inside: dict[str, dict[str, np.ndarray]], unit: int
) -> "interpret.Reading":
    """What a unit of a convolution reads of the layer's input `maps` (n, height, width, channels).

    `inside` are the cells that padding does not reach, by layer and stage: those of the layer that made the maps count.
    """
    options = {"strides": info.strides, "padding": info.padding, "dilation": info.dilation}
    if info.kind == "Conv2D":
        inputs = info.kernel.shape[2]
        first = unit // (info.output_shape[-1] // info.groups) * inputs
        channels, kernel = np.arange(first, first + inputs), info.kernel[..., unit]
    elif info.kind == "DepthwiseConv2D":
        multiplier = info.kernel.shape[3]
        channels = np.array([unit // multiplier])
        kernel = info.kernel[:, :, channels, unit % multiplier]
    else:  # a separable convolution's units read every channel, each by a mixture of the kernels that it has
        channels = np.arange(info.kernel.shape[2])
        kernel = np.einsum("rcim,im->rci", info.kernel, info.pointwise[..., unit])
    made = [cells for cells in inside.get(info.reads, {}).values() if cells.shape == maps.shape[1:3]]
    options["inside"] = made[-1] if made else None
    return interpret.strongest_read(maps[..., channels], kernel, channels=channels, layer=info.reads, **options)


def kernels_of(info: "ConvInfo") -> np.ndarray:
    """A layer's kernels (height, width, channels, units); where each sees one channel only, channels is 1."""
    kernel: Any = info.kernel
    return kernel if info.kind == "Conv2D" else kernel.reshape(*kernel.shape[:2], 1, -1)
