"""Questions about units: what they respond to, see, detect, repeat and are needed for."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from convlens import interpret, visualization
from convlens.gallery.subject import SHARE, kernels_of

if TYPE_CHECKING:
    from convlens.gallery.subject import Subject
    from convlens.visualization import Drawing

ABLATED_ON = 500  # images: each is classified once a unit
FIELD_ON = 16  # images: each takes a gradient a unit
DETECTORS, DETECTOR_IMAGES = 8, 5


def unit_statistics(subject: "Subject") -> "Iterator[Drawing]":
    for layer in subject.convolutions:

        def draw(layer=layer):
            found = subject.answers.statistics[layer]
            table = interpret.unit_table({layer: found})
            figure = visualization.unit_statistics_figure(
                table, found.correlation, found.cosine, caption=subject.caption(layer), images=found.images,
                split=subject.config.split, labels=subject.labels, units=subject.config.units, sort="selectivity",
            )  # fmt: skip
            arrays = {"class_mean": found.class_mean, "cosine": found.cosine}
            known = {name: array for name, array in arrays.items() if array is not None}
            return figure, {"table": table, "correlation": found.correlation, **known}

        yield visualization.Drawing(f"unit_statistics-{layer}", draw)


def write_table(subject: "Subject", folder: Path) -> Iterator[Path]:
    """The statistics of every unit of every layer, as CSV."""
    table = interpret.table_csv(interpret.unit_table(subject.answers.statistics))
    yield visualization.write_whole(folder / "unit_statistics.csv", table)


def top_patches(subject: "Subject") -> "Iterator[Drawing]":
    for layer in subject.convolutions:

        def draw(layer=layer):
            found = subject.answers.patches[layer]
            figure = visualization.top_patches_figure(
                found.images, found.rows, found.boxes, found.values, caption=subject.caption(layer),
                labels=[subject.labels[label] for label in found.labels], split=subject.config.split,
                units=subject.config.units, sort="activation", dead=subject.answers.statistics[layer].dead,
            )  # fmt: skip
            arrays = {name: getattr(found, name) for name in ("images", "rows", "boxes", "values", "places")}
            return figure, {**arrays, "index": subject.sample[found.index]}

        yield visualization.Drawing(f"top_patches-{layer}", draw)


def concepts(subject: "Subject") -> "Iterator[Drawing]":
    for layer in subject.convolutions:

        def draw(layer=layer):
            scores = subject.answers.concepts[layer]
            dead = subject.answers.statistics[layer].dead
            asked = scores.ranked() if subject.config.units is None else subject.config.units
            units = [int(unit) for unit in asked if not dead[unit]][:DETECTORS]
            images, strong, parts = _strong_and_parts(subject, layer, units)
            figure = visualization.concepts_figure(
                scores.iou, scores.names, units, images, strong, parts,
                caption=subject.caption(layer), share=SHARE, split=_of_split(subject, layer),
            )  # fmt: skip
            return figure, {name: getattr(scores, name) for name in ("iou", "threshold", "active", "area")}

        yield visualization.Drawing(f"concepts-{layer}", draw)


def _of_split(subject: "Subject", layer: str) -> str:
    return f"{subject.answers.statistics[layer].images:,} images of {subject.config.split}"


def _strong_and_parts(
    subject: "Subject", layer: str, units: list[int]
) -> tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray]]:
    """By unit: images that excite it, where it is strong in them, and where the part is that it covers best."""
    from convlens.models import feature_maps

    if not units:
        return [], [], []
    scores, patches = subject.answers.concepts[layer], subject.answers.patches[layer]
    rows = [patches.rows[unit, :DETECTOR_IMAGES] for unit in units]
    stages = feature_maps(subject.model, patches.images[np.concatenate(rows)], [layer])[layer]
    strong = interpret.strong_places(stages.get("detect", stages["filter"]), scores, patches.images.shape[1:3])
    by_unit = np.split(strong, len(units))  # each unit has as many images
    return (
        [patches.images[of_unit] for of_unit in rows],
        [found[..., unit] for unit, found in zip(units, by_unit, strict=True)],
        [patches.masks[of_unit] == scores.concept[unit] for unit, of_unit in zip(units, rows, strict=True)],
    )


def receptive_field(subject: "Subject") -> "Iterator[Drawing]":
    def draw():
        from convlens.interpret.receptive_field import receptive_field

        if subject.lacks_data is None:
            images, _, _ = next(subject.batches(FIELD_ON))
        else:
            images = subject.images
        sights = []
        with subject.bars.bar("Measuring receptive fields", len(subject.convolutions)) as told:
            for done, layer in enumerate(subject.convolutions, 1):
                field = receptive_field(subject.model, layer, images.shape[1:3])
                place = tuple(side // 2 for side in field.map_size)
                effect = interpret.effective_receptive_field(subject.model, images, layer).mean(axis=0)
                matters = float(interpret.effective_size(effect[None])[0])
                sight = visualization.Sight(layer, field.box(*place), field.map_size, place, effect, matters)
                sights.append(sight)
                told(done)
        image = subject.images[0]
        note = f"mean over units and {len(images)} image{'s' * (len(images) > 1)}"
        figure = visualization.receptive_field_figure(image, sights, caption=subject.caption(), note=note)
        boxes, effects = np.array([sight.box for sight in sights]), np.stack([sight.effective for sight in sights])
        layers = np.array(list(subject.convolutions))
        return figure, {"image": image, "layers": layers, "boxes": boxes, "effective": effects}

    yield visualization.Drawing("receptive_field", draw)


def ablation(subject: "Subject") -> "Iterator[Drawing]":
    images = min(ABLATED_ON, subject.config.images)
    for layer in subject.convolutions:

        def draw(layer=layer):
            with subject.bars.bar(f"Silencing {layer}", 2 * subject.images_in(images)) as told:
                found = interpret.ablate(subject.network, subject.batches(images), layer, progress=told)
                order = found.ranked()
                shares = interpret.ablate_shares(
                    subject.network, subject.batches(images), layer, found.units[order],
                    seed=subject.config.seed, progress=lambda seen, _: told(found.images + seen),
                )  # fmt: skip
            changes = {name: getattr(found, name)[order] for name in ("accuracy_change", "class_change", "loss_change")}
            counts, ordered = shares.counts, shares.ordered.accuracy
            random = shares.random.accuracy.reshape(shares.repeats, -1)
            figure = visualization.ablation_figure(
                found.units[order], **changes, intact=float(found.intact.accuracy[0]), caption=subject.caption(layer),
                labels=subject.labels, images=found.images, split=subject.config.split,
                counts=counts, ordered=ordered, random=random,
            )  # fmt: skip
            silenced = {"counts": counts, "ordered": ordered, "random": random}
            return figure, {"units": found.units[order], **changes, **silenced}

        yield visualization.Drawing(f"ablation-{layer}", draw)


def kernel_spectrum(subject: "Subject") -> "Iterator[Drawing]":
    def draw():
        spectra, arrays = [], {}
        for layer, info in subject.convolutions.items():
            kernel = kernels_of(info)
            own, random = interpret.kernel_spectrum(kernel), interpret.random_spectrum(kernel)
            values = (own.singular_values, own.effective_rank, own.mean_abs_cosine)
            random_values = (random.singular_values, random.effective_rank, random.mean_abs_cosine)
            spectra.append(visualization.Spectrum(layer, own.shape, *values, *random_values))
            name = layer.replace("/", ":")
            arrays |= {name: own.singular_values, f"{name}:random": random.singular_values}
        return visualization.kernel_spectrum_figure(spectra, caption=subject.caption()), arrays

    yield visualization.Drawing("kernel_spectrum", draw)
