import numpy as np
import pytest

from convlens.interpret import extract, luminance, parse_kernel

keras = pytest.importorskip("keras")


def photo(height=23, width=37, channels=3):
    return np.random.default_rng(0).integers(0, 256, (height, width, channels)).astype(np.uint8)


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("stride", [1, 2, 3, 5])
@pytest.mark.parametrize("size", [(1, 1), (3, 3), (2, 5), (6, 4)])
def test_filtering_equals_the_convolution_of_keras(padding, stride, size):
    kernel = np.random.default_rng(1).normal(size=size).astype(np.float32)
    found = extract(photo(), kernel, stride=stride, padding=padding)
    grey = found.input[None, :, :, None]
    expected = keras.ops.conv(grey, kernel[:, :, None, None], strides=stride, padding=padding)
    np.testing.assert_allclose(found.filter, keras.ops.convert_to_numpy(expected)[0, :, :, 0], atol=2e-5)
    np.testing.assert_array_equal(found.detect, np.maximum(found.filter, 0))


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("pooling", ["max", "average"])
@pytest.mark.parametrize(("size", "stride"), [(2, None), (2, 1), (3, 2), (4, 3), (1, 2), (5, 5)])
def test_condensing_equals_the_pooling_of_keras(padding, pooling, size, stride):
    found = extract(photo(), parse_kernel("edge"), padding=padding, pooling=pooling, pool_size=size, pool_stride=stride)
    pool = {"max": keras.ops.max_pool, "average": keras.ops.average_pool}[pooling]
    expected = pool(found.detect[None, :, :, None], size, strides=stride or size, padding=padding)
    np.testing.assert_allclose(found.condense, keras.ops.convert_to_numpy(expected)[0, :, :, 0], atol=1e-5)


def test_identity_gives_back_the_luminance_of_the_image():
    image = photo()
    found = extract(image, parse_kernel("identity"), pool_size=1)
    expected = image @ np.array([0.299, 0.587, 0.114]) / 255
    for step in (found.input, found.filter, found.detect, found.condense):
        np.testing.assert_allclose(step, expected, atol=1e-6)


def test_the_kernel_is_not_flipped():
    image = np.zeros((5, 5), np.uint8)
    image[2, 2] = 255
    kernel = np.arange(9).reshape(3, 3)
    np.testing.assert_array_equal(extract(image, kernel).filter[1:4, 1:4], kernel[::-1, ::-1])


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
