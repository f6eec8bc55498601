"""What holds for every function of the package: its name, its progress, its refusals."""

import importlib
import types

import keras
import numpy as np
import pytest

from convlens import interpret
from convlens.core.errors import UserError
from convlens.interpret.assignment import best_assignment

layers = keras.layers
SIDE = 8


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    images = keras.Input((SIDE, SIDE, 1))
    x = layers.Flatten()(layers.Conv2D(2, 3, activation="relu", name="conv")(images))
    return keras.Model(images, layers.Dense(2, name="logits")(x))


@pytest.fixture(scope="module")
def split():
    images = np.random.default_rng(0).uniform(0, 255, (10, SIDE, SIDE, 1)).astype("float32")
    return {"image": images, "label": np.arange(10) % 2, "parts": np.zeros((10, SIDE, SIDE), int)}


def test_a_function_is_reached_by_its_name_though_its_file_has_the_same():
    for topic in ("occlusion", "saliency", "architecture", "unit_pass"):
        importlib.import_module(f"convlens.interpret.{topic}")
    for name in interpret.__all__:
        assert not isinstance(getattr(interpret, name), types.ModuleType), name


WITH_PROGRESS = {
    "unit_pass": lambda model, split, **how: interpret.unit_pass(model, split, collectors=[], **how),
    "unit_statistics": interpret.unit_statistics,
    "top_patches": interpret.top_patches,
    "concept_scores": lambda model, split, **how: interpret.concept_scores(model, split, ["a"], **how),
    "ablate": lambda model, split, **how: interpret.ablate(model, split, "conv", **how),
    "ablate_shares": lambda model, split, **how: interpret.ablate_shares(model, split, "conv", [1, 0], **how),
    "compare": lambda model, split, **how: interpret.compare(model, model, split, **how),
    "embedding": lambda model, split, **how: interpret.embedding(model, split, "conv", most=10, **how),
    "nearest_neighbours": lambda model, split, **how: interpret.nearest_neighbours(
        model, split["image"][:1], split, "conv", **how
    ),
}


@pytest.mark.parametrize("name", WITH_PROGRESS)
def test_progress_counts_images_up_to_the_number_that_is_known(name, model, split):
    done = []
    WITH_PROGRESS[name](model, split, batch_size=5, progress=lambda *now: done.append(now))
    assert done == [(5, 10), (10, 10)]


def test_an_embedding_of_the_first_images_is_done_when_it_has_them(model, split):
    done = []
    interpret.embedding(model, split, "conv", most=7, batch_size=5, progress=lambda *now: done.append(now))
    assert done == [(5, 7), (7, 7)]


@pytest.mark.parametrize(
    "mistake",
    [
        lambda: interpret.parse_kernel("egde"),
        lambda: interpret.parse_kernel([[1, 2], [3]]),
        lambda: interpret.extract(np.zeros((4, 4)), np.zeros((5, 5)), padding="valid"),
        lambda: interpret.luminance(np.zeros((2, 4, 4, 3))),
        lambda: interpret.unpack_snapshot(b"nothing"),
        lambda: interpret.stack_snapshots([interpret.Snapshot(1, {}, {})], "kernels", "conv"),
        lambda: interpret.kernel_spectrum(np.zeros((3, 3))),
        lambda: interpret.arranged_kernels(np.zeros((3, 3, 1, 1)), np.zeros((5, 5, 1, 1))),
        lambda: interpret.PatchesCollector(0),
        lambda: interpret.ConceptsCollector([]),
        lambda: best_assignment(np.array([[np.nan]])),
    ],
)
def test_a_mistake_of_the_caller_is_a_user_error_of_one_line(mistake):
    with pytest.raises(UserError) as error:
        mistake()
    assert "\n" not in str(error.value)
