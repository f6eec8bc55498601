import subprocess
import sys

import pytest

from convlens.configs import Data
from convlens.core.errors import UserError
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
