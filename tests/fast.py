"""Which tests are marked `fast`: those that `pytest -m fast tests/data` runs while one works on a package.

A test is fast unless it is marked `slow` or `heavy`, starts a process, trains a network or builds a large one. Whether
it does is read off the names that are used in its code, in its fixtures and in whatever of the tests' own these use. So
a new test needs no mark; `heavy` is for those that take seconds for another reason.
"""

from collections.abc import Callable, Iterator
from functools import cache
from types import CodeType, FunctionType

import pytest

NOT_FAST = {"Popen", "applications", "evaluate", "fit_model", "fork", "run_module", "subprocess", "train"}


def is_fast(item: pytest.Function) -> bool:
    if item.get_closest_marker("slow") or item.get_closest_marker("heavy"):
        return False
    fixtures = [
        definition.func for definitions in item._fixtureinfo.name2fixturedefs.values() for definition in definitions
    ]
    return all(NOT_FAST.isdisjoint(names_used(function)) for function in (item.function, *fixtures))


@cache
def names_used(function: Callable) -> frozenset[str]:
    """The names in a function's code, and in that of the tests' own functions and classes that it uses."""
    pending, read, names = [function], set(), set()
    while pending:
        part = pending.pop()
        for code, module in codes(part):
            if code not in read:
                read.add(code)
                names.update(code.co_names)
                used = (module.get(name) for name in code.co_names)
                pending += [value for value in used if is_of_the_tests(value)]
    return frozenset(names)


def is_of_the_tests(value: object) -> bool:
    return isinstance(value, FunctionType | type) and value.__module__.startswith(("tests", "test_"))


def codes(part: Callable) -> Iterator[tuple[CodeType, dict]]:
    """The code of a function or of a class's methods, with all that is defined within, and the module's names."""
    functions = [part] if isinstance(part, FunctionType) else vars(part).values()
    for function in functions:
        function = getattr(function, "__func__", function)
        if isinstance(function, FunctionType):
            pending = [function.__code__]
            while pending:
                code = pending.pop()
                yield code, function.__globals__
                pending += [constant for constant in code.co_consts if isinstance(constant, CodeType)]
