"""A model as a differentiable function from images to logits, whose layers can be reached; never changed."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from convlens.core.errors import ModelError, unknown
from convlens.interpret.gradient import compiled, positive_gradient_only
from convlens.models.inspection.graph import (
    ANY_SIZE,
    POOLINGS,
    UNCHANGED,
    Graph,
    Node,
    image_dtype,
    image_shape,
    is_one_of,
)
from convlens.models.inspection.images import check_images
from convlens.models.inspection.taps import noted_pass

Progress = Callable[[int, int], object]  # is told how many passes are done, and of how many
Targets = int | Sequence[int] | np.ndarray | None

RELUS = (keras.activations.relu, keras.activations.relu6)
SQUASHINGS = (keras.activations.softmax, keras.activations.sigmoid)


class Network:
    """A model made ready to be asked about: every function of this room takes one in place of the model.

    What was compiled for a method is kept, so that asking again, also after training on, costs a pass and no more.
    Weights are read anew in every pass.

    A model that ends in a softmax or a sigmoid is asked for the value before it, where that is a layer of its own, the
    activation of its last layer, or a function in a Functional model. Inside a subclassed model's `call` it is out of
    reach, and the model's output is taken as it is.

    Raises ModelError for a model that takes no images, has no weights, or gives anything but one value a class.
    """

    def __init__(self, model: keras.Model):
        self.model = model
        shape = image_shape(model)
        if shape is None or shape[2] is None:
            raise ModelError(f"model '{model.name}' does not tell the shape of its images; call it on a batch first")
        self.image_shape = shape
        if not image_dtype(model).startswith(("float", "bfloat")):
            raise ModelError(
                f"model '{model.name}' takes images as {image_dtype(model)}, to which there is no gradient"
            )
        self._graphs: dict[tuple[int, int], Graph] = {}
        self._compiled: dict[tuple, Callable] = {}
        outputs = self.graph(shape[:2]).nodes[-1].output_shapes
        if len(outputs) != 1 or len(outputs[0]) != 2:
            raise ModelError(f"model '{model.name}' gives {outputs}; expected logits of shape (batch, classes)")
        self.classes: int = outputs[0][1]

    def graph(self, size: Sequence[int | None]) -> Graph:
        """The graph of a pass over images of `size` (height, width)."""
        height, width = (side or ANY_SIZE for side in size)
        if (height, width) not in self._graphs:
            shape = (height, width, self.image_shape[2])
            self._graphs[height, width] = Graph(self.model, shape, image_dtype(self.model))
        return self._graphs[height, width]

    def images(self, images: Any) -> np.ndarray:
        """Images as float32 (n, height, width, channels); a single one becomes a batch. Raises ModelError."""
        images = np.asarray(images, np.float32)
        images = images[None] if images.ndim == 3 else images
        check_images(images, self.image_shape)
        if not len(images):
            raise ModelError("there are no images to explain")
        return images

    def targets(self, images: np.ndarray, targets: Targets, batch_size: int) -> np.ndarray:
        """A class for each image: the one given, or the one that the model finds most likely. Raises ModelError."""
        if targets is None:
            return self.logits(images, batch_size).argmax(axis=-1).astype(np.int32)
        found = np.asarray(targets)
        if not np.issubdtype(found.dtype, np.integer) or found.shape not in ((), (len(images),)):
            raise ModelError(
                f"target {targets!r}; expected a class index, one for each of {len(images)} images, or None"
            )
        if found.min() < 0 or found.max() >= self.classes:
            raise ModelError(f"target {targets!r}; the model has the classes 0 to {self.classes - 1}")
        return np.broadcast_to(found, len(images)).astype(np.int32)

    def logits(self, images: np.ndarray, batch_size: int) -> np.ndarray:
        """Logits (n, classes) of images (n, height, width, channels)."""
        return self.run("logits", lambda values, images: [self.forward(images, values)[0]], [images], batch_size)[0]

    def maps_node(self, layer: str | None, size: Sequence[int]) -> Node:
        """The call whose maps stand for `layer`; None takes the last maps that are not yet pooled.

        That is the last convolution with its activation, or the sum of branches that follows it. Raises ModelError.
        """
        nodes = self.graph(size).nodes
        if layer is not None:
            named = {node.name: node for node in nodes}
            if layer not in named:
                raise ModelError(unknown("layer", layer, named))
            if not _has_maps(named[layer]):
                raise ModelError(f"layer '{layer}' gives {named[layer].output_shapes}; expected maps")
            return named[layer]
        for node in reversed(nodes):
            skipped = isinstance(node.layer, (*POOLINGS, *UNCHANGED, keras.Model))
            if _has_maps(node) and not skipped and min(node.output_shapes[0][1:3]) > 1:
                return node
        raise ModelError(f"model '{self.model.name}' has no layer with maps; name a layer")

    def forward(
        self,
        images: Any,
        values: list[Any],
        *,
        at: Node | None = None,
        disturbance: Any | None = None,
        through_relus: Callable[[Callable], Callable] | None = None,
        rectified: bool = True,
    ) -> tuple[Any, Any]:
        """Logits (batch, classes), and the output of call `at`; to be traced by the backend.

        A `disturbance`, shaped like that output, is added to it on its way on, so that the gradient with respect to it
        is the one with respect to the output. `through_relus` changes every ReLU: see `guided` and `revived`. Where
        `at` is a ReLU, or has one inside, and is not `rectified`, its output is what the ReLU receives.
        """
        nodes = self.graph(images.shape[1:3]).nodes
        # A layer that is shared is called several times, and only one of its calls is meant.
        earlier = 0 if at is None else sum(node.layer is at.layer for node in nodes[: nodes.index(at)])
        with ExitStack() as hooks:
            for layer, attribute in self._squashings(nodes):
                hooks.enter_context(_replaced(layer, attribute, lambda _: lambda x, *_args, **_kwargs: x))
            if through_relus is not None:
                for layer, attribute in relus(nodes):
                    hooks.enter_context(_replaced(layer, attribute, through_relus))
            if at is not None and not rectified:
                for layer, attribute in relus([at]):
                    hooks.enter_context(_replaced(layer, attribute, lambda f: _changed(f, lambda _, x: x, earlier)))
            if disturbance is not None:
                hooks.enter_context(
                    _replaced(at.layer, "call", lambda f: _changed(f, lambda maps, _: _sum(maps, disturbance), earlier))
                )
            calls = noted_pass(self.model, images, values)
        logits = ops.cast(calls[-1].outputs[0], "float32")
        if at is None:
            return logits, None
        output = next(call.outputs[0] for call in calls if call.name == at.name)
        return logits, ops.cast(output, "float32")

    def run(
        self, name: str | tuple, function: Callable, arrays: Sequence[np.ndarray], batch_size: int
    ) -> list[np.ndarray]:
        """What `function(values, *arrays)` gives for arrays of one length, batch by batch, joined; float32."""
        passes = self.stream(name, function, len(arrays[0]), lambda rows: [array[rows] for array in arrays], batch_size)
        parts = [results for _, results in passes]
        return [np.concatenate(column).astype(np.float32, copy=False) for column in zip(*parts, strict=True)]

    def stream(
        self,
        name: str | tuple,
        function: Callable,
        count: int,
        arrays: Callable[[np.ndarray], Sequence[np.ndarray]],
        batch_size: int,
        progress: Progress | None = None,
    ) -> Iterator[tuple[np.ndarray, list[np.ndarray]]]:
        """Row numbers below `count`, a batch at a time, and what `function(values, *arrays(rows))` gives for them.

        The compiled function is kept under `name`. The last batch is filled up, so that only one shape is compiled.
        """
        batch_size = min(batch_size, count)
        for start in range(0, count, batch_size):
            rows = np.arange(start, min(start + batch_size, count))
            filled = np.minimum(np.arange(start, start + batch_size), count - 1)
            yield rows, [result[: len(rows)] for result in self.call(name, function, *arrays(filled))]
            if progress:
                progress(int(rows[-1]) + 1, count)

    def call(self, name: str | tuple, function: Callable, *arrays: np.ndarray) -> list[np.ndarray]:
        """What `function(values, *arrays)` gives, compiled the first time that `name` is called."""
        if name not in self._compiled:
            self._compiled[name] = compiled(self.model, function)
        return self._compiled[name](*arrays)

    def _squashings(self, nodes: list[Node]) -> Iterator[tuple[keras.Operation, str]]:
        """The softmax or sigmoid that makes the model's output, as a layer and the attribute that computes it."""
        for node in nodes:
            if node.outputs != nodes[-1].outputs:
                continue
            if getattr(node.layer, "activation", None) in SQUASHINGS:
                yield node.layer, "activation"
            elif is_one_of(node.layer, (layers.Softmax,), ("Softmax", "Sigmoid")):
                yield node.layer, "call"


def prepared(model: keras.Model | Network) -> Network:
    """The model as a Network, if it is not one yet."""
    return model if isinstance(model, Network) else Network(model)


def class_logits(model: keras.Model | Network, images: Any, *, batch_size: int = 32) -> np.ndarray:
    """Logits (n, classes) of `images` (n, height, width, channels), the values that every explanation is about."""
    network = prepared(model)
    return network.logits(network.images(images), batch_size)


def of_class(logits: Any, targets: Any) -> Any:
    """Each image's logit of its target: (batch, classes) and (batch,) to (batch,)."""
    return ops.sum(logits * ops.one_hot(targets, logits.shape[-1], dtype=logits.dtype), axis=-1)


def relus(nodes: Sequence[Node]) -> list[tuple[keras.Operation, str]]:
    """Every ReLU of a pass, as a layer and the attribute that computes it, each once."""
    found = {}
    for node in nodes:
        if getattr(node.layer, "activation", None) in RELUS:
            found[id(node.layer)] = node.layer, "activation"
        elif is_one_of(node.layer, (layers.ReLU,), ("Relu", "Relu6")):
            found[id(node.layer)] = node.layer, "call"
    return list(found.values())


def guided(relu: Callable) -> Callable:
    """A ReLU that lets only positive gradients back."""
    return lambda *args, **kwargs: positive_gradient_only(relu(*args, **kwargs))


def revived(relu: Callable) -> Callable:
    """A ReLU that lets a tenth of the gradient back also where it is off."""

    def revived_relu(x, *args, **kwargs):
        leak = 0.1 * x
        return relu(x, *args, **kwargs) + (leak - ops.stop_gradient(leak))  # nothing is added but a gradient

    return revived_relu


def _has_maps(node: Node) -> bool:
    return len(node.outputs) == 1 and len(node.output_shapes[0]) == 4


@contextmanager
def _replaced(layer: keras.Operation, attribute: str, change: Callable[[Callable], Callable]) -> Iterator[None]:
    """Put `change` of a layer's own function in its place for a while.

    In the instance's dictionary, as models/taps.py does: Keras' own __setattr__ would track what it is given.
    """
    attributes = vars(layer)
    own = {attribute: attributes[attribute]} if attribute in attributes else {}
    attributes[attribute] = change(getattr(layer, attribute))
    try:
        yield
    finally:
        del attributes[attribute]
        attributes.update(own)


def _changed(function: Callable, change: Callable[[Any, Any], Any], earlier: int) -> Callable:
    """`function(x)`, but `change(function(x), x)` in the call that `earlier` calls precede."""
    times = 0

    def changed(x, *args, **kwargs):
        nonlocal times
        times += 1
        result = function(x, *args, **kwargs)
        return change(result, x) if times == earlier + 1 else result

    return changed


def _sum(maps: Any, disturbance: Any) -> Any:
    return maps + ops.cast(disturbance, maps.dtype)
