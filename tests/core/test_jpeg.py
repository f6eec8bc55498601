"""Damage to a JPEG's codes is seen wherever libjpeg sees it, and notes beside the picture are none."""

import io

import numpy as np
import pytest
from PIL import Image

from convlens.core.errors import UserError
from convlens.core.images import read_image
from convlens.core.jpeg import jpeg_damage
from convlens.data.images import inspect_image

KINDS = {
    "plain": {"quality": 90},
    "full colour": {"quality": 75, "subsampling": 0},
    "progressive": {"quality": 90, "progressive": True},
    "with tables of its own": {"quality": 80, "optimize": True},
    "with restarts": {"quality": 90, "restart_marker_rows": 1},
}


def picture(seed=0, side=160):
    rows, columns = np.mgrid[:side, :side]
    slopes = np.stack([rows, columns, (rows + columns) // 2], -1)
    return np.clip(slopes + np.random.default_rng(seed).normal(0, 20, slopes.shape), 0, 255).astype(np.uint8)


def encoded(pixels, **options):
    file = io.BytesIO()
    (pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)).save(file, "JPEG", **options)
    return file.getvalue()


def codes(content):
    """Where the codes of the first scan begin, and those of the last one end."""
    start = content.index(b"\xff\xda")
    return start + 2 + int.from_bytes(content[start + 2 : start + 4], "big"), len(content) - 2


DAMAGES = {
    "512 bytes lost": lambda content, at, size: content[:at] + content[at + min(512, size // 4) :],
    "4 KB of zeros": lambda content, at, size: (
        content[:at] + bytes(min(4096, size // 4)) + content[at + min(4096, size // 4) :]
    ),
    "the rest lost, its end kept": lambda content, at, size: content[:at] + b"\xff\xd9",
}


@pytest.mark.parametrize("options", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_lost_codes_are_seen_wherever_they_are_lost(damage, options, tmp_path):
    content = encoded(picture(), **options)
    start, end = codes(content)
    for share in (0.01, 0.3, 0.5, 0.7, 0.74):
        harmed = damage(content, start + int(share * (end - start)), end - start)
        (tmp_path / "a.jpg").write_bytes(harmed)
        for read in (read_image, inspect_image):
            with pytest.raises(UserError, match=r"a.jpg is a damaged image \(.*\); replace it or remove it"):
                read(tmp_path / "a.jpg")


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_they_are_seen_in_a_photo_of_32_pixels_too(damage):
    content = encoded(picture(side=32), quality=75)
    start, end = codes(content)
    harmed = [damage(content, start + int(share * (end - start)), end - start) for share in np.linspace(0.05, 0.7, 30)]
    assert (
        sum(jpeg_damage(one, "RGB") is not None for one in harmed) >= 28
    )  # of 200 bytes, wrong ones may fit by chance


@pytest.mark.parametrize("options", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize(
    "pixels",
    [picture(), picture(side=7), np.zeros((64, 64, 3), np.uint8), np.full((64, 64), 255, np.uint8), picture()[..., 0]],
    ids=["noise", "small", "black", "white", "grey"],
)
def test_a_whole_picture_has_no_damage(pixels, options):
    assert jpeg_damage(encoded(pixels, **options), "RGB") is None


def test_colours_of_print_are_looked_at_too(tmp_path):
    content = encoded(Image.fromarray(picture()).convert("CMYK"))
    assert jpeg_damage(content, "CMYK") is None
    assert jpeg_damage(content[: len(content) // 2] + b"\xff\xd9", "CMYK")


def beside(content, segment):
    return content[:2] + segment + content[2:]


UNUSUAL = {
    "an unknown version of JFIF": lambda content: content.replace(b"JFIF\0\1\1", b"JFIF\0\7\7"),
    "an unknown transform of Adobe's": lambda content: beside(content, b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0\x09"),
    "a note": lambda content: beside(content, b"\xff\xfe\0\x20" + bytes(30)),
    "bytes after its end": lambda content: content + b"trailer" * 100,
    "a second picture after its end": lambda content: content + content,
    "zeros before its end": lambda content: content[:-2] + bytes(300) + content[-2:],
    "filling before a segment": lambda content: content[:2] + b"\xff\xff" + content[2:],
    "a scan of unusual parameters": lambda content: (
        content[: codes(content)[0] - 3] + b"\1\x3f\0" + content[codes(content)[0] :]
    ),
}


@pytest.mark.parametrize("change", UNUSUAL.values(), ids=UNUSUAL)
def test_what_is_unusual_beside_the_picture_is_no_damage_and_hides_none(change):
    content = encoded(picture())
    Image.open(io.BytesIO(change(content))).load()
    assert jpeg_damage(change(content), "RGB") is None
    start, end = codes(content)
    half = content[: (start + end) // 2] + content[(start + end) // 2 + 512 :]
    assert jpeg_damage(change(half), "RGB")


def test_pixels_are_those_that_pillow_decodes(tmp_path):
    for options in KINDS.values():
        (tmp_path / "a.jpg").write_bytes(encoded(picture(), **options))
        np.testing.assert_array_equal(read_image(tmp_path / "a.jpg"), np.asarray(Image.open(tmp_path / "a.jpg")))
