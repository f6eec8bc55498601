"""Small data that learning is quick on, as `training` sees any dataset."""

from types import SimpleNamespace

import numpy as np
import pytest

from convlens.configs import Train


class ArrayData:
    """Images whose brightness tells the class, kept as arrays: what training needs of a dataset, without tf.data."""

    fingerprint = "arrays"

    def __init__(self, train=48, validation=30, classes=("dark", "middle", "bright"), side=8):
        generator = np.random.default_rng(0)
        self.splits = {}
        for split, count in (("train", train), ("validation", validation), ("test", validation)):
            labels = np.arange(count) % len(classes)
            levels = 40 + 80 * labels[:, None, None, None]
            noise = generator.normal(0, 20, (count, side, side, 3))
            self.splits[split] = np.clip(levels + noise, 0, 255).astype("uint8"), labels.astype("int32")
        sizes = {split: len(labels) for split, (images, labels) in self.splits.items()}
        self.info = SimpleNamespace(
            name="arrays", classes=tuple(classes), image_size=(side, side), channels=3, sizes=sizes
        )

    def steps(self, batch_size, limit_batches=None, overfit=False):
        steps = max(1, self.info.sizes["train"] // batch_size)
        return min(steps, limit_batches or steps)

    def training(
        self, batch_size, seed, epochs, *, augment=True, limit_batches=None, overfit=False, start_epoch=0, start_step=0
    ):
        images, labels = self.splits["train"]
        one_hot = np.eye(len(self.info.classes), dtype="float32")[labels]
        for epoch in range(start_epoch, epochs):
            order = self._order(seed, 0 if overfit else epoch)
            for step in range(self.steps(batch_size, limit_batches)):
                first = 0 if overfit else step * batch_size
                chosen = order[first : first + batch_size]
                yield images[chosen].astype("float32"), one_hot[chosen]

    def evaluation(self, split, batch_size, *, limit_batches=None, overfit_seed=None):
        images, labels = self.splits[split]
        if overfit_seed is not None:
            chosen = self._order(overfit_seed, 0)[:batch_size]
            return [(images[chosen], labels[chosen])]
        starts = range(0, len(labels), batch_size)[:limit_batches]
        return [(images[start : start + batch_size], labels[start : start + batch_size]) for start in starts]

    def _order(self, seed, epoch):
        return np.random.default_rng((seed, epoch)).permutation(self.info.sizes["train"])

    def examples(self, split, indices):
        images, labels = self.splits[split]
        return images[indices], labels[indices], [str(index) for index in indices]

    def labels(self, split):
        return self.splits[split][1]


@pytest.fixture(scope="session")
def array_data():
    return ArrayData


@pytest.fixture
def arrays(array_data):
    return array_data()


@pytest.fixture
def configuration():
    """A short training; keyword arguments are merged into its `training` section."""

    def build(seed=0, **training):
        defaults = {
            "epochs": 2,
            "batch_size": 16,
            "optimizer": {"learning_rate": 0.01},
            "tensorboard": {"enabled": False},
        }
        model = {"filters": [4], "head": {"pooling": "average", "dense": [8]}}
        return Train.model_validate({"seed": seed, "training": {**defaults, **training}, "model": model})

    return build
