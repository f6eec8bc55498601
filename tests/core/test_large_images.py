"""Large images are decoded few at a time, small ones at once."""

import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from convlens.core.large_images import MOST_PIXELS, SMALL, memory_to_decode


def most_at_once(sizes, pause=0.01):
    """The most pixels that threads decoded at one moment."""
    lock, now, most = threading.Lock(), 0, 0

    def decode(pixels):
        nonlocal now, most
        with memory_to_decode(pixels):
            with lock:
                now += pixels
                most = max(most, now)
            time.sleep(pause)
            with lock:
                now -= pixels

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(decode, sizes))
    return most


def test_large_images_share_one_bound_and_all_get_their_turn():
    whole, half = MOST_PIXELS, MOST_PIXELS // 2
    assert most_at_once([whole, half, half, SMALL, whole, half] * 3) <= whole
    assert most_at_once([half, half], pause=0.5) == whole
    assert most_at_once([2 * whole, 1]) <= 2 * whole + 1


def test_an_image_that_fails_leaves_its_room():
    for _ in range(3):
        with pytest.raises(ValueError), memory_to_decode(MOST_PIXELS):
            raise ValueError


SIDE = 5000
READING = """
import resource, sys
from PIL import Image
from convlens.data.images import inspect_image, read_image
Image.preinit()
read = {"inspect": inspect_image, "read": read_image}[sys.argv[1]]
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
read(sys.argv[2])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems count in other units")
@pytest.mark.parametrize("way", ["inspect", "read"])
@pytest.mark.parametrize(
    "picture",
    [Image.new("RGB", (SIDE, SIDE)), Image.new("RGBA", (SIDE, SIDE)), Image.fromarray(np.zeros((SIDE, SIDE), "<u2"))],
    ids=["colour", "transparent", "sixteen bits"],
)
def test_an_image_takes_little_more_memory_than_its_pixels_before_and_after(picture, way, tmp_path):
    picture.save(tmp_path / "a.png", compress_level=1)
    words = [sys.executable, "-c", READING, way, str(tmp_path / "a.png")]
    taken = 1024 * int(subprocess.run(words, capture_output=True, text=True, check=True).stdout)
    assert (
        taken < 14 * SIDE**2
    )  # of which four are Pillow's of the file, four those of what it becomes, three an array's
