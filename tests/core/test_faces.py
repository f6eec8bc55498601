"""What a package shows is what its stub says, loaded when it is first used."""

import importlib
import sys

import pytest


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package that shows `blur`, defined in blur.py, and `edge`, defined in kernels.py."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    face = "from convlens.core.faces import attach_face\n\n"
    (folder / "__init__.py").write_text(f"{face}__getattr__, __dir__, __all__ = attach_face(__name__, __file__)\n")
    (folder / "__init__.pyi").write_text("from .blur import blur as blur\nfrom .kernels import edge as edge\n")
    (folder / "blur.py").write_text("def blur():\n    return 'blurred'\n")
    (folder / "kernels.py").write_text("def edge():\n    return 'edges'\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module("pictures")
    for name in [name for name in sys.modules if name.split(".")[0] == "pictures"]:
        del sys.modules[name]


def test_a_name_is_the_function_also_after_its_module_of_that_name_was_imported(package):
    module = importlib.import_module("pictures.blur")
    assert package.blur() == "blurred" and package.blur is module.blur
    from pictures import blur

    assert blur is module.blur
    assert importlib.import_module("pictures.blur") is module


def test_a_module_is_imported_when_its_name_is_first_used_and_stays_reachable(package):
    assert "pictures.kernels" not in sys.modules
    assert package.edge() == "edges"
    assert package.kernels is sys.modules["pictures.kernels"]
    assert set(package.__all__) == {"blur", "edge"} <= set(dir(package))


def test_a_name_that_the_stub_does_not_have_is_refused(package):
    with pytest.raises(AttributeError, match="sharpen"):
        package.sharpen  # noqa: B018
