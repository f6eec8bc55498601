"""Bad data is found before step 1: refused, left out or told, always by name, never silently, never with a stack trace.

To add a fault, add a row to PHOTOS or SHARDS: a name, what is done to good data, further keys of the configuration, and
words that must be said. A row whose words are said by a `UserError` is refused; TOLD rows are opened, with a note.
"""

import io
import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from functools import partial
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np  # noqa: E402
import pytest  # noqa: E402
import tensorflow_datasets as tfds  # noqa: E402
from PIL import Image  # noqa: E402

from convlens.configs import Data, Train
from convlens.core.errors import UserError
from convlens.data import open_dataset  # noqa: E402
from convlens.training import Run  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
NOBODY = 65534
FOLDERS = [f"{role}/{name}" for role in ("train", "validation", "test") for name in ("cat", "dog")]
PHOTO = "train/cat/3.png"
counts: Counter = Counter()


def noise(seed, side=16):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (side, side, 3), np.uint8))


def write(content):
    return lambda root: (root / PHOTO).write_bytes(content)


def save(image_format):
    def harm(root):
        noise(900, 64).save(root / PHOTO, format=image_format)
        (root / PHOTO).write_bytes((root / PHOTO).read_bytes()[: (root / PHOTO).stat().st_size // 2])

    return harm


def lose(instead, image_format="JPEG", rest=True):
    """In the middle of a picture, 512 bytes are replaced by others, or all that follow."""

    def harm(root):
        noise(900, 96).save(root / PHOTO, format=image_format)
        content = (root / PHOTO).read_bytes()
        middle = len(content) // 2
        (root / PHOTO).write_bytes(content[:middle] + instead + (content[middle + 512 :] if rest else b""))

    return harm


def flip(root):
    content = bytearray((root / PHOTO).read_bytes())
    content[len(content) // 2] ^= 4
    (root / PHOTO).write_bytes(content)


def bitmap_of(side):
    def harm(root):
        Image.new("1", (8, 8)).save(root / PHOTO, format="BMP")
        header = bytearray((root / PHOTO).read_bytes())
        header[18:26] = side.to_bytes(4, "little") * 2
        (root / PHOTO).write_bytes(header)

    return harm


def instead(make):
    return lambda root: ((root / PHOTO).unlink(), make(root / PHOTO))


def unreadable(name):
    return lambda root: (root / name).chmod(0)


def animate(root):
    frames = [noise(901), noise(902)]
    frames[0].save(root / "train/cat/moving.gif", save_all=True, append_images=frames[1:])


def copy(source, target):
    return lambda root: shutil.copy(root / source, root / target)


def save_anew(root):
    Image.open(root / PHOTO).save(root / "test/cat/again.bmp")


def replace_test_by_train(root):
    shutil.rmtree(root / "test")
    shutil.copytree(root / "train", root / "test")


def link_folder(root):
    (root / "train/cow").symlink_to("/nowhere")


def unusual_name(root):
    (root / PHOTO).write_bytes(b"")
    (root / PHOTO).rename(root / "train/cat/voiture n° 1\n車 <b>.png")


# A row: what is wrong, what is done to ten good photos a class and role, words of the one line.
PHOTOS = [
    ("zero bytes", write(b""), r"3\.png is empty"),
    ("a web page", write(b"<!DOCTYPE html><p>404"), r"3\.png is a web page"),
    ("random bytes", write(bytes(range(256))), r"3\.png is not a JPEG"),
    ("half a JPEG", save("JPEG"), r"3\.png is a damaged image"),
    ("512 bytes lost in a JPEG", lose(b""), r"3\.png is a damaged image"),
    ("512 bytes of zeros in a JPEG", lose(bytes(512)), r"3\.png is a damaged image"),
    ("512 bytes of zeros in a WebP", lose(bytes(512), "WebP"), r"3\.png is a damaged image"),
    ("half a JPEG with its end", lose(b"\xff\xd9", rest=False), r"3\.png is a damaged image"),
    ("half a PNG", save("PNG"), r"3\.png is a damaged image"),
    ("half a WebP", save("WebP"), r"3\.png is "),
    ("half a GIF", save("GIF"), r"3\.png is a damaged image"),
    ("half a bitmap", save("BMP"), r"3\.png is a damaged image"),
    ("a flipped bit in a PNG", flip, r"3\.png is a damaged image"),
    ("TIFF under another name", lambda root: noise(1).save(root / PHOTO, format="TIFF"), r"3\.png is not a JPEG"),
    ("900 megapixels", bitmap_of(30_000), r"3\.png has .* million"),
    ("102 megapixels", bitmap_of(10_100), r"3\.png has .* million"),
    ("a broken link", instead(lambda path: path.symlink_to("/nowhere/3.png")), r"3\.png is a link to a file that"),
    ("a link to itself", instead(lambda path: path.symlink_to(path.name)), r"3\.png cannot be opened"),
    ("a pipe", instead(os.mkfifo), r"3\.png is not a regular file"),
    ("an unreadable photo", unreadable(PHOTO), r"3\.png cannot be opened: Permission denied"),
    ("a name with a line break and markup", unusual_name, r"voiture n° 1\\n車 <b>\.png is empty"),
]

# Refused whatever data.on_error says.
FOLDER = [
    ("an unreadable class", unreadable("train/cat"), {}, "train/cat cannot be read: Permission denied"),
    ("an unreadable split", unreadable("train"), {}, "train cannot be read: Permission denied"),
    ("a class that is a broken link", link_folder, {}, "train/cow is a link to a folder that does not exist"),
    ("an empty class", lambda root: [p.unlink() for p in (root / "train/cat").iterdir()], {}, "train/cat holds no im"),
    ("a class only in test", lambda root: shutil.copytree(root / "test/cat", root / "test/cow"), {}, "'cow' is in .*t"),
    ("test is a copy of train", replace_test_by_train, {}, "20 of 20 test images are also train images, such as test"),
    ("one folder for two roles", lambda root: None, {"splits": {"validation": "test"}}, "test is both the validation"),
    ("one photo of another size", lambda root: noise(7, 20).save(root / PHOTO), {}, "differ in size .*data.image_size"),
]

# Opened, and told.
TOLD = [
    ("a photo in train and in test", copy(PHOTO, "test/cat/x.png"), "1 of 21 test images .* test/cat/x.png = train"),
    ("a photo saved anew in test", save_anew, "1 of 21 test images are also train images, such as test/cat/again.bmp"),
    ("an animation", animate, "only the first frame is used: 1, as train/cat/moving.gif"),
    ("a photo outside of every class", copy(PHOTO, "train/x.png"), "1 outside of every class folder"),
    ("files that are no images", lambda root: (root / "train/cat/a.tiff").touch(), "left out: 1 .tiff"),
]


@pytest.fixture
def photos(tmp_path):
    """Ten good photos of each class in each role; what is made unreadable is so for root too."""
    root = tmp_path / "photos"
    for number, folder in enumerate(FOLDERS):
        (root / folder).mkdir(parents=True)
        for index in range(10):
            noise(10 * number + index).save(root / folder / f"{index}.png")
    return root


@pytest.fixture
def without_privileges(tmp_path):
    """Opens a folder as a user whom permissions bind."""
    if os.geteuid() != 0:
        yield
        return
    for folder in [tmp_path, *tmp_path.parents]:
        if folder != Path("/") and folder != Path("/tmp"):
            folder.chmod(folder.stat().st_mode | 0o055)
    os.seteuid(NOBODY)
    yield
    os.seteuid(0)


def open_folder(root, **keys):
    dataset = open_dataset(Data(source="folder", root=str(root), **keys), progress=False)
    dataset.load()
    return dataset


def refusal(words, opening):
    counts["tried"] += 1
    with pytest.raises(UserError, match=words) as caught:
        opening()
    assert "\n" not in str(caught.value)
    counts["refused"] += 1
    return str(caught.value)


@pytest.mark.parametrize(("harm", "words"), [row[1:] for row in PHOTOS], ids=[row[0] for row in PHOTOS])
def test_a_photo_that_cannot_be_used_is_refused_or_left_out_by_name(harm, words, photos, request):
    harm(photos)
    if "Permission" in words:
        request.getfixturevalue("without_privileges")
    line = refusal(words, lambda: open_folder(photos))
    assert "data.on_error=skip" in line

    counts["tried"] += 1
    dataset = open_folder(photos, on_error="skip")
    assert dataset.info.sizes == {"train": 19, "validation": 20, "test": 20}
    assert len(dataset.info.skipped) == 1 and dataset.info.skipped[0] in line
    assert any("Left out because they cannot be used: 1 of 60" in note for note in dataset.info.notes)
    counts["skipped"] += 1


@pytest.mark.parametrize(("harm", "keys", "words"), [row[1:] for row in FOLDER], ids=[row[0] for row in FOLDER])
def test_a_folder_that_cannot_be_learned_from_is_refused_by_name(harm, keys, words, photos, request):
    harm(photos)
    if "Permission" in words:
        request.getfixturevalue("without_privileges")
    refusal(words, lambda: open_folder(photos, **keys))


@pytest.mark.parametrize(("harm", "words"), [row[1:] for row in TOLD], ids=[row[0] for row in TOLD])
def test_what_is_used_with_a_doubt_is_told_by_name(harm, words, photos):
    counts["tried"] += 1
    harm(photos)
    notes = open_folder(photos).info.notes
    assert any(re.search(words, note) for note in notes), notes
    counts["told"] += 1


def test_too_many_bad_photos_are_not_left_out(photos):
    for index in range(7):
        (photos / f"train/cat/{index}.png").write_bytes(b"")
    for on_error in ("skip", "fail"):  # to skip them would not help
        refusal("7 of 60 images cannot be used, more than the 10%", partial(open_folder, photos, on_error=on_error))


def test_a_photo_that_is_lost_while_training_reads_from_disk_is_named(photos):
    counts["tried"] += 1
    data = open_folder(photos, cache="none", image_size=[8, 8])
    batches = data.training(4, 0, 50)
    with pytest.raises(UserError, match=r"changed since training began: .*cat/\d\.png does not exist") as caught:
        with data.faults_as_user_errors():
            for number, _ in enumerate(batches):
                if number == 2:
                    for photo in (photos / "train/cat").iterdir():
                        photo.unlink()
    assert "\n" not in str(caught.value)
    counts["refused"] += 1


def test_names_that_are_not_unicode_name_classes_and_photos(photos, tmp_path):
    counts["tried"] += 1
    for role in ("train", "validation", "test"):
        os.rename(photos / role / "cat", os.path.join(os.fsencode(photos / role), b"caf\xe9"))
    data = open_folder(photos)
    assert data.info.classes == (os.fsdecode(b"caf\xe9"), "dog")
    run = Run.create(tmp_path / "runs", "names", Train())
    run.write_labels(data.info.classes)
    assert Run(run.path).labels == data.info.classes
    counts["told"] += 1
    os.truncate(os.path.join(os.fsencode(photos), b"train/caf\xe9/3.png"), 0)
    assert os.fsdecode(b"caf\xe9/3.png is empty") in refusal("3.png is empty", lambda: open_folder(photos))


# Records


def shard(folder):
    return sorted(folder.glob("*train.tfrecord*"))[0]


def cut(share):
    return lambda folder: shard(folder).write_bytes(
        shard(folder).read_bytes()[: int(len(shard(folder).read_bytes()) * share)]
    )


def flip_in_shard(folder):
    content = bytearray(shard(folder).read_bytes())
    content[len(content) // 2] ^= 1
    shard(folder).write_bytes(content)


def cut_after_a_record(folder):
    content = shard(folder).read_bytes()
    shard(folder).write_bytes(content[: 16 + int.from_bytes(content[:8], "little")])


def swap(folder):
    shutil.copy(sorted(folder.glob("*test.tfrecord*"))[0], shard(folder))


def halve_info(folder):
    path = folder / "dataset_info.json"
    path.write_text(path.read_text()[:200])


SHARDS = [
    ("half a shard", cut(0.5), {}, "train.tfrecord.* is missing or damaged.*prepared again"),
    ("an empty shard", cut(0), {}, "train.tfrecord.* holds 0 records, but .* prepared again"),
    ("a shard cut after a record", cut_after_a_record, {}, "train.tfrecord.* holds 1 records, but .* prepared again"),
    ("a missing shard", lambda folder: shard(folder).unlink(), {}, "train.tfrecord.* is missing or damaged"),
    ("a flipped bit", flip_in_shard, {}, "train.tfrecord.* is missing or damaged"),
    ("a shard replaced by another", swap, {}, "train.tfrecord.* is a copy of .*test.tfrecord"),
    ("an unreadable shard", lambda folder: shard(folder).chmod(0), {}, "train.tfrecord.*: Permission denied"),
    ("no list of splits", lambda folder: (folder / "dataset_info.json").unlink(), {}, "has no list of splits"),
    ("half a list of splits", halve_info, {}, "dataset_info.json is damaged; delete"),
    ("an empty list of splits", lambda folder: (folder / "dataset_info.json").write_text(""), {}, "json is damaged"),
    (
        "splits that overlap",
        lambda folder: None,
        {"splits": {"train": "train[:60%]", "test": "train[50%:]"}},
        r"data.splits.train=train\[:60%\] and data.splits.test=train\[50%:\] overlap",
    ),
]


@pytest.fixture
def prepared(cars_dir, tmp_path):
    """A folder of its own with the embedded dataset in it, small: (data_dir, the folder of the shards)."""
    copy = shutil.copytree(cars_dir, tmp_path / "tfds")
    for folder in [copy, *(path for path in copy.rglob("*") if path.is_dir())]:
        folder.chmod(0o755)
    return copy, next(copy.rglob("dataset_info.json")).parent


@pytest.mark.parametrize(("harm", "keys", "words"), [row[1:] for row in SHARDS], ids=[row[0] for row in SHARDS])
def test_records_that_are_not_what_was_written_are_refused_by_name(harm, keys, words, prepared, request):
    data_dir, folder = prepared
    harm(folder)
    if "Permission" in words:
        request.getfixturevalue("without_privileges")
    refusal(words, lambda: open_dataset(Data(data_dir=str(data_dir), **keys), progress=False))


class Undecodable(tfds.core.GeneratorBasedBuilder):
    """Forty images of noise, of which two are no images."""

    VERSION = tfds.core.Version("1.0.0")
    pkg_dir_path = Path(__file__).parent

    def _info(self):
        image = tfds.features.Image(shape=(16, 16, 3), encoding_format="png")
        features = tfds.features.FeaturesDict({"image": image, "label": tfds.features.ClassLabel(num_classes=2)})
        return tfds.core.DatasetInfo(builder=self, features=features)

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples()}

    def _generate_examples(self):
        for number in range(40):
            file = io.BytesIO()
            noise(number).save(file, format="PNG")
            content = file.getvalue()[:60] if number in (11, 30) else file.getvalue()
            yield number, {"image": content, "label": number % 2}


def test_records_that_are_no_images_are_refused_or_left_out_by_name(tmp_path):
    tfds.disable_progress_bar()
    Undecodable(data_dir=tmp_path).download_and_prepare()
    keys = {"source": "tfds", "name": "undecodable", "data_dir": str(tmp_path)}
    line = refusal("undecodable/1.0.0, image train .* is a damaged image", lambda: loaded(**keys))
    assert "data.on_error=skip" in line

    counts["tried"] += 1
    dataset = loaded(on_error="skip", **keys)
    assert sum(dataset.info.sizes.values()) == 38
    assert len(dataset.info.skipped) == 2
    assert any("Left out because they cannot be used: 2 of 40" in note for note in dataset.info.notes)
    images = [
        image for role in dataset.info.sizes for image in dataset.examples(role, range(dataset.info.sizes[role]))[0]
    ]
    originals = [np.asarray(noise(number)) for number in range(40) if number not in (11, 30)]
    assert sorted(image.tobytes() for image in images) == sorted(image.tobytes() for image in originals)
    counts["skipped"] += 1


def loaded(**keys):
    dataset = open_dataset(Data(**keys), progress=False)
    dataset.load()
    return dataset


def test_a_shard_of_another_length_than_was_written_is_told(prepared):
    counts["tried"] += 1
    data_dir, folder = prepared
    info = json.loads((folder / "dataset_info.json").read_text())
    for split in info["splits"]:
        split["numBytes"] = str(int(split["numBytes"]) + 1)
    (folder / "dataset_info.json").write_text(json.dumps(info))
    notes = open_dataset(Data(data_dir=str(data_dir)), progress=False).info.notes
    assert any(
        "train.tfrecord" in note and "bytes do not match what was written as the train split" in note for note in notes
    )
    counts["told"] += 1


def test_a_preparation_that_is_killed_stopped_crowded_or_raced_is_told_and_done_again(tmp_path):
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=100k", "tmpfs", str(small)], capture_output=True)
    try:
        done = subprocess.run(
            [
                sys.executable,
                str(ROOT / "tests/faults/preparing.py"),
                str(tmp_path),
                "-" if mounted.returncode else small,
            ],
            capture_output=True,
            text=True,
        )
    finally:
        if not mounted.returncode:
            subprocess.run(["umount", str(small)], check=True)
    outcomes = json.loads(done.stdout.splitlines()[-1])
    assert outcomes["killed"] == "killed 9"
    assert outcomes["failing"].startswith("refused ") and "record 30 has no image" in outcomes["failing"]
    assert outcomes["full disk"].startswith("refused The disk is full: prepared/1.0.0")
    again = [outcome for name, outcome in outcomes.items() if name.endswith("then again")]
    assert [*again, *outcomes["three at once"]] == ["opened 60"] * 7
    counts["tried"] += 5
    counts["refused"] += 2  # the full disk and the record without an image
    counts["recovered"] += 3  # killed, stopped and raced: the dataset is whole afterwards


def test_at_least_thirty_faults_were_tried_and_none_was_silent():
    if counts["tried"] < 30:
        pytest.skip("the other tests of this file were not run")
    print(", ".join(f"{count} {what}" for what, count in counts.items()))
    assert counts["tried"] == sum(counts[end] for end in ("refused", "skipped", "told", "recovered"))
