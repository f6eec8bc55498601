"""Several methods side by side are what each gives by itself."""

import keras
import numpy as np
import pytest

from convlens import interpret
from convlens.core.errors import UserError
from convlens.interpret.explanations import METHODS

layers = keras.layers


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Rescaling(1 / 255),
            layers.Conv2D(4, 3, activation="relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(3),
        ]
    )


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3)).astype(np.uint8)


def test_maps_are_those_of_each_method_for_what_the_model_says(model, images):
    explanations = interpret.explain(model, images, methods=["grad_cam", "integrated_gradients"])
    logits = interpret.class_logits(model, images)
    np.testing.assert_allclose(explanations.logits, logits, rtol=1e-6)
    np.testing.assert_array_equal(explanations.targets, logits.argmax(axis=1))
    expected = interpret.integrated_gradients(model, images).sum(axis=-1)
    np.testing.assert_allclose(explanations.maps["integrated_gradients"], expected, rtol=1e-4, atol=1e-7)
    assert set(explanations.arrays()) == {"images", "logits", "targets", "grad_cam", "integrated_gradients"}
    assert interpret.explain(model, images, target=2, methods=["saliency"]).targets.tolist() == [2, 2]


def test_every_method_of_the_table_is_a_function_and_named(model, images):
    assert set(interpret.explain(model, images[0]).maps) == set(METHODS)
    assert all(callable(getattr(interpret, method)) and METHODS[method].title for method in METHODS)


def test_some_of_the_images_keep_their_maps_and_classes(model, images):
    explanations = interpret.explain(model, images, methods=["saliency"], true=[1, 0])
    second = explanations.of_images(slice(1, 2))
    np.testing.assert_array_equal(second.maps["saliency"][0], explanations.maps["saliency"][1])
    assert second.true.tolist() == [0] and len(second.images) == len(second.logits) == len(second.targets) == 1


def test_a_method_that_does_not_exist_is_refused_with_those_that_do(model, images):
    with pytest.raises(UserError, match="'gradcam'; expected one of grad_cam"):
        interpret.explain(model, images, methods=["gradcam"])


def test_the_strongest_images_are_those_of_brute_force(model, images):
    many = np.concatenate([images, 255 - images, images // 2])
    strongest = interpret.strongest_images(model, many, [2, 0], batch_size=4)
    logits = interpret.class_logits(model, many)[:, [2, 0]]
    np.testing.assert_allclose(strongest.activations, logits.max(axis=0), rtol=1e-5)
    np.testing.assert_array_equal(strongest.images, many[logits.argmax(axis=0)])


def test_views_of_units_are_exact_and_effective_fields_of_the_middle(model, images):
    name = model.layers[1].name
    seen = interpret.unit_views(model, images, [name])
    (view,) = seen.views
    assert view.cell == (3, 3) and view.box == (3, 3, 6, 6) and seen.images == 2
    expected = interpret.effective_receptive_field(model, images, name).mean(axis=0)
    np.testing.assert_allclose(view.effective, expected, rtol=1e-5)
    assert set(seen.arrays()) == {"layers", "boxes", "effective"}
    assert set(interpret.UnitViews((interpret.UnitView(view.field, (0, 0)),), 0).arrays()) == {"layers", "boxes"}
