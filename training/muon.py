"""Muon for a convolutional network: https://kellerjordan.github.io/posts/muon/, with Keras' own arithmetic."""

import re

import keras
from keras import ops


class Muon(keras.optimizers.Muon):
    """Keras' Muon gives convolutions to AdamW; here their kernels take Muon's step too, the logits' layer AdamW's.

    A kernel (height, width, channels, filters) is one matrix to it, (height * width * channels, filters).
    """

    def _should_use_adamw(self, variable):
        if len(variable.shape) == 4:
            return any(re.search(layer, variable.path) for layer in self.exclude_layers)
        return "logits" in variable.path or super()._should_use_adamw(variable)

    def _muon_update_step(self, gradient, variable, lr, m):
        self.assign_add(m, ops.add(gradient, m * (self.momentum - 1)))
        ahead = ops.add(gradient, self.momentum * m) if self.nesterov else m
        matrix = ops.reshape(ahead, (-1, variable.shape[-1]))
        turned = self.lr_adjust(lr * self.zeropower_via_newtonschulz5(matrix, self.ns_steps))
        self.assign_sub(variable, ops.reshape(turned, variable.shape))
