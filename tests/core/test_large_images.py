"""Large images are decoded few at a time, small ones at once."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from convlens.core.large_images import MOST_PIXELS, SMALL, memory_to_decode


def most_at_once(sizes):
    """The most pixels that threads decoded at one moment."""
    lock, now, most = threading.Lock(), 0, 0

    def decode(pixels):
        nonlocal now, most
        with memory_to_decode(pixels):
            with lock:
                now += pixels
                most = max(most, now)
            time.sleep(0.01)
            with lock:
                now -= pixels

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(decode, sizes))
    return most


def test_large_images_share_one_bound_and_all_get_their_turn():
    whole, half = MOST_PIXELS, MOST_PIXELS // 2
    assert most_at_once([whole, half, half, SMALL, whole, half] * 3) <= whole
    assert most_at_once([half, half]) == whole
    assert most_at_once([2 * whole, 1]) <= 2 * whole + 1


def test_an_image_that_fails_leaves_its_room():
    for _ in range(3):
        with pytest.raises(ValueError), memory_to_decode(MOST_PIXELS):
            raise ValueError
