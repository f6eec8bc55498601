"""A kernel that the user gives, at work on photographs."""

import numpy as np
import pytest
from PIL import Image

from convlens.configs import Visualize
from convlens.core.errors import UserError
from convlens.gallery.extraction import kernel_drawings
from convlens.interpret import extract, parse_kernel


def drawings(of_run=None, **choices):
    """The arrays behind every drawing of a kernel, by name."""
    return {drawing.name: drawing.draw()[1] for drawing in kernel_drawings(Visualize(**choices), of_run)}


def test_a_kernel_is_drawn_with_its_numbers_and_at_work_on_each_image(photo):
    arrays = drawings(kernel="edge", image=[str(photo)])
    assert list(arrays) == ["kernel-edge", "extraction-edge-car"]
    kernel = parse_kernel("edge")
    np.testing.assert_array_equal(arrays["kernel-edge"]["kernel"], kernel)
    expected = extract(np.asarray(Image.open(photo)), kernel)
    for step in ("input", "filter", "detect", "condense"):
        np.testing.assert_array_equal(arrays["extraction-edge-car"][step], getattr(expected, step))


def test_a_kernel_by_numbers_obeys_stride_padding_and_pooling(photo):
    extraction = {"stride": 2, "padding": "valid", "pooling": "average", "pool_size": 3, "pool_stride": 1}
    arrays = drawings(kernel=[[1.0, 0.0], [0.0, -1.0]], image=str(photo), extraction=extraction)
    assert arrays["extraction-given-car"]["filter"].shape == (20, 30)
    assert arrays["extraction-given-car"]["condense"].shape == (18, 28)


def test_photos_of_one_name_in_two_folders_get_a_figure_each(tmp_path, photo):
    (tmp_path / "other").mkdir()
    twin = tmp_path / "other" / photo.name
    twin.write_bytes(photo.read_bytes())
    names = drawings(kernel="edge", image=[str(photo), str(twin)])
    assert list(names) == ["kernel-edge", "extraction-edge-car-0", "extraction-edge-car-1"]


def test_a_large_photo_is_shrunk_to_the_size_that_is_asked_for_and_a_small_one_is_left_alone(photo):
    for longest, shape in ((30, (20, 30)), (256, (40, 60)), (None, (40, 60))):
        arrays = drawings(kernel="blur", image=str(photo), extraction={"image_size": longest})
        assert arrays["extraction-blur-car"]["input"].shape == shape


def test_a_kernel_looks_at_images_of_a_run_s_split_by_their_index(photos_run):
    arrays = drawings(photos_run, run=str(photos_run.path), kernel="edge", image=[9])
    images, _, _ = photos_run.data.examples("test", [9])
    np.testing.assert_array_equal(
        arrays["extraction-edge-test 9, night"]["filter"], extract(images[0], parse_kernel("edge")).filter
    )


@pytest.mark.parametrize(
    ("choices", "line"),
    [
        ({"kernel": "edge"}, "kernel= needs an image"),
        ({"kernel": "egde", "image": ["car.png"]}, "Did you mean 'edge'"),
        ({"kernel": "edge", "image": ["nowhere.jpg"]}, "nowhere.jpg"),
        ({"kernel": [[1.0, 2.0], [3.0]], "image": ["car.png"]}, "not a matrix"),
        (
            {"kernel": "edge", "image": ["car.png"], "extraction": {"padding": "valid", "pool_size": 50}},
            "pool of 50x50 does not fit into 38x58 pixels",
        ),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(choices, line, photo, monkeypatch):
    monkeypatch.chdir(photo.parent)
    with pytest.raises(UserError, match=line) as error:
        drawings(**choices)
    assert "\n" not in str(error.value)
