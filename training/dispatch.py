"""Many training steps sent to the device at once, over images that lie there (JAX)."""

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING

import jax
import keras
import numpy as np

from training.state import build_metrics

if TYPE_CHECKING:
    from data.resident import Resident


def scan_steps(model: keras.Model, data: "Resident") -> None:
    """Makes `model.fit(data.told(...))` run `steps_per_execution` steps in one compiled loop, callbacks in between.

    The model is compiled already. Each step is Keras' own `train_step`; what it is given is picked on the device.
    """

    def steps(state, arrays, indices, keys):
        form = jax.tree.structure(state)

        def step(leaves, told):
            logs, after = model.train_step(jax.tree.unflatten(form, leaves), data.batch(arrays, *told))
            # The loop gives back what it took: arrays of the same types.
            after = [new.astype(old.dtype) for new, old in zip(jax.tree.leaves(after), leaves, strict=True)]
            return after, logs

        leaves, logs = jax.lax.scan(step, jax.tree.leaves(state), (indices, keys))
        return {name: values[-1] for name, values in logs.items()}, jax.tree.unflatten(form, leaves)

    compiled = jax.jit(steps, donate_argnums=0)

    def train_function(state, iterator: Iterator):
        told = list(islice(iterator, model.steps_per_execution))
        if not told:
            raise StopIteration
        indices, keys = (np.stack(part) for part in zip(*told, strict=True))
        return compiled(state, data.arrays, indices, keys)

    # Keras would build its metrics from a batch of what it is given, which is no images.
    build_metrics(model)
    model.train_function = train_function
