"""A small residual network: each unit adds the output of two convolutions to its input."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import KerasTensor, layers

from convlens.models.blocks import BlockBuilder


def build_resnet(
    config: Any, image_size: Sequence[int], channels: int, classes: int, *, seed: int | None = None
) -> keras.Model:
    """One flat Functional graph of built-in layers, from raw pixels to logits, after https://arxiv.org/abs/1512.03385.

    A stem convolution, then blocks of `config.convolutions` residual units; the first unit of a block has the block's
    stride. The model takes images (batch, height, width, channels) in [0, 255] and gives logits (batch, classes).
    """
    blocks = BlockBuilder(config, seed)
    height, width = image_size
    images, x = blocks.images(height, width, channels)
    x = blocks.convolution(x, "stem_conv1", config.filters[0], config.kernel_size[0], padding="same", relu="stem_relu1")
    for block in range(len(config.filters)):
        for unit in range(1, config.convolutions[block] + 1):
            x = _residual_unit(
                blocks, x, block, f"block{block + 1}_unit{unit}", config.stride[block] if unit == 1 else 1
            )
        x = blocks.condense(x, block)
    return keras.Model(images, blocks.head(x, classes), name="resnet")


def _residual_unit(blocks: BlockBuilder, x: KerasTensor, block: int, name: str, stride: int) -> KerasTensor:
    filters, kernel_size = blocks.config.filters[block], blocks.config.kernel_size[block]
    options = {"padding": "same", "dilation_rate": blocks.config.dilation[block]}
    residual = blocks.convolution(
        x, f"{name}_conv1", filters, kernel_size, strides=stride, relu=f"{name}_relu1", **options
    )
    residual = blocks.convolution(residual, f"{name}_conv2", filters, kernel_size, relu=None, **options)
    if stride > 1 or x.shape[-1] != filters:
        x = blocks.convolution(x, f"{name}_shortcut_conv", filters, 1, strides=stride, relu=None)
    return layers.Activation("relu", name=f"{name}_relu2")(layers.Add(name=f"{name}_add")([x, residual]))
