import shlex
import subprocess
import sys

import pytest

from convlens.configs import Data
from convlens.core.errors import UserError
from convlens.data import open_dataset
from convlens.data.sources.tfds_names import check_name, parse_name


@pytest.mark.parametrize(
    ("given", "parts"),
    [
        ("cifar10", ("cifar10", None, None)),
        ("Cifar10", ("Cifar10", None, None)),
        ("imagenet_resized/32x32", ("imagenet_resized", "32x32", None)),
        ("cifar10:3.0.2", ("cifar10", None, "3.0.2")),
        ("cifar10:3.*.*", ("cifar10", None, "3.*.*")),
        ("cifar10_corrupted/brightness_1:1.0.0", ("cifar10_corrupted", "brightness_1", "1.0.0")),
        ("a/b-c+d.e", ("a", "b-c+d.e", None)),
    ],
)
def test_a_name_has_its_parts(given, parts):
    assert parse_name(given) == parts


@pytest.mark.parametrize(
    "given",
    [
        *("", "../a", "a/..", "a/../b", "/a", "a/b/c", "a:b", "a:b/c", "huggingface:a", "a/b=True", "a/b/c=True"),
        *("a.b", "a:1.0", "a:1.0.0.0", "a:latest", "a\n", "a b", "é", "1a", "a/", "a:", "a\\b", "a/é", "gs://a"),
    ],
)
def test_what_is_no_name_is_refused_in_a_line(given):
    with pytest.raises(UserError, match="is not the name of a TFDS dataset; expected name, name/config") as refusal:
        check_name(Data.model_construct(name=given))
    assert "\n" not in str(refusal.value)


def test_it_is_refused_before_tfds_is_imported():
    code = (
        "import sys; from convlens.configs import Data; from convlens.data import open_dataset\n"
        "try: open_dataset(Data(source='tfds', name='a:b'))\n"
        "except ValueError as error: print(error, {'tensorflow', 'tensorflow_datasets'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "not the name" in done.stdout and done.stdout.strip().endswith("set()"), done.stderr


BUILDER = """
import numpy as np
import tensorflow_datasets as tfds


class Builder(tfds.core.GeneratorBasedBuilder):
    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        label = tfds.features.ClassLabel(names=["robin", "wren"])
        features = {"image": tfds.features.Image(shape=(8, 8, 3)), "label": label}
        return self.dataset_info_from_configs(features=tfds.features.FeaturesDict(features))

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples()}

    def _generate_examples(self):
        for number in range(40):
            pixels = np.random.default_rng(number).integers(0, 256, (8, 8, 3), np.uint8)
            yield number, {"image": pixels, "label": number % 2}
"""


def refused(data_dir, name):
    with pytest.raises(UserError) as refusal:
        check_name(Data(source="tfds", name=name, data_dir=str(data_dir)))
    assert "\n" not in str(refusal.value)
    return str(refusal.value)


def test_a_builder_that_was_not_prepared_is_no_unknown_name(tmp_path):
    (tmp_path / "birds").mkdir()
    line = refused(tmp_path, "birds")
    assert "Unknown" not in line and "Did you mean" not in line
    assert "birds holds no prepared dataset, and TFDS knows none of that name" in line
    assert f"build --data_dir={tmp_path}" in line


def test_an_unknown_name_says_how_a_builder_of_ones_own_is_prepared_and_guesses_only_what_is(tmp_path):
    (tmp_path / "birds").mkdir()
    line = refused(tmp_path, "my_birds")
    assert "'birds'" not in line and f"build --data_dir={tmp_path}" in line
    (tmp_path / "birds" / "1.0.0").mkdir()
    (tmp_path / "birds" / "1.0.0" / "features.json").touch()
    assert "Did you mean 'birds'" in refused(tmp_path, "my_birds")


def test_another_configuration_or_version_is_answered_with_those_that_are_prepared(tmp_path):
    (tmp_path / "birds" / "large" / "2.0.0").mkdir(parents=True)
    (tmp_path / "birds" / "large" / "2.0.0" / "features.json").touch()
    with pytest.raises(UserError, match="data.name=birds/small is not prepared in .*, but birds/large:2.0.0 is"):
        open_dataset(Data(source="tfds", name="birds/small", data_dir=str(tmp_path)), progress=False)


@pytest.mark.slow
def test_what_is_advised_for_a_builder_prepares_it(tmp_path):
    (tmp_path / "birds").mkdir()
    (tmp_path / "birds" / "birds_dataset_builder.py").write_text(BUILDER)
    (tmp_path / "birds" / "__init__.py").touch()
    line = refused(tmp_path, "birds")
    assert f"in {tmp_path / 'birds'}: tfds build --data_dir={tmp_path}" in line
    command = shlex.split(line[line.index(f"in {tmp_path}: ") + len(f"in {tmp_path}: ") :])
    assert command[0] == "python"
    subprocess.run([sys.executable, *command[1:]], check=True, capture_output=True, cwd=tmp_path)
    data = open_dataset(Data(source="tfds", name="birds", data_dir=str(tmp_path)), progress=False)
    assert len(data.labels("train")) == 32


def test_a_dataset_that_does_not_suit_is_refused_before_it_is_downloaded(tmp_path, monkeypatch):
    import tensorflow_datasets as tfds

    class Unlabelled(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("1.0.0")
        pkg_dir_path = tmp_path

        def _info(self):
            features = tfds.features.FeaturesDict({"image": tfds.features.Image(), "boxes": tfds.features.Text()})
            return tfds.core.DatasetInfo(builder=self, features=features)

        def _split_generators(self, dl_manager):
            raise AssertionError("it was downloaded")

        def _generate_examples(self):
            yield from ()

    config = Data(source="tfds", name="unlabelled", data_dir=str(tmp_path / "tfds"))
    with pytest.raises(UserError, match=r"unlabelled/1.0.0 has no ClassLabel: it has .*boxes \(Text\).*data=folder"):
        open_dataset(config, progress=False)
    assert not (tmp_path / "tfds").exists()
