"""Figures that can be drawn are on disk and on the page; what cannot be drawn is said, and never more than that."""

import contextlib
import errno
import io
from pathlib import Path

import numpy as np
import pytest

from convlens.core.errors import UserError
from convlens.gallery.drawn_with import words_in
from convlens.gallery.file_names import file_name
from convlens.gallery.planning import Plan
from convlens.gallery.saving import drawn, save
from convlens.visualization import Drawing, show_kernel


def a_kernel(name):
    return Drawing(name, lambda: (show_kernel(np.eye(3)), {"kernel": np.eye(3)}))


def impossible():
    raise UserError("the model has no ReLU")


def test_every_drawing_is_saved_with_its_arrays_and_shown_on_the_page(tmp_path, capsys):
    save([Plan("kernel", [a_kernel("kernel-inner/deep-unit1"), a_kernel("kernel-b")])], tmp_path / "new")
    names = {path.name for path in (tmp_path / "new").iterdir()}
    stems = (file_name("kernel-inner/deep-unit1"), "kernel-b")
    assert names == {"index.html"} | {f"{stem}.{end}" for stem in stems for end in ("png", "svg", "npz")}
    page = (tmp_path / "new" / "index.html").read_text()
    assert all(f"{stem}.png" in page for stem in stems)
    assert "2 figures in" in capsys.readouterr().out


def test_what_a_group_cannot_draw_is_said_and_the_others_are_drawn(tmp_path, capsys):
    written = []
    plans = [
        Plan("relu", [Drawing("relu-a", impossible), a_kernel("relu-b")], by_name=False, extra_files=written.append),
        Plan("kernel", [a_kernel("kernel")], by_name=False),
    ]
    save(plans, tmp_path)
    assert {path.stem for path in tmp_path.glob("*.png")} == {"kernel"}
    assert not written  # nothing is written beside a figure that is not there
    assert capsys.readouterr().out.count("No figure 'relu': the model has no ReLU") == 1


def test_what_was_asked_for_by_name_and_cannot_be_drawn_is_an_error():
    with pytest.raises(UserError, match="no ReLU"):
        list(drawn(Plan("relu", [Drawing("relu-a", impossible)])))


def test_what_stands_beside_a_figure_is_named_below_it(tmp_path, capsys):
    def write_table(folder):
        (folder / "table.csv").write_text("")
        yield folder / "table.csv"
        yield Path("/elsewhere/projector")

    save([Plan("kernel", [a_kernel("kernel")], extra_files=write_table)], tmp_path)
    assert "\n  table.csv\nWritten /elsewhere/projector\n" in capsys.readouterr().out


def test_each_file_is_named_as_soon_as_it_is_written(tmp_path):
    seen = []

    class Reader(io.StringIO):  # no terminal
        def flush(self):
            seen.append((self.getvalue(), {path.name for path in tmp_path.glob("*.png")}))

    with contextlib.redirect_stdout(Reader()):
        save([Plan("kernel", [a_kernel("kernel-a"), a_kernel("kernel-b")])], tmp_path)
    assert any("kernel-a.png" in printed and files == {"kernel-a.png"} for printed, files in seen)
    assert "2 figures in" in seen[-1][0]


def drawn_as(folder, words, name="kernels-a", size=3):
    kernel = np.eye(size)
    drawing = Drawing(name, lambda: (show_kernel(kernel), {"kernel": kernel}))
    save([Plan("kernels", [drawing], words=words)], folder)


def test_a_picture_that_is_drawn_with_other_choices_takes_the_place_of_the_other_whole(tmp_path, capsys):
    drawn_as(tmp_path, "figures=kernels")
    (tmp_path / "kernels-a.gif").touch()
    drawn_as(tmp_path, "figures=kernels sort=norm", size=5)
    assert {path.name for path in tmp_path.iterdir()} == {
        "index.html", "kernels-a.png", "kernels-a.svg", "kernels-a.npz"
    }  # fmt: skip
    assert np.load(tmp_path / "kernels-a.npz")["kernel"].shape == (5, 5)
    assert words_in(tmp_path / "kernels-a.png") == "figures=kernels sort=norm"
    assert "1 took the place of pictures drawn with other choices" in capsys.readouterr().out


def test_a_picture_never_stands_beside_the_arrays_of_another(tmp_path, monkeypatch):
    drawn_as(tmp_path, "figures=kernels")
    monkeypatch.setattr("convlens.visualization.save_figure", lambda *_: impossible())  # stopped at once
    with pytest.raises(UserError):
        drawn_as(tmp_path, "figures=kernels sort=norm")
    assert {path.name for path in tmp_path.iterdir()} == {"index.html", "kernels-a.png"}
    with pytest.raises(UserError):
        drawn_as(tmp_path, "figures=kernels")


def test_the_page_says_of_each_picture_what_it_was_drawn_with(tmp_path):
    drawn_as(tmp_path, "figures=kernels sort=norm")
    drawn_as(tmp_path, "figures=kernels scale=layer", "kernels-b")
    (tmp_path / "stranger.png").write_bytes(b"no picture")
    page = (tmp_path / "index.html").read_text()
    cards = {card.split(".png")[0].rsplit("/", 1)[1]: card for card in page.split("<figure ")[1:]}
    assert "<code>figures=kernels sort=norm</code>" in cards["kernels-a"]
    assert "<code>figures=kernels scale=layer</code>" in cards["kernels-b"]


def test_a_full_disk_ends_the_drawing_of_a_group_too(tmp_path, monkeypatch):
    import os

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match="The disk is full"):
        save([Plan("kernel", [a_kernel("kernel")], by_name=False)], tmp_path)
    assert not list(tmp_path.iterdir())
