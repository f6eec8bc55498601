"""What CONTRIBUTING.md tells a newcomer to copy, to extend and to run is there."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
STEPS = [" ".join(step.split()) for step in re.findall(r"^\d\. (.*?)(?=\n\d\. |\n\n)", TEXT, re.M | re.S)]


def names_in(path):
    """The functions and the names at the top of a module."""
    body = ast.parse(path.read_text(encoding="utf-8")).body
    assigned = [target for node in body if isinstance(node, ast.Assign) for target in node.targets]
    targets = {target.id for target in assigned if isinstance(target, ast.Name)}
    return targets | {node.name for node in body if isinstance(node, ast.FunctionDef | ast.ClassDef)}


def test_a_test_to_copy_and_a_table_to_extend_are_in_the_file_that_is_named_beside_them():
    seen = 0
    for step in STEPS:
        files = [ROOT / file for file in re.findall(r"`((?:\w+/)+\w+\.py)`", step)]
        for name in re.findall(r"`(test_\w+|[A-Z]{4,})`", step):
            seen += 1
            assert any(name in names_in(file) for file in files), f"{name}: {step}"
    assert seen > 5


def test_every_task_ends_with_what_to_run():
    tasks = TEXT.split("\n### ")[1:]
    for task in tasks[:-1]:
        assert re.search(r"^What runs: `pytest tests/", task, re.M), task.splitlines()[0]
