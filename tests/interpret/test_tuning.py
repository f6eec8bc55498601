"""What kernels answer to is what gratings, colours and spots drawn by hand say."""

import numpy as np
import pytest

from convlens.core.errors import UserError
from convlens.interpret import kernel_tuning
from convlens.interpret.tuning import ANGLES, _frequencies, _grating_responses

ROWS, COLUMNS = np.mgrid[:7, :7] - 3


def stripes(angle: float) -> np.ndarray:
    """Soft stripes at an angle, 0 level, 90 upright, growing counterclockwise as in a picture; (7, 7, 1, 1)."""
    across = np.sin(np.deg2rad(angle)) * COLUMNS + np.cos(np.deg2rad(angle)) * ROWS
    return (np.exp(-(ROWS**2 + COLUMNS**2) / 8) * np.sin(2 * np.pi * 0.15 * across))[:, :, None, None]


def spot() -> np.ndarray:
    distance = ROWS**2 + COLUMNS**2
    return (np.exp(-distance / 2) - 0.25 * np.exp(-distance / 8))[:, :, None, None]


@pytest.mark.parametrize("angle", [0, 30, 45, 90, 135, 170])
def test_the_orientation_of_stripes_is_their_angle(angle):
    tuning = kernel_tuning(stripes(angle))
    assert abs((tuning.orientation[0] - angle + 90) % 180 - 90) <= 5
    assert tuning.kind[0] == "orientation"


def test_stripes_that_rise_to_the_right_stand_at_45_degrees():
    assert kernel_tuning(np.fliplr(np.eye(5))[:, :, None, None]).orientation[0] == 45


def test_the_answer_to_a_grating_is_the_largest_over_its_phases():
    kernel = np.random.default_rng(0).normal(size=(5, 5, 1))
    responses = _grating_responses(kernel)
    rows, columns = np.mgrid[:5, :5]
    for frequency in (3, 9):
        for place, angle in enumerate(np.deg2rad(ANGLES)):
            across = np.sin(angle) * columns + np.cos(angle) * rows
            cycles = _frequencies((5, 5))[frequency] * across
            phases = np.linspace(0, 2 * np.pi, 720)
            drawn = np.cos(2 * np.pi * cycles[None] + phases[:, None, None])
            assert responses[0, frequency, place] == pytest.approx(
                (drawn * kernel[..., 0]).sum(axis=(1, 2)).max(), 1e-3
            )


def test_a_spot_with_its_surround_is_neither_stripes_nor_colour():
    tuning = kernel_tuning(np.repeat(spot(), 3, axis=2))
    assert tuning.kind.tolist() == ["centre-surround"] and tuning.centre_surround[0] > 0.95
    assert kernel_tuning(-spot()).kind.tolist() == ["centre-surround"]


def test_colours_against_each_other_are_named_and_grey_has_none():
    red, blue = np.array([1.0, -1, 0]), np.array([-1.0, -1, 2])
    kernels = np.concatenate([stripes(90) * axis[None, None, :, None] for axis in (red, blue, np.ones(3))], axis=3)
    tuning = kernel_tuning(kernels)
    assert tuning.kind.tolist() == ["colour", "colour", "orientation"]
    assert tuning.opposition[:2].tolist() == ["red-green", "blue-yellow"]
    assert tuning.colour_ratio[2] == pytest.approx(0, abs=1e-9) and tuning.orientation.tolist() == [90, 90, 90]


@pytest.mark.parametrize(("side", "most"), [(3, 0.3), (5, 0.16), (7, 0.14)])
def test_few_random_kernels_are_given_a_name(side, most):
    random = np.random.default_rng(7).normal(size=(side, side, 3, 500))
    assert np.mean(kernel_tuning(random).kind != "") < most


def test_every_unit_has_one_place_in_the_order():
    random = np.random.default_rng(3).normal(size=(7, 7, 3, 40))
    kernels = np.concatenate([random, np.repeat(stripes(60), 3, 2), np.repeat(stripes(20), 3, 2), random * 0], axis=3)
    tuning = kernel_tuning(kernels)
    assert sorted(tuning.order) == list(range(82))
    assert list(tuning.order).index(41) < list(tuning.order).index(40)
    assert set(tuning.kind[42:]) == {""}  # zeros answer to nothing


@pytest.mark.parametrize("shape", [(3, 3, 4, 2), (1, 1, 3, 2), (3, 3, 3)])
def test_what_does_not_read_an_image_is_refused(shape):
    with pytest.raises(UserError, match="expected \\(height, width, channels, units\\)"):
        kernel_tuning(np.ones(shape))
