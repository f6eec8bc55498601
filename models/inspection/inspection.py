"""A Keras model that is looked into: its layers by name, their maps, and gradients; never changed by it."""

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import keras
import numpy as np
from keras import ops

from convlens.core.errors import ModelError, unknown
from convlens.core.progress import Progress
from convlens.models.inspection.graph import ANY_SIZE, STAGES, Graph, Node, Tap, image_dtype, image_shape
from convlens.models.inspection.images import check_images
from convlens.models.inspection.taps import Call, Change, in_call, traced_calls
from convlens.models.tensors import Shape, compiled, filled, with_gradient

Key = TypeVar("Key", bound=Hashable)
Function = Callable[..., list[Any]]  # the values of the model's variables, and tensors -> tensors


class Inspection:
    """Looks inside a Keras model: its layers, their maps of images, and gradients of their outputs.

    A layer is named by itself, a nested one by its path ("backbone/conv1"), a shared layer's second call as "conv1@2".
    Compiled functions are kept, so a second call, even after more training, only costs a forward pass; weights are read
    in every pass. The model is not changed.

    Raises ModelError if the model takes no images or has no weights.
    """

    def __init__(self, model: keras.Model):
        self.model = model
        # A subclassed model may not tell what it takes before it has been given images.
        self.image_shape = image_shape(model) or (None, None, None)  # height, width, channels; None for any
        self.dtype = image_dtype(model)
        self._graphs: dict[tuple[int, int, int], Graph] = {}
        self._compiled: dict[Hashable, Callable] = {}

    def graph(self, size: Sequence[int | None] | None = None, channels: int | None = None) -> Graph:
        """The graph of a pass over images of `size` (height, width); only sides that the model leaves open need to be
        given."""
        height, width = (
            own or given or ANY_SIZE for own, given in zip(self.image_shape[:2], size or (None, None), strict=True)
        )
        channels = self.image_shape[2] or channels
        if channels is None:
            raise ModelError(
                f"model '{self.model.name}' has images of unknown shape; call it on a batch of images first"
            )
        shape = (height, width, channels)
        if shape not in self._graphs:
            self._graphs[shape] = Graph(self.model, shape, self.dtype)
        return self._graphs[shape]

    def layer(self, name: str, size: Sequence[int | None] | None = None) -> Node:
        """The call of that name in a pass over images of `size`; raises ModelError, with the nearest name."""
        return self.graph(size).node(name)

    def taps(
        self,
        layers: Sequence[str] | str | None = None,
        stages: Sequence[str] | str = STAGES,
        *,
        size: Sequence[int | None] | None = None,
        channels: int | None = None,
    ) -> dict[tuple[str, str], Tap]:
        """The places of the `stages` of `layers` (None: of every convolution) in the graph, by (layer, stage), for
        `maps`.

        A convolution has the stages "filter", "detect" and "condense", as far as they follow it; every layer has
        "output" and "input". Raises ModelError if none of the layers has one of the stages.
        """
        layers = [layers] if isinstance(layers, str) else layers
        stages = [stages] if isinstance(stages, str) else stages
        for stage in stages:
            if stage not in (*STAGES, "output", "input"):
                raise ModelError(unknown("stage", stage, (*STAGES, "output", "input")))
        graph = self.graph(size, channels)
        if layers is None:
            layers = [node.name for node in graph.convolutions()]
            if not layers:
                raise ModelError("the model has no convolution; name the layers whose output is wanted")
        taps = {(name, stage): tap for name in layers for stage, tap in _stages(graph, name, stages)}
        if not taps:
            raise ModelError(f"none of the layers {', '.join(layers)} has the stage {' or '.join(stages)}")
        return taps

    def maps(self, images: np.ndarray, taps: Mapping[Key, Tap]) -> dict[Key, np.ndarray]:
        """The values of one forward pass at each of `taps`, under the same keys: arrays (n, ...), float32.

        `images` (n, height, width, channels) are in the form that the model takes. Only the chosen values are returned.
        """
        check_images(images, self.image_shape)
        chosen = tuple(taps.values())

        def tapped(values: list[Any], images: Any) -> list[Any]:
            calls = self.calls(images, values)
            return [ops.cast(tap.of(calls[tap.call]), "float32") for tap in chosen]

        shape = (None, *self.image_shape[:2], images.shape[3])
        arrays = self.call(("maps", chosen), tapped, images.astype(self.dtype, copy=False), shapes=[shape])
        return dict(zip(taps, arrays, strict=True))

    def calls(self, images: Any, values: list[Any], changes: Sequence[Change] = ()) -> dict[str, Call]:
        """Every call of one forward pass in inference mode, by name, the last one last; to be traced by the backend."""
        return {call.name: call for call in traced_calls(self.model, images, values, changes)}

    def gradient(
        self,
        images: Any,
        values: list[Any],
        score: Callable[[dict[str, Call]], Any],
        *,
        at: Node | None = None,
        changes: Sequence[Change] = (),
    ) -> tuple[Any, Any]:
        """The gradient of a score with respect to `images` or, with `at`, to what that call gives; float32 then.

        Also gives the output of that call, float32, or None. `score(calls)` computes one number from the calls of a
        pass; images do not influence each other, so the gradient of a sum over them holds for each one. The backend
        traces this function. Raises ModelError if the model takes images as integers.
        """
        self.check_differentiable()
        if at is None:
            return with_gradient(lambda images: (score(self.calls(images, values, changes)), None), images)

        def disturbed(disturbance: Any) -> tuple[Any, Any]:
            # Added to the output on its way on, so that the gradient is the one with respect to the output.
            adding = in_call(earlier, lambda output, _: output + ops.cast(disturbance, output.dtype))
            calls = self.calls(images, values, [*changes, Change(at.layer, "call", adding)])
            return score(calls), ops.cast(calls[at.name].outputs[0], "float32")

        earlier = self.graph(images.shape[1:3], images.shape[3]).earlier_calls(at)
        return with_gradient(disturbed, ops.zeros((images.shape[0], *at.output_shapes[0][1:]), "float32"))

    def check_differentiable(self) -> None:
        """Raises ModelError if the model takes images as integers."""
        if not self.dtype.startswith(("float", "bfloat")):
            raise ModelError(f"model '{self.model.name}' takes images as {self.dtype}, for which there is no gradient")

    def call(
        self, name: Hashable, function: Function, *arrays: np.ndarray, shapes: Sequence[Shape] | None = None
    ) -> list[np.ndarray]:
        """What `function(values, *arrays)` gives, compiled the first time that `name` is called.

        `shapes` are the arrays', with None for sides that may vary from call to call; see `models.tensors.compiled`.
        """
        if name not in self._compiled:
            self._compiled[name] = compiled(self.model, function, shapes)
        return self._compiled[name](*arrays)

    def run(
        self, name: Hashable, function: Function, arrays: Sequence[np.ndarray], batch_size: int
    ) -> list[np.ndarray]:
        """What `function(values, *arrays)` gives for arrays of one length, batch by batch, joined; float32."""
        results_by_batch = self.stream(
            name, function, len(arrays[0]), lambda rows: [array[rows] for array in arrays], batch_size
        )
        batches = [results for _, results in results_by_batch]
        return [np.concatenate(column).astype(np.float32, copy=False) for column in zip(*batches, strict=True)]

    def stream(
        self,
        name: Hashable,
        function: Function,
        count: int,
        arrays: Callable[[np.ndarray], Sequence[np.ndarray]],
        batch_size: int,
        progress: Progress | None = None,
    ) -> Iterator[tuple[np.ndarray, list[np.ndarray]]]:
        """Gives row numbers below `count`, one batch at a time, and the result of `function(values, *arrays(rows))` for
        them.

        The last batch is filled up, so that only one shape is compiled.
        """
        batch_size = max(min(batch_size, count), 1)
        for start in range(0, count, batch_size):
            rows = np.arange(start, min(start + batch_size, count))
            batch = [filled(array, batch_size) for array in arrays(rows)]
            yield rows, [result[: len(rows)] for result in self.call(name, function, *batch)]
            if progress:
                progress(int(rows[-1]) + 1, count)


def _stages(graph: Graph, name: str, stages: Sequence[str]) -> Iterator[tuple[str, Tap]]:
    node = graph.node(name)
    if len(node.outputs) != 1:
        raise ModelError(f"layer '{name}' has {len(node.outputs)} outputs; name a layer inside it")
    taps = {"output": Tap(name), "input": Tap(name, received=True)}
    if node.is_convolution:
        taps |= graph.stages(node)
    if not node.is_convolution:
        stages = [stage for stage in stages if stage in taps] or ["output"]
    for stage in stages:
        if stage in taps:
            yield stage, taps[stage]
