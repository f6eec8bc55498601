"""How a network came to be is drawn from the snapshots that its run kept."""

import numpy as np
import pytest
from PIL import Image

from convlens import interpret
from convlens.core.errors import UserError
from convlens.gallery.evolution import write_animations
from convlens.gallery.planning import planned


@pytest.fixture
def snapshots(photos_run):
    """Kernels and maps of three epochs, as the run keeps them."""
    generator = np.random.default_rng(0)
    kernels = [generator.normal(size=(3, 3, 3, 4)) for _ in range(3)]
    maps = [generator.random((1, 16, 16, 4)) for _ in range(3)]
    for epoch in range(3):
        packed = interpret.pack_snapshot(epoch, {"block1_conv1": kernels[epoch]}, {"block1_conv1": maps[epoch]})
        photos_run.write_snapshot(epoch, packed)
    yield kernels, maps
    for path in photos_run.snapshots:
        path.unlink()


def test_the_figure_holds_kernels_and_maps_of_every_epoch(photos_run, snapshots, arrays_of):
    arrays = arrays_of(photos_run, ["evolution"])["evolution-block1_conv1"]
    kernels, maps = snapshots
    assert list(arrays["epochs"]) == [0, 1, 2]
    np.testing.assert_allclose(arrays["kernels"], kernels, atol=2e-3)
    np.testing.assert_allclose(arrays["maps"], [of_image[0] for of_image in maps], atol=1e-3)


def test_the_animation_has_a_frame_an_epoch(photos_run, snapshots, inputs_of, tmp_path):
    (path,) = write_animations(inputs_of(photos_run, ["evolution"]), tmp_path)
    with Image.open(path) as animation:
        assert path.name == "evolution-block1_conv1.gif" and animation.n_frames == 3


def test_a_damaged_snapshot_is_named(photos_run, snapshots, arrays_of):
    (photos_run.path / "snapshots/epoch-00001.npz").write_bytes(b"torn")
    with pytest.raises(UserError, match="not a snapshot"):
        arrays_of(photos_run, ["evolution"])


def test_a_run_without_snapshots_says_how_to_keep_them(cars_run, inputs_of):
    with pytest.raises(UserError, match="training.snapshots=40"):
        planned(inputs_of(cars_run, ["evolution"]))
