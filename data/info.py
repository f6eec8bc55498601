"""What a model and a reader need to know about a dataset."""

from dataclasses import dataclass


@dataclass(frozen=True)
class DataInfo:
    """What a model and a reader need to know about a dataset.

    Attributes:
        image_size: (height, width) after resizing.
        channels: 1 or 3.
        sizes: number of images per split: train, validation, test.
        notes: lines for the user to read, such as how missing splits were made.
        parts: the name of each value in the images' masks; empty if there are no masks.
        value_range: the values in the files that become 0 and 255; None: the full range of their bits.
        skipped: a line for each image that cannot be used and was left out.
    """

    name: str
    classes: tuple[str, ...]
    image_size: tuple[int, int]
    channels: int
    sizes: dict[str, int]
    notes: tuple[str, ...] = ()
    part_names: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    value_range: tuple[float, float] | None = None
