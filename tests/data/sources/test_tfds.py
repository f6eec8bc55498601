"""Any TFDS name becomes a dataset; one that cannot be had is refused within seconds, with a way out."""

import re
import shlex
import time
from pathlib import Path

import numpy as np
import pytest

from convlens.configs import Data
from convlens.core.errors import UserError
from convlens.data import open_dataset


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


@pytest.mark.usefixtures("nothing_kept")
@pytest.mark.parametrize("cache", ["memory", "disk", "none"])
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
    monkeypatch.setattr("convlens.data.sources.tfds_preparation._is_reachable", lambda url: False)
    began = time.monotonic()
    with pytest.raises(UserError, match="cs.toronto.edu does not answer.*tfds.builder.*cifar10.*data_dir.*data=folder"):
        from_tfds("cifar10", data_dir=str(tmp_path))
    assert time.monotonic() - began < 10


def test_a_host_that_swallows_every_question_is_left_after_seconds(monkeypatch):
    import socket

    from convlens.data.sources import tfds_preparation

    monkeypatch.setattr(tfds_preparation, "_PROBE_SECONDS", 1)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        began = time.monotonic()
        assert not tfds_preparation._is_reachable(f"http://127.0.0.1:{silent.getsockname()[1]}/file")
        assert time.monotonic() - began < 3


def test_a_download_goes_on_where_its_host_answers(monkeypatch):
    from tensorflow_datasets.core.download import downloader

    from convlens.data.sources import tfds_preparation

    monkeypatch.setattr(tfds_preparation, "_is_reachable", lambda url: True)
    monkeypatch.setattr(downloader, "_open_url", lambda url, **options: (url, options))
    with tfds_preparation._impatient_downloads():
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


@pytest.fixture(scope="module")
def many_files(tmp_path_factory):
    """The builder of a prepared dataset of 90 images in three files; each image is of one value, its number."""
    import tensorflow_datasets as tfds

    class ManyFiles(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("1.0.0")
        pkg_dir_path = Path(__file__).parent

        def _info(self):
            features = {"image": tfds.features.Image(shape=(2, 2, 3)), "label": tfds.features.ClassLabel(num_classes=2)}
            return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

        def _split_generators(self, dl_manager):
            return {"train": self._generate_examples()}

        def _generate_examples(self):
            for number in range(90):
                yield number, {"image": np.full((2, 2, 3), number, "uint8"), "label": number % 2}

    tfds.disable_progress_bar()
    builder = ManyFiles(data_dir=tmp_path_factory.mktemp("many"))
    builder.download_and_prepare(download_config=tfds.download.DownloadConfig(num_shards=3))
    assert len(builder.info.splits["train"].filepaths) == 3
    return builder


@pytest.mark.parametrize("expression", ["train", "train[7:40]", "train[:13]+train[70:]"])
def test_records_of_several_files_come_in_tfds_own_order(many_files, from_tfds, expression):
    carved = expression == "train"
    rest = {} if carved else {"validation": "train[40:55]", "test": "train[55:70]"}
    folder = str(many_files.data_path.parents[1])
    data = from_tfds("many_files", data_dir=folder, cache="none", splits={"train": expression, **rest})
    expected = [
        int(example["image"][0, 0, 0]) for example in many_files.as_dataset(split=expression).as_numpy_iterator()
    ]
    if carved:
        expected = [expected[position] for position in data._source.splits["train"].positions]
    stream = [
        (image[0, 0, 0], label)
        for images, labels in data.evaluation("train", 4)
        for image, label in zip(images.numpy(), labels.numpy(), strict=True)
    ]
    assert [int(value) for value, _ in stream] == expected
    assert [int(label) for _, label in stream] == [value % 2 for value in expected]
    chosen = [5, 2, 11]
    assert data.examples("train", chosen)[0][:, 0, 0, 0].tolist() == [expected[index] for index in chosen]


def test_records_in_another_kind_of_file_are_read_by_tfds(from_tfds, monkeypatch):
    usual = from_tfds(cache="none")
    monkeypatch.setattr("convlens.data.sources.tfds_split.serialized_records", lambda builder, expression: None)
    other = from_tfds(cache="none")
    for one, same in zip(usual.training(8, 0, 2), other.training(8, 0, 2), strict=True):
        np.testing.assert_array_equal(one[0], same[0])
        np.testing.assert_array_equal(one[1], same[1])


@pytest.mark.parametrize("splits", [("train", "test"), ("train", "validation", "test")])
def test_labels_that_are_kept_secret_are_answered_with_splits_that_work(splits, tmp_path):
    import tensorflow_datasets as tfds

    class Secret(tfds.core.GeneratorBasedBuilder):
        name = f"secret_{len(splits)}"
        VERSION = tfds.core.Version("1.0.0")
        pkg_dir_path = tmp_path

        def _info(self):
            label = tfds.features.ClassLabel(names=["circle", "square"])
            features = tfds.features.FeaturesDict({"image": tfds.features.Image(shape=(4, 4, 1)), "label": label})
            return tfds.core.DatasetInfo(builder=self, features=features)

        def _split_generators(self, dl_manager):
            return {split: self._generate_examples(split) for split in splits}

        def _generate_examples(self, split):
            for number in range(40):
                pixels = np.random.default_rng((number, len(split))).integers(0, 256, (4, 4, 1), np.uint8)
                yield number, {"image": pixels, "label": -1 if split == "test" else number % 2}

    keys = {"source": "tfds", "name": Secret.name, "data_dir": str(tmp_path)}
    with pytest.raises(UserError, match="kept secret") as caught:
        open_dataset(Data(**keys), progress=False)
    advice = shlex.split(str(caught.value).partition("split: ")[2])
    given = dict(word.removeprefix("data.splits.").split("=") for word in advice)
    assert min(open_dataset(Data(**keys, splits=given), progress=False).info.sizes.values()) > 0
