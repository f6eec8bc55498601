"""The network that figures are drawn of: its layers, its epochs, and how titles name it."""

from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from convlens import interpret, visualization
from convlens.core.errors import UserError
from convlens.core.quiet import quietly
from convlens.gallery.choices import refuse_unknown

if TYPE_CHECKING:
    import keras

    from convlens.configs import Visualize
    from convlens.models import ConvInfo
    from convlens.training import Run

SNAPSHOTS_BYTES = 2**30  # of all snapshots of a run, unpacked


class NetworkInputs:
    """The model of a run, or of a file, and its convolutions.

    Args:
        config: what the user chose.
        run: None for a model file.
    """

    def __init__(self, config: "Visualize", run: "Run | None"):
        self.config, self.run = config, run

    @property
    def required_run(self) -> "Run":
        """The run that the network is of. Raises UserError for a model file, which is of none."""
        if self.run is None:
            raise UserError("a model file is of no run; give run=")
        return self.run

    @property
    def source(self) -> str:
        """The network's name in titles."""
        return f"run {self.run.name}/{self.run.id}" if self.run else Path(self._file).name

    @property
    def _file(self) -> str:
        if self.config.model is None:
            raise UserError("there is no network; give run= or model=")
        return self.config.model

    @cached_property
    def model(self) -> "keras.Model":
        with quietly():
            from convlens.training.saved_model import load_model

            return self.run.model if self.run else load_model(self._file)

    @cached_property
    def network(self) -> "interpret.Network":
        """The model, ready to compute gradients; raises ModelError if it has none."""
        return interpret.Network(self.model)

    @property
    def labels(self) -> list[str]:
        """The names of the classes, or their numbers where they have none."""
        return list(self.run.labels) if self.run else [f"class {index}" for index in range(self.network.classes)]

    @property
    def convolutions(self) -> "dict[str, ConvInfo]":
        """The convolutions that figures are drawn of, by name: those that the user named, or all."""
        return {name: self._all_convolutions[name] for name in self.config.layers or self._all_convolutions}

    @property
    def representative_layers(self) -> list[str]:
        """The convolutions that the user named, or the last of each block."""
        chosen = list(self.convolutions.values())
        return [info.name for info in (chosen if self.config.layers else visualization.last_of_each_block(chosen))]

    @cached_property
    def _all_convolutions(self) -> "dict[str, ConvInfo]":
        with quietly():
            from convlens.models import conv_layers

            convolutions = {info.name: info for info in conv_layers(self.model)}
        if not convolutions:
            raise UserError("The model has no convolution: there are no kernels or feature maps to draw.")
        refuse_unknown(self.config, {name: info.output_shape[-1] for name, info in convolutions.items()})
        return convolutions

    def reads_image(self, info: "ConvInfo") -> bool:
        """Whether a convolution reads the image itself."""
        return info is next(iter(self._all_convolutions.values())) and info.reads is None

    def in_colour(self, info: "ConvInfo") -> bool:
        """Whether a convolution's kernels read the red, green and blue of the image itself."""
        return self.reads_image(info) and interpret.kernels_of(info).shape[2] == 3

    @property
    def epoch(self) -> int | None:
        return self.run.epoch if self.run else None

    def caption(self, layer: str | None = None) -> "visualization.Caption":
        field = self.convolutions[layer].receptive_field if layer else None
        return visualization.Caption(self.source, layer, self.epoch, field)

    @property
    def network_caption(self) -> "visualization.Caption":
        """What titles say of the network, not of one of its layers; with the names of a run's classes."""
        return replace(self.caption(), labels=self.run.labels if self.run else None)

    @cached_property
    def snapshots(self) -> "list[interpret.Snapshot]":
        """What the run's network looked like over the epochs."""
        run = self.required_run
        try:
            if sum(interpret.unpacked_bytes(run.read_snapshot(path)) for path in run.snapshots) > SNAPSHOTS_BYTES:
                raise UserError(f"they would take more than {SNAPSHOTS_BYTES:,} bytes")
            return [interpret.unpack_snapshot(run.read_snapshot(path)) for path in run.snapshots]
        except UserError as error:
            raise UserError(f"Snapshots of run {run.path}: {error}.") from None

    def start_of(self, info: "ConvInfo") -> np.ndarray | None:
        """A layer's kernels before learning, as far as the first snapshot holds them; None if no snapshot does."""
        if self.run is None or not self.run.snapshots:
            return None
        first = self.snapshots[0]
        start = first.kernels.get(info.name) if first.epoch == 0 else None
        return start if start is not None and info.kind == "Conv2D" else None
