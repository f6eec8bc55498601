"""Every figure by its name: which group it belongs to, what it needs, and who draws it."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from convlens.core.errors import UserError, unknown
from convlens.gallery import answers, attribution, basics, comparison, history, networks, units
from convlens.gallery.subject import Subject

if TYPE_CHECKING:
    from convlens.visualization import Drawing

Needs = Literal["kernels", "images", "split", "masks", "snapshots", "other"]


@dataclass(frozen=True)
class Figure:
    """How a figure is made. Whoever has a split has images, whoever has masks has both."""

    draw: "Callable[[Subject], Iterable[Drawing]]"  # names its drawings at once; computes when one is drawn
    group: str | None
    needs: Needs
    beside: Callable[[Subject, Path], Iterable[Path]] | None = None  # writes what is no drawing: tables, animations


@dataclass(frozen=True)
class Plan:
    """The drawings of one figure, none of them drawn yet."""

    figure: str
    drawings: "Sequence[Drawing]"
    by_name: bool = True  # rather than as one of a group
    beside: Callable[[Path], Iterable[Path]] | None = None


BASICS = ("kernels", "kernel", "kernels_and_maps", "feature_maps", "extraction", "relu", "pipeline")

FIGURES: dict[str, Figure] = {
    **{name: Figure(partial(basics.of_scene, name), "basics", "images") for name in BASICS},
    "unit_statistics": Figure(units.unit_statistics, "units", "split", units.write_table),
    "top_patches": Figure(units.top_patches, "units", "split"),
    "concepts": Figure(units.concepts, "units", "masks"),
    "receptive_field": Figure(units.receptive_field, "units", "images"),
    "ablation": Figure(units.ablation, "units", "split"),
    "kernel_spectrum": Figure(units.kernel_spectrum, "units", "kernels"),
    "explanations": Figure(attribution.explanations, "attribution", "images"),
    "deletion_insertion": Figure(attribution.deletion_insertion, "attribution", "images"),
    "randomisation": Figure(attribution.randomisation, "attribution", "images"),
    "activation_maximization": Figure(attribution.activation_maximization, "attribution", "images"),
    "architecture": Figure(networks.architecture, "networks", "kernels"),
    "neighbours": Figure(networks.neighbours, "networks", "split"),
    "confusion_examples": Figure(answers.confusion_examples, "networks", "split"),
    "mistakes": Figure(answers.mistakes, "networks", "split"),
    "evolution": Figure(history.evolution, "networks", "snapshots", history.animations),
    "projector": Figure(lambda _: (), "networks", "split", networks.projector),
    "layer_similarity": Figure(comparison.layer_similarity, "comparison", "other"),
    "matched_units": Figure(comparison.matched_units, "comparison", "other"),
    "class_accuracy": Figure(comparison.class_accuracy, "comparison", "other"),
    # Each stands beside the others in `explanations`, and so is in no group.
    **{name: Figure(partial(attribution.of_method, name), None, "images") for name in attribution.METHODS},
}

GROUPS: dict[str, tuple[str, ...]] = {
    group: tuple(name for name, figure in FIGURES.items() if figure.group == group)
    for group in ("basics", "units", "attribution", "networks", "comparison")
}
GROUPS["all"] = tuple(name for group, names in GROUPS.items() if group != "comparison" for name in names)


def chosen_figures(names: Sequence[str]) -> list[str]:
    """The figures that a list of names and groups stands for, each once."""
    for name in names:
        if name not in FIGURES and name not in GROUPS:
            raise UserError(unknown("figure", name, [*GROUPS, *FIGURES]))
    found = [figure for name in names for figure in GROUPS.get(name, (name,))]
    return list(dict.fromkeys(found))


def planned(subject: Subject, figures: Sequence[str]) -> list[Plan]:
    """What is to be drawn of a subject.

    A figure that this subject cannot give is told and left out where it came with a group; UserError where it was
    asked for by its name, or where nothing is left.
    """
    reasons = {name: missing(subject, FIGURES[name].needs) for name in figures}
    plans = []
    for name, reason in reasons.items():
        by_name = name in subject.config.figures
        if reason and (by_name or all(reasons.values())):
            raise UserError(reason)
        drawings = [] if reason else list(FIGURES[name].draw(subject))
        beside = FIGURES[name].beside
        if reason or not (drawings or beside):
            print(f"No figure '{name}': {reason or 'no layer of the model has what it shows.'}")
            continue
        plans.append(Plan(name, drawings, by_name, beside and partial(beside, subject)))
    return plans


def missing(subject: Subject, needs: Needs) -> str | None:
    """Why a subject has not got what a figure needs; None where it has."""
    config = subject.config
    if needs == "images" and subject.run is None and config.image is None:
        return "model= needs an image to look at; give image=path/to/photo.jpg"
    if needs == "other" and config.b is None:
        return "comparing takes two runs; give a=runs/cars/latest b=runs/cars/another"
    if needs == "snapshots" and not (subject.run and subject.run.snapshots):
        return "there are no snapshots of the epochs; a run trained with training.snapshots=40 keeps them"
    if needs in ("split", "masks", "other") and subject.lacks_data:
        return subject.lacks_data
    if needs == "masks" and not subject.data.info.parts:
        return f"{subject.data.info.name} has no masks of parts; the embedded dataset, rendered_cars, has."
    return None
