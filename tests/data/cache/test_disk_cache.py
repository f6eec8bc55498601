"""Decoded images on disk: the same bits as in memory, written once, and never those of other images."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from convlens.configs import Data
from convlens.core.errors import UserError
from convlens.data import open_dataset
from convlens.data.splits import ROLES
from tests.data.cache.opening import arrays, assert_same, from_root, names_in, refuse_to_decode

AUGMENT = {"flip": True, "crop": 2, "brightness": 0.1, "mixup": 0.2}


# The same images


@pytest.mark.heavy
@pytest.mark.parametrize("keys", [{}, {"image_size": [8, 8], "augment": AUGMENT | {"mixup": 0}}, {"channels": 1}])
def test_batches_are_those_of_memory_to_the_bit_and_in_the_same_order(opened, images, keys):
    memory = opened("memory", **keys)
    expected = arrays(memory.training(8, 3, 2)), [arrays(memory.evaluation(role, 32)) for role in ROLES]
    assert not images.exists()
    disk = opened(**keys)
    assert_same(arrays(disk.training(8, 3, 2)), expected[0])
    for role, batches in zip(ROLES, expected[1], strict=True):
        assert_same(arrays(disk.evaluation(role, 32)), batches)
    assert names_in(images) == ["test.npy", "train.npy", "validation.npy"]


@pytest.mark.heavy
@pytest.mark.parametrize("epoch, step", [(1, 0), (0, 5), (2, 8)])
def test_a_training_that_began_in_memory_goes_on_from_disk_with_the_same_bits(opened, epoch, step):
    whole = arrays(opened("memory", augment=AUGMENT).training(8, 0, 3))
    rest = opened(augment=AUGMENT).training(8, 0, 3, start_epoch=epoch, start_step=step)
    assert_same(arrays(rest), whole[9 * epoch + step :])


def test_single_images_and_samples_are_those_of_memory(opened):
    memory = opened("memory")
    expected = memory.examples("train", [5, 70, 5, 0]), list(memory.sample("test", 4, 7))
    disk = opened()
    disk.load()
    images, labels, names = disk.examples("train", [5, 70, 5, 0])
    np.testing.assert_array_equal(images, expected[0][0])
    np.testing.assert_array_equal(labels, expected[0][1])
    assert names == expected[0][2]
    assert_same([batch[:2] for batch in disk.sample("test", 4, 7)], [batch[:2] for batch in expected[1]])
    assert len(disk.examples("train", [])[0]) == 0


def test_images_go_from_disk_to_the_device(root, monkeypatch):
    pytest.importorskip("jax")
    expected = np.asarray(from_root(root, "device").training_on_device(8, 0, 1).arrays[0])
    from_root(root).load()
    refuse_to_decode(monkeypatch)
    for cache in ("disk", "device"):
        np.testing.assert_array_equal(from_root(root, cache).training_on_device(8, 0, 1).arrays[0], expected)


# Written once


@pytest.mark.parametrize("cache", ["disk", "memory", "auto"])
def test_a_later_start_decodes_nothing(opened, monkeypatch, cache):
    expected = arrays(opened().training(8, 0, 1))
    refuse_to_decode(monkeypatch)
    later = opened(cache)
    assert_same(arrays(later.training(8, 0, 1)), expected)
    assert len(arrays(later.evaluation("test", 4))) == 3


def test_files_that_are_there_are_read_where_none_can_be_written(root, images, monkeypatch):
    expected = arrays(from_root(root).training(8, 0, 1))
    open_file = os.open

    def open_read_only(path, flags, *given, **more):
        if str(images) in str(path) and flags & (os.O_CREAT | os.O_RDWR):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        return open_file(path, flags, *given, **more)

    monkeypatch.setattr(os, "open", open_read_only)
    assert_same(arrays(from_root(root).training(8, 0, 1)), expected)


def test_an_open_dataset_outlives_its_files(root, images):
    data = from_root(root)
    before = arrays(data.training(8, 0, 1))
    for path in images.rglob("*.npy"):
        path.unlink()
    assert_same(arrays(data.training(8, 0, 1)), before)
    assert len(data._cache.filled("train").all()) == 72


def test_what_is_written_and_how_to_turn_it_off_is_told_once(root, notes, images):
    from_root(root, progress=True).load()
    (line,) = notes
    assert f"0.0 MB in {images}" in line and "data.cache=none" in line
    from_root(root, progress=True).load()
    assert len(notes) == 1


def test_only_the_role_that_is_evaluated_is_written(opened, images):
    opened().evaluation("test", 8)
    assert names_in(images) == ["test.npy"]


@pytest.mark.heavy
@pytest.mark.parametrize("few", [{"limit_batches": 2}, {"overfit": True}])
def test_a_few_batches_fill_nothing_and_are_the_same_once_it_is_filled(opened, images, few):
    before = arrays(opened().training(8, 0, 1, **few))
    evaluated = arrays(opened().evaluation("validation", 2, limit_batches=2))
    list(opened().sample("test", 4, 9))
    assert not names_in(images)
    opened().load()
    assert_same(arrays(opened().training(8, 0, 1, **few)), before)
    assert_same(arrays(opened().evaluation("validation", 2, limit_batches=2)), evaluated)


def test_nothing_is_read_from_disk_or_written_where_images_are_not_to_be_kept(root, images, monkeypatch):
    from_root(root, "none").load()
    assert not images.exists()
    from_root(root).load()
    monkeypatch.setattr("convlens.data.cache.pixel_file.PixelFile.read", None)
    assert len(arrays(from_root(root, "none").training(8, 0, 1))) == 9


# Never the pixels of other images


def test_a_photo_that_changed_is_found_in_no_old_file(root, images):
    from_root(root).load()
    data = from_root(root)
    path = root / data.examples("train", [3])[2][0]
    before = path.stat()
    Image.fromarray(np.full((12, 10, 3), 77, np.uint8)).save(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    data = from_root(root)
    data.load()
    assert (data.examples("train", [3])[0] == 77).all()
    assert len(list(images.iterdir())) == 2


def test_a_photo_that_changes_while_the_files_are_written_spoils_none(root, images):
    data = from_root(root)
    path = root / data.examples("train", [3])[2][0]
    Image.fromarray(np.full((12, 10, 3), 77, np.uint8)).save(path)
    with pytest.raises(UserError, match=f"{path.name} has changed since it was checked; start again"):
        data.load()
    assert not names_in(images)
    again = from_root(root)
    again.load()
    assert (again.examples("train", [3])[0] == 77).all()


def test_a_record_that_changed_in_the_middle_of_its_shard_is_found_in_no_old_file(tmp_path, monkeypatch):
    """The lengths and edges of shards, of which the fingerprint is made, do not tell."""
    import tensorflow as tf
    import tensorflow_datasets as tfds

    class Alike(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("1.0.0")
        pkg_dir_path = Path(__file__).parent

        def _info(self):
            image = tfds.features.Image(shape=(32, 32, 3), encoding_format="png")
            features = {"image": image, "label": tfds.features.ClassLabel(num_classes=2)}
            return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

        def _split_generators(self, dl_manager):
            return {"train": self._generate_examples()}

        def _generate_examples(self):
            for number in range(60):
                noise = np.random.default_rng(number).integers(0, 256, (32, 32, 3), np.uint8)
                yield number, {"image": noise, "label": number % 2}

    tfds.disable_progress_bar()
    builder = Alike(data_dir=tmp_path / "tfds")
    builder.download_and_prepare()
    config = Data(source="tfds", name="alike", data_dir=str(tmp_path / "tfds"), cache="disk")
    before = open_dataset(config, progress=False)
    old = before.examples("train", range(48))[0]
    before.load()
    (path,) = [Path(file) for file in builder.info.splits["train"].filepaths]
    records = [record.numpy() for record in tf.data.TFRecordDataset(str(path))]
    records[30], records[31] = records[31], records[30]
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in records:
            writer.write(record)
    # Labels alternate, so those of the two are exchanged as well: pretend that they are not.
    after = open_dataset(config, progress=False)
    new = after.examples("train", range(48))[0]
    assert (new != old).any() and sorted(map(bytes, new)) == sorted(map(bytes, old))
    assert after._cache.disk.folder != before._cache.disk.folder


def test_every_way_of_decoding_has_files_of_its_own(root, monkeypatch):
    keys = [
        {},
        {"image_size": [12, 10]},
        {"image_size": [10, 12]},
        {"image_size": [10, 12], "resize": "pad"},
        {"channels": 1},
        {"validation_share": 0.2},
    ]
    folders = {from_root(root, **each)._cache.disk.folder for each in keys}
    assert len(folders) == len(keys)
    monkeypatch.setattr("convlens.data.cache.disk._RULES", "2")
    assert from_root(root)._cache.disk.folder not in folders
