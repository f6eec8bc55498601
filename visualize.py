"""Draws what a network learned, or what one kernel does: open -> look at images -> draw -> figures/."""

import json
import re
import sys
import zipfile
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from configs import UserError, Visualize, quietly, unknown
from configs.cli import command
from configs.schema import Extraction
from models import ModelError

if TYPE_CHECKING:
    from interpret import Extraction as Extracted
    from training import Run
    from visualization import Drawing, Scene

CLASSES_SHOWN = 3  # where no image is named: an example of each of so many classes


def visualize(config: Visualize) -> Path:
    """Draws the figures that are asked for and returns the folder that they are in."""
    figures = chosen_figures(config.figures)
    if config.kernel is not None:
        run = _run_if_needed(config)
        drawings, out = kernel_drawings(config, run), _folder(config, run)
    else:
        run = _open_run(config) if config.model is None else None
        check_choices(run.model_path if run else Path(config.model), config)
        scene = look_at(config, run)
        drawings, out = scene_drawings(config, scene, figures), _folder(config, run)
    save(drawings, out)
    return out


def chosen_figures(names: Sequence[str]) -> list[str]:
    """The figures that a list of names and groups stands for, each once."""
    from visualization import FIGURES, GROUPS

    for name in names:
        if name not in FIGURES and name not in GROUPS:
            raise UserError(unknown("figure", name, [*GROUPS, *FIGURES]))
    found = [figure for name in names for figure in GROUPS.get(name, (name,))]
    return list(dict.fromkeys(found))


def kernel_drawings(config: Visualize, run: "Run | None") -> "list[Drawing]":
    """The kernel that the user gives: with its numbers, and at work on each image."""
    from interpret import parse_kernel
    from visualization import Drawing, extraction_figure, show_kernel

    try:
        kernel = parse_kernel(config.kernel)
    except ValueError as error:
        raise UserError(str(error)) from None
    if config.image is None and run is None:
        raise UserError("kernel= needs an image to act on; give image=path/to/photo.jpg")
    images, names = _images(config, run, _files(config))
    by_name = isinstance(config.kernel, str) and re.fullmatch(r"\w+", config.kernel.strip())
    stem = config.kernel.strip() if by_name else "given"
    steps = config.extraction
    facts = [f"on luminance in [0, 1], stride {steps.stride}, padding {steps.padding}"]
    facts.append(f"{steps.pooling} pooling {steps.pool_size}, stride {steps.pool_stride or steps.pool_size}")

    def draw_extraction(found):
        stages = {stage: [getattr(found, stage)] for stage in ("filter", "detect", "condense")}
        figure = extraction_figure([found.input * 255], stages, name=f"the kernel {stem}", kernel=kernel, facts=facts)
        return figure, {"kernel": kernel, **vars(found)}

    drawings = [Drawing(f"kernel-{stem}", lambda: (show_kernel(kernel, name=stem), {"kernel": kernel}))]
    stems = [Path(name).stem for name in names]
    for index, image in enumerate(images):
        found = _extracted(image, kernel, steps)
        number = f"-{index}" if stems.count(stems[index]) > 1 else ""  # two folders may hold a car.jpg each
        drawings.append(Drawing(f"extraction-{stem}-{stems[index]}{number}", partial(draw_extraction, found)))
    return drawings


def _extracted(image: np.ndarray, kernel: np.ndarray, steps: Extraction) -> "Extracted":
    from interpret import extract

    try:
        return extract(_shrunk(image, steps.image_size), kernel, **steps.model_dump(exclude={"image_size"}))
    except ValueError as error:
        raise UserError(str(error)) from None


def look_at(config: Visualize, run: "Run | None") -> "Scene":
    """The network's kernels and, from one forward pass, its maps of the images: all that figures are drawn from."""
    if config.model is not None and config.image is None:
        raise UserError("model= needs an image to look at; give image=path/to/photo.jpg")
    files = _files(config)
    with quietly():
        from training.run import load_model

        model = run.model if run else load_model(config.model)

        import keras

        from models import conv_layers, feature_extractor
        from models.graph import image_shape

        infos = {info.name: info for info in conv_layers(model)}
        if not infos:
            raise UserError("The model has no convolution: there are no kernels or feature maps to draw.")
        _refuse_unknown(config, {name: info.output_shape[-1] for name, info in infos.items()})
        chosen = list(dict.fromkeys(config.layers or infos))
        extractor = feature_extractor(model, chosen)

    from visualization import Layer, Scene

    images, names = _images(config, run, files, image_shape(model) or (None, None, 3))
    images = np.stack(images)
    maps = extractor(images)
    layers = []
    for name in chosen:
        info = infos[name]
        kernel, paired = info.kernel, info.kind != "SeparableConv2D"
        if info.kind != "Conv2D":  # each kernel sees one channel
            kernel = kernel.reshape(*kernel.shape[:2], 1, -1)
        rgb = kernel.shape[2] == 3 and info is next(iter(infos.values())) and images.shape[-1] == 3
        layers.append(Layer(name, kernel, maps[name], info.receptive_field, rgb, paired))
    shares = None
    if run:
        logits = keras.ops.convert_to_tensor(model.predict(images.astype("float32"), verbose=0))
        shares = keras.ops.convert_to_numpy(keras.ops.softmax(logits))
    source = f"run {run.name}/{run.id}" if run else Path(config.model).name
    return Scene(layers, images, names, source, run.epoch if run else None, shares, run.labels if run else None)


def scene_drawings(config: Visualize, scene: "Scene", figures: list[str]) -> "list[Drawing]":
    """What is to be drawn of a scene."""
    from visualization import Look, plan

    look = Look(config.units, config.max_units, config.sort, config.scale)
    drawings = []
    for figure in figures:
        found = plan(scene, figure, look)
        if not found:
            print(f"No figure '{figure}': no layer of the model has what it shows.")
        drawings += found
    return drawings


def save(drawings: "list[Drawing]", out: Path) -> None:
    """Draw each figure, write it as PNG, SVG and arrays, and tell where."""
    from rich.progress import track

    from visualization import save_figure

    for drawing in track(drawings, "Drawing", transient=True, disable=not sys.stdout.isatty()):
        figure, arrays = drawing.draw()
        save_figure(figure, arrays, out / _file_name(drawing.name))
    print(f"{len(drawings)} figures in {out}, each as .png, .svg and, with the arrays behind it, .npz:")
    for drawing in drawings:
        print(f"  {_file_name(drawing.name)}.png")


def check_choices(model_path: Path, config: Visualize) -> None:
    """Refuse unknown layers and units from the model's own description, before Keras takes its seconds to load."""
    if config.layers is None and config.units is None:
        return
    try:
        with zipfile.ZipFile(model_path) as archive:
            described = json.loads(archive.open("config.json").read(50_000_000))
        layers = dict(_described_convolutions(described["config"]))
    except (OSError, zipfile.BadZipFile, KeyError, TypeError, AttributeError, ValueError):
        return  # loading the model says what is wrong with it
    if layers:
        _refuse_unknown(config, layers)


def _described_convolutions(network: dict, path: str = "") -> Iterator[tuple[str, int | None]]:
    for layer in network["layers"]:
        settings = layer["config"]
        name = f"{path}{settings['name']}"
        if layer["class_name"] in ("Conv2D", "DepthwiseConv2D", "SeparableConv2D"):
            yield name, settings.get("filters")
        elif "layers" in settings:
            yield from _described_convolutions(settings, f"{name}/")


def _refuse_unknown(config: Visualize, layers: dict[str, int | None]) -> None:
    for name in config.layers or []:
        if name not in layers:
            raise UserError(unknown("layer", name, layers))
    for name in config.layers or layers:
        for unit in config.units or []:
            if layers[name] is not None and unit >= layers[name]:
                hint = "" if config.layers else " Name the layers to draw it for, too: layers=..."
                raise UserError(f"Layer {name} has no unit {unit}; its units are 0 to {layers[name] - 1}.{hint}")


def _open_run(config: Visualize) -> "Run":
    from training import Run

    return Run.open(config.run) if config.run else Run.newest(config.runs_dir)


def _run_if_needed(config: Visualize) -> "Run | None":
    by_index = any(isinstance(image, int) for image in config.image or [])
    return _open_run(config) if config.run or by_index else None


def _folder(config: Visualize, run: "Run | None") -> Path:
    if config.out:
        return Path(config.out)
    return run.figures_dir if run and (config.run or config.kernel is None) else Path("figures")


def _files(config: Visualize) -> dict[str, np.ndarray]:
    """The image files that are asked for, read at their own size."""
    from data import read_image

    return {path: read_image(path) for path in config.image or [] if isinstance(path, str)}


def _images(
    config: Visualize,
    run: "Run | None",
    files: dict[str, np.ndarray],
    shape: tuple[int | None, int | None, int | None] | None = None,
) -> tuple[list[np.ndarray], list[str]]:
    """The images to look at and their names, brought to `shape` (height, width, channels) if one is given.

    Where a model takes any size, the first image's own is everyone's.
    """
    from data import fit_image

    by_index = config.image is None or any(isinstance(image, int) for image in config.image)
    if by_index and run is None:
        raise UserError("An image by its index needs a run; give run=..., or image=path/to/photo.jpg")
    dataset = run.open_data(config.data) if by_index else None
    wanted = config.image if config.image is not None else _one_a_class(dataset.labels(config.split))
    images, names = [], []
    for image in wanted:
        if isinstance(image, int):
            pixels, labels, _ = dataset.examples(config.split, [image])
            images.append(pixels[0])
            names.append(f"{config.split} {image}, {run.labels[labels[0]]}")
        else:
            images.append(files[image])
            names.append(Path(image).name)
    if shape is not None:
        resize = run.config.data.resize if run else "crop"
        size = tuple(side or own for side, own in zip(shape[:2], images[0].shape[:2], strict=True))
        images = [fit_image(image, size, shape[2], resize) for image in images]
    return images, names


def _one_a_class(labels: np.ndarray) -> list[int]:
    _, first = np.unique(labels, return_index=True)
    return [int(index) for index in first[:CLASSES_SHOWN]]


def _shrunk(image: np.ndarray, longest: int | None) -> np.ndarray:
    """An image whose longer side is no longer than `longest`; a smaller one stays as it is, its pixels are its own."""
    from data import fit_image

    factor = (longest or max(image.shape[:2])) / max(image.shape[:2])
    if factor >= 1:
        return image
    height, width = (max(1, round(side * factor)) for side in image.shape[:2])
    return fit_image(image, (height, width), None, "stretch")


def _file_name(name: str) -> str:
    return re.sub(r"[^\w.@-]+", "_", name)[:150]


if __name__ == "__main__":
    command("visualize", Visualize, visualize, mistakes=(ModelError,))
