"""A network that looks at images, as arrays, and the figures that are drawn from them alone."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from convlens.visualization.caption import Caption, among, choose_units, told
from convlens.visualization.extraction import extraction_figure
from convlens.visualization.feature_maps import feature_maps_figure, kernels_and_maps_figure
from convlens.visualization.forward_pass import Stop, pipeline_figure
from convlens.visualization.kernels import kernels_figure, reads_image, show_kernel
from convlens.visualization.palette import largest, largest_inside
from convlens.visualization.relu import relu_figure

if TYPE_CHECKING:
    from convlens.interpret import KernelTuning, Reading

Arrays = dict[str, np.ndarray]

MOST, MOST_DEEP = 32, 16  # units of a layer that are shown: a deep one takes more room for each
SCALES = {"kernels": "unit", "kernels_and_maps": "unit"}  # whose range of colours suits a figure; else the layer's


@dataclass(frozen=True)
class Layer:
    """A convolution: its kernel (height, width, channels, units), and its maps on the images of a scene.

    `maps` holds arrays (n, height, width, units) under "filter", "detect" and "condense", as far as they follow.
    `paired` says that kernel i makes map i; a separable convolution mixes its kernels before a map comes out. `inside`
    are the cells of each stage that no padding reaches, booleans (height, width); they set the colour scale. `reading`
    gives what a unit reads, of a layer that does not read the image itself.
    """

    name: str
    kernel: np.ndarray
    maps: Mapping[str, np.ndarray]
    receptive_field: tuple[int, int] | None = None
    rgb: bool = False
    paired: bool = True
    start: np.ndarray | None = None  # (height, width, channels, units), or the first of both, before learning
    changed: np.ndarray | None = None  # (units of start,) cosine of each kernel with its start
    tuning: "KernelTuning | None" = None  # of kernels that read an image
    inside: Mapping[str, np.ndarray] = field(default_factory=dict)
    reading: "Callable[[int], Reading] | None" = None

    def largest(self, stage: str = "filter") -> float:
        """The largest magnitude of the maps at a stage, inside."""
        return largest_inside(self.maps[stage], self.inside.get(stage))

    @cached_property
    def activation(self) -> np.ndarray:
        """The mean activation of each unit on the images, shape (units,)."""
        return self.maps.get("detect", self.maps["filter"]).mean(axis=(0, 1, 2))

    @cached_property
    def dead(self) -> np.ndarray:
        """Which units are zero everywhere on the images, shape (units,)."""
        return ~self.maps.get("detect", self.maps["filter"]).any(axis=(0, 1, 2))

    @cached_property
    def norm(self) -> np.ndarray | None:
        """The Euclidean norm of each unit's kernel, shape (units,)."""
        return np.sqrt((self.kernel.astype(np.float64) ** 2).sum(axis=(0, 1, 2))) if self.paired else None

    @property
    def is_deep(self) -> bool:
        """Whether its kernels read several maps, and are no pictures of their own."""
        return not reads_image(self.kernel, self.rgb)

    @cached_property
    def has_relu(self) -> bool:
        """Whether detect is what ReLU makes of filter."""
        detected = self.maps.get("detect")
        return detected is not None and np.allclose(detected, np.maximum(self.maps["filter"], 0), atol=1e-3)


@dataclass(frozen=True)
class Scene:
    """A network that looks at images, as arrays: what every figure is drawn from.

    `images` is (n, height, width, channels) in [0, 255]; `shares` are the class probabilities, (n, classes). `notes`
    say of each image what was done to it before the network saw it, `verdicts` what else is to be said of its class.
    `left_out` is how many convolutions of the network are not among the layers.
    """

    layers: Sequence[Layer]
    images: np.ndarray
    names: Sequence[str]
    source: str | None = None
    epoch: int | None = None
    shares: np.ndarray | None = None
    labels: Sequence[str] | None = None
    notes: Sequence[str] = ()
    verdicts: Sequence[str] = ()
    left_out: int = 0

    def told(self, index: int) -> str:
        """An image's name, and what was done to it."""
        return f"{self.names[index]} ({self.notes[index]})" if self.notes and self.notes[index] else self.names[index]

    @property
    def changed(self) -> str:
        """What was done to the images, where all of it can be said at once."""
        return "; ".join(dict.fromkeys(note for note in self.notes if note))

    def caption(self, layer: Layer | None = None) -> Caption:
        if layer is None:
            return Caption(self.source, None, self.epoch)
        return Caption(self.source, layer.name, self.epoch, layer.receptive_field)


@dataclass(frozen=True)
class Look:
    """What a person chose: which units, in which order, on whose norm; None: as suits the layer and the figure."""

    units: Sequence[int] | None = None
    max_units: int | None = None
    sort: str | None = None
    scale: str | None = None
    max_inputs: int = 8  # slices of each kernel that reads maps

    def filled(self, scale: str) -> "Look":
        """The same, with the scale that suits a figure where none was chosen."""
        return replace(self, scale=self.scale or scale)


@dataclass(frozen=True)
class Drawing:
    """A figure to be drawn: its file name without suffix, and what gives it and the arrays behind it."""

    name: str
    draw: Callable[[], tuple[Figure, Arrays]]


def plan(scene: Scene, figure: str, look: Look) -> list[Drawing]:
    """Every drawing that a figure of `FIGURES` stands for, none of them drawn yet; none where nothing fits it."""
    return list(FIGURES[figure](scene, look.filled(SCALES.get(figure, "layer"))))


def _kernels(scene: Scene, look: Look) -> Iterator[Drawing]:
    limit = largest(np.concatenate([layer.kernel.ravel() for layer in scene.layers]))
    for layer in scene.layers:

        def draw(layer=layer):
            # A separable convolution's kernels are not its units: neither activation nor death is theirs.
            which = _shown(layer, look) if layer.paired else {"max_units": look.max_units or MOST}
            marks = {"activation": layer.activation, "dead": layer.dead} if layer.paired else {}
            learned = {"start": layer.start, "changed": layer.changed} if layer.start is not None else {}
            figure = kernels_figure(
                layer.kernel, caption=scene.caption(layer), rgb=layer.rgb, limit=limit, **marks, **learned, **which,
                max_channels=look.max_inputs, scale=look.scale, tuning=layer.tuning,
            )  # fmt: skip
            return figure, {
                "kernel": layer.kernel,
                **marks,
                **learned,
                **(layer.tuning.arrays() if layer.tuning else {}),
            }

        yield Drawing(f"kernels-{layer.name}", draw)


def _kernel(scene: Scene, look: Look) -> Iterator[Drawing]:
    for layer in filter(lambda layer: layer.paired, scene.layers):
        for unit in _chosen(layer, look, 1):

            def draw(layer=layer, unit=unit):
                kernel, (reason,) = layer.kernel[..., unit], _reasons(layer, look, [unit])
                strength = (kernel.astype(np.float64) ** 2).sum(axis=(0, 1))
                channels = np.arange(3) if layer.rgb else np.sort(np.argsort(-strength, kind="stable")[:3])
                panels = ["R", "G", "B"] if layer.rgb else [f"channel {channel}" for channel in channels]
                figure = show_kernel(
                    kernel[..., channels], caption=scene.caption(layer), name=f"unit {unit}", panels=panels,
                    rgb=layer.rgb, total_channels=kernel.shape[-1], reason=reason,
                )  # fmt: skip
                return figure, {"kernel": kernel, "channels_shown": channels}

            yield Drawing(f"kernel-{layer.name}-unit{unit}", draw)


def _kernels_and_maps(scene: Scene, look: Look) -> Iterator[Drawing]:
    paired = [layer for layer in scene.layers if layer.paired]
    if not paired:
        return
    limits = (
        largest(np.array([largest(layer.kernel) for layer in paired])),
        largest(np.array([layer.largest() for layer in paired])),
    )
    for layer in paired:

        def draw(layer=layer):
            figure = kernels_and_maps_figure(
                layer.kernel, scene.images, layer.maps["filter"], caption=scene.caption(layer), rgb=layer.rgb,
                limits=limits, activation=layer.activation, dead=layer.dead, inside=layer.inside.get("filter"),
                notes=[scene.changed] if scene.changed else [], **_shown(layer, look), scale=look.scale,
            )  # fmt: skip
            return figure, {"kernel": layer.kernel, "images": scene.images, "filter": layer.maps["filter"]}

        yield Drawing(f"kernels_and_maps-{layer.name}", draw)


def _feature_maps(scene: Scene, look: Look) -> Iterator[Drawing]:
    limit = _largest_activation(scene)
    for layer in scene.layers:
        for index in range(len(scene.names)):

            def draw(layer=layer, index=index):
                name = scene.told(index)
                maps = {stage: array[index] for stage, array in layer.maps.items()}
                figure = feature_maps_figure(
                    scene.images[index], maps, caption=scene.caption(layer), image_name=name, limit=limit,
                    dead=layer.dead, inside=layer.inside.get("filter"), **_shown(layer, look), scale=look.scale,
                )  # fmt: skip
                return figure, {"image": scene.images[index], **maps}

            yield Drawing(f"feature_maps-{layer.name}-image{index}", draw)


def _extraction(scene: Scene, look: Look) -> Iterator[Drawing]:
    overall = _largest_activation(scene)
    for layer in scene.layers:
        for unit in _chosen(layer, look, 1):

            def draw(layer=layer, unit=unit):
                stages = {stage: array[..., unit] for stage, array in layer.maps.items()}
                reading = layer.reading(unit) if layer.reading else None
                drawn = reading is None and (layer.rgb or layer.kernel.shape[2] == 1)
                kernel = layer.kernel[..., unit] if drawn and layer.paired else None
                facts = _reasons(layer, look, [unit])
                figure = extraction_figure(
                    scene.images, stages, caption=scene.caption(layer), name=f"unit {unit}",
                    names=[scene.told(index) for index in range(len(scene.names))], reading=reading, facts=facts,
                    kernel=kernel if kernel is None or layer.rgb else kernel[..., 0], scale=look.scale,
                    limit=overall if look.scale == "global" else layer.largest(), inside=layer.inside.get("filter"),
                )  # fmt: skip
                arrays = {"kernel": layer.kernel[..., unit]} if layer.paired else {}
                if reading is not None:
                    arrays |= {"read": reading.maps, "read_channels": reading.channels, "read_shares": reading.shares}
                return figure, {"images": scene.images, **arrays, **stages}

            yield Drawing(f"extraction-{layer.name}-unit{unit}", draw)


def _relu(scene: Scene, look: Look) -> Iterator[Drawing]:
    for layer in scene.layers:
        if not layer.has_relu:
            continue

        def draw(layer=layer):
            units = _chosen(layer, look, 3)
            values = [layer.maps["filter"][..., unit] for unit in units]
            inside = layer.inside.get("filter")
            figure = relu_figure(
                values, units=units, reasons=_reasons(layer, look, units), caption=scene.caption(layer),
                chosen=_named(layer, look, units), images=len(scene.images),
                limit=largest_inside(np.stack(values, axis=-1), inside),
            )  # fmt: skip
            return figure, {"units": units, "filter": np.stack(values)}

        yield Drawing(f"relu-{layer.name}", draw)


def _pipeline(scene: Scene, look: Look) -> Iterator[Drawing]:
    layers = last_of_each_block(scene.layers)
    for index in range(len(scene.names)):

        def draw(index=index):
            stops = []
            for layer in layers:
                stage = [stage for stage in ("filter", "detect", "condense") if stage in layer.maps][-1]
                maps, inside = layer.maps[stage][index], layer.inside.get(stage)
                stops.append(Stop(layer.name, stage, maps, layer.receptive_field, inside))
            limit = largest(np.array([largest_inside(stop.maps, stop.inside) for stop in stops]))
            shares = None if scene.shares is None else scene.shares[index]
            figure = pipeline_figure(
                scene.images[index], stops, caption=scene.caption(), image_name=scene.told(index), scale=look.scale,
                limit=limit, shares=shares, labels=scene.labels,
                verdict=scene.verdicts[index] if scene.verdicts else "",
                note=f"{scene.left_out} of the network's convolutions are left out" if scene.left_out else "",
            )  # fmt: skip
            arrays = {f"{stop.layer}:{stop.stage}".replace("/", ":"): stop.maps for stop in stops}
            return figure, {"image": scene.images[index], **arrays, **({} if shares is None else {"shares": shares})}

        yield Drawing(f"pipeline-image{index}", draw)


FIGURES: dict[str, Callable[[Scene, Look], Iterator[Drawing]]] = {
    "kernels": _kernels,
    "kernel": _kernel,
    "kernels_and_maps": _kernels_and_maps,
    "feature_maps": _feature_maps,
    "extraction": _extraction,
    "relu": _relu,
    "pipeline": _pipeline,
}


def _largest_activation(scene: Scene) -> float:
    return largest(np.array([layer.largest() for layer in scene.layers]))


def _ranked(layer: Layer, look: Look) -> tuple[np.ndarray, str]:
    """The units that figures of many units show, in order, and by what they are sorted: the same in all of them."""
    sort = look.sort or ("norm" if look.units is None else "index")
    if sort == "orientation" and layer.tuning is None:
        sort = "norm"
    if sort == "norm" and layer.norm is None:
        sort = "activation"
    most = look.max_units or (MOST_DEEP if layer.is_deep else MOST)
    rank = np.argsort(layer.tuning.order) if sort == "orientation" else None
    units = choose_units(
        layer.maps["filter"].shape[-1], units=look.units, max_units=most, sort=sort, norm=layer.norm,
        activation=layer.activation, rank=rank,
    )  # fmt: skip
    return units, sort


def _shown(layer: Layer, look: Look) -> dict:
    """The units of a figure of many units, and the words for them in its title, as its function takes them."""
    units, sort = _ranked(layer, look)
    words = told(units, layer.maps["filter"].shape[-1], sort, asked=look.units is not None)
    return {"units": units.tolist(), "max_units": len(units), "chosen": words}


def _candidates(layer: Layer, look: Look) -> tuple[np.ndarray, str]:
    """The units that a figure of few chooses among, most active first, and in words what sets them apart.

    They are those that figures of many units show, as far as they are alive.
    """
    shown, sort = _ranked(layer, look)
    words = among(shown, layer.maps["filter"].shape[-1], sort)
    units = shown[~layer.dead[shown]]
    if not len(units):
        units, words = np.flatnonzero(~layer.dead), ""
    if not len(units):
        units = shown
    return units[np.argsort(-np.nan_to_num(layer.activation)[units], kind="stable")], words


def _chosen(layer: Layer, look: Look, count: int) -> np.ndarray:
    """The units of a figure of few: those asked for, or the most active one; of more, also the middle and the least."""
    if look.units is not None:
        return np.array(list(dict.fromkeys(look.units)), int)[: look.max_units or MOST]
    order, _ = _candidates(layer, look)
    places = [0] if count == 1 else np.linspace(0, len(order) - 1, count).astype(int)
    return np.unique(order[places]) if len(order) < count else order[places]


def _among_which(layer: Layer, look: Look) -> str:
    """In words, among which units those of `_chosen` are the most active; "" where among all, or asked for."""
    _, words = _candidates(layer, look)
    return f"of {words}" if words and look.units is None else ""


def _named(layer: Layer, look: Look, units: Sequence[int]) -> str:
    """What a title says of three units that were chosen; "" of others, since each says so itself."""
    few = look.units is None and len(units) == 3
    return f"the most active, the middle and the least active unit {_among_which(layer, look)}".rstrip() if few else ""


def _reasons(layer: Layer, look: Look, units: Sequence[int]) -> list[str]:
    """Why each unit of `_chosen(layer, look, len(units))` is shown."""
    if look.units is not None:
        return ["asked for"] * len(units)
    order, _ = _candidates(layer, look)
    if layer.dead[order].any():
        return ["no unit of the layer is alive"] * len(units)
    if len(units) == 1:
        return [f"the unit most active on these images {_among_which(layer, look)}".rstrip()]
    if len(units) < 3:
        return [f"one of the {len(order)} that are alive"] * len(units)
    return ["the most active on these images", "the middle one", "the least active of those alive"]


def last_of_each_block(layers: Sequence[Layer], most: int = 8) -> list[Layer]:
    """The last layer of each block, by the name before the first underscore; evenly thinned where there are many."""
    last = {layer.name.rsplit("/", 1)[-1].split("_")[0]: layer for layer in layers}
    found = list(last.values()) if len(last) > 1 else list(layers)
    if len(found) > most:
        found = [found[place] for place in np.linspace(0, len(found) - 1, most).round().astype(int)]
    return found
