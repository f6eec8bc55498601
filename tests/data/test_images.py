"""Whatever a file holds, it becomes correct eight-bit pixels, or one line that says why not."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from convlens.core.errors import UserError
from convlens.data import fit_image, read_image
from convlens.data.images import inspect_image

ROOT = Path(__file__).resolve().parents[2]
COLOURS = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [255, 255, 255]]], np.uint8)


@pytest.fixture
def saved(tmp_path):
    """Writes an image under a name and reads it back."""

    def save(image, name, **options):
        path = tmp_path / name
        (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(path, **options)
        return read_image(path)

    return save


@pytest.mark.parametrize(
    "name, options",
    [("a.png", {}), ("a.bmp", {}), ("a.webp", {"lossless": True}), ("a.gif", {}), ("wrong.jpg", {"format": "PNG"})],
)
def test_lossless_formats_give_their_very_pixels_whatever_the_suffix_says(saved, name, options):
    np.testing.assert_array_equal(saved(COLOURS, name, **options), COLOURS)


def test_a_jpeg_is_read_closely(saved):
    blocks = np.kron(COLOURS, np.ones((16, 16, 1), np.uint8))
    assert np.abs(saved(blocks, "a.jpg", quality=95, subsampling=0).astype(int) - blocks).mean() < 2


@pytest.mark.parametrize("suffix, options", [("jpg", {"quality": 100, "subsampling": 0}), ("png", {}), ("webp", {})])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photo_stands_upright_after_any_exif_orientation(saved, suffix, options, orientation):
    upright = np.kron(np.array([[0, 90, 180], [60, 150, 255]], np.uint8), np.ones((16, 16), np.uint8))
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.T,
        6: np.rot90(upright),
        7: upright[::-1, ::-1].T,
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    read = saved(np.ascontiguousarray(stored), f"a.{suffix}", exif=exif, **options)
    assert read.shape[:2] == upright.shape
    assert np.abs(read[..., 0].astype(int) - upright).max() < 12


def test_sixteen_bits_are_scaled_to_eight_and_not_cut_off(saved):
    read = saved(np.array([[0, 257, 32896, 65535]], np.uint16), "a.png")
    assert read.shape == (1, 4, 1)
    assert read.ravel().tolist() == [0, 1, 128, 255]


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_sixteen_bits_are_rounded_alike_for_grey_and_for_colours(channels, tmp_path):
    import tensorflow as tf

    values = np.random.default_rng(channels).integers(0, 65536, (8, 9, channels)).astype(np.uint16)
    if channels in (2, 4):
        values[..., -1] = 65535
    (tmp_path / "a.png").write_bytes(tf.io.encode_png(values).numpy())
    colours = values[..., : 1 if channels < 3 else 3].astype(int)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), (colours + 128) // 257)
    assert not inspect_image(tmp_path / "a.png").plain  # others cut what is rounded here


def test_a_palette_gives_its_colours(saved):
    image = Image.fromarray(COLOURS).convert("P", palette=Image.Palette.ADAPTIVE)
    np.testing.assert_array_equal(saved(image, "a.png"), COLOURS)


def test_one_bit_gives_black_and_white(saved):
    assert saved(Image.fromarray(np.array([[0, 255]], np.uint8)).convert("1"), "a.png").ravel().tolist() == [0, 255]


@pytest.mark.parametrize("mode, clear, solid", [("RGBA", (9, 9, 9, 0), (200, 0, 0, 255)), ("LA", (9, 0), (50, 255))])
def test_what_is_transparent_lies_on_white(saved, mode, clear, solid):
    image = Image.new(mode, (2, 1), clear)
    image.putpixel((1, 0), solid)
    read = saved(image, "a.png")
    assert (read[0, 0] == 255).all()
    assert read[0, 1].tolist() == list(solid[:-1])


def test_a_palette_with_a_transparent_colour_lies_on_white(saved):
    image = Image.fromarray(COLOURS).convert("P", palette=Image.Palette.ADAPTIVE)
    read = saved(image, "a.png", transparency=image.getpixel((0, 0)))
    assert read[0, 0].tolist() == [255, 255, 255]
    assert read[0, 1].tolist() == [0, 255, 0]


def test_cmyk_is_not_inverted(saved):
    blocks = np.kron(COLOURS, np.ones((16, 16, 1), np.uint8))
    read = saved(Image.fromarray(blocks).convert("CMYK"), "a.jpg", quality=95)
    assert np.abs(read.astype(int) - blocks).mean() < 8


def test_of_an_animation_the_first_frame_counts(saved, tmp_path):
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert read_image(tmp_path / "a.gif")[0, 0].tolist() == [255, 0, 0]


def test_a_unicode_path_with_spaces_is_a_path(saved):
    assert saved(COLOURS, "voiture n° 1 été 车.png").shape == (2, 2, 3)


def test_grey_and_colour_become_each_other(tmp_path):
    Image.fromarray(COLOURS).save(tmp_path / "a.png")
    grey = read_image(tmp_path / "a.png", channels=1)
    assert grey.shape == (2, 2, 1)
    assert fit_image(grey, None, 3, "crop").shape == (2, 2, 3)
    assert grey[0, 1, 0] > grey[0, 0, 0] > grey[1, 0, 0]  # green looks lighter than red, red than blue


def test_crop_fills_pad_shows_all_and_stretch_ignores_the_aspect():
    wide = np.zeros((20, 60, 3), np.uint8)
    wide[:, :20], wide[:, 20:40], wide[:, 40:] = 50, 150, 250
    assert (fit_image(wide, (10, 10), 3, "crop")[:, 1:-1] == 150).all()
    padded = fit_image(wide, (30, 30), 3, "pad")
    assert (padded[:10] == 0).all() and (padded[20:] == 0).all() and padded[15, 2, 0] == 50 and padded[15, 28, 0] == 250
    stretched = fit_image(wide, (30, 30), 3, "stretch")
    assert stretched[0, 0, 0] == 50 and stretched[29, 29, 0] == 250


def test_shrinking_averages_instead_of_picking_pixels():
    stripes = np.zeros((64, 64, 1), np.uint8)
    stripes[:, ::2] = 255
    assert np.abs(fit_image(stripes, (8, 8), 1, "crop").astype(int) - 128).max() < 30


def damaged(kind, path):
    if kind == "missing":
        return "does not exist"
    if kind == "broken link":
        path.symlink_to("nowhere.jpg")
        return "link to a file that does not exist"
    if kind == "folder":
        path.mkdir()
        return "is a folder"
    if kind == "pipe":
        os.mkfifo(path)
        return "not a regular file"
    if kind == "empty":
        path.write_bytes(b"")
        return "is empty"
    if kind == "web page":
        path.write_text("\n<!DOCTYPE html><html><body>404</body></html>")
        return "is a web page"
    if kind == "noise":
        path.write_bytes(bytes(range(256)) * 10)
        return "not a JPEG, PNG, WebP, GIF or BMP"
    if kind == "tiff":
        Image.fromarray(COLOURS).save(path, format="TIFF")
        return "not a JPEG, PNG, WebP, GIF or BMP"
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(pixels).save(path, format=kind.split()[1])
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return "damaged"


@pytest.mark.parametrize("reader", [read_image, inspect_image])
@pytest.mark.parametrize(
    "kind",
    ["missing", "broken link", "folder", "pipe", "empty", "web page", "noise", "tiff"]
    + ["truncated JPEG", "truncated PNG", "truncated WebP", "truncated GIF", "truncated BMP"],
)
def test_a_file_that_is_no_image_is_named_with_the_reason(tmp_path, kind, reader):
    path = tmp_path / "photo.jpg"
    reason = damaged(kind, path)
    with pytest.raises(UserError, match=reason) as caught:
        reader(path)
    assert "photo.jpg" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("side", [10_100, 30_000])
def test_an_enormous_image_is_refused_before_it_is_decoded(tmp_path, side):
    # A bitmap's header states the size; its pixels need not be there to make a reader allocate them.
    path = tmp_path / "bomb.bmp"
    Image.new("1", (8, 8)).save(path)
    header = bytearray(path.read_bytes())
    header[18:26] = side.to_bytes(4, "little") * 2
    path.write_bytes(header)
    with pytest.raises(UserError, match="bomb.bmp .* million"):
        read_image(path)


def test_reading_an_image_imports_no_tensorflow(tmp_path):
    Image.fromarray(COLOURS).save(tmp_path / "a.png")
    code = (
        "import sys; from convlens.data import read_image\n"
        f"read_image({str(tmp_path / 'a.png')!r}); print('tensorflow' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.strip() == "False", done.stderr
