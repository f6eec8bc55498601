"""No damage of a PNG's picture goes unseen, wherever it is, for it has checksums."""

import io

import numpy as np
import pytest
from PIL import Image

from convlens.core.errors import UserError
from convlens.core.images import decode_image
from convlens.core.png import has_end, png_damage
from convlens.data.images import inspect_encoded

PIXELS = np.random.default_rng(0).integers(0, 60, (12, 12), np.uint8)
PICTURES = {
    "grey": Image.fromarray(PIXELS),
    "colour": Image.fromarray(np.stack([PIXELS, PIXELS.T, PIXELS + 9], axis=-1)),
    "palette": Image.fromarray(PIXELS).convert("P"),
    "sixteen bits": Image.fromarray(PIXELS.astype(np.uint16) * 1000),
}


def encoded(picture):
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def pixels_of(content):
    return decode_image(content, "a.png", None, None, "crop")


@pytest.mark.parametrize("kind", PICTURES)
def test_every_flipped_bit_is_refused_or_changes_nothing(kind):
    content = encoded(PICTURES[kind])
    expected, refused = pixels_of(content), 0
    for place in range(8, len(content)):
        for bit in range(8):
            flipped = bytearray(content)
            flipped[place] ^= 1 << bit
            try:
                np.testing.assert_array_equal(pixels_of(bytes(flipped)), expected)
            except UserError:
                refused += 1
    assert refused >= 8 * (len(content) - 8 - 12)  # the chunk that ends the file says nothing of the picture


@pytest.mark.parametrize("lost", [2, 12])
def test_what_lacks_its_end_alone_is_used_but_not_by_decoders_that_ask_for_it(lost):
    content = encoded(PICTURES["colour"])
    assert inspect_encoded(content, "a.png").plain and has_end(content)
    inspection = inspect_encoded(content[:-lost], "a.png")
    assert not inspection.plain and not has_end(content[:-lost])
    assert inspection.pixels == inspect_encoded(content, "a.png").pixels


@pytest.mark.parametrize("lost", [13, 16, 20])
def test_a_picture_without_its_checksum_is_refused(lost):
    content = encoded(PICTURES["colour"])
    assert png_damage(content) is None
    with pytest.raises(UserError, match="a.png is a damaged image"):
        pixels_of(content[:-lost])
