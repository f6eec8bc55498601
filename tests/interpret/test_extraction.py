import numpy as np
import pytest

from convlens.interpret import cover, extract, luminance, parse_kernel

keras = pytest.importorskip("keras")


def photo(height=23, width=37, channels=3):
    return np.random.default_rng(0).integers(0, 256, (height, width, channels)).astype(np.uint8)


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("stride", [1, 2, 3, 5])
@pytest.mark.parametrize("size", [(1, 1), (3, 3), (2, 5), (6, 4)])
def test_filtering_equals_the_convolution_of_keras(padding, stride, size):
    kernel = np.random.default_rng(1).normal(size=size).astype(np.float32)
    extraction = extract(photo(), kernel, stride=stride, padding=padding)
    grey = extraction.input[None, :, :, None]
    expected = keras.ops.conv(grey, kernel[:, :, None, None], strides=stride, padding=padding)
    np.testing.assert_allclose(extraction.filter, keras.ops.convert_to_numpy(expected)[0, :, :, 0], atol=2e-5)
    np.testing.assert_array_equal(extraction.detect, np.maximum(extraction.filter, 0))


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("pooling", ["max", "average"])
@pytest.mark.parametrize(("size", "stride"), [(2, None), (2, 1), (3, 2), (4, 3), (1, 2), (5, 5)])
def test_condensing_equals_the_pooling_of_keras(padding, pooling, size, stride):
    extraction = extract(
        photo(), parse_kernel("edge"), padding=padding, pooling=pooling, pool_size=size, pool_stride=stride
    )
    pool = {"max": keras.ops.max_pool, "average": keras.ops.average_pool}[pooling]
    expected = pool(extraction.detect[None, :, :, None], size, strides=stride or size, padding=padding)
    np.testing.assert_allclose(extraction.condense, keras.ops.convert_to_numpy(expected)[0, :, :, 0], atol=1e-5)


def test_identity_gives_back_the_luminance_of_the_image():
    image = photo()
    extraction = extract(image, parse_kernel("identity"), pool_size=1, padding="same")
    expected = image @ np.array([0.299, 0.587, 0.114]) / 255
    for step in (extraction.input, extraction.filter, extraction.detect, extraction.condense):
        np.testing.assert_allclose(step, expected, atol=1e-6)


def test_the_kernel_is_not_flipped():
    image = np.zeros((5, 5), np.uint8)
    image[2, 2] = 255
    kernel = np.arange(9).reshape(3, 3)
    np.testing.assert_array_equal(extract(image, kernel).filter, kernel[::-1, ::-1])


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize(("size", "stride", "pool", "pool_stride"), [(3, 1, 2, None), (5, 2, 3, 2), (1, 3, 2, 1)])
def test_each_cell_lies_on_the_image_where_its_middle_looks(padding, size, stride, pool, pool_stride):
    rows, columns = np.mgrid[:60, :80].astype(np.float32)
    middle = np.zeros((size, size))
    middle[size // 2, size // 2] = 1
    steps = {"stride": stride, "padding": padding, "pool_size": pool, "pool_stride": pool_stride}
    boxes = cover((60, 80), (size, size), **steps).boxes
    for axis, coordinate in enumerate((rows, columns)):
        extraction = extract(coordinate, middle, pooling="average", **steps)  # what a cell sees is where it looks
        for stage in ("filter", "condense"):
            values = getattr(extraction, stage).max(axis=1 - axis) * 255
            start, end = boxes[stage][axis], boxes[stage][axis + 2]
            cells = start + (np.arange(len(values)) + 0.5) * (end - start) / len(values)
            inner = slice(1, -1)  # a pool that reaches over the border looks at what is left of it
            np.testing.assert_allclose(cells[inner], values[inner] + 0.5, atol=1e-3)


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize(("size", "stride"), [((3, 3), 1), ((4, 7), 2), ((1, 5), 3)])
def test_cells_inside_are_those_that_see_a_white_image_as_the_middle_does(padding, size, stride):
    extraction = extract(np.full((21, 30), 255, np.uint8), np.ones(size), stride=stride, padding=padding)
    inside = cover((21, 30), size, stride=stride, padding=padding).inside
    np.testing.assert_array_equal(inside, np.isclose(extraction.filter, np.prod(size)))


@pytest.mark.parametrize("shape", [(4, 6), (4, 6, 1), (4, 6, 3)])
def test_white_has_luminance_one_whatever_the_channels(shape):
    np.testing.assert_allclose(luminance(np.full(shape, 255, np.uint8)), np.ones((4, 6)), atol=1e-6)


def test_what_does_not_fit_is_refused_with_its_sizes():
    with pytest.raises(ValueError, match="kernel of 5x5 does not fit into 4x4 pixels"):
        extract(np.zeros((4, 4)), np.ones((5, 5)), padding="valid")
    with pytest.raises(ValueError, match="pool of 3x3 does not fit into 2x2 pixels"):
        extract(np.zeros((4, 4)), np.ones((3, 3)), padding="valid", pool_size=3)
    with pytest.raises(ValueError, match=r"image of shape \(2, 4, 4, 3\)"):
        extract(np.zeros((2, 4, 4, 3)), np.ones((3, 3)))
    with pytest.raises(ValueError, match="padding='full'"):
        extract(np.zeros((4, 4)), np.ones((3, 3)), padding="full")
