"""The words that a picture is drawn with are those that draw it again."""

import os
import shlex

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from convlens.configs import Visualize
from convlens.configs.composition import compose
from convlens.gallery.drawn_with import KEYWORD, as_text, words_for, words_in
from convlens.visualization import save_figure, show_kernel

CHOICES = [
    {},
    {"sort": "norm", "scale": "layer", "max_units": 8},
    {"layers": ["block1_conv1", "inner/deep"], "units": [3, 14]},
    {"image": ["a.jpg", "josé (1).jpg", "it's, or not.png", 3]},
    {"image": ["a.jpg"]},
    {"target": "pick up"},
    {"target": 3, "seed": 7, "split": "train", "images": 50},
    {"kernel": "edge", "extraction": {"stride": 2, "image_size": None}},
    {"kernel": [[-1.0, 0.0], [0.5, 1.0]], "kernel_name": "my ramp", "image": ["$HOME.jpg"]},
]


@pytest.mark.parametrize("choices", CHOICES, ids=str)
def test_the_words_of_a_picture_draw_it_again(choices):
    config = Visualize(figures=["all"], run="runs/a", out="elsewhere", **choices)
    again = compose("visualize", Visualize, shlex.split(words_for(config, "kernels")))
    assert again.figures == (["basics"] if config.kernel is not None else ["kernels"])
    kept = {"figures", "run", "out", "kernel"}
    assert again.model_dump(exclude=kept) == config.model_dump(exclude=kept)
    if config.kernel is not None:
        from convlens.interpret import parse_kernel

        np.testing.assert_array_equal(parse_kernel(again.kernel), parse_kernel(config.kernel))


def test_where_things_are_is_not_said():
    config = Visualize(a="one", b="other", out="here", data={"root": "/photos"}, runs_dir="/runs")
    assert words_for(config, "class_accuracy") == "figures=class_accuracy"


@pytest.mark.parametrize("words", ["figures=kernels sort=norm", "image='josé (1).jpg',車.png", "x" * 5000, "\\n\n"])
def test_words_are_read_back_from_the_picture(words, tmp_path):
    save_figure(show_kernel(np.eye(3)), {}, tmp_path / "a.b", as_text(words))
    assert words_in(tmp_path / "a.b.png") == words
    with Image.open(tmp_path / "a.b.png") as picture:
        assert set(picture.text) == {"Software", KEYWORD}


def with_text(folder, text, keyword=KEYWORD):
    info = PngImagePlugin.PngInfo()
    info.add_text(keyword, text)
    Image.new("L", (4, 4)).save(folder / "a.png", pnginfo=info)
    return folder / "a.png"


def test_a_picture_that_is_not_ours_or_is_damaged_says_nothing(tmp_path):
    assert words_in(with_text(tmp_path, "sort=norm", "Comment")) == ""
    assert words_in(with_text(tmp_path, "no JSON")) == ""
    assert words_in(with_text(tmp_path, "[1]")) == ""
    whole = with_text(tmp_path, '"sort=norm"').read_bytes()
    assert words_in(tmp_path / "a.png") == "sort=norm"
    for length in range(len(whole)):
        (tmp_path / "torn.png").write_bytes(whole[:length])
        assert words_in(tmp_path / "torn.png") in ("", "sort=norm")
    assert words_in(tmp_path / "nowhere.png") == ""
    os.mkfifo(tmp_path / "pipe.png")
    assert words_in(tmp_path / "pipe.png") == ""
