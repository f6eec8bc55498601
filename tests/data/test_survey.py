"""What was found in the images is remembered, and holds exactly as long as the files do."""

import errno
import os

import numpy as np
import pytest
from PIL import Image

from convlens.configs import Data
from convlens.core.errors import UserError
from convlens.data import open_dataset


@pytest.fixture
def looked(photos, monkeypatch, tmp_path):
    """Opens a folder of 40 photos; tells the fingerprint and the names of the files that were decoded for it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("convlens.data.survey._TICK", 0)
    root = photos({"cat": 20, "dog": 20})
    from convlens.data.sources import folder_split

    inspect, seen = folder_split.inspect_image, []
    monkeypatch.setattr(folder_split, "inspect_image", lambda path: seen.append(path.name) or inspect(path))

    def open_it():
        seen.clear()
        dataset = open_dataset(Data(source="folder", root=str(root)), progress=False)
        return dataset.fingerprint, sorted(seen)

    open_it.root, open_it.cache = root, tmp_path / "cache" / "convlens"
    return open_it


def test_a_second_start_decodes_nothing_and_has_the_same_fingerprint(looked):
    first, seen = looked()
    assert len(seen) == 40
    assert looked() == (first, [])


def test_a_file_that_changed_is_looked_at_again_even_if_its_time_was_set_back(looked):
    first, _ = looked()
    path = looked.root / "cat" / "003.png"
    before = path.stat()
    content = bytearray(Image.fromarray(np.zeros((12, 10, 3), np.uint8)).tobytes())
    Image.frombytes("RGB", (10, 12), bytes(content)).save(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    second, seen = looked()
    assert seen == ["003.png"] and second != first
    path.write_bytes(b"")
    with pytest.raises(UserError, match="003.png is empty"):
        looked()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"rules": 1, "found": {}}', b"\xff\xfe"])
def test_a_damaged_cache_is_like_none(looked, content):
    first, _ = looked()
    (file,) = looked.cache.iterdir()
    file.write_bytes(content)
    again, seen = looked()
    assert again == first and len(seen) == 40


def test_a_cache_that_cannot_be_written_only_costs_time(looked, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null")
    first, seen = looked()
    assert len(seen) == 40 and looked()[0] == first


def test_a_disk_that_is_full_only_costs_time_and_leaves_nothing_behind(looked, monkeypatch):
    def full(*given):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr("os.replace", full)
        first, seen = looked()
        assert len(seen) == 40 and looked()[0] == first
        assert not list(looked.cache.iterdir())
    looked()
    assert looked() == (first, [])


def test_names_of_photos_are_remembered_for_their_owner_alone(looked):
    looked()
    (file,) = looked.cache.iterdir()
    assert file.stat().st_mode & 0o077 == 0
