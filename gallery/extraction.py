"""What one kernel that the user gives does to photographs; no trained network is needed."""

import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from convlens.configs import Visualize
from convlens.configs.schema import Extraction
from convlens.core.errors import UserError
from convlens.gallery.photos import asks_for_data, read_files, read_photos

if TYPE_CHECKING:
    from convlens.interpret import Extraction as Extracted
    from convlens.training import Run
    from convlens.visualization import Drawing


def kernel_drawings(config: Visualize, run: "Run | None") -> "list[Drawing]":
    """The kernel that the user gives: with its numbers, and at work on each image."""
    from convlens.interpret import parse_kernel
    from convlens.visualization import Drawing, show_kernel

    kernel = parse_kernel(config.kernel)
    if config.image is None and run is None:
        raise UserError("kernel= needs an image to act on; give image=path/to/photo.jpg")
    dataset = run.open_data(config.data) if run and asks_for_data(config) else None
    photos = read_photos(config, run, read_files(config), dataset)
    by_name = isinstance(config.kernel, str) and re.fullmatch(r"\w+", config.kernel.strip())
    name = config.kernel.strip() if by_name else "given"

    drawings = [Drawing(f"kernel-{name}", lambda: (show_kernel(kernel, name=name), {"kernel": kernel}))]
    stems = [Path(photo.name).stem for photo in photos]
    for index, photo in enumerate(photos):
        extraction = _extracted(photo.pixels, kernel, config.extraction)
        number = f"-{index}" if stems.count(stems[index]) > 1 else ""  # two folders may hold a car.jpg each
        draw = partial(_draw_extraction, extraction, kernel, name, config.extraction)
        drawings.append(Drawing(f"extraction-{name}-{stems[index]}{number}", draw))
    return drawings


def _draw_extraction(extraction: "Extracted", kernel: np.ndarray, name: str, steps: Extraction):
    from convlens.visualization import extraction_figure

    facts = [f"on luminance in [0, 1], stride {steps.stride}, padding {steps.padding}"]
    facts.append(f"{steps.pooling} pooling {steps.pool_size}, stride {steps.pool_stride or steps.pool_size}")
    stages = {stage: [getattr(extraction, stage)] for stage in ("filter", "detect", "condense")}
    image = extraction.input * 255
    figure = extraction_figure([image], stages, name=f"the kernel {name}", kernel=kernel, facts=facts)
    return figure, {"kernel": kernel, **vars(extraction)}


def _extracted(image: np.ndarray, kernel: np.ndarray, steps: Extraction) -> "Extracted":
    from convlens.interpret import extract

    return extract(_shrunk(image, steps.image_size), kernel, **steps.model_dump(exclude={"image_size"}))


def _shrunk(image: np.ndarray, longest: int | None) -> np.ndarray:
    """An image whose longer side is no longer than `longest`; a smaller one stays as it is, its pixels are its own."""
    from convlens.data import fit_image

    factor = (longest or max(image.shape[:2])) / max(image.shape[:2])
    if factor >= 1:
        return image
    height, width = (max(1, round(side * factor)) for side in image.shape[:2])
    return fit_image(image, (height, width), None, "stretch")
