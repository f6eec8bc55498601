"""What a training leaves open until its data is known, and how it is chosen.

With `recipe=photographs`, which `experiment=folder` sets, that is how long to learn, with which network and at which
size; for every training, the momentum of batch norm. What a person wrote is never changed. The run's config.yaml holds
the values, so that nothing is chosen twice. docs/small-data.md has what was measured.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from convlens.configs import Train
from convlens.configs.composition import checked

USUAL_SIDES = (32, 48, 64, 96, 128, 160, 192, 224)
LARGEST_SIDE = {"cpu": 128, "gpu": 224}
LOOKS = 1300  # epochs times the square root of the number of images: a quarter of the images, twice the epochs
EPOCHS = (10, 120)  # the fewest, the most
REPORTS = 15  # how often in a training of many short epochs pictures are drawn and the state is saved

REST = 0.05  # what is left in batch norm's running averages of what was so many steps ago:
STEPS = (20, 300)  # about an epoch, within these bounds
MOMENTUM = "model.batch_norm_momentum"

# Where one of these was written, none of the others that go with it is chosen.
_NETWORK = tuple(f"model.{key}" for key in ("family", "filters", "convolutions", "kernel_size", "stride", "pooling"))
_OPTIMIZER = ("training.optimizer.name",)
_TOGETHER = {"model.": _NETWORK, "training.optimizer.": _OPTIMIZER}
_EACH_BLOCK = ("kernel_size", "convolutions", "stride", "padding", "dilation", "pooling", "pool_size", "dropout")


def photographs(images: int, side: int) -> dict[str, Any]:
    """Key -> value, for so many photographs to train on that are used at this size, the shorter side in pixels."""
    fewest, most = EPOCHS
    epochs = min(max(round(LOOKS / math.sqrt(images)), fewest), most)
    every = max(1, epochs // REPORTS)
    return {
        "data.augment.flip": True,
        "data.augment.crop": max(1, side // 8),
        **_network(side),
        "training.epochs": epochs,
        "training.batch_size": 64 if images >= 4000 else 32 if images >= 200 else 16,
        "training.optimizer.name": "muon",
        "training.optimizer.learning_rate": 0.01,
        "training.optimizer.weight_decay": 0.1,
        # AdamW for the first kernels, which Muon leaves rough: they are looked at.
        "training.optimizer.options": {
            "adam_lr_ratio": 0.2,
            "adam_weight_decay": 0.5,
            "exclude_layers": ["block1_conv1"],
        },
        "training.schedule.name": "one_cycle",
        "training.keep": "last",  # the rate has gone to zero by then, and few validation images choose by chance
        "training.checkpoint.every_epochs": every,
        "training.tensorboard.images_every": every,
        "training.tensorboard.histograms_every": every,
    }


def _network(side: int) -> dict[str, Any]:
    """Blocks until maps are a few pixels wide; the first convolution makes large images half as large."""
    halved = side >= 48
    blocks = min(max(int(math.log2(side / (2 if halved else 1))) - 1, 1), 4 if side <= 128 else 5)
    filters = [32, 64, 128, 256, 256][:blocks]
    return {
        "model.filters": filters,
        "model.convolutions": [1, 1 if side > 64 else 2, 2, 2, 2][:blocks],
        "model.kernel_size": [3] * blocks,
        "model.first_kernel_size": 7 if halved else 5,
        "model.stride": [2 if halved else 1, 1, 1, 1, 1][:blocks],
        "model.first_stddev": 0.003,  # so that what the first kernels learn shows in them
        "model.dropout": [0.0] * blocks,
    }


def usual_side(sizes: Sequence[tuple[int, int]], device: str) -> int:
    """The side of the square images to learn from, in pixels.

    The largest usual one that half of the photographs have without being enlarged and that is quick enough.

    Args:
        sizes: (height, width) of the photographs.
        device: "cpu" or "gpu".
    """
    median = sorted(min(size) for size in sizes)[len(sizes) // 2]
    usual = [side for side in USUAL_SIDES if side <= min(median, LARGEST_SIDE[device])]
    return max(usual, default=median)


def explain(requested: Train, config: Train, images: int, sizes: np.ndarray, device: str) -> list[str]:
    """Lines that say what was chosen and why, and what is done to photographs that are small.

    Args:
        requested: the configuration as the user asked for it; `config`: with every choice made.
        sizes: (height, width) of the photographs as they are stored, integers (n, 2).
    """
    keys, lines = open_keys(requested), []
    height, width = config.data.image_size or sizes[0]
    median = int(np.median(sizes.min(axis=1)))
    if "data.image_size" in keys:
        why = "their own size" if (sizes == (height, width)).all() else f"half of them have {median} pixels or more"
        lines.append(f"Photographs are used at {height} x {width}: {why}.{_other_sides(height, median)}")
    smaller = int((sizes < (height, width)).any(axis=1).sum())
    if smaller and config.data.resize != "pad":
        lines.append(
            f"{smaller:,} of {len(sizes):,} photographs are smaller than {height} x {width} and are enlarged, which "
            f"takes time and shows nothing new{f'; data.image_size={median} fits most' if median < height else ''}."
        )
    if requested.recipe:
        lines += _chosen(keys, config, images)
    return lines


def _chosen(keys: set[str], config: Train, images: int) -> list[str]:
    """Two lines at most: what was chosen of how to learn, and of what is done to photographs and kept; and why."""
    training, augment = config.training, config.data.augment
    optimizer = training.optimizer
    learning = {
        "training.epochs": f"{training.epochs} epochs (the fewer photographs, the more)",
        "training.batch_size": f"batches of {training.batch_size}",
        "training.optimizer.name": f"{optimizer.name} with a rate of {optimizer.learning_rate:g}",
        "training.schedule.name": "a rate that ends at zero",
        "model.filters": f"blocks of {', '.join(map(str, config.model.filters))} kernels",
    }
    changes = {"data.augment.flip": "mirrored", "data.augment.crop": f"shifted by up to {augment.crop} pixels"}
    lines, phrases = [], [words for key, words in learning.items() if key in keys]
    if phrases:
        lines.append(f"Chosen for {images:,} photographs to train on: {', '.join(phrases)}.")
    phrases = [words for key, words in changes.items() if key in keys]
    if phrases:
        phrases = [f"photographs are {' and '.join(phrases)} at random, so that they are not learned by heart"]
    if "training.keep" in keys:
        phrases.append("the last epoch's model is kept, for few validation images would choose by chance")
    if phrases:
        lines.append(f"Also chosen: {'; '.join(phrases)}. What you type counts instead, such as {_instead(keys)}.")
    elif lines:
        lines[0] += f" What you type counts instead, such as {_instead(keys)}."
    return lines


def _instead(keys: set[str]) -> str:
    """How a person chooses otherwise, for the keys that they have most reason to."""
    words = {
        "data.augment.flip": "data.augment.flip=false where left and right mean something",
        "training.epochs": "training.epochs=20",
        "training.keep": "training.keep=best",
        "training.batch_size": "training.batch_size=32",
    }
    return ", or ".join([word for key, word in words.items() if key in keys][:2]) or "model=resnet"


def _other_sides(side: int, median: int) -> str:
    """What other sizes would cost, for sizes that enlarge few."""
    near = [other for other in USUAL_SIDES if other <= median and other != side]
    near = [*[other for other in near if other < side][-1:], *[other for other in near if other > side][:1]]
    costs = [f"{other} would take about {_arithmetic(other) / _arithmetic(side):.1f} times as long" for other in near]
    return f" {', '.join(costs)}: data.image_size={near[-1]}." if near else ""


def _arithmetic(side: int) -> int:
    """Multiplications of the convolutions for one image."""
    network = _network(side)
    channels, kernel, multiplications = 3, network["model.first_kernel_size"], 0
    each = (network[f"model.{key}"] for key in ("filters", "convolutions", "stride"))
    for filters, convolutions, stride in zip(*each, strict=True):
        side //= stride
        for _ in range(convolutions):
            multiplications += side * side * kernel * kernel * channels * filters
            channels, kernel = filters, 3
        side //= 2
    return multiplications


def momentum(steps: int, epochs: int) -> float:
    """Of batch norm's running averages, for a training of so many steps an epoch.

    They are of about the last epoch, so that they fit the weights that are validated, and of a quarter of the training
    at most, so that nothing of their start is left in them.
    """
    fewest, most = STEPS
    averaged = min(max(steps, fewest), most, max(1, steps * epochs // 4))
    return round(REST ** (1 / averaged), 4)


def open_keys(config: Train) -> set[str]:
    """The keys that `settle` gives a value, since nobody wrote them."""
    keys = {MOMENTUM} if config.model.batch_norm and config.model.batch_norm_momentum is None else set()
    if config.recipe is None:
        return keys
    if config.data.image_size is None:
        keys.add("data.image_size")
    closed = [start for start, deciding in _TOGETHER.items() if any(map(config.wrote, deciding))]
    candidates = [key for key in photographs(1000, 32) if not key.startswith(tuple(closed))]
    return keys | {key for key in candidates if not config.wrote(key)}


def settle(config: Train, images: int, image_size: Sequence[int], devices: int = 1) -> Train:
    """The configuration with a value for every open key.

    Args:
        images: how many there are to train on.
        image_size: (height, width) of them.
        devices: how many a batch is divided among.
    """
    keys = open_keys(config)
    values = {"data.image_size": list(image_size), **photographs(images, min(image_size))}
    values["training.batch_size"] = math.lcm(values["training.batch_size"], devices)
    config = _with(config, {key: value for key, value in values.items() if key in keys})
    if MOMENTUM in keys:
        training = config.training
        steps = max(1, images // training.batch_size)
        chosen = momentum(min(steps, training.limit_batches or steps), training.epochs)
        config = _with(config, {MOMENTUM: chosen})
    return config


def _with(config: Train, values: dict[str, Any]) -> Train:
    """Other values for some keys, judged as those that were typed."""
    sections: dict[str, dict] = {name: getattr(config, name).model_dump() for name in ("data", "model", "training")}
    blocks = len(values.get("model.filters", config.model.filters))
    for name in _EACH_BLOCK if blocks != len(config.model.filters) else ():
        each = sections["model"][name]
        sections["model"][name] = each[:1] if len(set(each)) == 1 else each
    for key, value in values.items():
        *groups, name = key.split(".")
        section: Any = sections
        for group in groups:
            section = section[group]
        section[name] = value
    changed = {name: checked(type(getattr(config, name)), section) for name, section in sections.items()}
    changed["data"] = changed["data"].model_copy(update={"prepare": config.data.prepare})  # is in no document
    return config.model_copy(update=changed)
