"""The same networks in PyTorch, trained by a plain loop: what to compare with. Needs `pip install -e '.[bench]'`."""

import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

from benchmarks.measuring import rate_for_a_while, rate_of
from convlens.configs.schema import Model


class Unit(nn.Module):
    """A residual unit: two convolutions, and a shortcut that has one where the shape changes."""

    def __init__(self, config: Model, channels: int, filters: int, stride: int, kernel_size: int):
        super().__init__()
        self.residual = nn.Sequential(
            *_convolution(config, channels, filters, kernel_size, stride),
            *_convolution(config, filters, filters, kernel_size, relu=False),
        )
        changed = stride > 1 or channels != filters
        self.shortcut = nn.Sequential(
            *(_convolution(config, channels, filters, 1, stride, relu=False) if changed else [])
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.residual(x) + self.shortcut(x))


def build(config: Model, side: int, classes: int) -> nn.Module:
    """The network that `models.build_model` builds, for square colour images (batch, 3, side, side) in [-1, 1]."""
    layers, channels = [], 3
    first_size = config.first_kernel_size or config.kernel_size[0]
    if config.family == "resnet":
        layers += _convolution(config, channels, config.filters[0], first_size)
        channels = config.filters[0]
    for block, filters in enumerate(config.filters):
        for number in range(config.convolutions[block]):
            stride = config.stride[block] if number == 0 else 1
            if config.family == "resnet":
                layers.append(Unit(config, channels, filters, stride, config.kernel_size[block]))
            else:
                kernel_size = first_size if block == number == 0 else config.kernel_size[block]
                layers += _convolution(config, channels, filters, kernel_size, stride)
            channels, side = filters, -(-side // stride)
        if config.pooling[block] != "none":
            pooling = nn.MaxPool2d if config.pooling[block] == "max" else nn.AvgPool2d
            layers.append(pooling(config.pool_size[block]))
            side //= config.pool_size[block]
        if config.dropout[block]:
            layers.append(nn.Dropout(config.dropout[block]))
    return nn.Sequential(*layers, *_head(config, channels, side, classes))


def training(
    config: Model, side: int, classes: int, batch_size: int, steps: int, images: int, compiled: bool, half: bool = False
) -> Callable[[], float]:
    """To be called in turn: images a second of `steps` steps with AdamW.

    The images lie as uint8 in the memory of the device, a GPU where there is one, and are shuffled; layout
    channels_last, the faster one. `half`: computes in bfloat16 where autocast does.
    """
    torch.manual_seed(0)
    torch.backends.cudnn.benchmark = True
    torch.set_float32_matmul_precision("high")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    generator = np.random.default_rng(0)
    pixels = torch.from_numpy(generator.integers(0, 256, (images, side, side, 3), "uint8")).permute(0, 3, 1, 2)
    pixels, labels = pixels.to(device), torch.from_numpy(generator.integers(0, classes, images)).to(device)
    plain = build(config, side, classes).to(device, memory_format=torch.channels_last)
    model = torch.compile(plain) if compiled else plain
    optimizer = torch.optim.AdamW(plain.parameters(), 1e-3, fused=device == "cuda")
    loss_of = nn.CrossEntropyLoss()

    def batches():
        while True:
            yield from torch.randperm(images, device=device).split(batch_size)[: images // batch_size]

    stream = batches()

    def turn() -> float:
        def train() -> int:
            for chosen in itertools.islice(stream, steps):
                seen = pixels[chosen].float().div_(127.5).sub_(1).contiguous(memory_format=torch.channels_last)
                optimizer.zero_grad()
                with torch.autocast(device, torch.bfloat16, enabled=half):
                    loss = loss_of(model(seen), labels[chosen])
                loss.backward()
                optimizer.step()
            float(loss.detach())  # waits for the device
            return steps * batch_size

        return rate_of(train)

    turn()  # compiles
    return turn


def parameters(config: Model, side: int, classes: int) -> int:
    """How many weights are trained, to be the same as in the network that this one stands beside."""
    return sum(weight.numel() for weight in build(config, side, classes).parameters())


class Photos(torch.utils.data.Dataset):
    """The image files below a folder of classes, each decoded by Pillow when it is asked for."""

    def __init__(self, root: Path):
        self.files = sorted(root.glob("*/*.jpg"))
        self.classes = sorted({file.parent.name for file in self.files})

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        file = self.files[index]
        with Image.open(file) as image:
            pixels = torch.from_numpy(np.array(image.convert("RGB")))
        return pixels.permute(2, 0, 1), self.classes.index(file.parent.name)


def reading(root: Path, batch_size: int, workers: int) -> Callable[[], float]:
    """To be called in turn: images a second of one epoch of a DataLoader over `Photos`."""
    loader = torch.utils.data.DataLoader(
        Photos(root), batch_size, shuffle=True, num_workers=workers, persistent_workers=workers > 0
    )

    def epoch() -> int:
        return sum(len(images) for images, _ in loader)

    epoch()  # starts the workers
    return lambda: rate_for_a_while(epoch)


def _convolution(
    config: Model, channels: int, filters: int, kernel_size: int, stride: int = 1, *, relu: bool = True
) -> list[nn.Module]:
    padding = kernel_size // 2
    layers = [nn.Conv2d(channels, filters, kernel_size, stride, padding, bias=not config.batch_norm)]
    if config.batch_norm:
        layers.append(nn.BatchNorm2d(filters))
    return [*layers, nn.ReLU()] if relu else layers


def _head(config: Model, channels: int, side: int, classes: int) -> list[nn.Module]:
    average = config.head.pooling == "average"
    layers: list[nn.Module] = [nn.AdaptiveAvgPool2d(1)] if average else []
    layers.append(nn.Flatten())
    width = channels if average else channels * side * side
    for units in config.head.dense:
        layers += [nn.Linear(width, units), nn.ReLU(), nn.Dropout(config.head.dropout)]
        width = units
    if not config.head.dense:
        layers.append(nn.Dropout(config.head.dropout))
    return [*layers, nn.Linear(width, classes)]
