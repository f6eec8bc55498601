import numpy as np
import pytest

from convlens.data.rendered_cars.rasterizer import Projected, draw, empty, fragments, visible

SIZE = 32


def triangles(corners, nearness=None):
    corners = np.asarray(corners, float)
    nearness = np.ones(corners.shape[:2]) if nearness is None else np.asarray(nearness, float)
    return Projected(corners[..., 0], corners[..., 1], nearness, np.arange(len(corners)))


def test_a_triangle_covers_the_samples_whose_middles_lie_inside_it():
    random = np.random.default_rng(0)
    for corners in random.uniform(-10, 42, (50, 3, 2)):
        snapped = np.floor(corners * 16 + 0.5) / 16
        (ax, ay), (bx, by), (cx, cy) = snapped
        row, column = np.divmod(np.arange(SIZE * SIZE), SIZE)
        u, v = column + 0.5, row + 0.5
        sides = np.stack(
            [
                (bx - ax) * (v - ay) - (by - ay) * (u - ax),
                (cx - bx) * (v - by) - (cy - by) * (u - bx),
                (ax - cx) * (v - cy) - (ay - cy) * (u - cx),
            ]
        )
        inside = (sides > 0).all(0) | (sides < 0).all(0)
        on_an_edge = (sides == 0).any(0)
        place, _ = fragments(triangles([corners]), SIZE, cull=False)
        covered = np.zeros(SIZE * SIZE, bool)
        covered[place] = True
        np.testing.assert_array_equal(covered[~on_an_edge], inside[~on_an_edge])


def test_triangles_that_share_edges_leave_no_hole_and_no_overlap():
    random = np.random.default_rng(1)
    for hub in random.uniform(4, 28, (50, 2)).round(1):
        rim = [(0, 0), (SIZE, 0), (SIZE, SIZE), (0, SIZE)]
        fan = [(hub, rim[i - 1], rim[i]) for i in range(4)]
        place, _ = fragments(triangles(fan), SIZE, cull=False)
        assert sorted(place) == list(range(SIZE * SIZE))


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_the_nearest_triangle_is_seen_whatever_the_order(order):
    far, near = [(0, 0), (32, 0), (0, 32)], [(0, 0), (16, 0), (0, 16)]
    both, nearness = [(far, near)[i] for i in order], [((0.1,) * 3, (0.5,) * 3)[i] for i in order]
    buffer = empty(SIZE)
    draw(buffer, *fragments(triangles(both, nearness), SIZE, cull=False))
    place, face = visible(buffer)
    assert face[place == 0] == order.index(1)
    assert face[place == 20] == order.index(0)


def test_triangles_seen_from_behind_are_not_drawn():
    front = [(0, 0), (0, 32), (32, 0)]
    assert fragments(triangles([front]), SIZE)[0].size > 0
    assert fragments(triangles([front[::-1]]), SIZE)[0].size == 0
