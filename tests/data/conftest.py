"""Small photos and a small TFDS dataset, made for the tests."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from convlens.configs import Data
from convlens.data import open_dataset


def noise(seed, height=12, width=10, channels=3):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, channels), np.uint8)
    return pixels[..., 0] if channels == 1 else pixels


@pytest.fixture
def nothing_kept(tmp_path, monkeypatch):
    """The cache folder, in which nothing is yet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "convlens"


@pytest.fixture
def photos(tmp_path):
    """Makes a folder of photos: {'train/cat': 20} writes 20 PNG files, no two alike."""

    def make(counts, root="photos", **size):
        seed = 0
        for folder, count in counts.items():
            (tmp_path / root / folder).mkdir(parents=True, exist_ok=True)
            for number in range(count):
                Image.fromarray(noise(seed, **size)).save(tmp_path / root / folder / f"{number:03}.png")
                seed += 1
        return tmp_path / root

    return make


@pytest.fixture
def from_folder(photos):
    """Opens a folder of photos made to measure."""

    def open_folder(counts=None, **keys):
        root = photos(counts or {"cat": 30, "dog": 30})
        return open_dataset(Data(source="folder", root=str(root), **keys), progress=False)

    return open_folder


@pytest.fixture(scope="session")
def tfds_dir(tmp_path_factory):
    """Where the TFDS dataset `tiny_shapes` is prepared: 90 grey images of 12 x 10, three classes, only train."""
    import tensorflow_datasets as tfds

    class TinyShapes(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("1.0.0")
        pkg_dir_path = Path(__file__).parent

        def _info(self):
            label = tfds.features.ClassLabel(names=["circle", "square", "star"])
            image = tfds.features.Image(shape=(12, 10, 1))
            features = tfds.features.FeaturesDict({"id": tfds.features.Text(), "image": image, "label": label})
            return tfds.core.DatasetInfo(builder=self, features=features)

        def _split_generators(self, dl_manager):
            return {"train": self._generate_examples()}

        def _generate_examples(self):
            for number in range(90):
                image = noise(number, channels=1)[..., None]
                yield number, {"id": str(number), "image": image, "label": number % 3}

    folder = tmp_path_factory.mktemp("tfds")
    tfds.disable_progress_bar()
    TinyShapes(data_dir=folder).download_and_prepare()
    return folder
