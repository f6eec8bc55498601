"""A class is explained by the maps that the methods give, and the explanations are put to the test."""

import numpy as np

from convlens import interpret
from convlens.gallery import maximization
from convlens.gallery.attribution import METHODS
from convlens.gallery.registry import groups


def test_a_class_is_explained_by_every_method_and_the_explanations_are_scored(photos_run, arrays_of, monkeypatch):
    monkeypatch.setattr(maximization, "UNITS_SHOWN", 2)
    figures = arrays_of(photos_run, ["attribution"], image=[0, 9], images=6, layers=["block2_conv1"])
    assert {name.partition("-")[0] for name in figures} == set(groups()["attribution"])
    assert {name for name in figures if "-" in name} >= {
        "explanations-image0", "explanations-image1",
        "activation_maximization-block2_conv1", "activation_maximization-classes",
    }  # fmt: skip

    images, labels, _ = photos_run.data.examples("test", [0, 9])
    network = interpret.Network(photos_run.model)
    logits = interpret.class_logits(network, images)
    second = figures["explanations-image1"]
    assert second["targets"].tolist() == [logits[1].argmax()]
    np.testing.assert_allclose(second["logits"], logits[1:], atol=1e-5)
    for method in METHODS:
        expected = getattr(interpret, method)(network, images, logits.argmax(axis=1))[1]
        expected = expected.sum(axis=-1) if expected.ndim == 3 else expected
        np.testing.assert_allclose(second[method][0], expected, rtol=1e-3, atol=1e-5)
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    whole = shares.max(axis=1)
    np.testing.assert_allclose(figures["deletion_insertion"]["saliency_deletion"][:, 0], whole, rtol=1e-4)
    np.testing.assert_allclose(figures["deletion_insertion"]["saliency_insertion"][:, -1], whole, rtol=1e-4)
    assert figures["randomisation"]["layers"].tolist() == ["logits", "head_dense1", "block2_conv1", "block1_conv1"]

    made = figures["activation_maximization-classes"]
    sample = np.concatenate([batch[0] for batch in photos_run.data.sample("test", 64, 6)])
    reached = interpret.class_logits(network, sample)
    np.testing.assert_array_equal(made["best"], sample[reached.argmax(axis=0)])
    np.testing.assert_allclose(made["best_activations"], reached.max(axis=0), atol=1e-5)
    assert (made["activations"] > made["best_activations"]).all()


def test_a_method_is_drawn_by_its_own_name_for_all_images_together(photos_run, arrays_of):
    maps = arrays_of(photos_run, ["saliency"], image=[0, 9])["saliency"]["saliency"]
    images, _, _ = photos_run.data.examples("test", [0, 9])
    np.testing.assert_allclose(maps, interpret.saliency(photos_run.model, images), rtol=1e-3, atol=1e-6)


def test_the_class_to_explain_may_be_named(photos_run, arrays_of):
    images, _, _ = photos_run.data.examples("test", [0])
    for target in ("night", 1):
        maps = arrays_of(photos_run, ["saliency"], image=[0], target=target)["saliency"]["saliency"]
        expected = interpret.saliency(photos_run.model, images, [1])
        np.testing.assert_allclose(maps, expected, rtol=1e-3, atol=1e-6)


def test_a_method_that_the_model_does_not_allow_is_left_out_and_named(inputs_of, tmp_path, photo, capsys):
    import keras
    from keras import layers

    from convlens.gallery.attribution import possible_maps

    model = keras.Sequential(
        [keras.Input((8, 8, 3)), layers.Conv2D(2, 3), layers.GlobalAveragePooling2D(), layers.Dense(2)]
    )
    model.save(tmp_path / "linear.keras")
    maps = possible_maps(inputs_of(tmp_path / "linear.keras", ["attribution"], image=[str(photo)]))
    assert set(maps) == set(METHODS) - {"guided_backpropagation"}
    assert "Without Guided backprop: " in capsys.readouterr().out
