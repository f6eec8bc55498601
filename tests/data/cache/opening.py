"""Opening datasets whose images are kept on disk, looking at what comes of them, and getting in their way."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from convlens.configs import Data
from convlens.data import open_dataset

ROOT = Path(__file__).resolve().parents[3]


def from_root(root, cache="disk", progress=False, **keys):
    return open_dataset(Data(source="folder", root=str(root), cache=cache, **keys), progress=progress)


def arrays(stream):
    return [(images, labels) for images, labels in stream.as_numpy_iterator()]


def assert_same(first, second):
    assert len(first) == len(second) > 0
    for (images, labels), (other_images, other_labels) in zip(first, second, strict=True):
        np.testing.assert_array_equal(images, other_images)
        np.testing.assert_array_equal(labels, other_labels)


def names_in(folder):
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def refuse_to_decode(monkeypatch):
    def decode(*given, **more):
        raise AssertionError("an image was decoded")

    monkeypatch.setattr("convlens.core.images.Image.open", decode)
    monkeypatch.setattr("tensorflow.io.decode_jpeg", decode)


def refuse_to_write(monkeypatch, code=errno.ENOSPC):
    def pwrite(*given):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "pwrite", pwrite)


FILL = """
import os, signal, sys, time
from convlens.configs import Data
from convlens.data import open_dataset
from convlens.data.cache import disk
data = open_dataset(Data(source="folder", root=sys.argv[1], cache="disk"), progress=True)
decoded = 0
def deadly(function, least=0):
    calls = 0
    def dying(*given):
        global decoded
        calls_before = dying.calls
        dying.calls += 1
        if calls_before >= least:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*given)
    dying.calls = 0
    return dying
"""


def filling(root, code, before="", **options):
    """A process that writes the images of a folder."""
    command = [sys.executable, "-c", f"{before}\n{FILL}{code}", str(root)]
    return subprocess.Popen(command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)
