from dataclasses import replace

import keras
import numpy as np
import pytest

from convlens.core.errors import ModelError
from convlens.interpret.ablation import ablate, ablate_shares

layers = keras.layers
CLASSES = 3


def network():
    keras.utils.set_random_seed(1)
    images = keras.Input((12, 12, 3))
    x = layers.Conv2D(6, 3, padding="same", activation="relu", name="conv1")(layers.Rescaling(1 / 127.5, -1)(images))
    skip = layers.MaxPooling2D()(x)
    x = layers.Conv2D(6, 3, padding="same", use_bias=False, name="conv2")(skip)
    x = layers.BatchNormalization(name="bn2")(x)
    x = layers.Activation("relu", name="relu2")(x)
    x = layers.Add()([x, skip])
    x = layers.Dense(5, activation="relu", name="dense")(layers.GlobalAveragePooling2D()(x))
    return keras.Model(images, layers.Dense(CLASSES, name="logits")(x))


@pytest.fixture(scope="module")
def split():
    random = np.random.default_rng(0)
    labels = np.arange(70) % CLASSES
    images = random.integers(0, 120, (70, 12, 12, 3))
    images[np.arange(70), 3:9, 3:9, labels] += 130
    return {"image": images.astype(np.uint8), "label": labels}


@pytest.fixture(scope="module")
def model(split):
    model = network()
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(split["image"].astype("float32"), split["label"], epochs=25, batch_size=35, verbose=0)
    return model


def scores(model, split):
    """Accuracy, accuracy by class and loss, by plain Keras and NumPy."""
    logits = model.predict(split["image"].astype("float32"), verbose=0)
    right = logits.argmax(axis=1) == split["label"]
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)(split["label"], logits)
    by_class = [right[split["label"] == label].mean() for label in range(CLASSES)]
    return right.mean(), by_class, float(loss)


SILENCED_WEIGHTS = {  # by whose absence a unit of the layer is zero for certain
    "conv1": ["conv1"],
    "conv2": ["bn2"],
    "dense": ["dense"],
}


@pytest.mark.parametrize("layer", SILENCED_WEIGHTS)
def test_silencing_a_unit_does_what_taking_away_its_weights_does(model, split, layer):
    ablation = ablate(model, split, layer, batch_size=32)
    assert ablation.images == 70
    np.testing.assert_allclose(ablation.intact.accuracy, [scores(model, split)[0]])
    for unit in ablation.units:
        without = keras.models.clone_model(model)
        without.set_weights(model.get_weights())
        for name in SILENCED_WEIGHTS[layer]:
            cut = without.get_layer(name)
            weights = cut.get_weights()
            for array in weights[:2]:
                array[..., unit] = 0
            cut.set_weights(weights)
        accuracy, by_class, loss = scores(without, split)
        assert ablation.silenced.accuracy[unit] == pytest.approx(accuracy)
        np.testing.assert_allclose(ablation.silenced.class_accuracy[unit], by_class)
        assert ablation.silenced.loss[unit] == pytest.approx(loss, rel=1e-4)


def test_changes_are_after_less_before_and_the_most_needed_unit_comes_first(model, split):
    ablation = ablate(model, split, "conv1")
    accuracy, by_class, loss = scores(model, split)
    np.testing.assert_allclose(ablation.accuracy_change, ablation.silenced.accuracy - accuracy, atol=1e-9)
    np.testing.assert_allclose(ablation.class_change, ablation.silenced.class_accuracy - np.array(by_class), atol=1e-9)
    ranked = ablation.ranked()
    assert (np.diff(ablation.accuracy_change[ranked]) >= 0).all()
    equal = np.diff(ablation.accuracy_change[ranked]) == 0
    assert (np.diff(ablation.loss_change[ranked])[equal] <= 0).all()


def test_the_arrays_hold_the_most_needed_unit_first_and_what_is_left_of_shares(model, split):
    ablation = ablate(model, split, "conv1")
    together = ablate_shares(model, split, "conv1", ablation.units[ablation.ranked()], shares=(0, 0.5), repeats=3)
    arrays = replace(ablation, together=together).arrays()
    assert set(ablation.arrays()) == {"units", "accuracy_change", "class_change", "loss_change"}
    assert set(arrays) == {*ablation.arrays(), "counts", "ordered", "random"}
    np.testing.assert_array_equal(arrays["units"], ablation.units[ablation.ranked()])
    np.testing.assert_array_equal(arrays["class_change"][0], ablation.class_change[ablation.ranked()[0]])
    assert arrays["random"].shape == (3, 2)


def test_only_the_units_that_are_asked_for_are_silenced_and_in_that_order(model, split):
    every, some = ablate(model, split, "conv2"), ablate(model, split, "conv2", [4, 1])
    assert some.units.tolist() == [4, 1]
    np.testing.assert_allclose(some.silenced.loss, every.silenced.loss[[4, 1]], rtol=1e-6)


def test_shares_begin_at_the_network_as_it_is_and_end_at_a_layer_that_says_nothing(model, split):
    order = ablate(model, split, "conv1").ranked()
    ablation = ablate_shares(model, split, "conv1", order, shares=(0, 0.5, 1), repeats=3, seed=4)
    assert ablation.counts.tolist() == [0, 3, 6]
    assert ablation.ordered.accuracy[0] == pytest.approx(scores(model, split)[0])
    random = ablation.random.accuracy.reshape(3, 3)
    assert (random[:, 0] == ablation.ordered.accuracy[0]).all() and (random[:, 2] == ablation.ordered.accuracy[2]).all()
    assert ablation.ordered.accuracy[2] == pytest.approx(1 / CLASSES, abs=0.02)  # one answer for every image
    again = ablate_shares(model, split, "conv1", order, shares=(0, 0.5, 1), repeats=3, seed=4)
    np.testing.assert_array_equal(again.random.loss, ablation.random.loss)


def test_the_first_share_of_an_order_is_the_first_units_silenced_together(model, split):
    ablation = ablate_shares(model, split, "conv1", [5, 2, 0, 1, 3, 4], shares=(1 / 3,), repeats=0)
    without = keras.models.clone_model(model)
    without.set_weights(model.get_weights())
    kernel, bias = without.get_layer("conv1").get_weights()
    kernel[..., [5, 2]] = bias[[5, 2]] = 0
    without.get_layer("conv1").set_weights([kernel, bias])
    assert ablation.ordered.loss[0] == pytest.approx(scores(without, split)[2], rel=1e-4)


def test_what_leads_only_to_the_silenced_layer_is_computed_once(model, split, monkeypatch):
    """The compiled rest of the network holds no convolution of what comes before."""
    import tensorflow as tf

    from convlens.interpret import Network
    from convlens.models.inspection import inspection

    traced = []
    compiled = inspection.compiled

    def spying(model, function, shapes):
        run = compiled(model, function, shapes)

        def spied(*arrays):
            values = [variable.value for variable in model.variables]
            graph = tf.function(lambda *tensors: function(values, *tensors)).get_concrete_function(*arrays).graph
            optimized = tf.compat.v1.graph_util.extract_sub_graph(
                graph.as_graph_def(), [tensor.op.name for tensor in graph.outputs]
            )
            traced.append(sum(node.op == "Conv2D" for node in optimized.node))
            return run(*arrays)

        return spied

    monkeypatch.setattr(inspection, "compiled", spying)
    ablate(Network(model), split, "dense", [0], batch_size=70)
    assert traced == [2, 0, 0]  # before the layer, once; after it, as it is and without the unit


def test_ablating_leaves_the_model_as_it_was(model, split):
    before = [weights.copy() for weights in model.get_weights()]
    attributes = [set(vars(layer)) for layer in model.layers]
    ablate(model, split, "conv2")
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))
    assert attributes == [set(vars(layer)) for layer in model.layers]


def test_what_cannot_be_silenced_is_refused(model, split):
    with pytest.raises(ModelError, match="Did you mean 'conv1'"):
        ablate(model, split, "conv_1")
    with pytest.raises(ModelError, match="units 0 to 5"):
        ablate(model, split, "conv1", [6])
    with pytest.raises(ModelError, match="needs labels"):
        ablate(model, split["image"], "conv1")
    with pytest.raises(ModelError, match="each of the 6 of layer 'conv1' once"):
        ablate_shares(model, split, "conv1", [0, 1])
