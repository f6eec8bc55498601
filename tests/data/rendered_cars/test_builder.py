import hashlib
import io
from collections import Counter

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from convlens.data.rendered_cars import PARTS, STYLES, RenderedCars, render
from convlens.data.rendered_cars.builder import RenderedCarsConfig
from convlens.data.rendered_cars.workers import encoded


def few(name, **sizes):
    """A builder configuration as published, but of few images."""
    published = RenderedCars.builder_configs[name]
    options = {"size": published.size, "classes": published.classes, "train": 16, "validation": 8, "test": 8}
    return RenderedCarsConfig(name=f"few_{name}", description="A few images.", **options | sizes)


@pytest.mark.heavy
class RenderedCarsTest(tfds.testing.DatasetBuilderTestCase):
    DATASET_CLASS = RenderedCars
    BUILDER_CONFIG_NAMES_TO_TEST = [few("64"), few("128"), few("car_or_truck")]
    SPLITS = {"train": 16, "validation": 8, "test": 8}
    EXAMPLE_DIR = "."  # nothing is read


def read(config, directory, split="train"):
    builder = RenderedCars(config=config, data_dir=directory)
    builder.download_and_prepare()
    return builder, list(tfds.as_numpy(builder.as_dataset(split=split)))


def test_examples_hold_the_rendered_pixels_their_mask_and_their_factors(tmp_path):
    builder, examples = read(few("64"), tmp_path)
    pictures = [render(STYLES[i % 8], f"train/{i}", 64) for i in range(16)]
    by_pixels = {picture["image"].tobytes(): picture for picture in pictures}
    for example in examples:
        picture = by_pixels.pop(example["image"].tobytes())
        np.testing.assert_array_equal(example["parts"], picture["parts"])
        assert STYLES[example["label"]] == STYLES[example["style"]] == picture["style"]
        for name in ("azimuth", "distance", "occluded"):
            np.testing.assert_allclose(example["factors"][name], picture["factors"][name], rtol=1e-6)
        assert builder.info.features["factors"]["sky"].int2str(example["factors"]["sky"]) == picture["factors"]["sky"]
        np.testing.assert_array_equal(example["factors"]["paint"], picture["factors"]["paint"])
    assert not by_pixels


def test_cars_and_trucks_are_balanced_and_no_bus_is_either(tmp_path):
    builder, examples = read(few("car_or_truck", train=48), tmp_path)
    assert builder.info.features["label"].names == ["car", "truck"]
    styles = Counter((int(example["label"]), STYLES[example["style"]]) for example in examples)
    assert styles == {
        **{(0, style): 6 for style in ("sedan", "hatchback", "wagon", "suv")},
        **{(1, style): 8 for style in ("pickup", "van", "box_truck")},
    }


def test_published_splits_are_balanced():
    for config in RenderedCars.builder_configs.values():
        label_of = {style: label for label, styles in config.classes for style in styles}
        for count in (config.train, config.validation, config.test):
            schedule = config.schedule()
            labels = Counter(label_of[schedule[i % len(schedule)]] for i in range(count))
            assert len(set(labels.values())) == 1


def test_preparing_shows_one_progress_bar_and_a_second_time_none(tmp_path, capfd):
    config = few("64")
    RenderedCars(config=config, data_dir=tmp_path).download_and_prepare()
    first = capfd.readouterr()
    assert "32/32" in first.err and "Generating" not in first.err and not first.out
    RenderedCars(config=config, data_dir=tmp_path).download_and_prepare()
    assert "32/32" not in capfd.readouterr().err


def test_the_dataset_describes_itself(tmp_path):
    info = RenderedCars(config="64", data_dir=tmp_path).info
    assert info.features["label"].names == list(STYLES)
    for word in (*PARTS, "azimuth", "linear", "convolutional"):
        assert word in info.description
    assert "rendered" in info.citation


@pytest.mark.parametrize(
    ("name", "split", "checksum"),
    [
        ("64", "train", "e937f0a286519ba47214e8bee0cea3a7de822f3c6447eefe2b47e9b2e511a15c"),
        ("64", "validation", "e9836d84f24eed466fced2f904a1fb1e940512f684a13fee7bfe514bce00f4e1"),
        ("64", "test", "cb79beda073a8dc489678c32af2df68171c49f4b24e26328c727d9bfc86aa4ea"),
        ("128", "train", "92fee4200d6d0ba6aec7cfb81e602a5cda2905436b72e4bd9392fa5a5bfb6bee"),
        ("128", "validation", "45cef428a95c1e507dfc265d8d86a8852905ed5c444c2391730d3172ed1802e2"),
        ("128", "test", "6b7ce67a66808c164fb58c22aa115ae96ec0fe9f724b5b0acbf28833f3fb5397"),
        ("car_or_truck", "train", "ff905af59ad31a26f5239249c4d8fe573835e5a56741ab5bd563bfa0f69f0808"),
        ("car_or_truck", "validation", "7ae03f84e25de70efb088164f2e95e485b08a0582773a1f5cd86190e68540ca4"),
        ("car_or_truck", "test", "2ca731f4765f69f3b3fcfa6ad92d7140590b57ec44841ca467bbcfcd9bd4a03f"),
    ],
)
def test_version_1_0_0_has_these_pixels_on_every_machine(name, split, checksum):
    config = RenderedCars.builder_configs[name]
    digest = hashlib.sha256()
    for index in range(16):
        styles = config.schedule()
        picture = encoded(styles[index % len(styles)], f"{split}/{index}", config.size)
        for png in (picture["image"], picture["parts"]):
            digest.update(np.asarray(Image.open(io.BytesIO(png))).tobytes())
    assert digest.hexdigest() == checksum
