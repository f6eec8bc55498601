"""Which image plays which role: the same names for both sources, and carved splits that stay what they were."""

import json
from pathlib import Path

import numpy as np
import pytest

from convlens.configs import Data
from convlens.core.errors import UserError
from convlens.data import open_dataset
from convlens.data.splits import SPLIT_NAMES, carve_missing, kept_classes

SAVED_RUNS = Path(__file__).resolve().parents[1] / "saved_runs"
VALIDATION_NAMES = SPLIT_NAMES["validation"]


class Numbers:
    """As much of a split as carving needs."""

    def __init__(self, labels, numbers):
        self.labels, self.numbers = np.asarray(labels), np.asarray(numbers)

    def take(self, indices):
        return Numbers(self.labels[indices], self.numbers[indices])


def carved(count=40, **more):
    train = Numbers(np.arange(count) % 2, np.arange(count))
    keys = [str(number) for number in range(count)]
    splits, notes = carve_missing({"train": train, **more}, keys, 0.1, ("even", "odd"), "numbers")
    return {role: split.numbers.tolist() for role, split in splits.items()}, notes


def test_what_is_missing_is_carved_evenly_and_nothing_is_lost():
    splits, notes = carved()
    assert list(splits) == ["train", "validation", "test"]
    assert sorted(sum(splits.values(), [])) == list(range(40))
    for role in ("validation", "test"):
        assert len(splits[role]) == 4 and sum(number % 2 for number in splits[role]) == 2
    assert "no validation and no test split: 10%" in notes[0] and "for each" in notes[0]
    assert carved()[0] == splits


def test_what_is_there_stays_and_its_carving_is_not_told():
    own = Numbers([0, 1], [100, 101])
    splits, notes = carved(validation=own)
    assert splits["validation"] == [100, 101] and len(splits["test"]) == 4
    assert "no test split" in notes[0] and "validation" not in notes[0] and "for it" in notes[0]
    assert carved(validation=own, test=own)[1] == []


# A row: images of each class, the share, what there is beside 'train', and the line.
TOO_SMALL = [
    ((2, 9), 0.1, (), "Class 'a' has 2 images; at least 3 are needed: one to train on, one for validation and one "
                      "for test. Add images, or keep such classes in train alone, to be learned and never"),
    ((9, 1), 0.1, ("test",), "Class 'b' has 1 image; at least 2 are needed: one to train on, one for validation. Add "),
    ((2, 1), 0.1, (), "Class 'b' has 1 image; at least 3 are needed: one to train on, one for validation and one for "
                      "test. 1 more class has too few as well. Add images"),
    ((4, 40), 0.5, (), "Class 'a' has 4 images: a share of 0.5 takes 2 for validation and as many for test, "
                       "and none is left to train on. 1 more class has too few as well. Add images, or lower the "
                       "share: data.validation_share=0.25"),
]  # fmt: skip


@pytest.mark.parametrize(("counts", "share", "there", "line"), TOO_SMALL)
def test_a_class_that_is_too_small_is_named_with_what_it_has_what_it_needs_and_what_helps(counts, share, there, line):
    labels = np.repeat([0, 1], counts)
    splits = {role: Numbers(labels, range(len(labels))) for role in ("train", *there)}
    with pytest.raises(UserError) as caught:
        carve_missing(splits, [str(number) for number in range(len(labels))], share, ("a", "b"), "numbers")
    assert str(caught.value).startswith(line)


def test_classes_that_say_nothing_are_answered_with_what_to_do():
    with pytest.raises(UserError, match="names 'cat' twice; name each class once"):
        kept_classes(["cat", "dog"], ["cat", "dog", "cat"])
    with pytest.raises(UserError, match="Only one class found, 'cat'; .* Add images of another class"):
        kept_classes(["cat"], None)


def test_the_pictures_of_a_saved_run_have_the_roles_that_they_had():
    data = open_dataset(Data(source="folder", root=str(SAVED_RUNS / "pictures"), image_size=[16, 16]), progress=False)
    facts = list(SAVED_RUNS.glob("*/*/run.json"))
    assert facts
    for path in facts:
        saved = json.loads(path.read_text())["dataset"]
        assert (saved["fingerprint"], saved["sizes"]) == (data.fingerprint, data.info.sizes)


def test_the_records_of_a_prepared_dataset_have_the_roles_that_they_had(tfds_dir):
    data = open_dataset(Data(source="tfds", name="tiny_shapes", data_dir=str(tfds_dir)), progress=False)
    validation, test = (data._source.splits[role].positions.tolist() for role in ("validation", "test"))
    assert validation == [6, 17, 18, 29, 47, 55, 66, 71, 72]
    assert test == [2, 23, 34, 50, 51, 52, 56, 68, 82]


@pytest.mark.parametrize("validation", VALIDATION_NAMES)
def test_a_folder_of_every_usual_name_is_that_split(from_folder, validation):
    counts = {f"{split}/{name}": 6 for split in ("train", validation, "test") for name in ("cat", "dog")}
    data = from_folder({**counts, f"{validation}/cat": 9})
    assert data.info.sizes == {"train": 12, "validation": 15, "test": 12}
    assert data.info.notes == ()
    assert data.examples("validation", [0])[2][0].startswith(f"{validation}/cat/")


@pytest.fixture(scope="module")
def named_splits_dir(tmp_path_factory):
    """Where a dataset is prepared in one configuration for each usual name of a validation split."""
    import tensorflow_datasets as tfds

    class NamedSplits(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("1.0.0")
        BUILDER_CONFIGS = [tfds.core.BuilderConfig(name=name) for name in VALIDATION_NAMES]
        pkg_dir_path = Path(__file__).parent

        def _info(self):
            features = {"image": tfds.features.Image(shape=(4, 4, 3)), "label": tfds.features.ClassLabel(num_classes=2)}
            return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

        def _split_generators(self, dl_manager):
            sizes = {"train": 12, self.builder_config.name: 15, "test": 8}
            return {name: self._generate_examples(number, size) for number, (name, size) in enumerate(sizes.items())}

        def _generate_examples(self, seed, count):
            for number in range(count):
                noise = np.random.default_rng((seed, number)).integers(0, 256, (4, 4, 3), np.uint8)
                yield number, {"image": noise, "label": number % 2}

    folder = tmp_path_factory.mktemp("named")
    tfds.disable_progress_bar()
    for name in VALIDATION_NAMES:
        NamedSplits(config=name, data_dir=folder).download_and_prepare()
    return folder


@pytest.mark.parametrize("validation", VALIDATION_NAMES)
def test_a_tfds_split_of_every_usual_name_is_that_split(named_splits_dir, validation):
    config = Data(source="tfds", name=f"named_splits/{validation}", data_dir=str(named_splits_dir))
    data = open_dataset(config, progress=False)
    assert data.info.sizes == {"train": 12, "validation": 15, "test": 8}
    assert data.info.notes == ()


def test_of_several_usual_names_the_first_counts(from_folder):
    counts = {f"{split}/{name}": 6 for split in ("train", "val", "dev", "test") for name in ("cat", "dog")}
    assert from_folder({**counts, "dev/cat": 9}).info.sizes["validation"] == 12


def test_dev_is_a_class_where_no_train_lies_beside_it(from_folder):
    data = from_folder({"dev": 20, "ops": 20})
    assert data.info.classes == ("dev", "ops")


def test_dev_is_no_validation_split_where_it_is_given_to_another_role(from_folder):
    counts = {f"{split}/{name}": 10 for split in ("dev", "test") for name in ("cat", "dog")}
    data = from_folder(counts, splits={"train": "dev"})
    assert data.info.sizes == {"train": 18, "validation": 2, "test": 20}
