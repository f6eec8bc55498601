"""What is kept of each epoch is what the network was then."""

import keras
import numpy as np
import pytest

from convlens.interpret import pack_snapshot, unpack_snapshot
from convlens.models import build_model, feature_maps
from convlens.training import Run, Session, fit_model
from convlens.training.checkpoint import newest_checkpoint


@pytest.fixture
def kept(tmp_path, arrays, configuration):
    """Trains for some epochs and returns the run, its data, the first weights and the snapshots."""

    def train(**training):
        config = configuration(**training)
        keras.utils.set_random_seed(0)
        model = build_model(config.model, arrays.info.image_size, arrays.info.channels, 3, seed=0)
        first = model.get_layer("block1_conv1").get_weights()[0]
        run = Run.create(tmp_path / "runs", "arrays", config)
        run.write_labels(arrays.info.classes)
        fit_model(Session(config, run, arrays, pack=pack_snapshot), model)
        return run, model, first, [unpack_snapshot(path.read_bytes()) for path in run.snapshots]

    return train


def test_the_untrained_network_and_each_epoch_are_kept(kept, arrays):
    _, model, first, snapshots = kept(epochs=3)
    assert [snapshot.epoch for snapshot in snapshots] == [0, 1, 2, 3]
    near = {"atol": 1e-3, "rtol": 1e-3}  # 16 bits are kept
    np.testing.assert_allclose(snapshots[0].kernels["block1_conv1"], first, **near)
    last = model.get_layer("block1_conv1").get_weights()[0]
    np.testing.assert_allclose(snapshots[-1].kernels["block1_conv1"], last, **near)
    assert not np.allclose(first, last, **near)
    images = arrays.examples("validation", [0])[0]
    maps = feature_maps(model, images, ["block1_conv1"])["block1_conv1"]["detect"]
    np.testing.assert_allclose(snapshots[-1].maps["block1_conv1"], maps, **near)


def test_of_a_long_training_a_few_epochs_are_kept_and_always_the_last(kept):
    _, _, _, snapshots = kept(epochs=7, snapshots=3)
    assert [snapshot.epoch for snapshot in snapshots] == [0, 2, 4, 6, 7]


@pytest.mark.parametrize(
    ("before", "after", "epochs"),
    [
        (4, 5, [0, 1, 2, 3, 4, 5]),
        (7, 9, [0, 2, 4, 6, 8, 9]),  # in the steps of before; the last one of then lies between them
        (7, 13, [0, 4, 8, 12, 13]),
    ],
)
def test_a_training_that_is_given_more_epochs_keeps_them_evenly_spread(
    kept, arrays, configuration, before, after, epochs
):
    settings = {"schedule": {"name": "constant"}, "snapshots": 4}
    run, model, *_ = kept(epochs=before, **settings)
    state = newest_checkpoint(run.checkpoints_dir, print)
    fit_model(Session(configuration(epochs=after, **settings), run, arrays, pack=pack_snapshot, start=state), model)
    assert run.snapshot_epochs == epochs
    assert [row["epoch"] for row in run.metrics] == list(range(1, after + 1))


def test_none_are_kept_where_none_are_wanted(kept):
    run, *_, snapshots = kept(snapshots=0)
    assert snapshots == [] and not (run.path / "snapshots").exists()
