"""What both families are made of: the input, the convolution with its ReLU, the pooling, the head."""

import zlib
from typing import Any

from keras import Input, KerasTensor, initializers, layers, regularizers

from convlens.models import whitening

KERAS_MOMENTUM = 0.99  # of batch norm's running averages


class BlockBuilder:
    """Makes named layers out of one configuration (see configs/schema.py, `Model`) and one seed.

    A layer's seed comes from the network's seed and the layer's name, so that the same seed gives a layer the same
    weights whatever stands before or after it.
    """

    def __init__(self, config: Any, seed: int | None):
        self.config = config
        self.seed = seed
        self._is_first = True  # whether the next convolution is the network's first

    def images(self, height: int, width: int, channels: int) -> tuple[KerasTensor, KerasTensor]:
        """The network's input, pixels in [0, 255], and the same in [-1, 1], or what is whitened of it.

        Rescaling stays in float32 under mixed precision: bfloat16 keeps 8 bits of a pixel.
        """
        images = Input((height, width, channels), name="images")
        x = layers.Rescaling(1 / 127.5, offset=-1.0, dtype="float32", name="rescale")(images)
        return images, self._whitened(x) if self.config.whiten else x

    def _whitened(self, x: KerasTensor) -> KerasTensor:
        """Zero until `whiten` has seen images."""
        kernels, size = whitening.filters(x.shape[-1]), whitening.SIZE
        options = {"padding": "same", "activation": "relu", "kernel_initializer": "zeros", "trainable": False}
        return layers.Conv2D(kernels, size, name=whitening.NAME, **options)(x)

    def convolution(
        self, x: KerasTensor, name: str, filters: int, kernel_size: int, *, relu: str | None, **options: Any
    ) -> KerasTensor:
        """Filter and detect: a convolution, batch norm if configured, then ReLU.

        The network's first one has the size and the start that `config` gives it.
        `name` ends in the convolution's own name, "block1_conv1"; its batch norm is "block1_bn1". `relu` names the ReLU
        where it must be a layer of its own; None leaves the ReLU out.
        """
        batch_norm = self.config.batch_norm
        start = self._start(name)
        if self._is_first:
            kernel_size = self.config.first_kernel_size or kernel_size
            if self.config.first_stddev is not None:
                start = initializers.RandomNormal(stddev=self.config.first_stddev, seed=self._layer_seed(name))
        self._is_first = False
        x = layers.Conv2D(
            filters,
            kernel_size,
            activation="relu" if relu and not batch_norm else None,
            use_bias=not batch_norm,  # batch norm's own offset takes its place
            name=name,
            kernel_initializer=start,
            kernel_regularizer=self._penalty(),
            **options,
        )(x)
        if not batch_norm:
            return x
        momentum = self.config.batch_norm_momentum
        momentum = KERAS_MOMENTUM if momentum is None else momentum
        x = layers.BatchNormalization(momentum=momentum, name=name.replace("conv", "bn"))(x)
        return layers.Activation("relu", name=relu)(x) if relu else x

    def condense(self, x: KerasTensor, block: int) -> KerasTensor:
        """The pooling that ends a block, and its dropout."""
        kind, size, rate = (
            values[block] for values in (self.config.pooling, self.config.pool_size, self.config.dropout)
        )
        name = f"block{block + 1}"
        if kind != "none":
            pooling = layers.MaxPooling2D if kind == "max" else layers.AveragePooling2D
            x = pooling(size, name=f"{name}_pool")(x)
        return self._dropout(x, rate, f"{name}_dropout")

    def head(self, x: KerasTensor, classes: int) -> KerasTensor:
        """Logits of shape (batch, classes), float32 under mixed precision too, from the base's last maps."""
        head = self.config.head
        pooling = layers.GlobalAveragePooling2D if head.pooling == "average" else layers.Flatten
        x = pooling(name=f"head_{head.pooling}")(x)
        for number, units in enumerate(head.dense, start=1):
            name = f"head_dense{number}"
            x = layers.Dense(units, activation="relu", name=name, **self._kernel(name))(x)
            x = self._dropout(x, head.dropout, f"head_dropout{number}")
        if not head.dense:
            x = self._dropout(x, head.dropout, "head_dropout")
        return layers.Dense(classes, dtype="float32", name="logits", **self._kernel("logits", "glorot_uniform"))(x)

    def _dropout(self, x: KerasTensor, rate: float, name: str) -> KerasTensor:
        return layers.Dropout(rate, seed=self._layer_seed(name), name=name)(x) if rate else x

    def _kernel(self, name: str, initializer: str | None = None) -> dict[str, Any]:
        return {"kernel_initializer": self._start(name, initializer), "kernel_regularizer": self._penalty()}

    def _start(self, name: str, initializer: str | None = None) -> initializers.Initializer:
        kind = type(initializers.get(initializer or self.config.initializer))
        return kind(seed=self._layer_seed(name))

    def _penalty(self) -> regularizers.Regularizer | None:
        return regularizers.L2(self.config.weight_decay) if self.config.weight_decay else None

    def _layer_seed(self, name: str) -> int | None:
        return None if self.seed is None else zlib.crc32(f"{self.seed}/{name}".encode()) % 2**31
