"""Decoded images on disk: the same bits as in memory, written once, whole or not used, and no more than their share."""

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from configs import Data, UserError
from data import open_dataset, room
from data.splits import ROLES

ROOT = Path(__file__).resolve().parents[2]
AUGMENT = {"flip": True, "crop": 2, "brightness": 0.1, "mixup": 0.2}
GB = 10**9


@pytest.fixture(autouse=True)
def images(nothing_kept, monkeypatch):
    """Where decoded images are kept; nothing is there yet."""
    monkeypatch.setattr("data.survey._TICK", 0)
    return nothing_kept / "images"


@pytest.fixture
def told(monkeypatch):
    """The lines that the user is told about images on disk."""
    lines = []
    monkeypatch.setattr("data.disk.tell", lines.append)
    return lines


@pytest.fixture
def too_large_for_memory(monkeypatch):
    monkeypatch.setattr("data.memory.free_memory", lambda: 1000)


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

    monkeypatch.setattr("data.images.Image.open", decode)
    monkeypatch.setattr("tensorflow.io.decode_jpeg", decode)


def refuse_to_write(monkeypatch, code=errno.ENOSPC):
    def pwrite(*given):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "pwrite", pwrite)


# The same images


@pytest.mark.parametrize("keys", [{}, {"image_size": [8, 8], "augment": AUGMENT | {"mixup": 0}}, {"channels": 1}])
def test_batches_are_those_of_memory_to_the_bit_and_in_the_same_order(opened, images, keys):
    memory = opened("memory", **keys)
    expected = arrays(memory.training(8, 3, 2)), [arrays(memory.evaluation(role, 32)) for role in ROLES]
    assert not images.exists()
    disk = opened(**keys)
    assert_same(arrays(disk.training(8, 3, 2)), expected[0])
    for role, batches in zip(ROLES, expected[1], strict=True):
        assert_same(arrays(disk.evaluation(role, 32)), batches)
    assert names_in(images) == ["test.npy", "train.npy", "validation.npy"]


@pytest.mark.parametrize("epoch, step", [(1, 0), (0, 5), (2, 8)])
def test_a_training_that_began_in_memory_goes_on_from_disk_with_the_same_bits(opened, epoch, step):
    whole = arrays(opened("memory", augment=AUGMENT).training(8, 0, 3))
    rest = opened(augment=AUGMENT).training(8, 0, 3, start_epoch=epoch, start_step=step)
    assert_same(arrays(rest), whole[9 * epoch + step :])


def test_single_images_and_samples_are_those_of_memory(opened):
    memory = opened("memory")
    expected = memory.examples("train", [5, 70, 5, 0]), list(memory.sample("test", 4, 7))
    disk = opened()
    disk.load()
    images, labels, names = disk.examples("train", [5, 70, 5, 0])
    np.testing.assert_array_equal(images, expected[0][0])
    np.testing.assert_array_equal(labels, expected[0][1])
    assert names == expected[0][2]
    assert_same([batch[:2] for batch in disk.sample("test", 4, 7)], [batch[:2] for batch in expected[1]])
    assert len(disk.examples("train", [])[0]) == 0


def test_images_go_from_disk_to_the_device(root, monkeypatch):
    pytest.importorskip("jax")
    expected = np.asarray(from_root(root, "device").resident(8, 0, 1).arrays[0])
    from_root(root).load()
    refuse_to_decode(monkeypatch)
    for cache in ("disk", "device"):
        np.testing.assert_array_equal(from_root(root, cache).resident(8, 0, 1).arrays[0], expected)


# Written once


@pytest.mark.parametrize("cache", ["disk", "memory", "auto"])
def test_a_later_start_decodes_nothing(opened, monkeypatch, cache):
    expected = arrays(opened().training(8, 0, 1))
    refuse_to_decode(monkeypatch)
    later = opened(cache)
    assert_same(arrays(later.training(8, 0, 1)), expected)
    assert len(arrays(later.evaluation("test", 4))) == 3


def test_files_that_are_there_are_read_where_none_can_be_written(root, images, monkeypatch):
    expected = arrays(from_root(root).training(8, 0, 1))
    open_file = os.open

    def open_read_only(path, flags, *given, **more):
        if str(images) in str(path) and flags & (os.O_CREAT | os.O_RDWR):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        return open_file(path, flags, *given, **more)

    monkeypatch.setattr(os, "open", open_read_only)
    assert_same(arrays(from_root(root).training(8, 0, 1)), expected)


def test_an_open_dataset_outlives_its_files(root, images):
    data = from_root(root)
    before = arrays(data.training(8, 0, 1))
    for path in images.rglob("*.npy"):
        path.unlink()
    assert_same(arrays(data.training(8, 0, 1)), before)
    assert len(data._kept("train").all()) == 72


def test_what_is_written_and_how_to_turn_it_off_is_told_once(root, told, images):
    from_root(root, progress=True).load()
    (line,) = told
    assert f"0.0 MB in {images}" in line and "data.cache=none" in line
    from_root(root, progress=True).load()
    assert len(told) == 1


def test_only_the_role_that_is_evaluated_is_written(opened, images):
    opened().evaluation("test", 8)
    assert names_in(images) == ["test.npy"]


@pytest.mark.parametrize("few", [{"limit_batches": 2}, {"overfit": True}])
def test_a_few_batches_fill_nothing_and_are_the_same_once_it_is_filled(opened, images, few):
    before = arrays(opened().training(8, 0, 1, **few))
    evaluated = arrays(opened().evaluation("validation", 2, limit_batches=2))
    list(opened().sample("test", 4, 9))
    assert not names_in(images)
    opened().load()
    assert_same(arrays(opened().training(8, 0, 1, **few)), before)
    assert_same(arrays(opened().evaluation("validation", 2, limit_batches=2)), evaluated)


def test_nothing_is_read_from_disk_or_written_where_images_are_not_to_be_kept(root, images, monkeypatch):
    from_root(root, "none").load()
    assert not images.exists()
    from_root(root).load()
    monkeypatch.setattr("data.pixels.PixelFile.read", None)
    assert len(arrays(from_root(root, "none").training(8, 0, 1))) == 9


# Whole, or not used

FILL = """
import os, signal, sys, time
from configs import Data
from data import open_dataset, disk
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


@pytest.mark.parametrize(
    "moment",
    ["os.pwrite = deadly(os.pwrite, 20)", "os.fsync = deadly(os.fsync)", "os.replace = deadly(os.replace)"],
    ids=["while writing", "when all is written", "before it has its name"],
)
def test_what_a_killed_process_left_is_not_used_and_goes(root, photos, images, moment):
    expected = arrays(from_root(root, "memory").training(8, 0, 1))
    process = filling(root, f"{moment}\ndata._disk.keep('train')")
    assert process.wait() == -signal.SIGKILL, process.stderr.read()
    assert names_in(images) == ["train.part"]
    if "replace" in moment:  # another dataset's start removes it
        from_root(photos({"cat": 20, "dog": 20}, root="others"))._disk.keep("test")
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
file = data._disk.keep("train")
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
    assert (
        results[0][1]
        == results[1][1]
        == from_root(root, "none")._source.splits["train"].read(range(72), (12, 10, 3), None).tobytes().hex()
    )


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
    first = filling(root, "print(data._disk.folder)")
    second = filling(root, "print(data._disk.folder)", before="import tensorflow")
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
        with data.telling_faults():
            for number, _ in enumerate(batches):
                if number == 2:
                    os.truncate(path, 1000)


# Never the pixels of other images


def test_a_photo_that_changed_is_found_in_no_old_file(root, images):
    from_root(root).load()
    data = from_root(root)
    path = root / data.examples("train", [3])[2][0]
    before = path.stat()
    Image.fromarray(np.full((12, 10, 3), 77, np.uint8)).save(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    data = from_root(root)
    data.load()
    assert (data.examples("train", [3])[0] == 77).all()
    assert len(list(images.iterdir())) == 2


def test_a_photo_that_changes_while_the_files_are_written_spoils_none(root, images):
    data = from_root(root)
    path = root / data.examples("train", [3])[2][0]
    Image.fromarray(np.full((12, 10, 3), 77, np.uint8)).save(path)
    with pytest.raises(UserError, match=f"{path.name} has changed since it was looked at; start again"):
        data.load()
    assert not names_in(images)
    again = from_root(root)
    again.load()
    assert (again.examples("train", [3])[0] == 77).all()


def test_a_record_that_changed_in_the_middle_of_its_shard_is_found_in_no_old_file(tmp_path, monkeypatch):
    """The lengths and edges of shards, of which the fingerprint is made, do not tell."""
    import tensorflow as tf
    import tensorflow_datasets as tfds

    class Alike(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("1.0.0")
        pkg_dir_path = Path(__file__).parent

        def _info(self):
            image = tfds.features.Image(shape=(32, 32, 3), encoding_format="png")
            features = {"image": image, "label": tfds.features.ClassLabel(num_classes=2)}
            return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

        def _split_generators(self, dl_manager):
            return {"train": self._generate_examples()}

        def _generate_examples(self):
            for number in range(60):
                noise = np.random.default_rng(number).integers(0, 256, (32, 32, 3), np.uint8)
                yield number, {"image": noise, "label": number % 2}

    tfds.disable_progress_bar()
    builder = Alike(data_dir=tmp_path / "tfds")
    builder.download_and_prepare()
    config = Data(source="tfds", name="alike", data_dir=str(tmp_path / "tfds"), cache="disk")
    before = open_dataset(config, progress=False)
    old = before.examples("train", range(48))[0]
    before.load()
    (path,) = [Path(file) for file in builder.info.splits["train"].filepaths]
    records = [record.numpy() for record in tf.data.TFRecordDataset(str(path))]
    records[30], records[31] = records[31], records[30]
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in records:
            writer.write(record)
    # Labels alternate, so those of the two are exchanged as well: pretend that they are not.
    after = open_dataset(config, progress=False)
    new = after.examples("train", range(48))[0]
    assert (new != old).any() and sorted(map(bytes, new)) == sorted(map(bytes, old))
    assert after._disk.folder != before._disk.folder


def test_every_way_of_decoding_has_files_of_its_own(root, monkeypatch):
    keys = [
        {},
        {"image_size": [12, 10]},
        {"image_size": [10, 12]},
        {"image_size": [10, 12], "resize": "pad"},
        {"channels": 1},
        {"validation_share": 0.2},
    ]
    folders = {from_root(root, **each)._disk.folder for each in keys}
    assert len(folders) == len(keys)
    monkeypatch.setattr("data.disk._RULES", "2")
    assert from_root(root)._disk.folder not in folders


# Room


def test_images_lie_on_disk_where_they_do_not_fit_in_memory(root, monkeypatch, told):
    whole = 90 * 360 + 3 * 128
    sizes = {"data.memory.free_memory": 4 * 90 * 360, "data.room.free": 4 * whole}

    def places(**changed):
        for name, size in (sizes | changed).items():
            monkeypatch.setattr(name, lambda size=size: size)
        data = from_root(root, "auto", progress=True)
        return data._in_memory, data._on_disk

    assert places() == (True, False)
    no_memory = {"data.memory.free_memory": sizes["data.memory.free_memory"] - 1}
    assert places(**no_memory) == (False, True)
    assert places(**no_memory | {"data.room.free": 4 * whole - 4}) == (False, False)
    places(**no_memory)
    from_root(root, "auto").load()
    assert places(**no_memory | {"data.room.free": 0}) == (False, True), "they are there already"


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_where_the_disk_is_full_images_are_streamed_and_it_is_told_once(
    opened, images, told, monkeypatch, too_large_for_memory, code
):
    expected = arrays(opened("none").training(8, 0, 1))
    data = opened("auto", progress=True)
    with monkeypatch.context() as patch:
        refuse_to_write(patch, code)
        assert_same(arrays(data.training(8, 0, 1)), expected)
    assert [line for line in told if "written once" not in line] == told[1:] and len(told) == 2
    assert f"train.npy cannot be written: {os.strerror(code)}" in told[1] and "decodes them anew" in told[1]
    assert not names_in(images)


def test_a_full_disk_is_a_mistake_where_images_are_to_lie_there(opened, images, monkeypatch):
    data = opened()
    refuse_to_write(monkeypatch)
    with pytest.raises(UserError, match="data.cache=disk: .*No space left on device.*XDG_CACHE_HOME.*data.cache=none"):
        data.load()
    assert not names_in(images)


def test_images_that_take_more_than_is_free_are_refused_before_they_are_decoded(root, monkeypatch):
    monkeypatch.setattr("data.room.free", lambda: 20_000)
    refuse = from_root(root)
    refuse_to_decode(monkeypatch)
    with pytest.raises(UserError, match="data.cache=disk: they take 0.0 MB but 0.0 MB are free in"):
        refuse.load()


def test_a_cache_that_cannot_be_written_is_told_or_refused(root, monkeypatch, told, too_large_for_memory):
    expected = arrays(from_root(root, "none").training(8, 0, 1))
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null")
    monkeypatch.setattr("data.room.free", lambda: GB)
    assert_same(arrays(from_root(root, "auto", progress=True).training(8, 0, 1)), expected)
    assert len(told) == 1 and "/dev/null/convlens/images" in told[0] and "Not a directory" in told[0]
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
        for path in data._disk.folder.iterdir():
            os.utime(path, (number + 1, number + 1))
        del data
    return datasets, 60 * 360 + 3 * 128


def kept(datasets):
    return [from_root(root)._disk.fits() for root in datasets]


def test_the_images_that_were_not_used_for_the_longest_time_make_room(three, photos, monkeypatch, images):
    datasets, size = three
    monkeypatch.setattr("data.room.free", lambda: 4 * 3 * size - sum(f.stat().st_size for f in images.rglob("*.npy")))
    from_root(datasets[0]).load()  # is now the one that was used last
    fourth = photos({"cat": 27, "dog": 33}, root="set3")
    from_root(fourth).load()
    there = {path.name for path in images.iterdir()}
    assert there == {from_root(root)._disk.folder.name for root in (datasets[0], datasets[2], fourth)}
    assert room.allowance() == 3 * size


def test_images_that_a_process_uses_stay(three, photos, monkeypatch, images):
    datasets, size = three
    using = from_root(datasets[0])
    using.load()
    monkeypatch.setattr("data.room.free", lambda: 4 * size - sum(f.stat().st_size for f in images.rglob("*.npy")))
    monkeypatch.setattr("data.memory.free_memory", lambda: 1000)
    fourth = photos({"cat": 27, "dog": 33}, root="set3")
    data = from_root(fourth, "auto")
    data.load()
    assert {path.name for path in images.iterdir()} == {using._disk.folder.name, data._disk.folder.name}
    assert not data.keeps("train"), "the two together would take more than a quarter"
    assert not names_in(data._disk.folder)
    for path in datasets[0].rglob("*.png"):
        path.unlink()
    assert len(arrays(using.training(8, 0, 1))) == 6


def test_images_that_no_process_uses_any_more_go(three, photos, monkeypatch, images):
    datasets, size = three
    using = filling(
        datasets[0], "file = data._disk.keep('train')\nprint(1, flush=True)\ninput()", stdin=subprocess.PIPE
    )
    assert using.stdout.readline()
    monkeypatch.setattr("data.room.free", lambda: 4 * size - sum(f.stat().st_size for f in images.rglob("*.npy")))
    fourth = photos({"cat": 27, "dog": 33}, root="set3")
    from_root(fourth).load()
    assert len(list(images.iterdir())) == 2
    using.communicate()
    fifth = photos({"cat": 26, "dog": 34}, root="set4")
    from_root(fifth).load()
    assert from_root(datasets[0])._disk.folder not in list(images.iterdir())


def test_what_can_go_goes_where_older_images_are_in_use(three, photos, monkeypatch, images):
    datasets, size = three
    using = from_root(datasets[0])
    using.load()
    for path in using._disk.folder.iterdir():
        os.utime(path, (0, 0))
    monkeypatch.setattr("data.room.free", lambda: 8 * size - sum(f.stat().st_size for f in images.rglob("*.npy")))
    monkeypatch.setattr("data.memory.free_memory", lambda: 1000)
    data = from_root(photos({"cat": 27, "dog": 33}, root="set3"), "auto")
    data.load()
    assert data.keeps("train")
    assert {path.name for path in images.iterdir()} == {using._disk.folder.name, data._disk.folder.name}
