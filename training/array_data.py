"""Images and labels that are arrays already, as a training sees any dataset; TensorFlow is not needed."""

import contextlib
import hashlib
from collections.abc import Iterator, Sequence

import numpy as np

from convlens.core.errors import UserError
from convlens.data.info import DataInfo

Labelled = tuple[np.ndarray, np.ndarray]  # images (n, height, width, channels), labels (n,)


class ArrayData:
    """A `TrainingData` of two roles, train and validation.

    Args:
        train, validation: images (n, height, width, channels) in [0, 255] with labels, integers (n,).
        classes: names, in the order of the labels.
    """

    order = "all images"  # from which each next one of a shuffled epoch is drawn

    def __init__(self, train: Labelled, validation: Labelled, classes: Sequence[str]):
        self._roles = {"train": train, "validation": validation}
        height, width, channels = train[0].shape[1:]
        self.info = DataInfo(
            name="arrays",
            classes=tuple(classes),
            image_size=(height, width),
            channels=channels,
            sizes={role: len(labels) for role, (_, labels) in self._roles.items()},
        )

    @property
    def fingerprint(self) -> str:
        """A digest that changes when images, labels, their roles or the classes do."""
        digest = hashlib.blake2b("\0".join(self.info.classes).encode("utf-8", "surrogateescape"), digest_size=16)
        for images, labels in self._roles.values():
            digest.update(f"{images.dtype} {images.shape}".encode())
            for image in images:  # one after another, so that no second copy of them all is made
                digest.update(np.ascontiguousarray(image).data)
            digest.update(np.ascontiguousarray(labels).data)
        return digest.hexdigest()

    def steps(self, batch_size: int, limit_batches: int | None = None, overfit: bool = False) -> int:
        steps = max(1, self.info.sizes["train"] // batch_size)
        return min(steps, limit_batches or steps)

    def training(
        self,
        batch_size: int,
        seed: int,
        epochs: int,
        *,
        augment: bool = True,
        limit_batches: int | None = None,
        overfit: bool = False,
        start_epoch: int = 0,
        start_step: int = 0,
    ) -> Iterator[Labelled]:
        """Batches as `TrainingData.training` describes them; arrays are not augmented."""
        images, labels = self._roles["train"]
        one_hot = np.eye(len(self.info.classes), dtype="float32")
        for epoch in range(start_epoch, epochs):
            order = self._order(seed, 0 if overfit else epoch)
            first_step = start_step if epoch == start_epoch else 0
            for step in range(first_step, self.steps(batch_size, limit_batches)):
                first = 0 if overfit else step * batch_size
                chosen = order[first : first + batch_size]
                yield images[chosen].astype("float32"), one_hot[labels[chosen]]

    def evaluation(
        self, split: str, batch_size: int, *, limit_batches: int | None = None, overfit_seed: int | None = None
    ) -> list[Labelled]:
        images, labels = self._roles[split]
        if overfit_seed is not None:
            chosen = self._order(overfit_seed, 0)[:batch_size]
            return [(images[chosen], labels[chosen])]
        starts = range(0, len(labels), batch_size)[:limit_batches]
        return [(images[start : start + batch_size], labels[start : start + batch_size]) for start in starts]

    def examples(self, split: str, indices: Sequence[int]) -> tuple[np.ndarray, np.ndarray, list[str]]:
        images, labels = self._roles[split]
        return images[indices], labels[indices], [str(index) for index in indices]

    def labels(self, split: str) -> np.ndarray:
        return self._roles[split][1]

    def faults_as_user_errors(self) -> contextlib.AbstractContextManager[None]:
        """Does nothing: arrays cannot fail while they are read."""
        return contextlib.nullcontext()

    def _order(self, seed: int, epoch: int) -> np.ndarray:
        return np.random.default_rng((seed, epoch)).permutation(self.info.sizes["train"])


def checked_arrays(images: np.ndarray, labels: np.ndarray, classes: int, name: str = "images") -> Labelled:
    """Images and labels such as a training takes; `classes` is how many numbers the model gives.

    Raises UserError where images are not (n, height, width, channels) of finite values in [0, 255] that use more than
    [0, 1], or labels are no integers (n,) from 0 to `classes` - 1.
    """
    images, labels = np.asarray(images), np.asarray(labels)
    if images.ndim != 4 or images.dtype.kind not in "uif" or not len(images):
        raise UserError(
            f"{name} have shape {images.shape} and dtype {images.dtype}; expected numbers of shape "
            "(n, height, width, channels)."
        )
    low, high = float(images.min()), float(images.max())
    if not 0 <= low <= high <= 255:
        raise UserError(f"{name} go from {low:g} to {high:g}; expected pixels from 0 to 255.")
    if images.dtype.kind == "f" and high <= 1:
        raise UserError(
            f"{name} go from {low:g} to {high:g}; expected pixels from 0 to 255. Give them times 255, and let the "
            "model begin with keras.layers.Rescaling(1 / 255)."
        )
    labels = labels.reshape(-1) if labels.shape == (len(images), 1) else labels
    if labels.shape != (len(images),) or labels.dtype.kind not in "iu":
        raise UserError(
            f"The labels of {name} have shape {labels.shape} and dtype {labels.dtype}; expected a whole number for "
            f"each of the {len(images)} images, (n,)."
        )
    if labels.min() < 0 or labels.max() >= classes:
        raise UserError(
            f"The labels of {name} go from {labels.min()} to {labels.max()}, and the model gives {classes} outputs, "
            f"for labels from 0 to {classes - 1}."
        )
    return images, labels.astype("int32")


def carved(train: Labelled, share: float) -> tuple[Labelled, Labelled]:
    """Training and validation images: the validation gets the share of each class, at least one image of each.

    Always the same ones. Raises UserError for a class of a single image.
    """
    images, labels = train
    is_validation = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        indices = np.flatnonzero(labels == label)
        if len(indices) < 2:
            raise UserError(f"Label {label} has one image, and training and validation need one each; add some.")
        chosen = np.random.default_rng(int(label)).permutation(indices)
        is_validation[chosen[: min(max(1, round(share * len(indices))), len(indices) - 1)]] = True
    return (images[~is_validation], labels[~is_validation]), (images[is_validation], labels[is_validation])
