"""A convolutional network: a base of blocks, each Filter -> Detect -> Condense, and a head of dense layers."""

from collections.abc import Sequence
from typing import Any

import keras

from convlens.models.blocks import BlockBuilder


def build_convnet(
    config: Any, image_size: Sequence[int], channels: int, classes: int, *, seed: int | None = None
) -> keras.Model:
    """One flat Functional graph of built-in layers, from raw pixels to logits.

    Filter is a convolution, detect its ReLU, condense the pooling at the block's end; see "The Convolutional
    Classifier", https://www.kaggle.com/code/ryanholbrook/the-convolutional-classifier. Several convolutions before one
    pooling make it a VGG, https://arxiv.org/abs/1409.1556.

    The model takes images (batch, height, width, channels) in [0, 255] and gives logits (batch, classes).
    """
    blocks = BlockBuilder(config, seed)
    height, width = image_size
    images, x = blocks.images(height, width, channels)
    for block, filters in enumerate(config.filters):
        for number in range(1, config.convolutions[block] + 1):
            x = blocks.convolution(
                x,
                f"block{block + 1}_conv{number}",
                filters,
                config.kernel_size[block],
                strides=config.stride[block] if number == 1 else 1,
                padding=config.padding[block],
                dilation_rate=config.dilation[block],
                relu=f"block{block + 1}_relu{number}",
            )
        x = blocks.condense(x, block)
    return keras.Model(images, blocks.head(x, classes), name="convnet")
