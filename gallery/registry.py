"""Every figure by its name: which group it belongs to, what it needs, and who draws it."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from convlens.core.errors import UserError, unknown
from convlens.gallery.ablation import ablation
from convlens.gallery.architecture import architecture
from convlens.gallery.attribution import METHODS, attribution, explanations
from convlens.gallery.basics import drawings_of_scene
from convlens.gallery.comparison import class_accuracy, layer_similarity, matched_units
from convlens.gallery.concepts import concepts
from convlens.gallery.confusion_examples import confusion_examples
from convlens.gallery.deletion_insertion import deletion_insertion
from convlens.gallery.evolution import evolution, write_animations
from convlens.gallery.material import Material, Needs
from convlens.gallery.maximization import activation_maximization
from convlens.gallery.mistakes import mistakes
from convlens.gallery.neighbours import neighbours
from convlens.gallery.patches import top_patches
from convlens.gallery.projector import write_projector
from convlens.gallery.randomisation import randomisation
from convlens.gallery.receptive_field import receptive_field
from convlens.gallery.spectrum import kernel_spectrum
from convlens.gallery.unit_statistics import unit_statistics, write_table

if TYPE_CHECKING:
    from convlens.visualization import Drawing


@dataclass(frozen=True)
class Figure:
    """How a figure is made."""

    draw: "Callable[[Material], Iterable[Drawing]]"  # names its drawings at once; computes when one is drawn
    group: str | None
    needs: Needs
    beside: Callable[[Material, Path], Iterable[Path]] | None = None  # writes what is no drawing: tables, animations


@dataclass(frozen=True)
class Plan:
    """The drawings of one figure, none of them drawn yet."""

    figure: str
    drawings: "Sequence[Drawing]"
    by_name: bool = True  # rather than as one of a group
    beside: Callable[[Path], Iterable[Path]] | None = None


BASICS = ("kernels", "kernel", "kernels_and_maps", "feature_maps", "extraction", "relu", "pipeline")

FIGURES: dict[str, Figure] = {
    **{name: Figure(partial(drawings_of_scene, name), "basics", "images") for name in BASICS},
    "unit_statistics": Figure(unit_statistics, "units", "split", write_table),
    "top_patches": Figure(top_patches, "units", "split"),
    "concepts": Figure(concepts, "units", "masks"),
    "receptive_field": Figure(receptive_field, "units", "images"),
    "ablation": Figure(ablation, "units", "split"),
    "kernel_spectrum": Figure(kernel_spectrum, "units", "kernels"),
    "explanations": Figure(explanations, "attribution", "images"),
    "deletion_insertion": Figure(deletion_insertion, "attribution", "images"),
    "randomisation": Figure(randomisation, "attribution", "images"),
    "activation_maximization": Figure(activation_maximization, "attribution", "images"),
    "architecture": Figure(architecture, "networks", "kernels"),
    "neighbours": Figure(neighbours, "networks", "split"),
    "confusion_examples": Figure(confusion_examples, "networks", "split"),
    "mistakes": Figure(mistakes, "networks", "split"),
    "evolution": Figure(evolution, "networks", "snapshots", write_animations),
    "projector": Figure(lambda _: (), "networks", "split", write_projector),
    "layer_similarity": Figure(layer_similarity, "comparison", "second_run"),
    "matched_units": Figure(matched_units, "comparison", "second_run"),
    "class_accuracy": Figure(class_accuracy, "comparison", "second_run"),
    # Each stands beside the others in `explanations`, and so is in no group.
    **{name: Figure(partial(attribution, name), None, "images") for name in METHODS},
}

GROUPS: dict[str, tuple[str, ...]] = {
    group: tuple(name for name, figure in FIGURES.items() if figure.group == group)
    for group in ("basics", "units", "attribution", "networks", "comparison")
}
GROUPS["all"] = tuple(name for group, names in GROUPS.items() if group != "comparison" for name in names)


def chosen_figures(names: Sequence[str]) -> list[str]:
    """The figures that a list of names and groups stands for, each once. Raises UserError for an unknown name."""
    for name in names:
        if name not in FIGURES and name not in GROUPS:
            raise UserError(unknown("figure", name, [*GROUPS, *FIGURES]))
    figures = [figure for name in names for figure in GROUPS.get(name, (name,))]
    return list(dict.fromkeys(figures))


def planned(material: Material) -> list[Plan]:
    """What is to be drawn of a network and its images.

    A figure that they cannot give is reported and left out where it came with a group; UserError where it was asked
    for by its name, or where nothing is left.
    """
    reasons = {name: material.lacks(FIGURES[name].needs) for name in material.figures}
    plans = []
    for name, reason in reasons.items():
        by_name = name in material.config.figures
        if reason and (by_name or all(reasons.values())):
            raise UserError(reason)
        drawings = [] if reason else list(FIGURES[name].draw(material))
        beside = FIGURES[name].beside
        if reason or not (drawings or beside):
            print(f"No figure '{name}': {reason or 'no layer of the model has what it shows.'}")
            continue
        plans.append(Plan(name, drawings, by_name, beside and partial(beside, material)))
    return plans
