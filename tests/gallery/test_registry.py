"""Every figure has a name, a group and somebody who draws it; what cannot be drawn is said before it is tried."""

from pathlib import Path

import pytest

from convlens import visualization
from convlens.core.errors import UserError
from convlens.gallery.registry import BASICS, FIGURES, GROUPS, chosen_figures, planned

GALLERY = Path(__file__).parents[2] / "gallery"


def test_every_figure_of_one_model_has_a_name_and_all_means_every_group_of_them():
    assert BASICS == tuple(visualization.FIGURES)
    assert chosen_figures(["all"]) == [
        name for name, figure in FIGURES.items() if figure.group not in (None, "comparison")
    ]
    assert chosen_figures(["relu", "basics"]) == ["relu", *(name for name in BASICS if name != "relu")]


def test_a_figure_is_in_the_group_that_it_names():
    assert set(GROUPS) == {"basics", "units", "attribution", "networks", "comparison", "all"}
    for name, figure in FIGURES.items():
        assert [group for group, names in GROUPS.items() if name in names and group != "all"] == (
            [figure.group] if figure.group else []
        )


def test_every_module_that_draws_is_in_the_registry():
    drawing = {getattr(figure.draw, "func", figure.draw).__module__ for figure in FIGURES.values()}
    drawing |= {figure.beside.__module__ for figure in FIGURES.values() if figure.beside}
    makes_drawings = {path.stem for path in GALLERY.glob("*.py") if "yield visualization.Drawing(" in path.read_text()}
    assert makes_drawings <= {name.rsplit(".", 1)[1] for name in drawing}


@pytest.mark.parametrize(
    ("figures", "line"),
    [
        (["kernls"], "Unknown figure 'kernls'. Did you mean 'kernels'"),
        (["units", "top_patch"], "Unknown figure 'top_patch'. Did you mean 'top_patches'"),
        (["atribution"], "Unknown figure 'atribution'. Did you mean 'attribution'"),
    ],
)
def test_a_misspelt_figure_is_refused_with_the_nearest(figures, line):
    with pytest.raises(UserError, match=line):
        chosen_figures(figures)


def test_a_figure_that_a_run_cannot_give_is_left_out_of_its_group_and_refused_by_its_name(
    photos_run, material_of, capsys
):
    plans = planned(material_of(photos_run, ["units"]))
    assert [plan.figure for plan in plans] == [figure for figure in GROUPS["units"] if figure != "concepts"]
    assert "No figure 'concepts': " in capsys.readouterr().out
    with pytest.raises(UserError, match="has no masks of parts"):
        planned(material_of(photos_run, ["units", "concepts"]))


def test_of_a_model_file_only_what_needs_no_split_is_planned(model_path, photo, material_of, capsys):
    plans = planned(material_of(model_path, ["units"], image=[str(photo)]))
    assert [plan.figure for plan in plans] == ["receptive_field", "kernel_spectrum"]
    said = capsys.readouterr().out
    for figure in ("unit_statistics", "top_patches", "concepts", "ablation"):
        assert f"No figure '{figure}': " in said
    with pytest.raises(UserError, match="give run="):
        planned(material_of(model_path, ["top_patches"], image=[str(photo)]))


def test_where_nothing_of_a_group_is_left_its_reason_is_an_error(model_path, material_of):
    with pytest.raises(UserError, match="model= needs an image"):
        planned(material_of(model_path, ["basics"]))
    with pytest.raises(UserError, match="give a=.* b="):
        planned(material_of(model_path, ["comparison"]))
