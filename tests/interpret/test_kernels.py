import numpy as np
import pytest

from convlens.interpret import named_kernels, parse_kernel


def test_every_named_kernel_is_a_small_finite_matrix_with_a_meaning_and_is_found_by_its_name():
    for name, kernel in named_kernels().items():
        assert kernel.meaning and kernel.array.ndim == 2 and np.isfinite(kernel.array).all()
        np.testing.assert_array_equal(parse_kernel(name), kernel.array)


def test_kernels_that_find_edges_answer_nothing_to_a_flat_image_and_blurs_keep_it():
    library = named_kernels()
    for name in ("edge", "laplacian", "outline", "bottom_sobel", "top_sobel", "left_sobel", "right_sobel"):
        assert library[name].array.sum() == 0
    for name in ("identity", "blur", "gaussian", "sharpen", "emboss"):
        assert library[name].array.sum() == pytest.approx(1)


def test_the_sobel_kernels_are_bright_where_their_name_says():
    library = named_kernels()
    assert library["bottom_sobel"].array[-1].sum() > 0 > library["bottom_sobel"].array[0].sum()
    assert library["right_sobel"].array[:, -1].sum() > 0 > library["right_sobel"].array[:, 0].sum()
    np.testing.assert_array_equal(library["top_sobel"].array, -library["bottom_sobel"].array)
    np.testing.assert_array_equal(library["left_sobel"].array, -library["right_sobel"].array)


@pytest.mark.parametrize(
    "given", ["[[1, 2.5], [-3, 0]]", " [[1,2.5],\n[-3,0]] ", [[1, 2.5], [-3, 0]], ((1, 2.5), (-3, 0))]
)
def test_a_kernel_is_read_from_numbers_as_text_or_as_lists(given):
    kernel = parse_kernel(given)
    assert kernel.dtype == np.float32
    np.testing.assert_array_equal(kernel, [[1, 2.5], [-3, 0]])


def test_a_parsed_kernel_can_be_changed_without_changing_the_library():
    parse_kernel("edge")[:] = 0
    assert parse_kernel("edge")[1, 1] == 8


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("egde", "Did you mean 'edge'"),
        ("", "Unknown kernel"),
        ("[[1,2],[3]]", "rows have 2, 1 numbers"),
        ("[1,2,3]", "not a matrix"),
        ("[[1,2],", "not a matrix"),
        ("[[__import__('os')]]", "not a matrix"),
        ("[]", "not a matrix"),
        ("[[]]", "1 to 31"),
        ([], "not a matrix"),
        ([[1, "2"]], "not a number"),
        ([[True]], "not a number"),
        ([[1j]], "not a number"),
        ([[[1]]], "not a number"),
        ([[float("nan")]], "finite"),
        ([[float("inf")]], "finite"),
        ("[[1e999]]", "finite"),
        ([[1e300]], "finite"),
        ([[0] * 32], "1 to 31"),
        ([[0]] * 32, "1 to 31"),
        (3, "not a matrix"),
        (None, "not a matrix"),
    ],
)
def test_what_is_no_kernel_is_refused_in_one_line(given, message):
    with pytest.raises(ValueError, match=message) as error:
        parse_kernel(given)
    assert "\n" not in str(error.value) and len(str(error.value)) < 400
