"""Photographs to measure with: the same images as a folder of JPEGs and as a prepared TFDS dataset."""

import contextlib
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = ("first", "second", "third", "fourth")
NAME = "benchmark_photos"
DISTINCT = 1000  # further images repeat these; nothing here looks at what it sees


def encoded_photo(number: int, side: int) -> bytes:
    """A JPEG with about as much detail as a photograph: soft patches of colour under grain."""
    generator = np.random.default_rng(number)
    patches = generator.integers(0, 256, (8, 8, 3), "uint8")
    soft = np.asarray(Image.fromarray(patches).resize((side, side), Image.Resampling.BICUBIC), "float32")
    grain = generator.normal(0, 8, (side, side, 1))
    file = io.BytesIO()
    Image.fromarray(np.clip(soft + grain, 0, 255).astype("uint8")).save(file, "JPEG", quality=90)
    return file.getvalue()


def write_folder(root: Path, side: int, images: int, held_out: int = 64) -> Path:
    """`root/train/<class>/*.jpg` with `images`, validation and test with `held_out` each."""
    for first, (split, count) in _splits(images, held_out):
        for name in CLASSES:
            (root / split / name).mkdir(parents=True)
        for number, encoded in _photos(side, count, first):
            (root / split / CLASSES[number % len(CLASSES)] / f"{number:06d}.jpg").write_bytes(encoded)
    return root


def write_records(data_dir: Path, side: int, images: int, held_out: int = 64) -> Path:
    """The same images in TFRecord files, to be opened as the TFDS dataset `NAME` in `data_dir`."""
    import tensorflow as tf
    import tensorflow_datasets as tfds

    tfds.disable_progress_bar()

    def split(first: int, count: int) -> tf.data.Dataset:
        def examples():
            for number, encoded in _photos(side, count, first):
                yield {"image": encoded, "label": number % len(CLASSES)}

        signature = {"image": tf.TensorSpec((), tf.string), "label": tf.TensorSpec((), tf.int64)}
        return tf.data.Dataset.from_generator(examples, output_signature=signature)

    with contextlib.redirect_stdout(io.StringIO()):  # TFDS tells of a download
        tfds.dataset_builders.store_as_tfds_dataset(
            name=NAME,
            version="1.0.0",
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(side, side, 3), encoding_format="jpeg"),
                    "label": tfds.features.ClassLabel(names=CLASSES),
                }
            ),
            split_datasets={name: split(first, count) for first, (name, count) in _splits(images, held_out)},
            data_dir=data_dir,
            disable_shuffling=True,
        )
    return data_dir


def _splits(images: int, held_out: int) -> Iterator[tuple[int, tuple[str, int]]]:
    """A split's first photo, its name and its size: no photo is in two splits."""
    splits = ("train", images), ("validation", held_out), ("test", held_out)
    return ((index * DISTINCT, split) for index, split in enumerate(splits))


def _photos(side: int, count: int, first: int) -> Iterator[tuple[int, bytes]]:
    distinct = [encoded_photo(first + number, side) for number in range(min(count, DISTINCT))]
    for number in range(count):
        yield number, distinct[number % DISTINCT]
