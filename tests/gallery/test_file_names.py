"""No figure overwrites another, whatever layers are called, and a figure that is drawn again replaces itself."""

import re

import numpy as np
import pytest

from convlens.gallery.file_names import FileNames, file_name
from convlens.gallery.index import entry
from convlens.gallery.planning import Plan
from convlens.gallery.saving import save
from convlens.visualization import Drawing, show_kernel

TWINS = {
    "a nested layer": ("block1/conv1", "block1_conv1"),
    "signs": ("c>1", "c_1"),
    "a space and a plus": ("c 1", "c+1", "c_1"),
    "upper and lower case": ("Conv1", "conv1", "CONV1"),
    "composed and not": ("é", "e\u0301", "e_"),
    "long": ("x" * 200 + "a", "x" * 200 + "b"),
    "long and wide": ("車" * 120, "車" * 119 + "店"),
    "in small steps": ("c/", "c//", "c///", "c_"),
}


def a_kernel(name):
    return Drawing(name, lambda: (show_kernel(np.eye(3)), {"kernel": np.eye(3)}))


@pytest.mark.parametrize("layers", TWINS.values(), ids=TWINS)
def test_figures_of_layers_with_similar_names_have_files_of_their_own(layers, tmp_path):
    files = FileNames(tmp_path)
    named = [files.of(f"kernel-{layer}-unit{unit}") for layer in layers for unit in (0, 12)]
    assert len({name.casefold() for name in named}) == len(named)
    assert all(len(f".12345678.{name}.png".encode()) < 255 for name in named)
    about = [entry(f"{name}.png") for name in named]
    assert [(one.figure, one.unit) for one in about] == [("kernel", 0), ("kernel", 12)] * len(layers)
    assert len({one.layer for one in about}) == len(layers)


def test_the_count_that_is_printed_is_that_of_files(tmp_path, capsys):
    names = ["kernels-a/b", "kernels-a_b", "kernels-A_b", "kernels-a_b", "kernel", "kernel"]
    save([Plan("kernel", [a_kernel(name) for name in names])], tmp_path)
    printed = capsys.readouterr().out
    pictures = {path.name for path in tmp_path.glob("*.png")}
    assert int(re.search(r"(\d+) figures", printed)[1]) == len(pictures) == len(names)
    assert set(re.findall(r"^  (\S+\.png)$", printed, re.M)) == pictures
    linked = set(re.findall(r'src="\./([^"]+)"', (tmp_path / "index.html").read_text()))
    assert {name.replace("%7E", "~") for name in linked} == pictures


def test_a_figure_that_is_drawn_again_replaces_itself_and_no_other(tmp_path):
    for name in ("kernels-a/b", "kernels-A_b", "kernels-a_b", "kernels-a/b", "kernels-a_b"):
        save([Plan("kernel", [a_kernel(name)])], tmp_path)
    assert len(list(tmp_path.glob("*.png"))) == 3


def test_usual_names_are_kept_as_they_are():
    usual = ["kernels-block1_conv1", "extraction-conv1@2-unit7", "pipeline-image0", "architecture", "relu-a.b-c"]
    assert [file_name(name) for name in usual] == usual
