"""docs/architecture.md and the glossary say what the code does."""

import re
from pathlib import Path

from convlens.configs.schema import Visualize
from convlens.data.base import ROLES
from tests.test_rooms import BACKEND_MODULES, PACKAGES, SCRIPTS

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGE = (DOCS / "architecture.md").read_text(encoding="utf-8")
GLOSSARY = (DOCS / "glossary.md").read_text(encoding="utf-8")


def test_the_table_of_packages_is_the_one_that_is_tested():
    rows = re.findall(r"^\| `(\w+)` \|[^|]*\| ([^|]*) \|$", PAGE, re.M)
    assert {package: set(re.findall(r"`(\w+)`", known)) for package, known in rows} == PACKAGES


def test_every_script_and_every_module_that_names_a_backend_stands_on_the_page():
    named = set(re.findall(r"`([\w/]+\.py)`", PAGE))
    assert {*BACKEND_MODULES, *(f"{script}.py" for script in SCRIPTS)} <= named


def test_the_modules_that_a_diagram_names_exist():
    root = DOCS.parent
    diagrams = "\n".join(re.findall(r"^```text\n(.*?)^```", PAGE, re.M | re.S))
    named = re.findall(r"\b((?:configs|core|data|interpret|models|training|visualization)/[\w/]*(?:\.py)?)", diagrams)
    assert named and [name for name in named if not (root / name).exists()] == []


def test_the_glossary_has_the_stages_the_roles_and_the_scales():
    from convlens.models.inspection.graph import STAGES

    terms = {term.strip() for row in re.findall(r"^\| ([^|]+) \|", GLOSSARY, re.M) for term in row.split(",")}
    assert set(STAGES) <= terms
    assert all(role in GLOSSARY for role in ROLES)
    scales = re.findall(r"`scale=(\w+)`", GLOSSARY)
    assert set(scales) == {"unit", "layer", "global"} and all(Visualize(scale=scale) for scale in scales)


def test_the_terms_of_each_group_are_in_alphabetical_order():
    for group in GLOSSARY.split("\n## ")[1:]:
        terms = [row.lower() for row in re.findall(r"^\| ([^|]+) \|", group, re.M)[1:]]
        assert terms == sorted(terms), group.splitlines()[0]
