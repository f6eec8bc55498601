"""Decoded images take no more of the disk than their share, and what is done where there is no room."""

import errno
import os
import subprocess

import pytest

from convlens.core.errors import UserError
from convlens.data.cache import disk_space
from tests.data.cache.opening import (
    arrays,
    assert_same,
    filling,
    from_root,
    names_in,
    refuse_to_decode,
    refuse_to_write,
)

GB = 10**9


def test_images_lie_on_disk_where_they_do_not_fit_in_memory(root, monkeypatch, notes):
    whole = 90 * 360 + 3 * 128
    sizes = {"convlens.data.cache.memory.free_memory": 4 * 90 * 360, "convlens.data.cache.disk_space.free": 4 * whole}

    def places(**changed):
        for name, size in (sizes | changed).items():
            monkeypatch.setattr(name, lambda size=size: size)
        data = from_root(root, "auto", progress=True)
        return data._cache.in_memory, data._cache.on_disk

    assert places() == (True, False)
    no_memory = {"convlens.data.cache.memory.free_memory": sizes["convlens.data.cache.memory.free_memory"] - 1}
    assert places(**no_memory) == (False, True)
    assert places(**no_memory | {"convlens.data.cache.disk_space.free": 4 * whole - 4}) == (False, False)
    places(**no_memory)
    from_root(root, "auto").load()
    assert places(**no_memory | {"convlens.data.cache.disk_space.free": 0}) == (False, True), "they are there already"


@pytest.mark.heavy
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_where_the_disk_is_full_images_are_streamed_and_it_is_told_once(
    opened, images, notes, monkeypatch, too_large_for_memory, code
):
    expected = arrays(opened("none").training(8, 0, 1))
    data = opened("auto", progress=True)
    with monkeypatch.context() as patch:
        refuse_to_write(patch, code)
        assert_same(arrays(data.training(8, 0, 1)), expected)
    assert [line for line in notes if "written once" not in line] == notes[1:] and len(notes) == 2
    assert f"train.npy cannot be written: {os.strerror(code)}" in notes[1] and "decodes them again" in notes[1]
    assert not names_in(images)


def test_a_full_disk_is_a_mistake_where_images_are_to_lie_there(opened, images, monkeypatch):
    data = opened()
    refuse_to_write(monkeypatch)
    with pytest.raises(UserError, match="data.cache=disk: .*No space left on device.*XDG_CACHE_HOME.*data.cache=none"):
        data.load()
    assert not names_in(images)


def test_images_that_take_more_than_is_free_are_refused_before_they_are_decoded(root, monkeypatch):
    monkeypatch.setattr("convlens.data.cache.disk_space.free", lambda: 20_000)
    refuse = from_root(root)
    refuse_to_decode(monkeypatch)
    with pytest.raises(UserError, match="data.cache=disk: they need 0.0 MB but only 0.0 MB are free in"):
        refuse.load()


def test_a_cache_that_cannot_be_written_is_told_or_refused(root, monkeypatch, notes, too_large_for_memory):
    expected = arrays(from_root(root, "none").training(8, 0, 1))
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null")
    monkeypatch.setattr("convlens.data.cache.disk_space.free", lambda: GB)
    assert_same(arrays(from_root(root, "auto", progress=True).training(8, 0, 1)), expected)
    assert len(notes) == 1 and "/dev/null/convlens/images" in notes[0] and "Not a directory" in notes[0]
    with pytest.raises(UserError, match="data.cache=disk: /dev/null.* cannot be written"):
        from_root(root).load()


@pytest.fixture
def three(photos, images):
    """Three datasets on disk, the first one used longest ago; and how many bytes each takes."""
    datasets = []
    for number, counts in enumerate([{"cat": 30, "dog": 30}, {"cat": 29, "dog": 31}, {"cat": 28, "dog": 32}]):
        datasets.append(photos(counts, root=f"set{number}"))
        data = from_root(datasets[-1])
        data.load()
        for path in data._cache.disk.folder.iterdir():
            os.utime(path, (number + 1, number + 1))
        del data
    return datasets, 60 * 360 + 3 * 128


def kept(datasets):
    return [from_root(root)._cache.disk.fits() for root in datasets]


def test_the_images_that_were_not_used_for_the_longest_time_make_room(three, photos, monkeypatch, images):
    datasets, size = three
    monkeypatch.setattr(
        "convlens.data.cache.disk_space.free",
        lambda: 4 * 3 * size - sum(f.stat().st_size for f in images.rglob("*.npy")),
    )
    from_root(datasets[0]).load()  # is now the one that was used last
    fourth = photos({"cat": 27, "dog": 33}, root="set3")
    from_root(fourth).load()
    there = {path.name for path in images.iterdir()}
    assert there == {from_root(root)._cache.disk.folder.name for root in (datasets[0], datasets[2], fourth)}
    assert disk_space.allowance() == 3 * size


def test_images_that_a_process_uses_stay(three, photos, monkeypatch, images):
    datasets, size = three
    using = from_root(datasets[0])
    using.load()
    monkeypatch.setattr(
        "convlens.data.cache.disk_space.free", lambda: 4 * size - sum(f.stat().st_size for f in images.rglob("*.npy"))
    )
    monkeypatch.setattr("convlens.data.cache.memory.free_memory", lambda: 1000)
    fourth = photos({"cat": 27, "dog": 33}, root="set3")
    data = from_root(fourth, "auto")
    data.load()
    assert {path.name for path in images.iterdir()} == {using._cache.disk.folder.name, data._cache.disk.folder.name}
    assert not data.keeps("train"), "the two together would take more than a quarter"
    assert not names_in(data._cache.disk.folder)
    for path in datasets[0].rglob("*.png"):
        path.unlink()
    assert len(arrays(using.training(8, 0, 1))) == 6


def test_images_that_no_process_uses_any_more_go(three, photos, monkeypatch, images):
    datasets, size = three
    using = filling(
        datasets[0], "file = data._cache.disk.keep('train')\nprint(1, flush=True)\ninput()", stdin=subprocess.PIPE
    )
    assert using.stdout.readline()
    monkeypatch.setattr(
        "convlens.data.cache.disk_space.free", lambda: 4 * size - sum(f.stat().st_size for f in images.rglob("*.npy"))
    )
    fourth = photos({"cat": 27, "dog": 33}, root="set3")
    from_root(fourth).load()
    assert len(list(images.iterdir())) == 2
    using.communicate()
    fifth = photos({"cat": 26, "dog": 34}, root="set4")
    from_root(fifth).load()
    assert from_root(datasets[0])._cache.disk.folder not in list(images.iterdir())


def test_what_can_go_goes_where_older_images_are_in_use(three, photos, monkeypatch, images):
    datasets, size = three
    using = from_root(datasets[0])
    using.load()
    for path in using._cache.disk.folder.iterdir():
        os.utime(path, (0, 0))
    monkeypatch.setattr(
        "convlens.data.cache.disk_space.free", lambda: 8 * size - sum(f.stat().st_size for f in images.rglob("*.npy"))
    )
    monkeypatch.setattr("convlens.data.cache.memory.free_memory", lambda: 1000)
    data = from_root(photos({"cat": 27, "dog": 33}, root="set3"), "auto")
    data.load()
    assert data.keeps("train")
    assert {path.name for path in images.iterdir()} == {using._cache.disk.folder.name, data._cache.disk.folder.name}
