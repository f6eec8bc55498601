"""Zeros in the picture of a WebP are seen, those in notes beside it are none."""

import io

import numpy as np
import pytest
from PIL import Image

from convlens.core.errors import UserError
from convlens.core.images import decode_image
from convlens.core.webp import webp_damage


def encoded(pixels, **options):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "WEBP", **options)
    return file.getvalue()


def noise(seed=0):
    return np.random.default_rng(seed).integers(0, 256, (96, 96, 3), np.uint8)


@pytest.mark.parametrize("options", [{"quality": 90}, {"lossless": True}], ids=["lossy", "lossless"])
def test_a_sector_of_zeros_is_seen(options):
    content = encoded(noise(), **options)
    middle = len(content) // 2
    with pytest.raises(UserError, match="a.webp is a damaged image .*zeros"):
        decode_image(content[:middle] + bytes(512) + content[middle + 512 :], "a.webp", None, None, "crop")


def test_it_is_seen_in_an_animation():
    frames = [Image.fromarray(noise(seed)) for seed in (0, 1)]
    file = io.BytesIO()
    frames[0].save(file, "WEBP", save_all=True, append_images=frames[1:], quality=90)
    content = file.getvalue()
    assert webp_damage(content) is None
    assert webp_damage(content[: len(content) // 4] + bytes(512) + content[len(content) // 4 + 512 :])


@pytest.mark.parametrize("options", [{"quality": 90}, {"lossless": True}], ids=["lossy", "lossless"])
@pytest.mark.parametrize("value", [0, 255])
def test_a_picture_of_one_colour_and_zeros_beside_a_picture_are_no_damage(value, options):
    assert webp_damage(encoded(np.full((3000, 4000, 3), value, np.uint8), **options, method=0)) is None
    assert webp_damage(encoded(noise(), **options, icc_profile=bytes(4000), exif=b"Exif\0\0" + bytes(4000))) is None
