"""What one kernel that the user gives does to photographs; no trained network is needed."""

import hashlib
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from convlens.core.errors import UserError
from convlens.gallery.photos import PICTURE, asks_for_data, read_files, read_photos

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from convlens.configs import Visualize
    from convlens.configs.schema import Extraction
    from convlens.interpret import Extraction as Extracted
    from convlens.training import Run
    from convlens.visualization import Drawing


def kernel_drawings(config: "Visualize", run: "Run | None") -> "list[Drawing]":
    """The kernel that the user gives: with its numbers, and at work on each image."""
    from convlens.interpret import parse_kernel
    from convlens.visualization import Drawing, show_kernel

    if config.kernel is None:
        raise UserError("no kernel to draw; give kernel=")
    kernel = parse_kernel(config.kernel)
    if config.image is None and run is None:
        config = config.model_copy(update={"image": [str(PICTURE)]})
    dataset = run.open_data(config.data) if run and asks_for_data(config) else None
    photos = read_photos(config, run, read_files(config, run), dataset)
    name = config.kernel_name or name_of(kernel)

    drawings = [Drawing(f"kernel-{name}", lambda: (show_kernel(kernel, name=name), {"kernel": kernel}))]
    stems = [Path(photo.name).stem for photo in photos]
    for index, photo in enumerate(photos):
        extraction = _extracted(photo.pixels, kernel, config.extraction)
        number = f"-{index}" if stems.count(stems[index]) > 1 else ""  # two folders may hold a car.jpg each
        draw = partial(_draw_extraction, extraction, name, config.extraction, photo.name)
        drawings.append(Drawing(f"extraction-{name}-{stems[index]}{number}{_changed(config.extraction)}", draw))
    return drawings


def name_of(kernel: np.ndarray) -> str:
    """The kernel's name, where it has one; else its size and a short digest of its numbers, another one for each."""
    from convlens.interpret import named_kernels

    for name, known in named_kernels().items():
        if np.array_equal(known.array, kernel):
            return name
    numbers = np.ascontiguousarray(kernel, "<f4") + 0.0  # a negative zero is the same number
    digest = hashlib.sha256(numbers.tobytes()).hexdigest()
    return f"{kernel.shape[0]}x{kernel.shape[1]}-{digest[:6]}"


def _changed(steps: "Extraction") -> str:
    """The settings that differ from the usual ones, for a file's name: the same kernel may be drawn with several."""
    usual = type(steps)().model_dump()
    changed = {key: value for key, value in steps.model_dump().items() if value != usual[key]}
    return "".join(f"-{key}_{value}" for key, value in changed.items())


def _draw_extraction(
    extraction: "Extracted", name: str, steps: "Extraction", photo: str
) -> "tuple[Figure, dict[str, np.ndarray]]":
    from convlens.visualization import extraction_figure

    facts = [f"on luminance in [0, 1], stride {steps.stride}", _border(steps.padding, extraction.cover.inside)]
    facts.append(f"{steps.pooling} pooling {steps.pool_size}, stride {steps.pool_stride or steps.pool_size}")
    figure = extraction_figure(extraction, name=f"the kernel {name}", image_name=photo, facts=facts)
    return figure, extraction.arrays()


def _border(padding: str, inside: np.ndarray) -> str:
    """What padding does to the border of the picture, in words."""
    if inside.all():
        return f"padding {padding}: the kernel stays on the picture"
    return (
        "padding same: the outermost cells also see zeros, black, outside of the picture; edges there are not its own"
    )


def _extracted(image: np.ndarray, kernel: np.ndarray, steps: "Extraction") -> "Extracted":
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
