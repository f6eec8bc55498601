"""Two runs are compared unit by unit and class by class, on the images of the first."""

import numpy as np
import pytest

from convlens.core.errors import UserError
from convlens.gallery.registry import groups


@pytest.fixture(scope="module")
def shuffled_run(photos_run, tmp_path_factory):
    """The same network as the other run's, its units in another order."""
    import keras

    from convlens.training import Run

    model = keras.models.clone_model(photos_run.model)
    model.set_weights(photos_run.model.get_weights())
    first, second = model.get_layer("block1_conv1"), model.get_layer("block2_conv1")
    order = np.random.default_rng(1).permutation(first.filters)
    kernel, bias = first.get_weights()
    first.set_weights([kernel[..., order], bias[order]])
    kernel, bias = second.get_weights()
    second.set_weights([kernel[:, :, order], bias])
    run = Run.create(tmp_path_factory.mktemp("other"), "shuffled", photos_run.config)
    run.write_labels(photos_run.labels)
    run.save_model(model, epoch=1, val_accuracy=0.5)
    return Run.open(run.path)


def test_two_runs_are_compared_unit_by_unit_and_class_by_class(photos_run, shuffled_run, arrays_of):
    figures = arrays_of(photos_run, ["comparison"], b=str(shuffled_run.path))
    layers = ("block1_conv1", "block2_conv1")
    assert {name.partition("-")[0] for name in figures} == set(groups()["comparison"])
    assert set(figures) >= {f"matched_units-{layer}" for layer in layers}
    # The other network differs by the order of its units alone: once matched, nothing is left between them.
    for layer in layers:
        matched = figures[f"matched_units-{layer}"]
        alive = np.isfinite(matched["strengths"])
        np.testing.assert_allclose(matched["strengths"][alive], 1, atol=1e-4)
    alive = np.isfinite(figures["matched_units-block1_conv1"]["strengths"])
    np.testing.assert_allclose(figures["matched_units-block1_conv1"]["difference"][..., alive], 0, atol=1e-6)
    np.testing.assert_allclose(np.diag(figures["layer_similarity"]["similarity"]), 1, atol=1e-4)
    assert figures["class_accuracy"]["both"][[0, 1], [1, 0]].tolist() == [0, 0]
    images, true, _ = photos_run.data.examples("test", list(range(16)))
    predicted = photos_run.model.predict(images.astype("float32"), verbose=0).argmax(axis=1)
    assert figures["class_accuracy"]["both"][1, 1] == (predicted == true).sum()


def test_runs_of_other_classes_are_refused(photos_run, cars_run, arrays_of):
    with pytest.raises(UserError, match="different classes"):
        arrays_of(photos_run, ["comparison"], b=str(cars_run.path))
