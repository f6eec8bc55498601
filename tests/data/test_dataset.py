"""A sample of a split stands for the whole split, and the masks of parts lie on their images."""

import numpy as np
import pytest

from convlens.configs import Data
from convlens.core.errors import UserError
from convlens.data import open_dataset


def together(batches):
    """(images, labels, masks) of all batches."""
    return [np.concatenate(column) if column[0] is not None else None for column in zip(*batches, strict=True)]


def test_a_sample_is_spread_over_a_split_that_is_sorted_by_class(from_folder):
    data = from_folder({"train/cat": 30, "train/dog": 50, "test/cat": 10, "test/dog": 30})
    batches = list(data.sample("test", 8, 20))
    assert [len(images) for images, _, _ in batches] == [8, 8, 4]
    images, labels, masks = together(batches)
    assert np.bincount(labels).tolist() == [5, 15] and masks is None
    np.testing.assert_array_equal(images, data.examples("test", range(0, 40, 2))[0])


def test_a_sample_larger_than_the_split_is_the_split(from_folder):
    data = from_folder()
    images, labels, _ = together(data.sample("test", 4, 1000))
    np.testing.assert_array_equal(labels, data.labels("test"))
    np.testing.assert_array_equal(images, data.examples("test", range(len(labels)))[0])


@pytest.mark.heavy
@pytest.mark.usefixtures("nothing_kept")
@pytest.mark.parametrize("cache", ["memory", "disk", "none"])
def test_masks_come_with_their_own_images_also_where_some_classes_are_left_out(cars_dir, cache):
    import tensorflow_datasets as tfds

    config = Data(source="rendered_cars", data_dir=str(cars_dir), classes=["van", "bus", "sedan"], cache=cache)
    data = open_dataset(config, progress=False)
    stored = tfds.as_numpy(data._source.builder.as_dataset(split="test"))
    mask_of = {example["image"].tobytes(): example["parts"][..., 0] for example in stored}
    assert data.info.part_names[:3] == ("background", "ground", "shadow")
    images, _, masks = together(data.sample("test", 2, 5, masks=True))
    assert len(images) == 5
    for image, mask in zip(images, masks, strict=True):
        np.testing.assert_array_equal(mask, mask_of[image.tobytes()])


def test_there_are_no_masks_where_images_are_cropped_and_none_of_photos(cars_dir, from_folder):
    where = {"source": "rendered_cars", "data_dir": str(cars_dir)}
    assert open_dataset(Data(**where, image_size=[32, 32]), progress=False).info.part_names
    cropped = open_dataset(Data(**where, image_size=[32, 64]), progress=False)
    for data in (cropped, from_folder()):
        assert data.info.part_names == ()
        with pytest.raises(UserError, match="no masks of parts"):
            data.sample("test", 4, 4, masks=True)
