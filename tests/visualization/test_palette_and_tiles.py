import subprocess
import sys

import numpy as np
import pytest

from convlens.visualization import kernel_tiles, map_tiles, palette
from convlens.visualization.tiles import cell_size, enlarge, tile_grid


def test_zero_is_one_neutral_colour_for_weights_and_activations():
    for colour in (palette.colour_weights, palette.colour_activations):
        red, green, blue = colour(np.zeros(1), 3.0)[0]
        assert red == green == blue > 240


def test_opposite_values_are_equally_far_from_zero_on_opposite_sides():
    values = np.linspace(0, 2, 9)
    for colour in (palette.colour_weights, palette.colour_activations):
        index = {tuple(row): place - 255 for place, row in enumerate(palette.DIVERGING)}
        up = [index[tuple(row)] for row in colour(values, 2.0)]
        down = [index[tuple(row)] for row in colour(-values, 2.0)]
        assert up == [-place for place in down]
        assert up[0] == 0 and up[-1] == 255 and up == sorted(up)


def test_blue_is_negative_and_red_is_positive():
    negative, positive = palette.colour_weights(np.array([-1.0, 1.0]), 1.0).astype(int)
    assert negative[2] > negative[0] and positive[0] > positive[2]


def test_the_maps_get_darker_away_from_zero_so_that_they_read_without_colour_vision():
    luminance = palette.DIVERGING @ np.array([0.299, 0.587, 0.114])
    assert (np.diff(luminance[255:]) <= 0.5).all() and (np.diff(luminance[:256]) >= -0.5).all()


def test_an_rgb_kernel_is_drawn_as_half_plus_w_over_twice_the_largest():
    kernel = np.array([[[-0.5, 0.0, 0.25]]])
    np.testing.assert_array_equal(palette.colour_rgb_kernel(kernel, 0.5), [[[0, 128, 191]]])


def test_values_that_are_not_finite_have_a_colour_of_their_own_and_do_not_set_the_norm():
    values = np.array([np.nan, np.inf, -2.0, 1.0])
    assert palette.largest(values) == 2.0
    colours = palette.colour_activations(values, 2.0)
    assert (colours[:2] == palette.NOT_FINITE).all() and not (colours[2:] == palette.NOT_FINITE).all(axis=1).any()


def test_a_norm_belongs_to_a_unit_a_layer_or_the_network():
    values = np.array([[1.0, -4.0], [2.0, 3.0]])
    np.testing.assert_array_equal(palette.limits(values, "unit"), [2, 4])
    np.testing.assert_array_equal(palette.limits(values, "layer"), [4, 4])
    np.testing.assert_array_equal(palette.limits(values, "global", 9), [9, 9])
    with pytest.raises(ValueError, match="scale='globe'"):
        palette.limits(values, "globe")


def test_cells_inside_set_the_norm_and_what_is_beyond_it_has_a_colour_of_its_own():
    maps = np.zeros((6, 6, 2))
    maps[0], maps[-1], maps[2, 2] = [9, 1], [-9, 1], [4, 2]
    inside = np.zeros((6, 6), bool)
    inside[1:-1, 1:-1] = True
    np.testing.assert_array_equal(palette.limits(maps, "layer", inside=inside), [4, 4])
    np.testing.assert_array_equal(palette.limits(maps, "unit", inside=inside), [4, 2])
    assert palette.largest_inside(maps[..., :1] * ~inside[..., None], inside) == 9  # nothing inside but zeros
    colours = palette.colour_activations(maps[..., 0], 4.0)
    np.testing.assert_array_equal((colours == palette.OVER).all(axis=-1), maps[..., 0] > 4)
    np.testing.assert_array_equal((colours == palette.UNDER).all(axis=-1), maps[..., 0] < -4)
    tiled = map_tiles(maps, inside).reshape(-1, 3)
    assert (tiled == palette.OVER).all(axis=1).any()
    assert not (map_tiles(maps).reshape(-1, 3) == palette.OVER).all(axis=1).any()


def test_nothing_but_zeros_still_has_a_norm():
    assert palette.largest(np.zeros(3)) == 1.0
    assert palette.largest(np.zeros(0)) == 1.0


def test_enlarging_repeats_pixels_and_never_mixes_them():
    image = np.arange(6).reshape(2, 3)
    np.testing.assert_array_equal(enlarge(image, 4, 6), image.repeat(2, axis=0).repeat(2, axis=1))


@pytest.mark.parametrize("cell", [1, 3, 8])
def test_tiles_lie_in_a_gutter_of_at_least_a_cell_with_nearest_pixels(cell):
    tiles = [np.full((2, 3, 3), 10 * place, np.uint8) for place in range(1, 5)]
    grid = tile_grid(tiles, columns=2, cell=cell)
    gutter = max(cell, 2)
    assert grid.shape == (2 * 2 * cell + 3 * gutter, 2 * 3 * cell + 3 * gutter, 3)
    covered = np.zeros(grid.shape[:2], bool)
    for place, tile in enumerate(tiles):
        top, left = gutter + place // 2 * (2 * cell + gutter), gutter + place % 2 * (3 * cell + gutter)
        region = np.s_[top : top + 2 * cell, left : left + 3 * cell]
        assert (grid[region] == tile[0, 0]).all()
        covered[region] = True
    assert (grid[~covered] == palette.GUTTER).all()


def test_unused_cells_are_hatched_neither_black_nor_the_colour_of_zero():
    grid = tile_grid([np.zeros((4, 4, 3), np.uint8)] * 3, columns=2, cell=4)
    unused = grid[-20:-4, -20:-4].reshape(-1, 3)
    assert {tuple(map(int, colour)) for colour in unused} == set(palette.HATCH)
    zero = palette.colour_weights(np.zeros(1), 1.0)[0]
    assert not (unused == zero).all(axis=1).any() and unused.min() > 100


def test_tiles_of_dead_units_are_framed():
    maps = np.ones((8, 8, 3))
    maps[..., 1] = 0
    tiled = map_tiles(maps)
    alive = map_tiles(np.ones((8, 8, 3)))
    assert (tiled == palette.DEAD).all(axis=-1).any() and not (alive == palette.DEAD).all(axis=-1).any()


def test_the_tiles_of_a_layer_share_one_norm():
    maps = np.stack([np.full((4, 4), 1.0), np.full((4, 4), 4.0)], axis=-1)
    tiled = map_tiles(maps).reshape(-1, 3)
    for value in (1.0, 4.0):
        assert (tiled == palette.colour_activations(np.array(value), 4.0)).all(axis=1).any()


@pytest.mark.parametrize(
    "shape", [(3, 3, 3, 32), (5, 5, 1, 8), (3, 3, 64, 128), (1, 1, 512, 600), (7, 3, 3, 1), (3, 3, 2, 1)]
)
def test_kernels_of_any_shape_become_a_small_picture(shape):
    tiled = kernel_tiles(np.random.default_rng(0).normal(size=shape))
    assert tiled.dtype == np.uint8 and tiled.ndim == 3 and tiled.shape[-1] == 3 and max(tiled.shape) <= 2100


@pytest.mark.parametrize("shape", [(1, 1, 600), (32, 20, 7), (224, 224, 64)])
def test_maps_of_any_shape_become_a_picture(shape):
    tiled = map_tiles(np.random.default_rng(0).normal(size=shape))
    assert tiled.dtype == np.uint8 and tiled.shape[-1] == 3


def test_arrays_of_another_rank_are_refused_with_their_shape():
    with pytest.raises(ValueError, match=r"\(3, 3\)"):
        kernel_tiles(np.zeros((3, 3)))
    with pytest.raises(ValueError, match=r"\(2, 4, 4, 3\)"):
        map_tiles(np.zeros((2, 4, 4, 3)))


def test_a_cell_is_a_whole_number_of_pixels():
    assert cell_size(3, 84) == 28 and cell_size(500, 84) == 1 and cell_size(1, 84) == 40


def test_tiles_need_no_matplotlib():
    code = (
        "import sys, numpy; from convlens.visualization import kernel_tiles, map_tiles; "
        "kernel_tiles(numpy.ones((3, 3, 3, 4)));"
        "map_tiles(numpy.ones((4, 4, 4))); assert 'matplotlib' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
