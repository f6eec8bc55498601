"""TensorBoard's projector: images as points in feature space, to be turned and searched."""

import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from convlens.core.files import atomic_write, make_folder
from convlens.visualization import palette

if TYPE_CHECKING:
    from convlens.interpret import Embedding

SPRITE_SIDE = 8192  # pixels; what browsers take as one texture
LARGEST_IMAGE = 64


def write_projector(folder: str | Path, embedding: "Embedding", columns: Mapping[str, Sequence[object]]) -> list[Path]:
    """Write what TensorBoard's projector shows of an embedding into `folder`, and return the paths.

    `columns` is what each of the n images is called by column, n values each, such as {"label": [...], "predicted":
    [...]}; the first is what points are labelled with.
    `tensorboard --logdir FOLDER` then has a tab "Projector". The files, in TensorBoard's own formats: tensors.tsv,
    metadata.tsv, sprite.png (images in rows, shrunk to fit 8192 pixels) and projector_config.pbtxt; see
    https://www.tensorflow.org/tensorboard/tensorboard_projector_plugin. Each appears whole or not at all.

    Raises ValueError where the numbers of vectors, images and values differ, or where there are none.
    """
    vectors, images = np.asarray(embedding.vectors), np.asarray(embedding.images)
    if vectors.ndim != 2 or not len(vectors) or not columns:
        raise ValueError(
            f"vectors of shape {vectors.shape} and {len(columns)} columns; expected (n, units), and a column"
        )
    for what, many in (
        ("images", len(images)),
        *((f"values of '{key}'", len(values)) for key, values in columns.items()),
    ):
        if many != len(vectors):
            raise ValueError(f"{many} {what} for {len(vectors)} vectors")
    folder = Path(folder)
    make_folder(folder)
    sprite, side = _sprite(images)
    png = io.BytesIO()
    sprite.save(png, format="PNG")
    contents: dict[str, str | bytes] = {
        "tensors.tsv": "".join("\t".join(f"{x:.6g}" for x in row) + "\n" for row in vectors.tolist()),
        # A label may hold what UTF-8 has no bytes for.
        "metadata.tsv": _metadata(columns).encode("utf-8", "backslashreplace"),
        "sprite.png": png.getvalue(),
        # Last: TensorBoard looks for this file.
        "projector_config.pbtxt": _CONFIG.format(name=_quoted(embedding.layer), side=side),
    }
    for file, content in contents.items():
        atomic_write(folder / file, content)
    return [folder / file for file in contents]


_CONFIG = """\
embeddings {{
  tensor_name: "{name}"
  tensor_path: "tensors.tsv"
  metadata_path: "metadata.tsv"
  sprite {{
    image_path: "sprite.png"
    single_image_dim: {side}
    single_image_dim: {side}
  }}
}}
"""


def _metadata(columns: Mapping[str, Sequence[object]]) -> str:
    """A table; of a single column, TensorBoard takes no header."""
    rows = zip(*columns.values(), strict=True)
    lines = ["\t".join(map(_escaped, row)) for row in rows]
    header = ["\t".join(map(_escaped, columns))] if len(columns) > 1 else []
    return "".join(f"{line}\n" for line in header + lines)


def _escaped(value: object) -> str:
    """A value on one line and in one column, whatever it holds."""
    text = str(value).replace("\\", "\\\\")
    for character, escape in (("\t", "\\t"), ("\n", "\\n"), ("\r", "\\r")):
        text = text.replace(character, escape)
    # Other characters at which a reader may break a line.
    return " ".join(text.splitlines()) or " "


def _quoted(name: str) -> str:
    """A string of protocol buffers' text format, without its quotation marks."""
    return "".join(
        character
        if character.isalnum() or character in " _-./():,"
        else "".join(f"\\{byte:03o}" for byte in character.encode("utf-8", "replace"))
        for character in name
    )


def _sprite(images: np.ndarray) -> tuple[Image.Image, int]:
    """All images in rows of a square, each as a square of so many pixels, letterboxed in white."""
    across = math.ceil(math.sqrt(len(images)))
    side = min(LARGEST_IMAGE, max(images.shape[1:3]), SPRITE_SIDE // across)
    if side < 1:
        raise ValueError(f"{len(images)} images do not fit into one sprite of {SPRITE_SIDE} pixels; give fewer")
    sheet = Image.new("RGB", (across * side, math.ceil(len(images) / across) * side), palette.BACKGROUND)
    for position, image in enumerate(images):
        picture = Image.fromarray(np.ascontiguousarray(palette.colour_image(image)))
        picture.thumbnail((side, side), Image.Resampling.BOX)
        left, top = position % across * side, position // across * side
        sheet.paste(picture, (left + (side - picture.width) // 2, top + (side - picture.height) // 2))
    return sheet, side
