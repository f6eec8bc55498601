"""Snapshots of epochs: what is packed comes back, within what float16 holds, and is small."""

import numpy as np
import pytest

from convlens.interpret.snapshots import cosine_with_start, evolution, pack_snapshot, stack_snapshots, unpack_snapshot


def kernel(seed=0, shape=(3, 3, 5, 7), scale=1.0):
    return scale * np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e8])
def test_what_is_packed_comes_back_at_any_scale(scale):
    weights = kernel(scale=scale)
    snapshot = unpack_snapshot(pack_snapshot(3, {"outer/conv1": weights}, {"outer/conv1": weights}))
    assert snapshot.epoch == 3
    for by_layer in (snapshot.kernels, snapshot.maps):
        np.testing.assert_allclose(by_layer["outer/conv1"], weights, rtol=5e-4, atol=1e-7 * np.abs(weights).max())
        assert by_layer["outer/conv1"].dtype == np.float32


def test_diverged_and_silent_layers_are_kept():
    broken = kernel()
    broken[0, 0, 0] = np.nan
    broken[1, 1, 1] = np.inf
    kernels = unpack_snapshot(pack_snapshot(1, {"broken": broken, "silent": np.zeros((3, 3, 1, 2))})).kernels
    np.testing.assert_array_equal(np.isnan(kernels["broken"]), np.isnan(broken))
    np.testing.assert_array_equal(np.isinf(kernels["broken"]), np.isinf(broken))
    assert not kernels["silent"].any()


def test_a_large_network_stays_small():
    wide = {f"conv{number}": kernel(number, (3, 3, 512, 512)) for number in range(3)}
    maps = {"conv0": np.ones((2, 224, 224, 512), np.float32)}
    content = pack_snapshot(1, wide, maps)
    assert len(content) < 100_000
    snapshot = unpack_snapshot(content)
    assert snapshot.kernels["conv0"].shape == (3, 3, 16, 64) and snapshot.maps["conv0"].shape == (2, 56, 56, 64)
    np.testing.assert_allclose(snapshot.kernels["conv0"], wide["conv0"][:, :, :16, :64], rtol=1e-3, atol=1e-6)


def test_epochs_are_stacked_in_their_order():
    snapshots = [unpack_snapshot(pack_snapshot(epoch, {"conv": kernel(epoch)})) for epoch in (5, 0, 2)]
    epochs, arrays = stack_snapshots(snapshots, "kernels", "conv")
    assert epochs == [0, 2, 5] and arrays.shape == (3, 3, 3, 5, 7)
    np.testing.assert_allclose(arrays[2], kernel(5), atol=1e-2)
    with pytest.raises(ValueError, match="has no kernels of layer 'dense'; it has conv"):
        stack_snapshots(snapshots, "kernels", "dense")
    other = unpack_snapshot(pack_snapshot(7, {"conv": kernel(shape=(5, 5, 5, 7))}))
    with pytest.raises(ValueError, match="have the shapes"):
        stack_snapshots([*snapshots, other], "kernels", "conv")


def test_the_start_is_kept_whole_and_stacked_by_what_all_epochs_hold():
    wide = kernel(shape=(3, 3, 40, 80))
    start = unpack_snapshot(pack_snapshot(0, {"conv": wide}, whole=True))
    later = unpack_snapshot(pack_snapshot(1, {"conv": wide}))
    assert start.kernels["conv"].shape == wide.shape and later.kernels["conv"].shape == (3, 3, 16, 64)
    assert stack_snapshots([start, later], "kernels", "conv")[1].shape == (2, 3, 3, 16, 64)
    huge = {"conv": np.zeros((3, 3, 512, 512), np.float32)}
    assert unpack_snapshot(pack_snapshot(0, huge, whole=True)).kernels["conv"].shape == (3, 3, 16, 64)


def test_the_cosine_with_the_start_says_how_far_a_kernel_moved():
    start = kernel()
    moved = start.copy()
    moved[..., 0] *= 5
    moved[..., 1] *= -1
    moved[..., 2] = 0
    cosines = cosine_with_start(moved, start)
    np.testing.assert_allclose(cosines[[0, 1, 3]], [1, -1, 1])
    assert np.isnan(cosines[2])
    one = np.dot(kernel(1)[:, :, :2, 4].ravel(), start[:, :, :2, 4].ravel())
    one /= np.linalg.norm(kernel(1)[:, :, :2, 4]) * np.linalg.norm(start[:, :, :2, 4])
    assert cosine_with_start(kernel(1), start[:, :, :2, :5])[4] == pytest.approx(one)
    with pytest.raises(ValueError, match="did not begin as"):
        cosine_with_start(start, kernel(shape=(5, 5, 5, 7)))


def test_damaged_bytes_are_refused():
    content = pack_snapshot(1, {"conv": kernel()})
    for damaged in (b"", b"not a zip", content[: len(content) // 2]):
        with pytest.raises(ValueError, match="not a snapshot"):
            unpack_snapshot(damaged)


def test_an_evolution_holds_a_layers_kernels_and_first_maps_in_the_order_of_epochs():
    weights, maps = [kernel(seed) for seed in range(3)], np.ones((2, 6, 6, 7), np.float32)
    maps[1] = 5
    packed = [pack_snapshot(epoch, {"conv": weights[epoch]}, {"conv": maps * epoch}) for epoch in (2, 0, 1)]
    result = evolution([unpack_snapshot(content) for content in packed], "conv")
    assert result.epochs == (0, 1, 2) and result.maps.shape == (3, 6, 6, 7)
    np.testing.assert_allclose(result.maps[:, 0, 0, 0], [0, 1, 2], rtol=1e-3)
    medians = [np.median(cosine_with_start(result.kernels[epoch], result.kernels[0])) for epoch in range(3)]
    np.testing.assert_allclose(result.changed, medians)
    assert result.changed[0] == pytest.approx(1) and set(result.arrays()) == {"epochs", "kernels", "maps", "changed"}


def test_an_evolution_without_its_beginning_or_its_maps_says_nothing_of_them():
    packed = [pack_snapshot(epoch, {"conv": kernel(epoch)}) for epoch in (1, 2)]
    result = evolution([unpack_snapshot(content) for content in packed], "conv")
    assert result.changed is None and result.maps is None and set(result.arrays()) == {"epochs", "kernels"}
