"""The fast tests are found by what their code does, and what takes long is made once for all processes."""

import subprocess
from types import SimpleNamespace

import pytest

from tests.fast import is_fast


def starting():
    subprocess.run(["true"])


def starting_later():
    return lambda: [subprocess.run(["true"]) for _ in range(2)]


def calling():
    starting_later()()


class Server:
    def start(self):
        calling()


def using_a_class():
    Server()


def training():
    from convlens.training import fit_model

    fit_model()


def only_speaking(subprocess="subprocess"):
    assert subprocess != "fit_model"


def item(function, *fixtures, marks=()):
    definitions = {fixture.__name__: [SimpleNamespace(func=fixture)] for fixture in fixtures}
    info = SimpleNamespace(name2fixturedefs=definitions)
    return SimpleNamespace(function=function, _fixtureinfo=info, get_closest_marker=lambda name: name in marks or None)


@pytest.mark.parametrize("function", [starting, starting_later, calling, using_a_class, training])
def test_what_starts_a_process_or_trains_is_not_fast_wherever_it_does_so(function):
    assert not is_fast(item(function))
    assert not is_fast(item(only_speaking, function))


def test_anything_else_is_unless_it_is_marked():
    assert is_fast(item(only_speaking, only_speaking))
    assert not is_fast(item(only_speaking, marks=["heavy"])) and not is_fast(item(only_speaking, marks=["slow"]))


def test_what_is_made_once_is_made_again_only_where_making_it_failed(made_once):
    made = []

    def make(folder):
        made.append((folder, [path.name for path in folder.iterdir()]))
        (folder / "half").touch()
        if len(made) == 1:
            raise ValueError("the disk is full")

    with pytest.raises(ValueError, match="the disk is full"):
        made_once("tried", make)
    folders = {made_once("tried", make) for _ in range(2)}
    assert made == 2 * [(folders.pop(), [])] and not folders
