"""Batches are a pure function of seed, epoch and step, whether images lie in memory or on disk."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from convlens.configs import Data
from convlens.core.errors import UserError
from convlens.data import open_dataset

ROOT = Path(__file__).resolve().parents[2]
AUGMENT = {"flip": True, "crop": 2, "brightness": 0.1, "mixup": 0.2}


PLACES = {"in memory": "memory", "decoded on disk": "disk", "on disk": "none"}


@pytest.fixture(params=[f"{source} {place}" for source in ("folder", "tfds") for place in PLACES])
def opened(request, photos, tfds_dir, nothing_kept):
    """Opens the same kind of dataset from each place that images can be in."""
    source, place = request.param.split(" ", 1)
    cache = PLACES[place]

    def open_it(**keys):
        if source == "folder":
            keys["root"] = str(photos({"cat": 30, "dog": 30, "fox": 30}))
        else:
            keys |= {"name": "tiny_shapes", "data_dir": str(tfds_dir), "shuffle_buffer": 30}
        return open_dataset(Data(source=source, cache=cache, **keys), progress=False)

    return open_it


def arrays(stream):
    return [(images, labels) for images, labels in stream.as_numpy_iterator()]


def assert_same(first, second):
    assert len(first) == len(second)
    for (images, labels), (other_images, other_labels) in zip(first, second, strict=True):
        np.testing.assert_array_equal(images, other_images)
        np.testing.assert_array_equal(labels, other_labels)


@pytest.mark.heavy
def test_equal_arguments_give_equal_bits_whatever_the_global_seed(opened):
    import keras

    data = opened(augment=AUGMENT)
    first = arrays(data.training(8, seed=3, epochs=2))
    keras.utils.set_random_seed(99)
    assert_same(first, arrays(data.training(8, seed=3, epochs=2)))
    assert_same(first, arrays(opened(augment=AUGMENT).training(8, seed=3, epochs=2)))


@pytest.mark.heavy
@pytest.mark.parametrize("epoch, step", [(1, 0), (0, 9), (2, 8)])
def test_a_stream_continues_exactly_where_another_one_was_left(opened, epoch, step):
    data = opened(augment=AUGMENT)
    assert data.steps(8) == 9
    whole = arrays(data.training(8, seed=0, epochs=3))
    rest = arrays(data.training(8, seed=0, epochs=3, start_epoch=epoch, start_step=step))
    assert_same(whole[9 * epoch + step :], rest)


@pytest.mark.heavy
def test_flips_that_alternate_show_each_image_once_either_way_in_two_epochs(opened):
    known = {image.tobytes(): number for number, image in enumerate(opened().examples("train", range(72))[0])}
    data = opened(augment={"flip": "alternate"})
    epochs = arrays(data.training(9, seed=0, epochs=4))
    mirrored = []
    for part in (slice(0, 8), slice(8, 16), slice(16, 24), slice(24, 32)):
        seen = {}
        for images, _ in epochs[part]:
            for image in images.astype("uint8"):
                turned = image.tobytes() not in known
                seen[known[(image[:, ::-1] if turned else image).tobytes()]] = turned
        assert len(seen) == 72
        mirrored.append([seen[number] for number in range(72)])
    first, second, third, fourth = np.array(mirrored)
    assert 20 < first.sum() < 52
    np.testing.assert_array_equal(second, ~first)
    np.testing.assert_array_equal([third, fourth], [first, second])


@pytest.mark.heavy
def test_every_epoch_sees_every_image_once_in_an_order_of_its_own(opened):
    data = opened()
    epochs = [
        [image.tobytes() for images, _ in arrays(data.training(9, seed, 2))[part] for image in images]
        for seed, part in ((0, slice(0, 8)), (0, slice(8, 16)), (1, slice(0, 8)))
    ]
    assert len(set(epochs[0])) == 72
    assert set(epochs[0]) == set(epochs[1]) == set(epochs[2])
    assert epochs[0] != epochs[1] and epochs[0] != epochs[2]


def test_every_image_keeps_its_label_through_shuffling(opened):
    data = opened()
    images, labels, _ = data.examples("train", range(72))
    label_of = {image.tobytes(): label for image, label in zip(images, labels, strict=True)}
    for images, targets in arrays(data.training(8, 0, 1)):
        assert images.dtype == np.uint8 and targets.dtype == np.float32
        assert [label_of[image.tobytes()] for image in images] == targets.argmax(-1).tolist()
        assert (targets.sum(-1) == 1).all()


def test_evaluation_gives_every_image_once_in_order_the_rest_included(opened):
    data = opened()
    batches = arrays(data.evaluation("train", 32))
    assert [len(labels) for _, labels in batches] == [32, 32, 8]
    images, labels, _ = data.examples("train", range(72))
    assert_same(
        [(np.concatenate([b[0] for b in batches]), np.concatenate([b[1] for b in batches]))], [(images, labels)]
    )
    assert batches[0][0].dtype == np.uint8 and batches[0][1].dtype == np.int32
    assert len(arrays(data.evaluation("train", 32, limit_batches=2))) == 2


def test_one_batch_is_repeated_without_augmentation_to_overfit_on(opened):
    data = opened(augment=AUGMENT)
    batches = arrays(data.training(8, 5, 2, overfit=True, limit_batches=3))
    assert len(batches) == 6
    assert_same(batches, batches[:1] * 6)
    ((images, labels),) = arrays(data.evaluation("validation", 8, overfit_seed=5))
    np.testing.assert_array_equal(images, batches[0][0])
    np.testing.assert_array_equal(labels, batches[0][1].argmax(-1))


def test_a_batch_larger_than_the_split_is_the_whole_split(opened):
    data = opened()
    assert data.steps(100) == 1
    assert [len(labels) for _, labels in arrays(data.training(100, 0, 2))] == [72, 72]


def test_memory_and_files_give_the_same_stream(from_folder):
    streams = [
        arrays(from_folder(cache=cache, image_size=[8, 8], augment=AUGMENT).training(8, 0, 2))
        for cache in ("memory", "none")
    ]
    assert_same(*streams)


def test_a_stream_limited_to_a_few_batches_decodes_only_those(from_folder, monkeypatch):
    from convlens.data import feeds

    read = []
    original = feeds.read_stored
    monkeypatch.setattr(feeds, "read_stored", lambda path, *rest: read.append(path) or original(path, *rest))
    data = from_folder({"cat": 200, "dog": 200}, image_size=[6, 5])
    batches = arrays(data.training(8, 0, 1, limit_batches=2))
    assert len(batches) == 2
    assert 16 <= len(read) < 200


def painted(grey=False):
    """A picture with edges, slopes and noise, of which a lossy format keeps no pixel as it was."""
    rows, columns = np.mgrid[:19, :35]
    picture = np.stack([rows * 9, columns * 8, (rows // 4 + columns // 5) % 2 * 255], -1)
    picture = np.clip(picture + np.random.default_rng(0).normal(0, 20, picture.shape), 0, 255).astype("uint8")
    return Image.fromarray(picture[..., 0] if grey else picture)


GREY, TURNED = painted(grey=True), Image.Exif()
TURNED[0x0112] = 6
PLAIN = {
    "with subsampled colours": (painted(), "JPEG", {"quality": 70, "subsampling": 2}),
    "with whole colours": (painted(), "JPEG", {"quality": 95, "subsampling": 0}),
    "progressive": (painted(), "JPEG", {"progressive": True}),
    "with a note of the camera": (painted(), "JPEG", {"exif": Image.Exif()}),
    "with colours as they are": (painted(), "JPEG", {"keep_rgb": True}),
    "grey": (GREY, "JPEG", {}),
    "PNG": (painted(), "PNG", {}),
    "grey PNG": (GREY, "PNG", {}),
}
NOT_PLAIN = {
    "lying on its side": (painted(), "JPEG", {"exif": TURNED}),
    "CMYK": (painted().convert("CMYK"), "JPEG", {}),
    "palette": (painted().quantize(16), "PNG", {}),
    "transparent": (painted().convert("RGBA"), "PNG", {}),
    "sixteen bits": (Image.fromarray(np.asarray(GREY).astype("uint16") * 257), "PNG", {}),
    "one bit": (GREY.convert("1"), "PNG", {}),
    "WebP": (painted(), "WEBP", {"lossless": True}),
    "bitmap": (painted(), "BMP", {}),
}


@pytest.mark.parametrize("kind", [*PLAIN, *NOT_PLAIN])
def test_a_streamed_image_has_the_very_pixels_of_one_that_is_read(kind, photos, monkeypatch):
    from convlens.core.images import read_stored
    from convlens.data import feeds, read_image

    root = photos({"cat": 6, "dog": 6})
    image, name, options = (PLAIN | NOT_PLAIN)[kind]
    for number, path in enumerate(sorted(root.glob("*/*.png"))):
        image.crop((number, 0, number + 23, 19)).save(path, format=name, **options)
    data = open_dataset(Data(source="folder", root=str(root), cache="none"), progress=False)
    read = []
    monkeypatch.setattr(feeds, "read_stored", lambda path, *rest: read.append(path) or read_stored(path, *rest))
    ((images, labels),) = arrays(data.evaluation("train", 8))
    assert bool(read) == (kind in NOT_PLAIN)
    expected = [read_image(root / name) for name in data.examples("train", range(8))[2]]
    np.testing.assert_array_equal(images, expected)


def test_images_that_do_not_fit_in_memory_are_streamed_or_refused(from_folder, monkeypatch):
    monkeypatch.setattr("convlens.data.cache.memory.free_memory", lambda: 12 * 10 * 3 * 60 * 4 - 1)
    assert not from_folder()._cache.in_memory
    monkeypatch.setattr("convlens.data.cache.memory.free_memory", lambda: 12 * 10 * 3 * 60 * 4)
    assert from_folder()._cache.in_memory
    monkeypatch.setattr("convlens.data.cache.memory.free_memory", lambda: 1000)
    with pytest.raises(UserError, match="data.cache=memory needs"):
        from_folder(cache="memory")


def test_two_processes_and_both_backends_get_the_same_bits(photos):
    root = photos({"cat": 20, "dog": 20})
    code = (
        "import hashlib; from convlens.configs import Data; from convlens.data import open_dataset\n"
        f"data = open_dataset(Data(source='folder', root={str(root)!r}, augment={AUGMENT!r}), progress=False)\n"
        "digest = hashlib.sha256()\n"
        "for images, labels in data.training(8, 1, 2).as_numpy_iterator():\n"
        "    digest.update(images.tobytes() + labels.tobytes())\n"
        "print(digest.hexdigest())"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env={**os.environ, "KERAS_BACKEND": backend},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for backend in ("tensorflow", "jax")
    }
    assert len(digests) == 1


@pytest.mark.parametrize("index", [-1, 72])
def test_an_example_that_does_not_exist_is_refused(opened, index):
    with pytest.raises(UserError, match=f"Image {index} is not in the train split; its images are 0 to 71"):
        opened().examples("train", [0, index])


def test_a_limited_evaluation_is_spread_over_the_split_and_knows_its_images(opened):
    data = opened()
    batches = arrays(data.evaluation("train", 6, limit_batches=2))
    images, labels = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    indices = data.evaluated("train", 6, 2)
    assert len(images) == 12 and set(labels.tolist()) == {0, 1, 2}
    np.testing.assert_array_equal(images, data.examples("train", indices)[0])
    np.testing.assert_array_equal(labels, data.labels("train")[indices])
    assert data.evaluated("test", 4).tolist() == list(range(data.info.sizes["test"]))
