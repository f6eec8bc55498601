"""A figure is declared where it is drawn, and nowhere else; what cannot be drawn is said before it is tried."""

import re
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from convlens import visualization
from convlens.core.errors import UserError
from convlens.gallery import registry
from convlens.gallery.planning import planned
from convlens.gallery.registry import GROUPS, chosen_figures, figure, figures, groups
from tests.commands.documents import headings

ROOT = Path(__file__).parents[2]


def test_all_means_every_group_but_comparison():
    assert groups()["basics"] == tuple(visualization.FIGURES)
    assert chosen_figures(["all"]) == [
        name for name, entry in figures().items() if entry.group not in (None, "comparison")
    ]
    basics = groups()["basics"]
    assert chosen_figures(["relu", "basics"]) == ["relu", *(name for name in basics if name != "relu")]


def test_a_figure_is_in_the_group_that_it_names_at_a_position_of_its_own():
    assert list(groups()) == [*GROUPS, "all"]
    for name, entry in figures().items():
        assert [group for group, names in groups().items() if name in names and group != "all"] == (
            [entry.group] if entry.group else []
        )
    for members in (*(groups()[group] for group in GROUPS), [n for n, entry in figures().items() if not entry.group]):
        positions = [figures()[name].position for name in members if figures()[name].position != registry.LAST]
        assert positions == sorted(set(positions))


def test_every_module_that_draws_declares_its_figures():
    declared = {entry.draw.__module__ for entry in figures().values()}
    declared |= {entry.extra_files.__module__ for entry in figures().values() if entry.extra_files}
    modules = {
        path.stem for path in (ROOT / "gallery").glob("*.py") if "yield visualization.Drawing(" in path.read_text()
    }
    assert modules <= {name.rsplit(".", 1)[1] for name in declared}


NOTHING_HEAVY = """
import sys
before = set(sys.modules)
from convlens.gallery.registry import figures
assert len(figures()) > 30
new = {name.split(".")[0] for name in set(sys.modules) - before}
print(sorted(name for name in new if "site-packages" in (getattr(sys.modules.get(name), "__file__", "") or "")))
"""


def test_naming_every_figure_imports_nothing_heavier_than_numpy():
    done = subprocess.run([sys.executable, "-c", NOTHING_HEAVY], capture_output=True, text=True)
    assert done.stdout.strip() in ("['lazy_loader', 'numpy']", "['lazy_loader']", "['numpy']"), (
        done.stdout + done.stderr
    )


def test_help_lists_every_figure_without_importing_what_draws():
    heavy = ("matplotlib", "tensorflow", "keras", "jax", "torch", "h5py", "PIL", "rich")
    code = (
        "import sys; from convlens.visualize import main; main(['--help']);"
        f"print(sorted(set({heavy}) & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr.strip() == "[]"
    assert all(f"\n    {name} " in done.stdout for name in figures())
    assert all(f"\n  {group} " in done.stdout for group in groups())


@pytest.fixture
def declared():
    """What the registry holds is as before afterwards."""
    figures()
    before = dict(registry._FIGURES)
    yield
    registry._FIGURES.clear()
    registry._FIGURES.update(before)


WORDS = {"needs": "images", "shows": "nothing", "reading": "Nothing.", "page": "gallery-units.md#ablation"}


def test_a_new_figure_stands_last_in_its_group_and_is_chosen_like_any_other(declared):
    @figure("of_a_test", group="units", **WORDS)
    def of_a_test(inputs):
        yield from ()

    assert groups()["units"][-1] == "of_a_test" and chosen_figures(["of_a_test"]) == ["of_a_test"]
    assert figures()["of_a_test"].draw is of_a_test


def test_two_figures_of_one_name_or_a_group_that_does_not_exist_are_refused(declared):
    with pytest.raises(ValueError, match="both draw a figure 'ablation'"):
        figure("ablation", group="units", **WORDS)(lambda inputs: ())
    with pytest.raises(ValueError, match="the group 'unit'; expected one of basics, units"):
        figure("of_a_test", group="unit", **WORDS)


def table_of(page):
    """The table of a page's figures, as its document has it near its top."""
    lines = ["| figure | shows | how to read it |", "|---|---|---|"]
    for name, entry in figures().items():
        document, _, heading = entry.page.partition("#")
        if document == page:
            lines.append(f"| [`{name}`](#{heading}) | {entry.shows} | {entry.reading} |")
    return "\n".join(lines)


@pytest.mark.parametrize("page", sorted({entry.page.partition("#")[0] for entry in figures().values()}))
def test_a_page_of_the_documents_says_of_its_figures_what_they_declare(page):
    text = (ROOT / "docs" / page).read_text()
    assert table_of(page) in text, f"docs/{page} lacks this table of its figures:\n\n{table_of(page)}\n"
    for name, entry in figures().items():
        document, _, heading = entry.page.partition("#")
        assert document != page or heading in headings(text), f"docs/{page} has no heading for {name}"


def test_what_a_figure_may_ask_for_is_what_the_checklist_says():
    from convlens.gallery.inputs import FigureInputs

    checklist = (ROOT / "CONTRIBUTING.md").read_text()
    rows = re.findall(r"^ +\| `(\w+)` \| (.*) \| `(gallery/\w+\.py)` \|$", checklist, re.M)
    assert [needs for needs, *_ in rows] == list(get_args(registry.Needs))
    for needs, has, example in rows:
        assert f'needs="{needs}"' in (ROOT / example).read_text()
        names = [name for name in re.findall(r"`([\w=]+)`", has) if "=" not in name]
        assert all(name in get_args(registry.Needs) or hasattr(FigureInputs, name) for name in names), has


def test_what_a_figure_declares_is_a_line_and_sentences():
    for entry in figures().values():
        assert entry.shows and not entry.shows.endswith(".") and len(entry.shows) < 90, entry.name
        assert entry.reading.endswith(".") and len(entry.reading) < 120, entry.name
        assert not entry.scale or (entry.scale.endswith(".") and len(entry.scale) < 120), entry.name


@pytest.mark.parametrize(
    ("names", "line"),
    [
        (["kernls"], "Unknown figure 'kernls'. Did you mean 'kernels'"),
        (["units", "top_patch"], "Unknown figure 'top_patch'. Did you mean 'top_patches'"),
        (["atribution"], "Unknown figure 'atribution'. Did you mean 'attribution'"),
    ],
)
def test_a_misspelt_figure_is_refused_with_the_nearest(names, line):
    with pytest.raises(UserError, match=line):
        chosen_figures(names)


def test_a_figure_that_a_run_cannot_give_is_left_out_of_its_group_and_refused_by_its_name(
    photos_run, inputs_of, capsys
):
    plans = planned(inputs_of(photos_run, ["units"]))
    assert [plan.figure for plan in plans] == [name for name in groups()["units"] if name != "concepts"]
    assert "No figure 'concepts': " in capsys.readouterr().out
    with pytest.raises(UserError, match="has no masks of parts"):
        planned(inputs_of(photos_run, ["units", "concepts"]))


def test_of_a_model_file_only_what_needs_no_split_is_planned(model_path, photo, inputs_of, capsys):
    plans = planned(inputs_of(model_path, ["units"], image=[str(photo)]))
    without_split = [name for name in groups()["units"] if figures()[name].needs in ("kernels", "images")]
    assert [plan.figure for plan in plans] == without_split and "receptive_field" in without_split
    printed = capsys.readouterr().out
    for name in ("unit_statistics", "top_patches", "concepts", "ablation"):
        assert f"No figure '{name}': " in printed
    with pytest.raises(UserError, match="give run="):
        planned(inputs_of(model_path, ["top_patches"], image=[str(photo)]))


def test_where_nothing_of_a_group_is_left_its_reason_is_an_error(model_path, inputs_of):
    with pytest.raises(UserError, match="model= needs an image"):
        planned(inputs_of(model_path, ["basics"]))
    with pytest.raises(UserError, match="give a=.* b="):
        planned(inputs_of(model_path, ["comparison"]))
