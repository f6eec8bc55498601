"""A classifier prepared for explanations: its logits, before any softmax, as a differentiable function; it is never
changed.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from convlens.core.errors import ModelError
from convlens.interpret.relus import relus
from convlens.models.inspection.graph import POOLINGS, UNCHANGED, Node, is_one_of
from convlens.models.inspection.images import check_images
from convlens.models.inspection.inspection import Inspection
from convlens.models.inspection.taps import Call, Change, in_call

Targets = int | Sequence[int] | np.ndarray | None

SQUASHINGS = (keras.activations.softmax, keras.activations.sigmoid)


class Network(Inspection):
    """A model prepared for explanations: every function of this package takes one in place of the model.

    Compiled functions are kept, so a second call, even after more training, only costs a forward pass. Weights are read
    in every pass.

    If a model ends in a softmax or a sigmoid, the value before it is used. This works if the softmax or sigmoid is a
    separate layer, the activation of the last layer, or a function in a Functional model. Inside the `call` of a
    subclassed model it cannot be reached, and the output of the model is used as it is.

    Raises ModelError if the model takes no images, has no weights, or gives anything but one value per class.
    """

    def __init__(self, model: keras.Model):
        super().__init__(model)
        self.check_differentiable()
        outputs = self.graph().nodes[-1].output_shapes
        if len(outputs) != 1 or len(outputs[0]) != 2:
            raise ModelError(f"model '{model.name}' gives {outputs}; expected logits of shape (batch, classes)")
        self.classes: int = outputs[0][1]

    def images(self, images: Any) -> np.ndarray:
        """Images as float32 (n, height, width, channels); a single one becomes a batch. Raises ModelError."""
        images = np.asarray(images, np.float32)
        images = images[None] if images.ndim == 3 else images
        check_images(images, self.image_shape)
        if not len(images):
            raise ModelError("there are no images to explain")
        return images

    def targets(self, images: np.ndarray, targets: Targets, batch_size: int) -> np.ndarray:
        """A class index for each image: the given one, or the one that the model finds most likely. Raises
        ModelError."""
        if targets is None:
            return self.logits(images, batch_size).argmax(axis=-1).astype(np.int32)
        classes = np.asarray(targets)
        if not np.issubdtype(classes.dtype, np.integer) or classes.shape not in ((), (len(images),)):
            raise ModelError(
                f"target {targets!r}; expected a class index, one for each of {len(images)} images, or None"
            )
        if classes.min() < 0 or classes.max() >= self.classes:
            raise ModelError(f"target {targets!r}; the model has the classes 0 to {self.classes - 1}")
        return np.broadcast_to(classes, len(images)).astype(np.int32)

    def logits(self, images: np.ndarray, batch_size: int) -> np.ndarray:
        """Logits (n, classes) of images (n, height, width, channels)."""
        return self.run("logits", lambda values, images: [self.forward(images, values)[0]], [images], batch_size)[0]

    def gradients(
        self,
        images: np.ndarray,
        targets: np.ndarray,
        batch_size: int,
        through_relus: Callable[[Callable], Callable] | None = None,
    ) -> np.ndarray:
        """The gradient of each image's target logit with respect to the image, of the shape of the images."""
        function = self.gradient_of_target(through_relus)
        return self.run(("gradient", through_relus), function, [images, targets], batch_size)[0]

    def gradient_of_target(self, through_relus: Callable[[Callable], Callable] | None = None) -> Callable:
        """The function behind `gradients`, for `stream`: of the values of variables, images and targets."""

        def gradient(values, images, targets):
            changes = self.changes(images.shape[1:3], through_relus=through_relus)
            score = self._score(targets)
            return [self.gradient(images, values, score, changes=changes)[0]]

        return gradient

    def gradient_at(self, node: Node, images: Any, values: list[Any], targets: Any) -> tuple[Any, Any]:
        """The gradient of the logits of the targets with respect to what a call gives, and that; both float32.

        To be traced by the backend.
        """
        changes = self.changes(images.shape[1:3])
        return self.gradient(images, values, self._score(targets), at=node, changes=changes)

    def maps_node(self, layer: str | None, size: Sequence[int]) -> Node:
        """The call whose maps stand for `layer`; None takes the last maps that are not yet pooled.

        That is the last convolution with its activation, or the sum of branches that follows it. Raises ModelError.
        """
        if layer is not None:
            node = self.layer(layer, size)
            if not _has_maps(node):
                raise ModelError(f"layer '{layer}' gives {node.output_shapes}; expected maps")
            return node
        for node in reversed(self.graph(size).nodes):
            skipped = isinstance(node.layer, (*POOLINGS, *UNCHANGED, keras.Model))
            if _has_maps(node) and not skipped and min(node.output_shapes[0][1:3]) > 1:
                return node
        raise ModelError(f"model '{self.model.name}' has no layer with maps; name a layer")

    def forward(
        self, images: Any, values: list[Any], changes: Sequence[Change] | None = None, *, at: Node | None = None
    ) -> tuple[Any, Any]:
        """Logits (batch, classes), and the output of call `at` or None, float32; to be traced by the backend.

        `changes` are by default what `changes` gives, without which a model's output may be no logits.
        """
        calls = self.calls(images, values, self.changes(images.shape[1:3]) if changes is None else changes)
        return _logits(calls), None if at is None else ops.cast(calls[at.name].outputs[0], "float32")

    def changes(
        self,
        size: Sequence[int],
        *,
        through_relus: Callable[[Callable], Callable] | None = None,
        unrectified: Node | None = None,
    ) -> list[Change]:
        """What is done to the model's layers in a pass over images of `size` that is asked for its logits.

        The softmax or sigmoid at the end is left out. `through_relus` changes every ReLU: see `guided` and `revived`.
        A call that is a ReLU, or has one inside, and is to stay `unrectified` gives what the ReLU receives.
        """
        graph = self.graph(size)
        changes = [Change(*end, lambda _: lambda x, *_args, **_kwargs: x) for end in _squashings(graph.nodes)]
        if through_relus is not None:
            changes += [Change(*relu, through_relus) for relu in relus(graph.nodes)]
        if unrectified is not None:
            passing = in_call(graph.earlier_calls(unrectified), lambda _, received: received)
            changes += [Change(*relu, passing) for relu in relus([unrectified])]
        return changes

    def _score(self, targets: Any) -> Callable[[dict[str, Call]], Any]:
        return lambda calls: ops.sum(of_class(_logits(calls), targets))


def prepared(model: keras.Model | Network) -> Network:
    """The model as a Network, if it is not one yet."""
    return model if isinstance(model, Network) else Network(model)


def class_logits(model: keras.Model | Network, images: Any, *, batch_size: int = 32) -> np.ndarray:
    """Logits (n, classes) of `images` (n, height, width, channels), the values that every method explains."""
    network = prepared(model)
    return network.logits(network.images(images), batch_size)


def of_class(logits: Any, targets: Any) -> Any:
    """Each image's logit of its target: (batch, classes) and (batch,) to (batch,)."""
    return ops.sum(logits * ops.one_hot(targets, logits.shape[-1], dtype=logits.dtype), axis=-1)


def _logits(calls: dict[str, Call]) -> Any:
    """What the last call of a pass gives, float32."""
    return ops.cast(list(calls.values())[-1].outputs[0], "float32")


def _has_maps(node: Node) -> bool:
    return len(node.outputs) == 1 and len(node.output_shapes[0]) == 4


def _squashings(nodes: list[Node]) -> Iterator[tuple[keras.Operation, str]]:
    """The softmax or sigmoid that makes the model's output, as a layer and the attribute that computes it."""
    for node in nodes:
        if node.outputs != nodes[-1].outputs:
            continue
        if getattr(node.layer, "activation", None) in SQUASHINGS:
            yield node.layer, "activation"
        elif is_one_of(node.layer, (layers.Softmax,), ("Softmax", "Sigmoid")):
            yield node.layer, "call"
