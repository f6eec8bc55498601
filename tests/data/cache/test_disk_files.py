"""A file of decoded images is whole or is not used, whatever is killed, cut or done at once."""

import os
import signal
import time

import numpy as np
import pytest

from convlens.core.errors import UserError
from tests.data.cache.opening import arrays, assert_same, filling, from_root, names_in


@pytest.mark.parametrize(
    "moment",
    ["os.pwrite = deadly(os.pwrite, 20)", "os.fsync = deadly(os.fsync)", "os.replace = deadly(os.replace)"],
    ids=["while writing", "when all is written", "before it has its name"],
)
def test_what_a_killed_process_left_is_not_used_and_goes(root, photos, images, moment):
    expected = arrays(from_root(root, "memory").training(8, 0, 1))
    process = filling(root, f"{moment}\ndata._cache.disk.keep('train')")
    assert process.wait() == -signal.SIGKILL, process.stderr.read()
    assert names_in(images) == ["train.part"]
    if "replace" in moment:  # another dataset's start removes it
        from_root(photos({"cat": 20, "dog": 20}, root="others"))._cache.disk.keep("test")
        assert names_in(images) == ["test.npy"]
    assert_same(arrays(from_root(root).training(8, 0, 1)), expected)
    assert "train.part" not in names_in(images)


SLOWLY = """
decode = data._source.splits["train"].decode_all
def slowly(take, *given):
    def wait_and_take(*found):
        global decoded
        decoded += 1
        time.sleep(0.05)
        take(*found)
    decode(wait_and_take, *given)
data._source.splits["train"].decode_all = slowly
file = data._cache.disk.keep("train")
print(decoded, file.read(range(72)).tobytes().hex())
"""


def wait_for(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_of_two_processes_at_once_one_writes_and_both_read(root, images):
    first = filling(root, SLOWLY)
    wait_for(lambda: names_in(images) == ["train.part"])
    second = filling(root, SLOWLY)
    results = [process.communicate()[0].split() for process in (first, second)]
    assert [int(decoded) for decoded, _ in results] == [72, 0]
    assert results[0][1] == results[1][1] == from_root(root, "none").examples("train", range(72))[0].tobytes().hex()


def test_a_process_that_waits_for_one_that_is_killed_writes_itself(root, images):
    first = filling(root, SLOWLY)
    wait_for(lambda: names_in(images) == ["train.part"])
    second = filling(root, SLOWLY)
    for line in second.stderr:
        if "Another process is writing the train images" in line:
            break
    first.kill()
    assert second.communicate()[0].split()[0] == "72"
    first.communicate()


def cut(content):
    return content[:-1]


def lengthen(content):
    return content + b"\0"


def of_another_shape(content):
    return content.replace(b"(72, 12, 10, 3)", b"(72, 10, 12, 3)")


@pytest.mark.parametrize("harm", [cut, lengthen, of_another_shape, lambda content: b""])
def test_a_file_that_is_not_what_was_written_is_written_again(root, images, harm):
    expected = arrays(from_root(root).training(8, 0, 1))
    (path,) = images.rglob("train.npy")
    content = path.read_bytes()
    path.write_bytes(harm(content))
    assert_same(arrays(from_root(root).training(8, 0, 1)), expected)
    assert path.read_bytes() == content


def test_files_are_found_whatever_else_a_process_has_imported(root):
    first = filling(root, "print(data._cache.disk.folder)")
    second = filling(root, "print(data._cache.disk.folder)", before="import tensorflow")
    assert first.communicate()[0] == second.communicate()[0] != ""


def test_the_file_is_one_that_numpy_reads(root, images):
    data = from_root(root)
    expected = np.concatenate([batch for batch, _ in arrays(data.evaluation("test", 4))])
    (path,) = images.rglob("test.npy")
    np.testing.assert_array_equal(np.load(path), expected)
    assert path.stat().st_mode & 0o077 == 0, "photos may be private"


def test_a_file_that_is_cut_short_during_a_training_is_named(root, images):
    data = from_root(root)
    batches = data.training(8, 0, 50)
    (path,) = images.rglob("train.npy")
    with pytest.raises(UserError, match=rf"changed since training began: {path} cannot be read: it was cut short"):
        with data.faults_as_user_errors():
            for number, _ in enumerate(batches):
                if number == 2:
                    os.truncate(path, 1000)
