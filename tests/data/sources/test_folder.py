"""A folder of photos becomes a dataset, or one line that says what is wrong with it."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from convlens.configs import Data
from convlens.core.errors import UserError
from convlens.data import open_dataset

ROOT = Path(__file__).resolve().parents[3]
SPLIT = {f"{split}/{name}": 6 for split in ("train", "val", "test") for name in ("cat", "dog")}


def test_the_folders_say_what_is_in_them(from_folder):
    info = from_folder({**SPLIT, "train/cat": 9}).info
    assert info.classes == ("cat", "dog")
    assert info.sizes == {"train": 15, "validation": 12, "test": 12}
    assert (info.image_size, info.channels, info.notes) == ((12, 10), 3, ())


def test_photos_and_labels_belong_together(from_folder):
    data = from_folder(SPLIT)
    images, labels, names = data.examples("test", [0, 7])
    for image, label, name in zip(images, labels, names, strict=True):
        assert name.split("/")[:2] == ["test", data.info.classes[label]]
        np.testing.assert_array_equal(image, np.asarray(Image.open(Path(data._config.root, name))))


def test_one_folder_of_classes_is_split_by_itself_and_says_so(from_folder):
    data = from_folder({"cat": 30, "dog": 10})
    assert data.info.sizes == {"train": 32, "validation": 4, "test": 4}
    assert "no validation and no test" in data.info.notes[0]
    names = [name for split in data.info.sizes for name in data.examples(split, range(data.info.sizes[split]))[2]]
    assert len(set(names)) == 40
    for split in ("validation", "test"):
        assert np.bincount(data.labels(split)).tolist() == [3, 1]


def test_a_split_that_was_carved_is_the_same_wherever_the_folder_lies(photos):
    here = photos({"cat": 30, "dog": 30})
    there = shutil.copytree(here, here.parent / "elsewhere" / "photos")
    first, second = (open_dataset(Data(source="folder", root=str(root)), progress=False) for root in (here, there))
    assert first.examples("test", range(6))[2] == second.examples("test", range(6))[2]
    assert first.fingerprint == second.fingerprint


def test_the_fingerprint_changes_with_the_photos(from_folder, photos):
    before = from_folder().fingerprint
    root = photos({})
    Image.open(root / "cat" / "001.png").save(root / "cat" / "000.png")
    assert open_dataset(Data(source="folder", root=str(root)), progress=False).fingerprint != before


def test_only_the_classes_asked_for_are_kept_in_their_order(from_folder):
    data = from_folder({"bird": 10, "cat": 10, "dog": 10}, classes=["dog", "bird"])
    assert data.info.classes == ("dog", "bird")
    assert sum(data.info.sizes.values()) == 20
    _, labels, names = data.examples("train", range(data.info.sizes["train"]))
    assert all(name.startswith(data.info.classes[label]) for label, name in zip(labels, names, strict=True))


def test_photos_in_subfolders_count_and_other_files_are_told(from_folder, photos):
    root = photos({"cat/indoors": 10, "cat/outdoors": 10, "dog": 20})
    (root / "dog" / "notes.tiff").write_text("no photo that is read")
    data = open_dataset(Data(source="folder", root=str(root)), progress=False)
    assert sum(data.info.sizes.values()) == 40
    assert "1 .tiff" in data.info.notes[-1]


def test_a_linked_folder_counts_once_and_one_that_leads_back_is_not_walked_in_circles(photos):
    root = photos({"cat": 10, "dog": 20, "more": 10})
    (root / "more").rename(root.parent / "more")
    (root / "cat" / "elsewhere").symlink_to(root.parent / "more")
    (root / "cat" / "elsewhere" / "back").symlink_to(root / "cat")
    data = open_dataset(Data(source="folder", root=str(root)), progress=False)
    assert sum(data.info.sizes.values()) == 40
    assert np.bincount(data.labels("train"))[0] == np.bincount(data.labels("train"))[1]


def test_grey_photos_make_a_grey_dataset_unless_told_otherwise(from_folder, photos):
    photos({"cat": 20, "dog": 20}, channels=1)
    assert from_folder({"cat": 0}).info.channels == 1
    assert from_folder({"cat": 0}, channels=3).info.channels == 3


def test_photos_of_several_sizes_need_a_size_and_get_a_suggestion(from_folder, photos):
    photos({"cat": 20}, height=80, width=100)
    photos({"dog": 20}, height=90, width=70)
    with pytest.raises(UserError, match=r"differ in size \(80 x 100, 90 x 70.*data.image_size=64"):
        from_folder({"cat": 0})
    assert from_folder({"cat": 0}, image_size=[32, 24]).examples("train", [0])[0].shape == (1, 32, 24, 3)


@pytest.mark.usefixtures("nothing_kept")
@pytest.mark.parametrize("cache", ["memory", "disk", "none"])
def test_one_photo_of_another_size_is_named_before_training(from_folder, photos, monkeypatch, cache):
    monkeypatch.setattr("convlens.data.sources.folder._SAMPLE", 2)
    root = photos({"cat": 30, "dog": 30})
    Image.new("RGB", (50, 40)).save(root / "dog" / "007.png")
    with pytest.raises(UserError, match="007.png is 40 x 50"):
        open_dataset(Data(source="folder", root=str(root), cache=cache), progress=False).load()


@pytest.mark.usefixtures("nothing_kept")
@pytest.mark.parametrize("cache", ["memory", "disk", "none"])
@pytest.mark.parametrize("content, reason", [(b"", "empty"), (b"<html>", "web page"), (b"GIF89a", "not a JPEG")])
def test_a_bad_photo_is_named_before_the_first_step(from_folder, photos, cache, content, reason):
    data = from_folder(cache=cache)
    (photos({}) / data.examples("test", [3])[2][0]).write_bytes(content)
    with pytest.raises(UserError, match=rf"\.png is .*{reason}"):
        data.training(8, 0, 1)


def test_a_broken_link_is_named_before_the_first_step(photos):
    root = photos({"cat": 20, "dog": 20})
    (root / "dog" / "lost.jpg").symlink_to("/nowhere/photo.jpg")
    with pytest.raises(UserError, match="lost.jpg is a link to a file that does not exist"):
        open_dataset(Data(source="folder", root=str(root), image_size=[8, 8], channels=3), progress=False).load()


@pytest.mark.parametrize(
    "counts, keys, message",
    [
        ({"train/cat": 6, "train/dog": 0}, {}, "photos/train/dog holds no images"),
        ({**SPLIT, "test/cow": 6}, {}, "'cow' is in .*/test but not in .*/train"),
        ({**SPLIT, "train/cow": 6}, {}, "'cow' is in .*/train but not in .*/val"),
        ({"cat": 20}, {}, "Only one class found, 'cat'"),
        ({"cat": 20, "dog": 2}, {}, "'dog' has 2 images; at least 3 are needed"),
        ({"test/cat": 2, "test/dog": 2}, {}, "has a folder 'test' but no folder 'train'"),
        ({"cat": 20, "dog": 20}, {"classes": ["cat", "dgo"]}, "'dgo'. Did you mean 'dog'"),
        (SPLIT, {"splits": {"test": "tset"}}, "data.splits.test=tset.*Did you mean 'test'"),
    ],
)
def test_a_folder_that_cannot_be_learned_from_is_refused_in_one_line(from_folder, counts, keys, message):
    with pytest.raises(UserError, match=message) as caught:
        from_folder(counts, **keys)
    assert "\n" not in str(caught.value)


def test_a_class_that_is_left_out_may_be_uneven(from_folder):
    assert from_folder({**SPLIT, "test/cow": 6}, classes=["cat", "dog"]).info.sizes["test"] == 12


def test_a_folder_under_another_name_can_play_a_role(from_folder):
    counts = {f"{split}/{name}": 6 for split in ("training", "held-out") for name in ("cat", "dog")}
    data = from_folder(counts, splits={"train": "training", "test": "held-out"})
    assert data.info.sizes == {"train": 10, "validation": 2, "test": 12}


def test_a_root_that_is_missing_empty_or_a_file_is_told_apart(photos):
    root = photos({"cat": 1})
    messages = {"phots": "Did you mean '.*photos'", "photos/cat": "no images", "photos/cat/000.png": "is a file"}
    for given, message in messages.items():
        with pytest.raises(UserError, match=message):
            open_dataset(Data(source="folder", root=str(root.parent / given)), progress=False)


def test_a_refused_folder_does_not_wait_for_tensorflow(tmp_path):
    code = (
        "import sys; from convlens.configs import Data; from convlens.core.errors import UserError\n"
        "from convlens.data import open_dataset\n"
        f"try: open_dataset(Data(source='folder', root={str(tmp_path / 'nowhere')!r}))\n"
        "except UserError: print('tensorflow' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.strip() == "False", done.stderr
