"""Any TFDS name becomes a dataset; one that cannot be had is refused within seconds, with a way out."""

import re
import time

import numpy as np
import pytest

from configs import Data, UserError
from data import open_dataset


@pytest.fixture
def from_tfds(tfds_dir):
    def open_tfds(name="tiny_shapes", **keys):
        keys = {"data_dir": str(tfds_dir), **keys}
        return open_dataset(Data(source="tfds", name=name, **keys), progress=False)

    return open_tfds


def test_info_comes_from_the_dataset_itself(from_tfds):
    info = from_tfds().info
    assert (info.name, info.classes) == ("tiny_shapes/1.0.0", ("circle", "square", "star"))
    assert (info.image_size, info.channels) == ((12, 10), 1)


def test_missing_splits_are_carved_evenly_from_train_and_told(from_tfds):
    data = from_tfds()
    assert data.info.sizes == {"train": 72, "validation": 9, "test": 9}
    assert "no validation and no test" in data.info.notes[0]
    assert np.bincount(data.labels("validation")).tolist() == [3, 3, 3]
    everything = np.concatenate([data.examples(split, range(n))[0] for split, n in data.info.sizes.items()])
    assert len(np.unique(everything.reshape(90, -1), axis=0)) == 90


def test_split_expressions_choose_the_roles(from_tfds):
    splits = {"train": "train[:60%]", "validation": "train[60%:80%]", "test": "train[80%:]"}
    data = from_tfds(splits=splits)
    assert data.info.sizes == {"train": 54, "validation": 18, "test": 18}
    assert data.info.notes == ()


def test_images_labels_and_classes_belong_together(from_tfds):
    import tensorflow_datasets as tfds

    whole = from_tfds()
    raw = {
        example["image"].tobytes(): int(example["label"])
        for example in tfds.as_numpy(whole._source.builder.as_dataset(split="train"))
    }
    kept = from_tfds(classes=["star", "circle"])
    assert kept.info.classes == ("star", "circle")
    assert sum(kept.info.sizes.values()) == 60
    for data in (whole, kept):
        images, labels, _ = data.examples("train", range(data.info.sizes["train"]))
        names = [data.info.classes[label] for label in labels]
        assert names == [whole.info.classes[raw[image.tobytes()]] for image in images]


@pytest.mark.parametrize("cache", ["memory", "none"])
def test_evaluation_gives_the_examples_in_order_with_their_labels(from_tfds, cache):
    data = from_tfds(cache=cache)
    batches = list(data.evaluation("test", 4).as_numpy_iterator())
    images, labels = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    np.testing.assert_array_equal(labels, data.labels("test"))
    np.testing.assert_array_equal(images, data.examples("test", range(9))[0])


def test_the_fingerprint_knows_roles_and_classes(from_tfds):
    fingerprints = {
        from_tfds(**keys).fingerprint
        for keys in ({}, {"classes": ["star", "circle"]}, {"classes": ["circle", "star"]}, {"validation_share": 0.2})
    }
    assert len(fingerprints) == 4
    assert from_tfds().fingerprint == from_tfds().fingerprint


@pytest.mark.parametrize(
    "keys, message",
    [
        ({"name": "cifar01"}, "Did you mean 'cifar10'"),
        ({"name": "tiny_shape"}, "Did you mean 'tiny_shapes'"),
        ({"name": "tiny_shapes:9.9.9"}, "9.9.9"),
        ({"splits": {"validation": "tarin"}}, "data.splits.validation=tarin .* Did you mean 'train'"),
        ({"splits": {"validation": "train[:half]"}}, "data.splits.validation=train.:half. is not a split"),
        ({"splits": {"train": "train[:1]"}}, "no image to train on"),
        ({"splits": {"validation": "train[:0]"}}, "no images"),
        ({"classes": ["star", "sqare"]}, "Did you mean 'square'"),
        ({"manual_dir": "/nowhere", "name": "mnist"}, "data.manual_dir=/nowhere is not a folder"),
        ({"data_dir": __file__}, "is not a folder"),
        ({"augment": {"hue": 0.1}}, "data.augment.hue works on colours"),
    ],
)
def test_a_mistake_is_answered_in_one_line(from_tfds, keys, message):
    with pytest.raises(UserError, match=message) as caught:
        from_tfds(**keys)
    assert "\n" not in str(caught.value)


def test_a_dataset_that_cannot_be_downloaded_is_refused_in_seconds_with_a_way_out(from_tfds, tmp_path, monkeypatch):
    monkeypatch.setattr("data.preparation._answers", lambda url: False)
    began = time.monotonic()
    with pytest.raises(UserError, match="cs.toronto.edu does not answer.*tfds build cifar10.*data_dir.*data=folder"):
        from_tfds("cifar10", data_dir=str(tmp_path))
    assert time.monotonic() - began < 10


def test_a_host_that_swallows_every_question_is_left_after_seconds(monkeypatch):
    import socket

    from data import preparation

    monkeypatch.setattr(preparation, "_PROBE_SECONDS", 1)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        began = time.monotonic()
        assert not preparation._answers(f"http://127.0.0.1:{silent.getsockname()[1]}/file")
        assert time.monotonic() - began < 3


def test_a_download_goes_on_where_its_host_answers(monkeypatch):
    from tensorflow_datasets.core.download import downloader

    from data import preparation

    monkeypatch.setattr(preparation, "_answers", lambda url: True)
    monkeypatch.setattr(downloader, "_open_url", lambda url, **options: (url, options))
    with preparation._impatient_downloads():
        assert downloader._open_url("http://a/b", verify=True) == ("http://a/b", {"verify": True})


def test_stanford_cars_is_told_to_be_dead_with_the_layout_to_make(from_tfds):
    with pytest.raises(UserError, match="dead since 2023.*<folder>/train/<class>.*data=folder"):
        from_tfds("cars196")


def test_a_dataset_that_needs_manual_files_passes_their_instructions_on(from_tfds, tmp_path):
    with pytest.raises(UserError, match="data.manual_dir .*ILSVRC2012_img_train.tar"):
        from_tfds("imagenet2012", data_dir=str(tmp_path))


@pytest.mark.parametrize("harm", ["truncated", "missing", "flipped"])
def test_a_damaged_shard_is_named_before_training(from_tfds, tfds_dir, tmp_path, harm):
    import shutil

    copy = shutil.copytree(tfds_dir, tmp_path / "copy")
    shard = next(copy.rglob("*tfrecord*"))
    content = bytearray(shard.read_bytes())
    if harm == "missing":
        shard.unlink()
    elif harm == "truncated":
        shard.write_bytes(content[: len(content) // 2])
    else:
        content[len(content) // 2] ^= 1
        shard.write_bytes(content)
    with pytest.raises(UserError, match=re.escape(str(shard)) + ".*prepared again"):
        from_tfds(data_dir=str(copy))


def test_a_preparation_that_another_process_finished_first_is_used(from_tfds, tmp_path, monkeypatch):
    import tensorflow_datasets as tfds

    builder = tfds.core.registered.imported_builder_cls("tiny_shapes")
    prepare = builder.download_and_prepare

    def come_second(self, **options):
        prepare(self, **options)
        raise FileExistsError("another process was first")

    monkeypatch.setattr(builder, "download_and_prepare", come_second)
    assert from_tfds(data_dir=str(tmp_path)).info.sizes["train"] == 72
