"""The face of a package: the names in the stub beside its `__init__.py`, each loaded when it is first used."""

import sys
import types
from collections.abc import Callable

import lazy_loader


def attach_face(package: str, file: str) -> tuple[Callable, Callable, list[str]]:
    """`__getattr__`, `__dir__` and `__all__` of a package whose names stand in a stub: importing it stays light.

    A name may be that of the module which defines it, as `saliency` is in `interpret/saliency.py`: in the package it
    is the function, also after the module was imported by itself, which would otherwise put itself there.

    Args:
        package: its `__name__`.
        file: its `__file__`; the stub lies beside it.
    """
    getattr_of_face, dir_of_face, names = lazy_loader.attach_stub(package, file)

    class Face(types.ModuleType):
        def __setattr__(self, name: str, value: object) -> None:
            if not (name in names and isinstance(value, types.ModuleType)):
                super().__setattr__(name, value)

    sys.modules[package].__class__ = Face
    return getattr_of_face, dir_of_face, names
