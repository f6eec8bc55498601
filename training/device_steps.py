"""Many steps sent to the device at once, over images that lie there (JAX)."""

from collections.abc import Callable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from convlens.training.devices import all_devices, compiled_calls, compiled_loop

if TYPE_CHECKING:
    from convlens.data.cache.device import DeviceEvaluation, DeviceTraining


class StepInputs(keras.utils.PyDataset):
    """What Keras goes through anew in every epoch in place of batches."""

    def __init__(self, groups: list[tuple[np.ndarray, ...]]):
        super().__init__()
        self._groups = groups

    def __len__(self) -> int:
        return len(self._groups)

    def __getitem__(self, index: int) -> tuple[np.ndarray, ...]:
        return self._groups[index]


def run_steps_on_device(model: keras.Model, train: "DeviceTraining", validation: "DeviceEvaluation") -> StepInputs:
    """Makes `model.fit` run `steps_per_execution` steps, in one compiled loop, between two callbacks.

    The model is compiled already and its metrics are built: Keras would build them from what it is given, which is no
    images. Each step is Keras' own `train_step` or `test_step`; what it is given is picked on the device. `fit` gets
    `train.step_inputs(...)`, and as its validation data what is returned. Where several steps are executed together,
    many more batches may be validated on between two callbacks.
    """
    train_steps, test_steps = (_steps(*pair) for pair in ((model.train_step, train), (model.test_step, validation)))

    def train_function(state: Any, iterator: Iterator) -> Any:
        return train_steps(state, next(iterator))

    def test_function(state: Any, iterator: Iterator) -> Any:
        logs = None
        for group in islice(iterator, model.steps_per_execution):
            logs, state = test_steps(state, group)
        if logs is None:
            raise StopIteration
        return logs, state

    model.train_function, model.test_function = train_function, test_function
    return StepInputs(validation.step_inputs(model.steps_per_execution))


def _steps(step: Callable, data: "DeviceTraining | DeviceEvaluation") -> Callable:
    compiled = compiled_calls if "cpu" in all_devices()[0] else compiled_loop
    steps = compiled(lambda state, arrays, inputs: step(state, data.batch(arrays, *inputs)))
    return lambda state, inputs: steps(state, data.arrays, inputs)
