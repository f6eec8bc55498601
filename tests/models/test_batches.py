"""An extractor takes images as people have them: arrays, files, datasets; one batch is held at a time."""

import numpy as np
import pytest
from PIL import Image

from convlens.configs import Model
from convlens.core.errors import ModelError
from convlens.models import build_model, feature_extractor, feature_maps
from convlens.models.inspection.batches import image_count, labelled_batches
from convlens.models.inspection.images import read_fitting

SIZE = 12


def network(channels):
    return build_model(Model(filters=[5, 6]), (SIZE, SIZE), channels, 3, seed=0)


def pixels(count=3, channels=3):
    return np.random.default_rng(1).integers(0, 256, (count, SIZE, SIZE, channels)).astype("float32")


@pytest.fixture(scope="module")
def extractor():
    return feature_extractor(network(3), layers="block2_conv1", stages=["condense"])


def test_batches_of_an_array_are_whatever_the_batch_size(extractor):
    images = pixels(7)
    whole = extractor(images)["block2_conv1"]["condense"]
    parts = [part["block2_conv1"]["condense"] for part in extractor.stream(images, batch_size=3)]
    assert [len(part) for part in parts] == [3, 3, 1]
    np.testing.assert_allclose(np.concatenate(parts), whole, rtol=1e-4, atol=1e-5)


def test_bytes_and_floats_give_the_same_maps(extractor):
    images = pixels()
    np.testing.assert_array_equal(
        extractor(images)["block2_conv1"]["condense"],
        extractor(images.astype("uint8"))["block2_conv1"]["condense"],
    )


def test_batches_keep_their_own_size_and_labels_are_left_out(extractor):
    batches = [(pixels(2), np.zeros(2)), (pixels(5), np.zeros(5))]
    assert [len(part["block2_conv1"]["condense"]) for part in extractor.stream(iter(batches))] == [2, 5]


def test_single_images_are_put_together(extractor):
    assert [len(part["block2_conv1"]["condense"]) for part in extractor.stream(iter(pixels(5)), 2)] == [2, 2, 1]


def test_only_the_batch_at_hand_is_read(extractor):
    read = []

    def endless():
        while True:
            read.append(1)
            yield pixels(2)

    next(extractor.stream(endless()))
    assert len(read) == 1


def test_image_files_are_turned_upright_cropped_and_resized(extractor, tmp_path):
    picture = Image.new("RGB", (60, 40), "red")
    picture.paste("blue", (30, 0, 60, 40))
    rotation = Image.Exif()
    rotation[0x0112] = 6  # to be turned clockwise by a quarter
    picture.save(tmp_path / "turned.png", exif=rotation)
    picture.transpose(Image.Transpose.ROTATE_270).save(tmp_path / "upright.png")
    turned, upright = (
        extractor([tmp_path / f"{name}.png"])["block2_conv1"]["condense"] for name in ("turned", "upright")
    )
    np.testing.assert_array_equal(turned, upright)
    fitted = read_fitting(tmp_path / "turned.png", (SIZE, SIZE, 3))
    assert (fitted[: SIZE // 2 - 1] == (255, 0, 0)).all() and (fitted[SIZE // 2 + 1 :] == (0, 0, 255)).all()


def test_grey_and_sixteen_bit_files_suit_a_grey_model(tmp_path):
    grey = np.arange(SIZE * SIZE, dtype=np.uint8).reshape(SIZE, SIZE)
    Image.fromarray(grey).save(tmp_path / "8.png")
    Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / "16.png")
    maps = feature_maps(network(1), [tmp_path / "8.png", str(tmp_path / "16.png")])["block1_conv1"]["filter"]
    np.testing.assert_allclose(maps[0], maps[1], atol=1e-5)


@pytest.mark.parametrize("content", [None, b"not an image"])
def test_a_file_that_cannot_be_read_is_named(extractor, tmp_path, content):
    path = tmp_path / "car.jpg"
    if content:
        path.write_bytes(content)
    with pytest.raises(ModelError, match="car.jpg"):
        extractor([path])


def test_images_of_another_shape_are_refused_with_both_shapes(extractor):
    with pytest.raises(ModelError, match=r"\(3, 12, 12, 1\).*\(batch, 12, 12, 3\)"):
        extractor(pixels(channels=1))
    with pytest.raises(ModelError, match=r"\(12, 12, 3\)"):
        extractor(pixels()[0])


def test_a_tensorflow_dataset_is_streamed(extractor):
    tf = pytest.importorskip("tensorflow")
    pairs = tf.data.Dataset.from_tensor_slices((pixels(5), np.arange(5)))
    examples = tf.data.Dataset.from_tensor_slices({"image": pixels(5), "label": np.arange(5)})
    expected = extractor(pixels(5))["block2_conv1"]["condense"]
    for dataset in (pairs, pairs.batch(2), examples.batch(4)):
        parts = [part["block2_conv1"]["condense"] for part in extractor.stream(dataset, batch_size=2)]
        np.testing.assert_allclose(np.concatenate(parts), expected, rtol=1e-4, atol=1e-5)


def test_labels_and_masks_stay_with_their_images_in_every_form(extractor):
    images, labels, parts = pixels(5), np.arange(5), np.ones((5, SIZE, SIZE), int)
    forms = (
        {"image": images, "label": labels, "parts": parts},
        [(images[:2], np.eye(6)[labels[:2]].astype(int), parts[:2]), (images[2:], labels[2:], parts[2:, ..., None])],
        iter(zip(images, labels, parts, strict=True)),  # single images
    )
    for form in forms:
        batches = list(labelled_batches(form, 2, (SIZE, SIZE, 3)))
        for joined, expected in zip(zip(*batches, strict=True), (images, labels, parts), strict=True):
            np.testing.assert_array_equal(np.concatenate(joined), expected)
    assert next(labelled_batches([images], 2, (SIZE, SIZE, 3)))[1:] == (None, None)
    with pytest.raises(ModelError, match="4 images; expected class indices"):
        next(labelled_batches([(images[:4], labels)], 2, (SIZE, SIZE, 3)))


def test_images_are_counted_where_that_takes_no_reading(tmp_path):
    images = pixels(5)
    assert [image_count(source) for source in (images, {"image": images}, [(images, None), images[0]])] == [5, 5, 6]
    assert image_count(tmp_path / "car.jpg") == 1 and image_count([tmp_path / "car.jpg"] * 3) == 3
    assert image_count(iter(images)) is None
