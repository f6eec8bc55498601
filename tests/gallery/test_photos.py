"""The images to look at come in the order in which they were named, with what is known of them."""

import numpy as np
import pytest
from PIL import Image

from convlens.configs import Visualize
from convlens.core.errors import UserError
from convlens.gallery.photos import asks_for_data, read_files, read_photos


def read(run=None, **choices):
    config = Visualize(**choices)
    return read_photos(config, run, read_files(config), run.data if run else None)


def test_a_file_is_read_at_its_own_size_and_called_by_its_name(photo):
    (image,) = read(image=[str(photo)])
    np.testing.assert_array_equal(image.pixels, np.asarray(Image.open(photo)))
    assert (image.name, image.label, image.index) == ("car.png", None, None)


def test_files_and_examples_of_a_split_keep_their_order(photos_run, photo):
    images = read(photos_run, image=[9, str(photo), 0])
    assert [image.name for image in images] == ["test 9, night", "car.png", "test 0, day"]
    assert [(image.label, image.index) for image in images] == [(1, 9), (None, None), (0, 0)]
    np.testing.assert_array_equal(images[0].pixels, photos_run.data.examples("test", [9])[0][0])


def test_where_no_image_is_named_each_class_shows_its_first(photos_run):
    assert [(image.label, image.index) for image in read(photos_run)] == [(0, 0), (1, 8)]


def test_an_index_needs_a_run_and_a_file_needs_to_be_there():
    with pytest.raises(UserError, match="needs a run"):
        read(image=[3])
    with pytest.raises(UserError, match="nowhere.jpg"):
        read(image=["nowhere.jpg"])


def test_only_indices_and_no_image_at_all_ask_for_the_data():
    assert asks_for_data(Visualize()) and asks_for_data(Visualize(image=["car.jpg", 3]))
    assert not asks_for_data(Visualize(image=["car.jpg"]))
