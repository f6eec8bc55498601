"""Cells of a map that no padding reaches, against what padding does to a white image."""

import keras
import numpy as np
import pytest

from convlens.models import feature_maps, inside_cells

layers = keras.layers


def positive(*steps, size=(24, 32)):
    """A network whose weights are all positive: a cell that padding reaches answers less to white than the middle."""
    images = x = keras.Input((*size, 3))
    for step in steps:
        x = step(x)
    model = keras.Model(images, x)
    for layer in model.layers:
        layer.set_weights([np.full_like(array, 0.1 if array.ndim > 1 else 0) for array in layer.get_weights()])
    return model


def conv(name, size=3, **options):
    return layers.Conv2D(2, size, name=name, **{"padding": "same", "use_bias": False, **options})


NETWORKS = {
    "one layer": [conv("last")],
    "wide": [conv("last", (7, 4))],
    "a stride": [conv("first", 5, strides=2), conv("last")],
    "dilation": [conv("last", dilation_rate=3)],
    "valid": [conv("last", 5, padding="valid")],
    "padded by a layer": [layers.ZeroPadding2D(2), conv("last", 5, padding="valid")],
    "depthwise": [layers.DepthwiseConv2D(3, padding="same", use_bias=False, name="last")],
    "pooled": [conv("first"), layers.AveragePooling2D(2), conv("last"), layers.AveragePooling2D(2)],
    "pooled as it fits": [conv("last"), layers.MaxPooling2D(3, strides=2, padding="same")],
}


@pytest.mark.parametrize("network", NETWORKS)
def test_inside_are_the_cells_that_see_white_as_the_middle_does(network):
    model = positive(*NETWORKS[network])
    maps = feature_maps(model, np.full((1, 24, 32, 3), 255, np.uint8), ["last"])["last"]
    inside = inside_cells(model)["last"]
    assert set(inside) == set(maps)
    for stage, values in maps.items():
        largest = np.isclose(values[0, ..., 0], values.max(), rtol=1e-5)
        if stage == "condense" and "Max" in type(model.layers[-1]).__name__:
            # A maximum may hide the frame: what is inside has seen none of it, what is outside may have.
            assert (largest | ~inside[stage]).all() and inside[stage].any()
        else:
            np.testing.assert_array_equal(inside[stage], largest)


def test_where_padding_reaches_nearly_everything_the_layers_own_padding_counts():
    deep = positive(*[conv(f"conv{number}", 5) for number in range(6)])
    inside = inside_cells(deep)["conv5"]["filter"]
    np.testing.assert_array_equal(inside[2:-2, 2:-2], True)
    assert inside.sum() == 20 * 28


def test_where_every_cell_meets_padding_all_count():
    model = positive(conv("last", 9), size=(4, 4))
    assert inside_cells(model)["last"]["filter"].all()


def test_a_model_that_takes_any_size_is_asked_for_one():
    model = positive(conv("last"), size=(None, None))
    assert inside_cells(model, ["last"], (10, 12))["last"]["filter"].sum() == 8 * 10
