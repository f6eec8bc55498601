"""Why this class, is the answer to be believed, and what would excite a unit most."""

from typing import TYPE_CHECKING

import numpy as np

from convlens import interpret, visualization
from convlens.core.errors import UserError
from convlens.gallery.subject import BATCH

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convlens.gallery.subject import Subject
    from convlens.visualization import Drawing

METHODS = {
    "grad_cam": "Grad-CAM",
    "grad_cam_plus_plus": "Grad-CAM++",
    "score_cam": "Score-CAM",
    "saliency": "Saliency",
    "smooth_grad": "SmoothGrad",
    "integrated_gradients": "Integrated gradients",
    "guided_backpropagation": "Guided backprop",
    "occlusion": "Occlusion",
}
# A few pixels outweigh all others: the maps alone are drawn by square root.
BY_ROOT = {"saliency", "smooth_grad", "integrated_gradients", "guided_backpropagation"}
IN_MANY_PASSES = {"score_cam", "smooth_grad", "integrated_gradients", "occlusion"}
SHUFFLED = ("grad_cam", "grad_cam_plus_plus", "saliency", "guided_backpropagation")
MOST_LAYERS_SHUFFLED = 8
UNITS_SHOWN = 8


def explanations(subject: "Subject") -> "Iterator[Drawing]":
    """Every method beside every other, an image a figure."""
    for index, true in enumerate(subject.true_labels):

        def draw(index=index, true=true):
            return _explained(subject, _possible(subject), slice(index, index + 1), None if true is None else [true])

        yield visualization.Drawing(f"explanations-image{index}", draw)


def of_method(method: str, subject: "Subject") -> "Iterator[Drawing]":
    """One method, all images in a figure."""

    def draw():
        true = subject.true_labels
        return _explained(subject, {method: _maps(subject, method)}, slice(None), None if None in true else true)

    yield visualization.Drawing(method, draw)


def deletion_insertion(subject: "Subject") -> "Iterator[Drawing]":
    def draw():
        maps, targets = _possible(subject), subject.targets
        rivals = {**maps, "random": np.random.default_rng(subject.config.seed).random(subject.images.shape[:3])}
        curves = {}
        with subject.bars.bar("Deleting and inserting", len(rivals)) as told:
            for done, (method, values) in enumerate(rivals.items(), 1):
                found = interpret.deletion_insertion(subject.network, subject.images, values, targets)
                curves[method], shares = (found.deletion, found.insertion), found.shares
                told(done)
        arrays = {f"{method}_deletion": deleted for method, (deleted, _) in curves.items()}
        arrays |= {f"{method}_insertion": inserted for method, (_, inserted) in curves.items()}
        reference = curves.pop("random")
        figure = visualization.deletion_insertion_figure(
            {METHODS[method]: pair for method, pair in curves.items()}, shares,
            reference=reference, caption=subject.caption(),
        )  # fmt: skip
        return figure, {"shares": shares, "targets": targets, **arrays}

    yield visualization.Drawing("deletion_insertion", draw)


def randomisation(subject: "Subject") -> "Iterator[Drawing]":
    def draw():
        image, target = subject.images[:1], subject.targets[:1]
        layers = _from_the_logits_down(subject)
        found = {}
        for method in SHUFFLED:
            if method not in _possible(subject):
                continue
            with subject.bars.bar(f"Shuffling under {METHODS[method]}", len(layers)) as told:
                found[method] = interpret.randomisation_check(
                    subject.network, image, getattr(interpret, method), target, layers=layers,
                    seed=subject.config.seed, progress=told,
                )  # fmt: skip
        figure = visualization.randomisation_figure(
            image[0],
            {METHODS[method]: one.original[0] for method, one in found.items()},
            {METHODS[method]: one.maps[:, 0] for method, one in found.items()},
            {METHODS[method]: one.similarity[:, 0] for method, one in found.items()},
            layers,
            caption=subject.caption(),
        )
        similarity = {f"{method}_similarity": one.similarity[:, 0] for method, one in found.items()}
        maps = {f"{method}_maps": np.concatenate([one.original, one.maps[:, 0]]) for method, one in found.items()}
        return figure, {"image": image[0], "layers": np.array(layers), **similarity, **maps}

    yield visualization.Drawing("randomisation", draw)


def activation_maximization(subject: "Subject") -> "Iterator[Drawing]":
    """Images made for the strongest units of the chosen layers, by default of each block's last, and for classes."""
    chosen = list(subject.convolutions.values())
    for info in chosen if subject.config.layers else visualization.last_of_each_block(chosen):

        def draw(layer=info.name):
            units = _strongest(subject, layer)
            return _made_for(subject, units, [f"unit {unit}" for unit in units], layer)

        yield visualization.Drawing(f"activation_maximization-{info.name}", draw)

    def draw_classes():
        explained = subject.targets.tolist()
        classes = list(dict.fromkeys([*explained, *range(len(subject.labels))]))[:UNITS_SHOWN]
        return _made_for(subject, sorted(classes), [subject.labels[index] for index in sorted(classes)])

    yield visualization.Drawing("activation_maximization-classes", draw_classes)


def _explained(subject: "Subject", maps: dict[str, np.ndarray], rows: slice, true: list[int] | None):
    images, logits, targets = subject.images[rows], subject.logits[rows], subject.targets[rows]
    shown = {method: values[rows] for method, values in maps.items()}
    figure = visualization.attribution_figure(
        images, {METHODS[method]: values for method, values in shown.items()}, targets=targets, logits=logits,
        labels=subject.labels, true=true, by_root={METHODS[method] for method in BY_ROOT}, caption=subject.caption(),
    )  # fmt: skip
    return figure, {"images": images, "logits": logits, "targets": targets, **shown}


def _possible(subject: "Subject") -> dict[str, np.ndarray]:
    """The maps of every method that the model allows, by method; those that it does not are None in `subject.maps`."""
    subject.target  # noqa: B018  a class that does not exist is told once, not by each method
    for method in METHODS:
        if method not in subject.maps:
            try:
                _maps(subject, method)
            except UserError as error:
                print(f"Without {METHODS[method]}: {error}")
                subject.maps[method] = None
    return {method: subject.maps[method] for method in METHODS if subject.maps[method] is not None}


def _maps(subject: "Subject", method: str) -> np.ndarray:
    """A method's maps (n, height, width) for the class that is explained; what the channels of a pixel say is added up.

    Raises UserError for a model to which the method does not apply.
    """
    if subject.maps.get(method) is None:
        with subject.bars.bar(METHODS[method]) as told:
            options = {"progress": told} if method in IN_MANY_PASSES else {}
            options |= {"seed": subject.config.seed} if method == "smooth_grad" else {}
            found = getattr(interpret, method)(subject.network, subject.images, subject.targets, **options)
        subject.maps[method] = found.sum(axis=-1) if found.ndim == 4 else found
    return subject.maps[method]


def _from_the_logits_down(subject: "Subject") -> list[str]:
    """The layers with kernels, last first, evenly thinned where there are many."""
    nodes = subject.network.graph(subject.images.shape[1:3]).nodes
    with_kernels = {
        id(node.layer): node.name
        for node in reversed(nodes)
        if hasattr(node.layer, "kernel") or hasattr(node.layer, "depthwise_kernel")
    }
    names = list(with_kernels.values())
    places = np.linspace(0, len(names) - 1, min(len(names), MOST_LAYERS_SHUFFLED)).round().astype(int)
    return [names[place] for place in places]


def _strongest(subject: "Subject", name: str) -> list[int]:
    """The units that the user named, or those that the images excite most."""
    if subject.config.units is not None:
        return list(dict.fromkeys(subject.config.units))[:UNITS_SHOWN]
    layer = next(layer for layer in subject.scene.layers if layer.name == name)
    order = np.argsort(-np.nan_to_num(layer.activation), kind="stable")
    return order[:UNITS_SHOWN].tolist()


def _made_for(subject: "Subject", units: list[int], names: list[str], layer: str | None = None):
    """The figure of images made for units of a layer or, without one, for classes, beside the best real ones."""
    size = subject.images.shape[1:3]
    with subject.bars.bar(f"Climbing for {layer or 'classes'}") as told:
        made = interpret.activation_maximization(
            subject.network, units, layer=layer, image_size=size, seed=subject.config.seed, progress=told
        )
    best, activations = _best_real(subject, units, layer) if subject.lacks_data is None else (None, None)
    figure = visualization.maximization_figure(
        made.images, made.activations, names, best=best, best_activations=activations, caption=subject.caption(layer),
        **({} if layer else {"measure": "logit"}),
    )  # fmt: skip
    real = {} if best is None else {"best": best, "best_activations": activations}
    return figure, {"units": np.array(units), "images": made.images, "activations": made.activations, **real}


def _best_real(subject: "Subject", units: list[int], layer: str | None) -> tuple[np.ndarray, np.ndarray]:
    """Of the split, the image that excites each unit most, (units, height, width, channels), and how strongly."""
    best, activations = None, np.full(len(units), -np.inf, np.float32)
    with subject.bars.bar("Looking for real images", subject.images_in(subject.config.images)) as told:
        seen = 0
        for images, _, _ in subject.batches(subject.config.images):
            found = interpret.unit_activations(subject.network, images, layer=layer, batch_size=BATCH)[:, units]
            best = np.zeros((len(units), *images.shape[1:]), images.dtype) if best is None else best
            better = found.max(axis=0) > activations
            best[better] = images[found.argmax(axis=0)[better]]
            activations = np.maximum(activations, found.max(axis=0))
            told(seen := seen + len(images))
    return best, activations
