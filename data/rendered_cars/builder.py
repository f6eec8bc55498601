"""The TFDS builder: RenderedCars."""

import io
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from tensorflow_datasets.core.utils import tqdm_utils

from convlens.core.progress import print_note, progress_bar

from .description import DESCRIPTION
from .light import SKIES
from .render import VERSION
from .scene import GROUNDS
from .vehicles import STYLES
from .workers import render_all

_CITATION = """\
@misc{convlens_rendered_cars,
  title  = {rendered\\_cars: procedurally rendered vehicles with part masks and generating factors},
  author = {The convlens authors},
  year   = {2026},
  note   = {Version 1.0.0, part of convlens}
}
"""

CARS = ("sedan", "hatchback", "wagon", "suv")
TRUCKS = ("pickup", "van", "box_truck")

FACTORS = {
    "azimuth": np.float32,
    "elevation": np.float32,
    "distance": np.float32,
    "focal_length": np.float32,
    "sun_azimuth": np.float32,
    "sun_elevation": np.float32,
    "occluded": np.float32,
    "cropped": np.float32,
}


@dataclass
class RenderedCarsConfig(tfds.core.BuilderConfig):
    """size: pixels along a side. classes: for each label, the body styles that bear it. train, ...: images a split."""

    size: int = 64
    classes: tuple[tuple[str, tuple[str, ...]], ...] = tuple((style, (style,)) for style in STYLES)
    train: int = 8000
    validation: int = 1000
    test: int = 2000

    def schedule(self) -> tuple[str, ...]:
        """Styles in the order in which they are rendered, again and again: labels take turns, so classes balance."""
        rounds = int(np.lcm.reduce([len(styles) for _, styles in self.classes]))
        return tuple(styles[turn % len(styles)] for turn in range(rounds) for _, styles in self.classes)


class RenderedCars(tfds.core.GeneratorBasedBuilder):
    """Vehicles rendered on this machine: nothing is downloaded."""

    VERSION = tfds.core.Version(VERSION)
    RELEASE_NOTES = {"1.0.0": "Initial release: eight body styles."}
    BUILDER_CONFIGS = [
        RenderedCarsConfig(name="64", description="64 x 64 pixels, eight body styles."),
        RenderedCarsConfig(
            name="128", description="128 x 128 pixels, eight body styles; the scenes of `64`.", size=128
        ),
        RenderedCarsConfig(
            name="car_or_truck",
            description="64 x 64 pixels, cars against goods vehicles (no buses).",
            classes=(("car", CARS), ("truck", TRUCKS)),
        ),
    ]

    def _info(self) -> tfds.core.DatasetInfo:
        size = self.builder_config.size
        factors = dict(FACTORS)
        factors |= {"sky": tfds.features.ClassLabel(names=SKIES)}
        factors |= {name: tfds.features.ClassLabel(names=GROUNDS) for name in ("road", "verge")}
        factors |= {name: tfds.features.Tensor(shape=(3,), dtype=np.uint8) for name in ("paint", "second_paint")}
        return self.dataset_info_from_configs(
            description=DESCRIPTION,
            citation=_CITATION,
            supervised_keys=("image", "label"),
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(size, size, 3), encoding_format="png"),
                    "label": tfds.features.ClassLabel(names=[label for label, _ in self.builder_config.classes]),
                    "style": tfds.features.ClassLabel(names=STYLES),
                    "parts": tfds.features.Image(shape=(size, size, 1), encoding_format="png"),
                    "factors": factors,
                }
            ),
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Any]:
        config = self.builder_config
        return {name: self._generate_examples(name, getattr(config, name)) for name in ("train", "validation", "test")}

    def _generate_examples(self, split: str, count: int) -> Iterator[tuple[int, dict[str, Any]]]:
        config = self.builder_config
        label_of = {style: label for label, styles in config.classes for style in styles}
        for index, picture in enumerate(render_all(config.schedule(), split, count, config.size)):
            picture["image"], picture["parts"] = io.BytesIO(picture["image"]), io.BytesIO(picture["parts"])
            yield index, picture | {"label": label_of[picture["style"]]}
            self._rendered += 1
            self._progress(self._rendered)

    def _log_download_bytes(self) -> None:
        """Nothing is downloaded; the progress bar says the rest."""

    def _log_download_done(self) -> None:
        """The progress bar has said so."""

    def _download_and_prepare(self, **options: Any) -> None:
        """As TFDS's own, with one progress bar in place of several, and a line when all is done."""
        config, begun = self.builder_config, time.monotonic()
        total = config.train + config.validation + config.test
        dataset = f"{self.name}/{config.name}"
        with _no_bars_of_tfds(), progress_bar(f"Rendering {dataset}", total) as self._progress:
            self._rendered = 0
            super()._download_and_prepare(**options)
        seconds = round(time.monotonic() - begun)
        print_note(f"Rendered {dataset}: {self._rendered}/{total} images in {timedelta(seconds=seconds)}.")


@contextmanager
def _no_bars_of_tfds() -> Iterator[None]:
    shown = tqdm_utils._active  # TFDS can set it, but not tell it
    tfds.disable_progress_bar()
    try:
        yield
    finally:
        tqdm_utils.display_progress_bar(shown)
