"""Does a network fit its input? Answered with arithmetic alone, before Keras is imported.

A network that shrinks its maps below one pixel otherwise fails deep inside a backend, with a message that names
neither the block nor the remedy.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from convlens.core.errors import ModelError, unknown
from convlens.models import whitening

INITIALIZERS = (
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "lecun_normal",
    "lecun_uniform",
    "orthogonal",
    "random_normal",
    "random_uniform",
    "truncated_normal",
    "variance_scaling",
)
MOST_PARAMETERS = 2_000_000_000

Shape = tuple[int, int, int]


@dataclass(frozen=True)
class BlockShape:
    """What a block of the base makes of its input; shapes are (height, width, channels)."""

    name: str
    input: Shape
    convolved: Shape  # after the last convolution
    output: Shape  # after pooling
    parameters: int


def check_model(config: Any, image_size: Sequence[int], channels: int, classes: int) -> list[BlockShape]:
    """The shapes of the base, block by block, of a network described by `config` (see configs/schema.py, `Model`).

    Raises ModelError, naming the block and the sizes, where the network does not fit images of
    `image_size` (height, width), where it would have an absurd number of parameters, and for an unknown initializer.
    A network out of a file has no such blocks; `from_file` judges it.
    """
    if config.family == "keras":
        return []
    if config.initializer not in INITIALIZERS:
        raise ModelError(unknown("model.initializer", config.initializer, INITIALIZERS))
    height, width = image_size
    base = _Base(config, (height, width, channels))
    if config.family == "resnet":
        _add_residual_blocks(base, config)
    else:
        _add_plain_blocks(base, config)

    parameters = base.parameters + _head_parameters(config.head, base.shape, classes)
    if parameters > MOST_PARAMETERS:
        raise ModelError(
            f"model: {parameters:,} parameters for images of {height}x{width}x{channels}, at most {MOST_PARAMETERS:,} "
            f"are built; make model.filters, model.kernel_size or model.head.dense smaller, or "
            f"set model.head.pooling=average"
        )
    return base.blocks


class _Base:
    """The maps' shape on its way through the blocks, and the parameters met so far."""

    def __init__(self, config: Any, shape: Shape):
        self.config = config
        self.image = shape
        self.shape = shape
        self.parameters = 0
        self.blocks: list[BlockShape] = []
        self._is_first = True  # whether the next convolution is the network's first
        if config.whiten:
            if min(shape[:2]) < whitening.SIZE:
                raise ModelError(f"model.whiten=true needs images of 2x2 pixels or more, these are {self._image()}")
            self.shape = (*shape[:2], whitening.filters(shape[2]))
            self.parameters = (whitening.SIZE**2 * shape[2] + 1) * self.shape[2]

    def convolve(self, name: str, kernel: int, filters: int, stride: int, padding: str, dilation: int) -> None:
        if self._is_first:
            kernel = self.config.first_kernel_size or kernel
        self._is_first = False
        self._check_kernel(name, kernel, padding, dilation)
        height, width, channels = self.shape
        reach = (kernel - 1) * dilation if padding == "valid" else 0
        self.shape = (-(-(height - reach) // stride), -(-(width - reach) // stride), filters)
        self.count_convolution(kernel, channels, filters)

    def count_convolution(self, kernel: int, channels: int, filters: int) -> None:
        per_filter = 4 if self.config.batch_norm else 1  # batch norm's four vectors stand in for the bias
        self.parameters += kernel * kernel * channels * filters + per_filter * filters

    def pool(self, block: int) -> None:
        kind, size = self.config.pooling[block], self.config.pool_size[block]
        if kind == "none":
            return
        height, width, channels = self.shape
        if min(height, width) < size:
            raise ModelError(
                f"block{block + 1}: {kind} pooling of {size}x{size} leaves less than one pixel of maps of "
                f"{height}x{width} (images are {self._image()}); use larger images, fewer blocks, "
                f"or pooling=none or stride 1 in some blocks"
            )
        self.shape = (height // size, width // size, channels)

    def close(self, block: int, entered: Shape, parameters: int) -> None:
        convolved = self.shape
        self.pool(block)
        self.blocks.append(
            BlockShape(f"block{block + 1}", entered, convolved, self.shape, self.parameters - parameters)
        )

    def _check_kernel(self, name: str, kernel: int, padding: str, dilation: int) -> None:
        height, width, _ = self.shape
        extent = (kernel - 1) * dilation + 1
        spread = f" dilated by {dilation} (extent {extent})" if dilation > 1 else ""
        if padding == "valid" and extent > min(height, width):
            raise ModelError(
                f"{name}: a kernel of {kernel}x{kernel}{spread} with padding=valid does not fit into maps of "
                f"{height}x{width} (images are {self._image()}); use padding=same, a smaller kernel_size"
                f"{' or dilation' if dilation > 1 else ''}, larger images or fewer blocks"
            )
        if dilation > 1 and extent // 2 >= min(height, width):
            raise ModelError(
                f"{name}: a kernel of {kernel}x{kernel}{spread} reaches past maps of {height}x{width} "
                f"(images are {self._image()}), so that its outer weights see padding only; use a smaller dilation, "
                f"larger images or fewer blocks"
            )

    def _image(self) -> str:
        return "x".join(str(side) for side in self.image)


def _add_plain_blocks(base: _Base, config: Any) -> None:
    for block, filters in enumerate(config.filters):
        entered, parameters = base.shape, base.parameters
        for index in range(config.convolutions[block]):
            base.convolve(
                f"block{block + 1}",
                config.kernel_size[block],
                filters,
                config.stride[block] if index == 0 else 1,
                config.padding[block],
                config.dilation[block],
            )
        base.close(block, entered, parameters)


def _add_residual_blocks(base: _Base, config: Any) -> None:
    base.convolve("stem", config.kernel_size[0], config.filters[0], 1, "same", 1)
    for block, filters in enumerate(config.filters):
        name, entered, parameters = f"block{block + 1}", base.shape, base.parameters
        if config.padding[block] != "same":
            raise ModelError(
                f"{name}: a residual unit adds its input to its output, so padding must be same, not valid"
            )
        for unit in range(config.convolutions[block]):
            stride, channels = config.stride[block] if unit == 0 else 1, base.shape[2]
            for step in (stride, 1):
                base.convolve(name, config.kernel_size[block], filters, step, "same", config.dilation[block])
            if stride > 1 or channels != filters:
                base.count_convolution(1, channels, filters)
        base.close(block, entered, parameters)


def _head_parameters(head: Any, shape: Shape, classes: int) -> int:
    height, width, channels = shape
    sizes = [channels if head.pooling == "average" else height * width * channels, *head.dense, classes]
    return sum((inputs + 1) * outputs for inputs, outputs in zip(sizes, sizes[1:], strict=False))
