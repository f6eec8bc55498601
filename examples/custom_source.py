"""Images that a table names: python examples/custom_source.py TABLE

TABLE is a CSV file with the columns `file` (relative to the table) and `class`. `TableSource` does what
`convlens.data.Source` says, and so everything that convlens does with a dataset works on it: checks of every image,
caches, augmentation, reproducible batches.
"""

import csv
import hashlib
import sys
from pathlib import Path

import numpy as np

from convlens.configs import Data, Model
from convlens.data import Dataset, FolderSplit, Photos, carve_missing
from convlens.models import build_model
from convlens.training import evaluate_model

SIDE, BATCH = 32, 16


class TableSource:
    """The images of a table; a tenth of each class is kept for validation, and a tenth for the test."""

    def __init__(self, table: str | Path):
        table = Path(table)
        with table.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        files = [row["file"] for row in rows]
        self.name = table.stem
        self.classes = tuple(sorted({row["class"] for row in rows}))
        labels = np.array([self.classes.index(row["class"]) for row in rows])

        photos = Photos(table.parent)
        survey = photos.survey(files, lambda done, total=None: None)  # decodes every image once
        self.skipped = survey.skipped("fail")  # raises UserError for the first that cannot be used
        train = FolderSplit(photos, files, labels)
        self.splits, self.notes = carve_missing({"train": train}, files, 0.1, self.classes, self.name)
        self.inspections = survey.of(self.splits)

    @property
    def fingerprint(self) -> str:
        """Changes when an image, its label or its split does."""
        digest = hashlib.blake2b(digest_size=16)
        for role, split in self.splits.items():
            for label, inspection in zip(split.labels.tolist(), self.inspections[role], strict=True):
                digest.update(f"{role} {label} {inspection.content}\n".encode())
        return digest.hexdigest()

    def shape(self, image_size: tuple[int, int] | None, channels: int | None) -> tuple[int, int, int]:
        """(height, width, channels) of the images: those of the first, where the configuration leaves them open."""
        first = self.inspections["train"][0]
        return (*(image_size or (first.height, first.width)), channels or first.channels)

    def part_names(self, shape: tuple[int, int, int]) -> tuple[str, ...]:
        """The images have no masks."""
        return ()

    def fault(self) -> str:
        """Which image can no longer be read: not looked for here."""
        return ""


def main(table: str, epochs: int = 5) -> float:
    """Trains a small network on the table's images; prints and returns its accuracy on the test images."""
    data = Dataset(TableSource(table), Data(image_size=[SIDE, SIDE]), progress=True)
    info = data.info
    model = build_model(Model(filters=[16, 32]), info.image_size, info.channels, len(info.classes), seed=0)

    import keras  # after convlens, whose import is light

    model.compile("adam", keras.losses.CategoricalCrossentropy(from_logits=True))
    batches = data.training(BATCH, seed=0, epochs=epochs)  # all epochs, one after another
    model.fit(batches, steps_per_epoch=data.steps(BATCH), epochs=epochs, verbose=0, shuffle=False)
    evaluation = evaluate_model(model, data.evaluation("test", BATCH), info.classes)
    print(f"{info.name}: {', '.join(info.classes)}; {evaluation.accuracy:.1%} of {evaluation.images} test images right")
    return evaluation.accuracy


if __name__ == "__main__":
    main(sys.argv[1])
