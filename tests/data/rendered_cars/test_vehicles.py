from dataclasses import replace

import numpy as np
import pytest

from convlens.data.rendered_cars import STYLES
from convlens.data.rendered_cars.camera import Camera
from convlens.data.rendered_cars.meshes import Material
from convlens.data.rendered_cars.rasterizer import draw, empty, face_of, fragments, visible
from convlens.data.rendered_cars.vehicles import VARIANTS, vehicle

EVERY_ONE = [(style, variant) for style in STYLES for variant in range(VARIANTS)]


@pytest.mark.parametrize(("style", "variant"), EVERY_ONE)
def test_no_vehicle_has_a_hole_or_a_face_turned_inside_out(style, variant):
    mesh = vehicle(style, variant)
    size = 160
    for azimuth in range(10, 360, 50):
        angle = np.radians(azimuth)
        position = np.array([18 * np.cos(angle), 18 * np.sin(angle), 4.0])
        camera = replace(Camera.looking_at(np.array([0.0, 0.0, 1.0]), position, 0.0), focal=1.8)
        projected = camera.triangles(mesh.corners, size)
        every, fronts = empty(size), empty(size)
        draw(every, *fragments(projected, size, cull=False))
        draw(fronts, *fragments(projected, size))
        place, face = visible(every)
        wrong = face != face_of(fronts[place])
        assert wrong.mean() < 0.012, f"from {azimuth} degrees, {wrong.sum()} of {wrong.size} samples show a face's back"


@pytest.mark.parametrize(("style", "variant"), EVERY_ONE)
def test_every_vehicle_stands_on_its_wheels_and_is_as_wide_as_vehicles_are(style, variant):
    mesh = vehicle(style, variant)
    tyres = mesh.corners[mesh.material == Material.TYRE].reshape(-1, 3)
    others = mesh.corners[mesh.material != Material.TYRE].reshape(-1, 3)
    assert tyres[:, 2].min() == pytest.approx(0, abs=1e-6)
    assert others[:, 2].min() > 0.05
    width = np.ptp(others[mesh.material[mesh.material != Material.TYRE].repeat(3) == Material.PAINT][:, 1])
    assert 1.6 < width < 2.6


def test_vehicles_are_mirror_images_from_left_to_right_but_for_a_bus_s_doors():
    for style in STYLES:
        mesh = vehicle(style, 0)
        doors = (mesh.material == Material.GLASS) & (style == "bus")
        corners = mesh.corners[~doors].reshape(-1, 3)
        mirrored = corners * [1, -1, 1]
        assert {tuple(p) for p in corners.round(3) + 0.0} == {tuple(p) for p in mirrored.round(3) + 0.0}


def test_styles_differ_in_proportion():
    extent = {style: np.ptp(vehicle(style, 0).corners.reshape(-1, 3), axis=0) for style in STYLES}
    length, height = ({style: e[axis] for style, e in extent.items()} for axis in (0, 2))
    assert length["hatchback"] < length["sedan"] < length["bus"]
    assert height["sedan"] < height["suv"] < height["van"] < height["box_truck"]
