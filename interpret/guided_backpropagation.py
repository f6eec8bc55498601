"""Why this class: the gradient that is left when nothing negative passes back through a ReLU."""

from typing import Any

import keras
import numpy as np

from convlens.core.errors import ModelError
from convlens.interpret.classifier import Network, Targets, prepared
from convlens.interpret.relus import guided, relus


def guided_backpropagation(
    model: keras.Model | Network, images: Any, target: Targets = None, *, batch_size: int = 32
) -> np.ndarray:
    """The signed gradient of the target's logit, where only positive gradients pass back through each ReLU.

    Shape (n, height, width, channels). Springenberg et al., "Striving for Simplicity", https://arxiv.org/abs/1412.6806.
    It looks sharp, and hardly depends on the class or on the upper layers: see `randomisation_check`.

    This applies to ReLU and ReLU6, as a layer, as the activation of a layer, or as a function in a Functional model.
    Raises ModelError if the model has none.
    """
    network = prepared(model)
    images = network.images(images)
    if not relus(network.graph(images.shape[1:3]).nodes):
        raise ModelError(f"model '{network.model.name}' has no ReLU, which guided backpropagation needs")
    return network.gradients(images, network.targets(images, target, batch_size), batch_size, guided)
