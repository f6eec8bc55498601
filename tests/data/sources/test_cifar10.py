"""On real photos: cars and trucks of CIFAR-10, where its archive lies beside the repository."""

import tarfile
from pathlib import Path

import numpy as np
import pytest

from convlens.configs import Data
from convlens.data import open_dataset

ARCHIVE = Path(__file__).resolve().parents[4] / "shared" / "data" / "cifar10.tar.xz"
PHOTOS = 200

pytestmark = pytest.mark.skipif(not ARCHIVE.exists(), reason=f"needs {ARCHIVE}")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """The first photos of cars and trucks in the archive, train/<class>/*.jpg."""
    folder = tmp_path_factory.mktemp("cifar10")
    left = {"train/automobile": PHOTOS, "train/truck": PHOTOS}
    with tarfile.open(ARCHIVE, "r|xz") as archive:
        for member in archive:
            kind = "/".join(member.name.split("/")[-3:-1])
            if member.isfile() and left.get(kind):
                target = folder / kind / Path(member.name).name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(archive.extractfile(member).read())
                left[kind] -= 1
                if not any(left.values()):
                    break
    return folder


def test_real_photos_are_split_decoded_and_streamed(root):
    data = open_dataset(Data(source="folder", root=str(root), classes=["truck", "automobile"]), progress=False)
    assert data.info.classes == ("truck", "automobile")
    assert (data.info.image_size, data.info.channels) == ((32, 32), 3)
    assert data.info.sizes == {"train": 320, "validation": 40, "test": 40}
    images, labels = next(data.training(64, 0, 1).as_numpy_iterator())
    assert images.shape == (64, 32, 32, 3) and labels.sum() == 64


def test_photos_are_decoded_as_tensorflow_decodes_them(root):
    import tensorflow as tf

    data = open_dataset(Data(source="folder", root=str(root)), progress=False)
    images, _, names = data.examples("test", range(40))
    files = [(root / name).read_bytes() for name in names]
    theirs = [tf.io.decode_jpeg(file, channels=3, dct_method="INTEGER_ACCURATE").numpy() for file in files]
    assert np.abs(images.astype(int) - np.stack(theirs)).max() <= 2
