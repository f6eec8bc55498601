"""A network that looks at images: the kernels of its convolutions, and the maps that they make of each image."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import TYPE_CHECKING

import numpy as np

from convlens.core.errors import UserError, unknown
from convlens.interpret.reading import Reading, strongest_read
from convlens.interpret.snapshots import cosine_with_start
from convlens.interpret.tuning import KernelTuning, kernel_tuning

if TYPE_CHECKING:
    import keras

    from convlens.models import ConvInfo


@dataclass(frozen=True)
class ObservedLayer:
    """A convolution: its kernels, and its maps of n images.

    Kernel i makes map i where the layer is `paired`; a separable convolution mixes its kernels before a map comes out.
    """

    name: str
    kernel: np.ndarray  # (height, width, channels, units)
    maps: Mapping[str, np.ndarray] = field(default_factory=dict)  # (n, rows, columns, units) by stage: "filter" and,
    # where they follow, "detect" and "condense"
    receptive_field: tuple[int, int] | None = None  # pixels of the image: height, width
    rgb: bool = False  # whether the kernels read the red, green and blue of the image itself
    paired: bool = True
    start: np.ndarray | None = None  # (height, width, channels, units), or the first of both, before learning
    changed: np.ndarray | None = None  # (units of start,) cosine of each kernel with its start
    tuning: KernelTuning | None = None  # of kernels that read an image
    inside: Mapping[str, np.ndarray] = field(default_factory=dict)  # (rows, columns) booleans by stage: cells that no
    # padding reaches
    reading: Callable[[int], Reading] | None = None  # what a unit reads, of a layer that does not read the image itself

    @property
    def detected(self) -> np.ndarray | None:
        """The maps (n, rows, columns, units) after the activation; None where no maps were made."""
        return self.maps.get("detect", self.maps.get("filter"))

    @cached_property
    def activation(self) -> np.ndarray | None:
        """The mean activation of each unit on the images, shape (units,)."""
        return None if self.detected is None else self.detected.mean(axis=(0, 1, 2))

    @cached_property
    def dead(self) -> np.ndarray | None:
        """Which units are zero everywhere on the images, shape (units,)."""
        return None if self.detected is None else np.logical_not(self.detected.any(axis=(0, 1, 2)))

    def activity(self) -> tuple[np.ndarray, np.ndarray]:
        """`activation` and `dead`. Raises UserError for a layer of which no maps were made."""
        if self.activation is None or self.dead is None:
            raise UserError(f"layer '{self.name}' has no maps; what its units do is not known")
        return self.activation, self.dead

    @cached_property
    def norm(self) -> np.ndarray | None:
        """The Euclidean norm of each unit's kernel, shape (units,); None where kernels are not paired with units."""
        return np.sqrt((self.kernel.astype(np.float64) ** 2).sum(axis=(0, 1, 2))) if self.paired else None

    @cached_property
    def has_relu(self) -> bool:
        """Whether detect is what ReLU makes of filter."""
        detected = self.maps.get("detect")
        return detected is not None and np.allclose(detected, np.maximum(self.maps["filter"], 0), atol=1e-3)

    def arrays(self) -> dict[str, np.ndarray]:
        """For an `.npz`: the kernel and, where they are known, what its units do, what it was, and its tuning."""
        known = {"activation": self.activation, "dead": self.dead} if self.paired else {}
        known |= {"start": self.start, "changed": self.changed}
        arrays = {"kernel": self.kernel, **{name: array for name, array in known.items() if array is not None}}
        return arrays | (self.tuning.arrays() if self.tuning else {})


@dataclass(frozen=True)
class Observation:
    """What a network makes of n images, as arrays."""

    layers: tuple[ObservedLayer, ...]
    images: np.ndarray  # (n, height, width, channels) in [0, 255]
    names: Sequence[str]  # (n,) what each image is called
    notes: Sequence[str] = ()  # (n,) what was done to the shape of each image before the network saw it, "" for nothing
    verdicts: Sequence[str] = ()  # (n,) what else is to be said of the class of each image
    probabilities: np.ndarray | None = None  # (n, classes)
    left_out: int = 0  # how many convolutions of the network are not among the layers

    def layer(self, name: str) -> ObservedLayer:
        """A layer by its name. Raises UserError for one that was not observed."""
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise UserError(unknown("layer", name, [layer.name for layer in self.layers]))

    def image_text(self, image: int) -> str:
        """An image's name, and what was done to it."""
        note = self.notes[image] if self.notes else ""
        return f"{self.names[image]} ({note})" if note else self.names[image]

    def arrays(self) -> dict[str, np.ndarray]:
        """For an `.npz`: the images, the maps of each layer and stage as "layer:stage", "/" as ":", and `shares`."""
        maps = {
            f"{layer.name}:{stage}".replace("/", ":"): array
            for layer in self.layers
            for stage, array in layer.maps.items()
        }
        return {"images": self.images, **maps, **({} if self.probabilities is None else {"shares": self.probabilities})}

    @property
    def changes_text(self) -> str:
        """What was done to the images, where all of it can be said at once."""
        return "; ".join(dict.fromkeys(note for note in self.notes if note))


def observe(
    model: "keras.Model",
    images: np.ndarray,
    layers: Sequence[str] | None = None,
    *,
    starts: Mapping[str, np.ndarray] | None = None,
    reading: bool = True,
) -> Observation:
    """The kernels of the convolutions `layers` (None: of all) and, from one forward pass, their maps of `images`.

    `images` are (n, height, width, channels) in [0, 255]. `starts` are kernels before learning, by layer, as far as
    they are known. With `reading` the maps that each layer reads are kept too, so that a unit's strongest inputs can be
    shown. Raises ModelError for a layer that does not exist and images that the model does not take.
    """
    from convlens.models import conv_layers, feature_extractor, inside_cells
    from convlens.models.inspection.graph import STAGES

    convolutions = {info.name: info for info in conv_layers(model)}
    names, images = list(layers or convolutions), np.asarray(images)
    maps = feature_extractor(model, names, (*STAGES, "input") if reading else STAGES)(images)
    inside = inside_cells(model, image_size=images.shape[1:3])
    first = next(iter(convolutions), None)
    observed = []
    for name in names:
        info, stages = convolutions[name], dict(maps[name])
        read = stages.pop("input", None)
        kernel, paired = kernels_of(info), info.kind != "SeparableConv2D"
        reads_image = name == first and info.reads is None
        is_tuned = reads_image and paired and kernel.shape[2] in (1, 3) and min(kernel.shape[:2]) >= 3
        start = (starts or {}).get(name)
        layer = ObservedLayer(
            name, kernel, stages, info.receptive_field, reads_image and kernel.shape[2] == 3, paired,
            start=start, changed=None if start is None else cosine_with_start(kernel, start),
            tuning=kernel_tuning(kernel) if is_tuned else None, inside=inside[name],
            reading=None if read is None or reads_image else partial(read_by, info, read, inside),
        )  # fmt: skip
        observed.append(layer)
    image_names = [f"image {index}" for index in range(len(images))]
    return Observation(tuple(observed), images, image_names, left_out=len(convolutions) - len(observed))


def kernels_of(info: "ConvInfo") -> np.ndarray:
    """A layer's kernels (height, width, channels, units); where each sees one channel only, channels is 1."""
    kernel = info.kernel
    return kernel if info.kind == "Conv2D" else kernel.reshape(*kernel.shape[:2], 1, -1)


def read_by(info: "ConvInfo", maps: np.ndarray, inside: Mapping[str, Mapping[str, np.ndarray]], unit: int) -> Reading:
    """What a unit of a convolution reads of the layer's input `maps` (n, height, width, channels).

    `inside` are the cells that padding does not reach, by layer and stage: those of the layer that made the maps count.
    """
    if info.kind == "Conv2D":
        inputs = info.kernel.shape[2]
        first = unit // (info.output_shape[-1] // info.groups) * inputs
        channels, kernel = np.arange(first, first + inputs), info.kernel[..., unit]
    elif info.pointwise is None:
        multiplier = info.kernel.shape[3]
        channels = np.array([unit // multiplier])
        kernel = info.kernel[:, :, channels, unit % multiplier]
    else:  # a separable convolution's units read every channel, each by a mixture of the kernels that it has
        channels = np.arange(info.kernel.shape[2])
        kernel = np.einsum("rcim,im->rci", info.kernel, info.pointwise[..., unit])
    source = {} if info.reads is None else inside.get(info.reads, {})
    made = [cells for cells in source.values() if cells.shape == maps.shape[1:3]]
    return strongest_read(
        maps[..., channels],
        kernel,
        layer=info.reads,
        channels=channels,
        inside=made[-1] if made else None,
        strides=info.strides,
        padding=info.padding,
        dilation=info.dilation,
    )
