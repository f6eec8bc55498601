"""Many training steps sent to the device at once, over images that lie there (JAX)."""

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING

import keras
import numpy as np

from training.backend import all_devices, compiled_calls, compiled_loop
from training.state import build_metrics

if TYPE_CHECKING:
    from data.resident import Resident


def scan_steps(model: keras.Model, data: "Resident") -> None:
    """Makes `model.fit(data.told(...))` run `steps_per_execution` steps, in one compiled loop, between two callbacks.

    The model is compiled already. Each step is Keras' own `train_step`; what it is given is picked on the device.
    """
    compiled = compiled_calls if "cpu" in all_devices()[0] else compiled_loop
    steps = compiled(lambda state, arrays, told: model.train_step(state, data.batch(arrays, *told)))

    def train_function(state, iterator: Iterator):
        told = list(islice(iterator, model.steps_per_execution))
        if not told:
            raise StopIteration
        return steps(state, data.arrays, tuple(np.stack(part) for part in zip(*told, strict=True)))

    # Keras would build its metrics from a batch of what it is given, which is no images.
    build_metrics(model)
    model.train_function = train_function
