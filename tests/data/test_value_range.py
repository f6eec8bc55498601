"""Values of more than eight bits keep their levels: in caches, in streams, in what is drawn, and in a run."""

import numpy as np
import pytest
from PIL import Image

from convlens.configs import Data
from convlens.core.errors import UserError
from convlens.core.images import read_image
from convlens.data import open_dataset


def twelve_bit(seed, low=0, high=4095):
    return np.random.default_rng(seed).integers(low, high + 1, (12, 10)).astype(np.uint16)


@pytest.fixture
def scans(tmp_path):
    """Makes a folder of 40 grey images of sixteen bits whose values lie in a range."""

    def make(low=0, high=4095, kind=np.uint16, root="scans"):
        for number in range(40):
            folder = tmp_path / root / ("cat", "dog")[number % 2]
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(twelve_bit(number, low, high).astype(kind)).save(folder / f"{number:02}.png")
        return tmp_path / root

    return make


def opened(root, **keys):
    return open_dataset(Data(source="folder", root=str(root), **keys), progress=False)


def everything(data, role="train"):
    return data.examples(role, range(data.info.sizes[role]))


def test_a_range_spreads_its_values_evenly_over_all_levels(tmp_path):
    values = np.arange(4096, dtype=np.uint16).reshape(64, 64)
    Image.fromarray(values).save(tmp_path / "a.png")
    assert len(np.unique(read_image(tmp_path / "a.png"))) == 17
    pixels = read_image(tmp_path / "a.png", value_range=(0, 4095))
    assert pixels.dtype == np.float32 and pixels.shape == (64, 64, 1)
    np.testing.assert_allclose(pixels[..., 0], values * (255 / 4095), atol=1 / 257)
    assert len(np.unique(pixels)) == 4096
    clipped = read_image(tmp_path / "a.png", value_range=(1000, 2000))
    assert (clipped[values <= 1000] == 0).all() and (clipped[values >= 2000] == 255).all()


@pytest.mark.parametrize("resize", ["crop", "pad", "stretch"])
@pytest.mark.parametrize("channels", [1, 3])
def test_the_whole_range_of_eight_bits_gives_what_no_range_gives(channels, resize, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (20, 31, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    plain = read_image(tmp_path / "a.png", (12, 14), channels, resize)
    ranged = read_image(tmp_path / "a.png", (12, 14), channels, resize, (0, 255))
    assert ranged.shape == plain.shape
    np.testing.assert_allclose(ranged, plain, atol=1.01)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_colours_and_transparency_of_sixteen_bits_keep_their_levels(channels, orientation, tmp_path):
    import tensorflow as tf

    values = np.random.default_rng(channels).integers(0, 4096, (6, 9, channels)).astype(np.uint16)
    if channels in (2, 4):
        values[..., -1] = np.random.default_rng(9).choice([0, 65535], (6, 9))
    content = tf.io.encode_png(values).numpy()
    exif = Image.Exif()
    exif[0x0112] = orientation
    (tmp_path / "a.png").write_bytes(with_exif(content, exif))
    read = read_image(tmp_path / "a.png", value_range=(0, 4095))
    colours = values[..., : 1 if channels < 3 else 3] * (255 / 4095)
    shown = np.where(values[..., -1:] == 0, 255, colours) if channels in (2, 4) else colours
    upright = np.rot90(shown, {1: 0, 3: 2, 6: -1, 8: 1}[orientation])
    np.testing.assert_allclose(read, upright, atol=1 / 257)


def with_exif(content, exif):
    """A PNG with a note of the camera's, put before its pixels."""
    import zlib

    chunk = b"eXIf" + exif.tobytes().removeprefix(b"Exif\0\0")
    place = content.index(b"IDAT") - 4
    return (
        content[:place]
        + (len(chunk) - 4).to_bytes(4, "big")
        + chunk
        + zlib.crc32(chunk).to_bytes(4, "big")
        + content[place:]
    )


@pytest.mark.usefixtures("nothing_kept")
@pytest.mark.parametrize("cache", ["memory", "disk", "none"])
def test_every_cache_gives_the_same_levels(cache, scans):
    data = opened(scans(), value_range=[0, 4095], cache=cache)
    data.load()
    ((images, _),) = data.evaluation("train", 64).as_numpy_iterator()
    pixels, labels, names = everything(data)
    assert images.dtype == pixels.dtype == np.float32
    np.testing.assert_array_equal(images, pixels)
    expected = [read_image(scans() / name, value_range=(0, 4095)) for name in names]
    np.testing.assert_array_equal(images, expected)
    assert len(np.unique(images)) > 2000
    ((sampled, _, _),) = data.sample("train", 64, 64)
    np.testing.assert_array_equal(images, sampled)


@pytest.mark.usefixtures("nothing_kept")
def test_files_of_one_range_are_not_taken_for_those_of_another(scans):
    root = scans()
    for value_range in ([0, 4095], None, [0, 2000]):
        data = opened(root, value_range=value_range, cache="disk")
        data.load()
        pixels, _, names = everything(data)
        np.testing.assert_array_equal(pixels, [read_image(root / name, value_range=value_range) for name in names])


def test_auto_is_the_range_of_the_training_images(scans):
    root = scans(300, 3500)
    data = opened(root, value_range="auto", validation_share=0.3)
    used = [np.asarray(Image.open(root / name)) for name in everything(data)[2]]
    assert data.info.value_range == (np.min(used), np.max(used))
    assert (everything(data)[0].min(), everything(data)[0].max()) == (0, 255)
    Image.fromarray(twelve_bit(0, 0, 65535)).save(root / everything(data, "test")[2][0])
    assert opened(root, value_range="auto", validation_share=0.3).info.value_range == data.info.value_range


def test_images_that_use_little_of_their_range_are_told_with_one_that_helps(scans):
    (note,) = [note for note in opened(scans()).info.notes if "eighth" in note]
    assert "0 to 65535" in note and "17 of 256" in note and "data.value_range=0,4095" in note
    for helps in ([0, 4095], "auto"):
        assert not any("eighth" in note for note in opened(scans(), value_range=helps).info.notes)


def test_dark_images_of_eight_bits_are_told_too(scans):
    (note,) = [note for note in opened(scans(0, 15, np.uint8, "dark")).info.notes if "eighth" in note]
    assert "0 to 255" in note and "data.value_range=0,15" in note


@pytest.mark.parametrize(("low", "high"), [(0, 65535), (0, 9000)])
def test_images_that_use_their_range_are_not(low, high, scans):
    assert not any("eighth" in note for note in opened(scans(low, high)).info.notes)


def test_files_of_eight_and_of_sixteen_bits_cannot_have_one_range(scans):
    root = scans()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (12, 10), np.uint8)).save(root / "cat" / "x.png")
    for given in ([0, 4095], "auto"):
        with pytest.raises(UserError, match="some images have 8 bits a channel, others 16"):
            opened(root, value_range=given)


@pytest.mark.parametrize("given", [[300, 400], [-9, 0]])
def test_a_range_beyond_what_files_can_hold_is_refused(given, photos):
    with pytest.raises(UserError, match=r"contains no value of the images, which go from 0 to 255; .*=auto"):
        opened(photos({"cat": 12, "dog": 12}), value_range=given)


@pytest.mark.parametrize("given", [[4095, 0], [1, 1], [1], [1, 2, 3], "atuo", True])
def test_what_is_no_range_is_refused_by_the_configuration(given):
    with pytest.raises(ValueError):
        Data(source="folder", root="x", value_range=given)


def test_records_of_sixteen_bits_are_scaled_alike(tmp_path):
    import tensorflow_datasets as tfds

    class DeepRecords(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("1.0.0")
        pkg_dir_path = tmp_path

        def _info(self):
            image = tfds.features.Image(shape=(12, 10, 1), dtype=np.uint16)
            features = {"image": image, "label": tfds.features.ClassLabel(names=["cat", "dog"])}
            return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

        def _split_generators(self, dl_manager):
            return {"train": self._generate_examples()}

        def _generate_examples(self):
            for number in range(40):
                yield number, {"image": twelve_bit(number)[..., None], "label": number % 2}

    keys = {"source": "tfds", "name": "deep_records", "data_dir": str(tmp_path)}
    assert any("data.value_range=0,4095" in note for note in open_dataset(Data(**keys), progress=False).info.notes)
    stored = {file_of(twelve_bit(number)) for number in range(40)}
    for cache in ("memory", "none"):
        data = open_dataset(Data(**keys, value_range=[0, 4095], cache=cache), progress=False)
        ((images, _),) = data.evaluation("train", 64).as_numpy_iterator()
        assert images.dtype == np.float32 and {image.tobytes() for image in images} <= stored


def file_of(values):
    """The pixels of these values, read from a file."""
    import tempfile

    with tempfile.NamedTemporaryFile(suffix=".png") as file:
        Image.fromarray(values).save(file, "PNG")
        file.flush()
        return read_image(file.name, value_range=(0, 4095)).tobytes()
