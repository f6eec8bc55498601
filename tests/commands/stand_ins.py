"""Small things in place of what the documents speak of: photographs, datasets, trained runs, a saved model."""

import os
import shutil
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
SAVED_RUNS = ROOT / "tests" / "saved_runs"
CLASSES = ("automobile", "truck", "horse")
SECOND_RUN = "20260101-120000-000-abcdef"
DATASETS = ("cifar10", "fashion_mnist", "beans")  # known to TFDS by name
TINY_NETWORK = ("model.filters=[12,16,8]", "model.head.dense=[16]")
TINY_RUN = (*TINY_NETWORK, "training.epochs=2", "training.batch_size=8", "data.image_size=32", "data.cache=disk")


def write_files(folder: Path) -> None:
    """The clone's car.jpg and a truck.jpg; PHOTOS and stanford_cars, a folder a split and class; a file mine.yaml."""
    (folder / "mine.yaml").write_text("# @package _global_\ndefaults:\n  - override /model: vgg\n")
    generator = np.random.default_rng(0)
    shutil.copy(ROOT / "car.jpg", folder)
    _noise(generator, (48, 64, 3)).save(folder / "truck.jpg")
    for root in ("PHOTOS", "stanford_cars"):
        for split, count in (("train", 12), ("test", 4)):
            for label in CLASSES:
                target = folder / root / split / label
                target.mkdir(parents=True)
                for number in range(count):
                    _noise(generator, (32, 32, 3)).save(target / f"{number}.jpg")


def write_datasets(data_dir: Path, cars: Path) -> None:
    """A few images of noise under each dataset's published name, as if downloaded; `cars` is already prepared."""
    import tensorflow_datasets as tfds

    (data_dir / "rendered_cars").symlink_to(cars / "rendered_cars")
    for name in DATASETS:
        builder = tfds.builder(name, data_dir=data_dir, try_gcs=False)
        splits = ("train", "validation", "test") if name == "beans" else ("train", "test")
        shape = [side or 64 for side in builder.info.features["image"].shape]
        classes = builder.info.features["label"].num_classes
        if name == "cifar10":  # its classes have their names from what is downloaded
            builder.info.features["label"].names = [*CLASSES, *(f"class{number}" for number in range(3, classes))]

        def examples(seed, features=builder.info.features, shape=shape, classes=classes):
            generator = np.random.default_rng(seed)
            for index in range(5 * classes):
                image = generator.integers(0, 256, shape).astype(np.uint8)
                example = {"id": f"{seed}-{index}", "image": image, "label": index % classes}
                yield index, {name: example[name] for name in features}

        builder._split_generators = lambda manager, splits=splits, examples=examples: {
            split: examples(seed) for seed, split in enumerate(splits)
        }
        builder.download_and_prepare()


def lay_out(folder: Path, templates: Path, command: str) -> Path:
    """A working folder for a command, as after a clone: our scripts, and everything that the documents name.

    `templates` holds what `write_files` and `name_runs` left there. To be resumed there is a run that was stopped.
    """
    folder.mkdir()
    for name in ("train.py", "evaluate.py", "visualize.py", "benchmarks", "tests", "pyproject.toml"):
        (folder / name).symlink_to(ROOT / name)
    shutil.copytree(templates, folder, symlinks=True, dirs_exist_ok=True)
    cars = folder / "runs" / "cars"
    if "runs/cars/another" in command:
        shutil.copytree(cars / SECOND_RUN, cars / "another")
    if "resume=" in command:
        (stopped,) = (SAVED_RUNS / "interrupted").iterdir()
        shutil.copytree(stopped, cars / stopped.name)
        (cars / "latest").unlink()
        (cars / "latest").symlink_to(stopped.name)
    return folder


def name_runs(folder: Path) -> None:
    """From two runs of cars in a folder: the second run's name as documented, and a saved model of the newest."""
    cars = folder / "runs" / "cars"
    min(path for path in cars.iterdir() if not path.is_symlink()).rename(cars / SECOND_RUN)
    for name in ("net.keras", "model.keras"):
        shutil.copy(cars / "latest" / "model.keras", folder / name)


def files_below(folder: Path) -> set[Path]:
    """Every file in a folder, relative to it; links are not followed."""
    return {Path(at, name).relative_to(folder) for at, _, names in os.walk(folder, followlinks=False) for name in names}


def _noise(generator: np.random.Generator, shape: tuple[int, int, int]) -> Image.Image:
    return Image.fromarray(generator.integers(0, 256, shape).astype(np.uint8))
