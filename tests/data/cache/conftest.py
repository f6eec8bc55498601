"""Where decoded images are kept on disk in these tests, and small datasets to keep there."""

import pytest

from convlens.configs import Data
from convlens.data import open_dataset


@pytest.fixture(autouse=True)
def images(nothing_kept, monkeypatch):
    """Where decoded images are kept; nothing is there yet."""
    monkeypatch.setattr("convlens.data.survey._TICK", 0)
    return nothing_kept / "images"


@pytest.fixture
def notes(monkeypatch):
    """The notes that are printed about images on disk."""
    lines = []
    monkeypatch.setattr("convlens.data.cache.disk.print_note", lines.append)
    return lines


@pytest.fixture
def too_large_for_memory(monkeypatch):
    monkeypatch.setattr("convlens.data.cache.memory.free_memory", lambda: 1000)


@pytest.fixture
def root(photos):
    return photos({"cat": 30, "dog": 30, "fox": 30})


@pytest.fixture(params=["folder", "tfds"])
def opened(request, root, tfds_dir):
    """Opens the same kind of dataset from either source."""

    def open_it(cache="disk", progress=False, **keys):
        where = {"source": "folder", "root": str(root)}
        if request.param == "tfds":
            where = {"source": "tfds", "name": "tiny_shapes", "data_dir": str(tfds_dir), "shuffle_buffer": 30}
        return open_dataset(Data(cache=cache, **where, **keys), progress=progress)

    open_it.source = request.param
    return open_it
