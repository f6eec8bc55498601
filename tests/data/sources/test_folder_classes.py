"""Folders that cannot mean what they say are refused, and what a refusal advises works when it is typed."""

import re
import shlex

import pytest
import yaml

from convlens.configs import Data, Train
from convlens.configs.composition import compose
from convlens.core.errors import UserError
from convlens.data import open_dataset
from convlens.data.splits import listed

COUNTS = {"train/cat": 6, "train/dog": 6, "test/cat": 4, "test/dog": 4}


def opened(root, **keys):
    return open_dataset(Data(source="folder", root=str(root), **keys), progress=False)


def refused(root, words, **keys):
    with pytest.raises(UserError, match=words) as caught:
        opened(root, **keys)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def advised(line, key):
    """The value that a line gives for a key."""
    (word,) = [word for word in shlex.split(line[line.index(": ") :]) if word.startswith(f"data.{key}=")]
    value = yaml.safe_load(word.partition("=")[2].rstrip(",."))
    return value.split(",") if key in ("classes", "train_only") and isinstance(value, str) else value


LINKS = {
    "a link to the folder of all classes": ("train/cat/loop", "..", "both 'cat' and 'dog'"),
    "a link to everything": ("train/cat/more", "../..", "both 'cat' and 'dog'"),
    "a link to the root of the disk": ("train/cat/all", "/", "both 'cat' and 'dog'"),
    "a link to another class": ("train/cat/more", "../dog", "both 'cat' and 'dog'"),
    "a link into another class of another split": ("train/cat/more", "../../test/dog", "both 'cat' and 'dog'"),
    "a class that is another one": ("train/puppy", "dog", "both 'puppy' and 'dog'"),
    "a class that is all of them": ("train/all", ".", "both 'all' and 'cat'|both 'cat' and 'all'"),
}


@pytest.mark.parametrize(("link", "target", "words"), LINKS.values(), ids=LINKS)
def test_a_link_that_gives_images_a_second_class_is_refused_by_name(link, target, words, photos):
    root = photos(COUNTS)
    (root / link).symlink_to(target)
    line = refused(root, words)
    assert str(root / link) in line
    removed = re.search(r"or remove the link (\S+)\.$", line)[1]
    assert removed == str(root / link)
    (root / link).unlink()
    opened(root)


def test_links_to_more_photos_of_the_same_class_are_followed(photos):
    root = photos({**COUNTS, "elsewhere/a": 5})
    (root / "elsewhere").rename(root.parent / "elsewhere")
    (root / "train/cat/more").symlink_to(root.parent / "elsewhere")
    assert sum(opened(root).info.sizes.values()) == 25


def test_an_image_with_two_labels_is_told(photos):
    root = photos({"cat": 20, "dog": 20})
    (root / "cat/x.png").symlink_to("../dog/001.png")
    (note,) = [note for note in opened(root).info.notes if "two classes" in note]
    assert "1 times" in note and "cat/x.png" in note and "dog/001.png" in note


def test_names_that_look_the_same_are_one_word_and_refused(photos):
    line = refused(photos({"caf\u00e9": 9, "cafe\u0301": 9, "dog": 9}), "the same word")
    assert "'caf\\xe9'" in line and "'cafe\\u0301'" in line
    line = refused(photos({"train/\u00e9": 6, "train/o": 6, "test/e\u0301": 6, "test/o": 6}, "two"), "the same word")


@pytest.mark.parametrize("twins", [("cat", "Cat"), ("fire truck", "fire_truck"), ("truck", "truck ")])
def test_names_that_are_nearly_the_same_are_told(twins, photos):
    notes = opened(photos({**{name: 9 for name in twins}, "dog": 9})).info.notes
    assert any(all(repr(name) in note for name in twins) and "give their folders one name" in note for note in notes)


def test_a_class_that_another_split_spells_otherwise_is_told_with_the_spelling(photos):
    root = photos({"train/cat": 6, "train/dog": 6, "test/Cat": 6, "test/dog": 6})
    refused(root, "there is '[cC]at': give both folders one name")
    (root / "test/Cat").rename(root / "test/cat")
    opened(root)


@pytest.mark.parametrize("key", ["classes", "train_only"])
def test_a_class_with_one_image_can_be_left_out_or_kept_in_train(key, photos):
    root = photos({"cat": 12, "dog": 12, "rare": 1, "odd": 2})
    line = refused(root, "Class 'rare' has 1 image; at least 3 are needed: .* 1 more class has too few")
    assert "validation_share" not in line
    info = opened(root, **{key: advised(line, key)}).info
    assert info.classes == (("cat", "dog") if key == "classes" else ("cat", "dog", "odd", "rare"))
    assert sum(info.sizes.values()) == (24 if key == "classes" else 27)


def test_a_share_that_is_too_large_is_answered_with_one_that_works(photos):
    root = photos({"cat": 7, "dog": 40})
    line = refused(root, "Class 'cat' has 7 images: .* none is left to train on", validation_share=0.6)
    assert opened(root, validation_share=advised(line, "validation_share")).info.sizes["train"] > 1


@pytest.mark.parametrize("key", ["classes", "train_only"])
def test_a_class_that_only_train_has_can_be_left_out_or_kept_in_train(key, photos):
    root = photos({**COUNTS, "train/cow": 5})
    line = refused(root, "'cow' is in .*train but not in .*test")
    info = opened(root, **{key: advised(line, key)}).info
    assert ("cow" in info.classes) == (key == "train_only")


@pytest.mark.parametrize("test", ["test", "test/images", "test/unknown/deep"])
def test_a_test_folder_without_labels_is_answered_with_the_folder_to_train_on(test, photos):
    root = photos({"train/cat": 12, "train/dog": 12, test: 5})
    line = refused(root, "without labels they cannot be evaluated")
    assert opened(advised(line, "root")).info.sizes == {"train": 20, "validation": 2, "test": 2}


def test_one_class_in_place_of_all_is_answered_with_the_folder_above(photos):
    root = photos({"cat": 12, "dog": 12})
    line = refused(root / "cat", "Sort its 12 images into a folder for each class, or where cat is one class")
    assert len(opened(advised(line, "root")).info.classes) == 2


def test_a_class_to_keep_in_train_that_does_not_exist_is_answered_with_the_nearest(photos):
    refused(photos({"cat": 12, "dog": 12}), "class in data.train_only 'dgo'. Did you mean 'dog'", train_only=["dgo"])
    assert Data(source="folder", root="x", train_only="dog").train_only == ["dog"]


def test_names_with_signs_are_advised_as_the_shell_and_the_configuration_take_them():
    names = ["it's", "a,b", "c d", "[x]", "fire truck", "1", "1e3", "null", "x-1"]
    words = ["data=folder", "data.root=x", *shlex.split(f"{listed('data.train_only', names)}")]
    assert compose("train", Train, words).data.train_only == names


@pytest.mark.parametrize("other", ["learning", "training"])
def test_a_test_folder_without_one_to_train_on_is_answered_with_the_other_folder(other, photos):
    root = photos({f"{folder}/{name}": 12 for folder in ("test", other) for name in ("cat", "dog")})
    line = refused(root, "name the one to train on")
    assert opened(root, splits={"train": advised(line, "splits.train")}).info.sizes["test"] == 24


def test_a_test_folder_alone_can_be_split_by_itself(photos):
    line = refused(
        photos({"test/cat": 12, "test/dog": 12}), "no folder 'train'; to have its images split automatically"
    )
    assert opened(advised(line, "root")).info.sizes == {"train": 20, "validation": 2, "test": 2}


def test_all_classes_in_train_alone_are_refused(photos):
    refused(photos({"cat": 12, "dog": 12}), "every class", train_only=["cat", "dog"])


def of(*folders, images=6):
    return {f"{folder}/{name}": images for folder in folders for name in ("cat", "dog")}


@pytest.mark.parametrize(
    ("train", "others"),
    [
        ("Train", {"test": "Test"}),
        ("Training", {"test": "Testing"}),
        ("seg_train", {"test": "seg_test"}),
        ("TrainImages", {"validation": "ValImages", "test": "TestImages"}),
        ("train_set", {"validation": "dev_set"}),
    ],
)
def test_splits_of_other_names_are_not_taken_for_classes(train, others, photos):
    root = photos(of(train, *others.values()))
    line = refused(root, "are splits rather than classes by their names")
    splits = {role: advised(line.split(". If")[0], f"splits.{role}") for role in ("train", *others)}
    assert splits == {"train": train, **others}
    data = opened(root, splits=splits)
    assert data.info.classes == ("cat", "dog")
    assert all(data.info.sizes[role] == 12 for role in others)


def test_classes_with_words_of_splits_in_their_names_are_classes(photos):
    names = ("dev board", "test tube", "train station")
    assert opened(photos(dict.fromkeys(names, 6))).info.classes == names
    # Whoever lists them means them.
    root = photos(of("Training", "Testing"), "others")
    assert opened(root, classes=["Training", "Testing"]).info.classes == ("Training", "Testing")


@pytest.mark.parametrize("above", ["photos", "archive/photos", "archive/__set"])
@pytest.mark.parametrize("inside", [("",), ("train", "test")], ids=["classes", "splits"])
def test_a_folder_above_the_one_that_is_meant_is_answered_with_that_one(above, inside, photos):
    root = photos(of(*(f"{above}/{split}".rstrip("/") for split in inside)))
    line = refused(root, "Only one class found, .* needs at least two. If its folders are")
    assert advised(line, "root") == str(root / above)
    assert opened(advised(line, "root")).info.classes == ("cat", "dog")


def test_folders_beside_the_splits_are_told_and_how_to_use_them(photos):
    notes = opened(photos(of("train", "Test", "old", "older"))).info.notes
    (note,) = [note for note in notes if "no split" in note]
    assert "left out: 'Test', 'old', 'older'. To use: data.splits.test=Test" in note


def test_an_empty_class_is_answered_with_the_others(photos):
    root = photos(of("."))
    (root / "__MACOSX").mkdir()
    line = refused(root, "Class folder .*/__MACOSX holds no images")
    assert opened(root, classes=advised(line, "classes")).info.classes == ("cat", "dog")


def test_a_folder_that_is_reached_in_two_ways_counts_once(photos):
    root = photos({"cat/a": 3, "cat/b": 3, "dog": 6, "elsewhere/more": 4})
    more = root.parent / "more"
    (root / "elsewhere").rename(more)
    for link, target in {"cat/a/b": "../b", "cat/b/a": "../a", "dog/x": more, "dog/y": more}.items():
        (root / link).symlink_to(target)
    assert sum(opened(root).info.sizes.values()) == 6 + 10


@pytest.mark.parametrize("name", ["photos.zip", "photos.tar.gz", "photos.RAR"])
def test_an_archive_is_to_be_unpacked(name, tmp_path):
    (tmp_path / name).touch()
    refused(tmp_path / name, "is a file; unpack it and give its folder")
