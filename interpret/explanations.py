"""Why this class: the maps of several methods for the same images, side by side."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from convlens import interpret
from convlens.core.errors import UserError
from convlens.core.progress import Progress

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class AttributionMethod:
    """A method of attribution: a function of this package."""

    title: str
    is_sparse: bool = False  # a few pixels of its maps outweigh all others
    in_many_passes: bool = False  # takes seconds, and tells its progress


METHODS = {
    "grad_cam": AttributionMethod("Grad-CAM"),
    "grad_cam_plus_plus": AttributionMethod("Grad-CAM++"),
    "score_cam": AttributionMethod("Score-CAM", in_many_passes=True),
    "saliency": AttributionMethod("Saliency", is_sparse=True),
    "smooth_grad": AttributionMethod("SmoothGrad", is_sparse=True, in_many_passes=True),
    "integrated_gradients": AttributionMethod("Integrated gradients", is_sparse=True, in_many_passes=True),
    "guided_backpropagation": AttributionMethod("Guided backprop", is_sparse=True),
    "occlusion": AttributionMethod("Occlusion", in_many_passes=True),
}


@dataclass(frozen=True)
class Explanations:
    """Maps that say which pixels speak for a class, of n images by one method or several."""

    images: np.ndarray  # (n, height, width, channels) in [0, 255]
    logits: np.ndarray  # (n, classes) what the model said
    targets: np.ndarray  # (n,) the classes that are explained
    maps: dict[str, np.ndarray]  # (n, rows, columns) of any resolution, by the method's name
    true: np.ndarray | None = None  # (n,) the right classes

    def title(self, method: str) -> str:
        """What a method is called in a figure; one that is not of this package keeps its name."""
        return METHODS[method].title if method in METHODS else method

    def is_sparse(self, method: str) -> bool:
        """Whether a few pixels of the method's maps usually outweigh all others."""
        return method in METHODS and METHODS[method].is_sparse

    def of_images(self, rows: slice) -> "Explanations":
        """The explanations of some of the images."""
        maps = {method: values[rows] for method, values in self.maps.items()}
        true = None if self.true is None else self.true[rows]
        return replace(
            self, images=self.images[rows], logits=self.logits[rows], targets=self.targets[rows], maps=maps, true=true
        )

    def arrays(self) -> dict[str, np.ndarray]:
        """For an `.npz`: images, logits, targets, and the maps by the names of their methods."""
        return {"images": self.images, "logits": self.logits, "targets": self.targets, **self.maps}


def explain(
    model: "keras.Model | interpret.Network",
    images: Any,
    target: "int | Sequence[int] | np.ndarray | None" = None,
    *,
    methods: Sequence[str] | None = None,
    true: Sequence[int] | None = None,
    seed: int = 0,
) -> Explanations:
    """The maps of `methods`, by default of all, for `images` (n, height, width, channels).

    `target` is a class, one for each image, or None: what the model says. `true` (n,) are the right classes, where they
    are known. Raises UserError for a method that does not exist, and ModelError for one that the model does not allow.
    """
    network = interpret.Network(model) if not isinstance(model, interpret.Network) else model
    images = np.asarray(images)
    images = images[None] if images.ndim == 3 else images
    logits = interpret.class_logits(network, images)
    targets = logits.argmax(axis=1) if target is None else np.broadcast_to(np.asarray(target), len(images))
    names = list(METHODS) if methods is None else list(methods)
    maps = {name: attribution_maps(network, images, targets, name, seed=seed) for name in names}
    return Explanations(images, logits, targets, maps, None if true is None else np.asarray(true))


def attribution_maps(
    model: "keras.Model | interpret.Network",
    images: Any,
    targets: Sequence[int] | np.ndarray,
    method: str,
    *,
    seed: int = 0,
    progress: Progress | None = None,
) -> np.ndarray:
    """The maps (n, height, width) of one method by its name; what the channels of a pixel say is added up.

    `seed` is for the noise of SmoothGrad. Raises UserError for a method that does not exist, and ModelError for one
    that the model does not allow.
    """
    if method not in METHODS:
        raise UserError(f"method {method!r}; expected one of {', '.join(METHODS)}")
    options: dict[str, Any] = {"progress": progress} if METHODS[method].in_many_passes else {}
    options |= {"seed": seed} if method == "smooth_grad" else {}
    maps = getattr(interpret, method)(model, images, targets, **options)
    return maps.sum(axis=-1) if maps.ndim == 4 else maps
