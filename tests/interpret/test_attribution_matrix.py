"""Every method answers on every kind of model, on both backends alike, and leaves the model as it was."""

import numpy as np
import pytest

KINDS = ("functional", "sequential", "nested", "application", "reloaded")
METHODS = 17


@pytest.fixture(scope="module")
def results(answers):
    return answers("attribution")


@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_every_method_answers_and_changes_nothing(results, kind, channels, backend):
    prefix = f"{kind}/{channels}/"
    arrays = {key.removeprefix(prefix): value for key, value in results[backend].items() if key.startswith(prefix)}
    assert not {key: str(value) for key, value in arrays.items() if key.endswith("error")}
    assert len(arrays) == METHODS + 1 and "unchanged" in arrays
    for name, array in arrays.items():
        assert array.dtype == np.float32 and np.isfinite(array).all() and array.any(), name


@pytest.mark.parametrize("kind", KINDS)
def test_the_backends_agree(results, kind):
    for key, array in results["tensorflow"].items():
        if key.startswith(kind):
            # Ascent takes a step of full size also where the gradient is nearly zero, and there its sign is rounding.
            tolerance = 0.1 if "maximization" in key else 2e-3
            scale = np.abs(array).max()
            np.testing.assert_allclose(results["jax"][key] / scale, array / scale, atol=tolerance, err_msg=key)
