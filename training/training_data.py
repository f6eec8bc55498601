"""The interface between training and a dataset."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from contextlib import AbstractContextManager
    from typing import Any

    import numpy as np

    from convlens.data import DataInfo

    Batches = Iterable[tuple[Any, Any]]


class TrainingData(Protocol):
    """Images with labels in three roles, train, validation and test; `data.Dataset` is one.

    Batches are pairs of images (batch, height, width, channels) in [0, 255] and labels, in any kind of stream that
    Keras takes, also as NumPy arrays. Images that are to lie on the accelerator take a `data.Dataset`.
    """

    @property
    def info(self) -> DataInfo:
        """The classes, the size of the images, and how many images each role has."""
        ...

    def steps(self, batch_size: int, limit_batches: int | None = None, overfit: bool = False) -> int:
        """Training steps in an epoch, at least one."""
        ...

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
    ) -> Batches:
        """Shuffled batches over all epochs, `steps()` an epoch, with one-hot labels (batch, classes) float32.

        Equal arguments give equal batches, and those from `start_epoch` and `start_step` on are those that come there
        from the beginning: exact resume rests on it. With `overfit`, every batch is the first one of epoch 0.
        """
        ...

    def evaluation(
        self, split: str, batch_size: int, *, limit_batches: int | None = None, overfit_seed: int | None = None
    ) -> Batches:
        """A role's images once, always in the same order, with integer labels (batch,); the last batch may be smaller.

        With `overfit_seed`, only the batch that `training(..., seed=overfit_seed, overfit=True)` repeats.
        """
        ...

    def examples(self, split: str, indices: Sequence[int]) -> tuple[np.ndarray, np.ndarray, list[str]]:
        """Some images of a role by index: uint8 (n, height, width, channels), their labels (n,), their names."""
        ...

    def labels(self, split: str) -> np.ndarray:
        """Every label of a role, integers (n,)."""
        ...


class RunData(TrainingData, Protocol):
    """What a run notes of its data besides: `data.Dataset` and `ArrayData` say it."""

    @property
    def order(self) -> str:
        """In words, from what each next image of a shuffled epoch is drawn."""
        ...

    @property
    def fingerprint(self) -> str:
        """A digest that changes when images, labels, their roles or the classes do."""
        ...

    def faults_as_user_errors(self) -> AbstractContextManager[None]:
        """Inside, what goes wrong while images are read is a `UserError`."""
        ...
