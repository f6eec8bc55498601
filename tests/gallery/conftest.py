"""Small networks and what they look at: runs, a model file, a photograph."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from convlens.configs import Train, Visualize
from convlens.gallery.inputs import FigureInputs
from convlens.gallery.planning import planned
from convlens.gallery.registry import chosen_figures
from convlens.gallery.saving import drawn


def make_run(folder, **data):
    """A run whose network has learned nothing, as training would leave it."""
    from convlens.data import open_dataset
    from convlens.models import build_model
    from convlens.training import Run

    config = Train(data=data, model={"filters": [4, 6], "kernel_size": 3, "head": {"dense": [8]}})
    run = Run.create(folder, "tiny", config)
    info = open_dataset(config.data, progress=False).info
    run.write_labels(info.classes)
    model = build_model(config.model, info.image_size, info.channels, len(info.classes), seed=0)
    run.save_model(model, epoch=1, val_accuracy=0.5)
    return Run.open(run.path)


@pytest.fixture(scope="session")
def cars_run(cars_dir, tmp_path_factory):
    """A run on a few images of the embedded dataset, with masks of their parts."""
    folder = tmp_path_factory.mktemp("runs")
    return make_run(folder, source="rendered_cars", data_dir=str(cars_dir), image_size=[32, 32])


@pytest.fixture(scope="module")
def photos_run(tmp_path_factory):
    """A run on a folder of photographs, which have no masks."""
    folder = tmp_path_factory.mktemp("photos")
    generator = np.random.default_rng(0)
    for name in ("train/day", "train/night", "test/day", "test/night"):
        (folder / name).mkdir(parents=True)
        for number in range(8):
            pixels = generator.integers(0, 256, (16, 16, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.png")
    return make_run(folder / "runs", source="folder", root=str(folder))


@pytest.fixture(scope="session")
def network():
    """A Keras model with a nested one, its weights drawn at random: maps of 16x24 pixels, two classes."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(0)
    inner = keras.Sequential(
        [
            keras.Input((8, 12, 4)),
            layers.Conv2D(6, 3, padding="same", activation="relu", name="deep"),
            layers.MaxPooling2D(name="deep_pool"),
        ],
        name="inner",
    )
    return keras.Sequential(
        [
            keras.Input((16, 24, 3)),
            layers.Rescaling(1 / 255),
            layers.Conv2D(4, 3, padding="same", name="block1_conv1"),
            layers.ReLU(),
            layers.MaxPooling2D(),
            inner,
            layers.GlobalAveragePooling2D(),
            layers.Dense(2, name="logits"),
        ],
        name="plain",
    )


@pytest.fixture(scope="session")
def model_path(network, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "plain.keras"
    network.save(path)
    return path


@pytest.fixture
def photo(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (40, 60, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "car.png")
    return tmp_path / "car.png"


@pytest.fixture(scope="session")
def inputs_of():
    """What figures are made from, of a run or of a model file's path."""

    def inputs(network, figures, **choices):
        run = None if isinstance(network, Path) else network
        where = {"a" if "b" in choices else "run": str(run.path)} if run else {"model": str(network)}
        return FigureInputs(Visualize(**where, figures=figures, **choices), run, chosen_figures(figures))

    return inputs


@pytest.fixture(scope="session")
def arrays_of(inputs_of):
    """The arrays behind every figure that is drawn, by the figure's name; nothing is written."""

    def arrays(network, figures, **choices):
        plans = planned(inputs_of(network, figures, **choices))
        return {name: behind for plan in plans for name, _, behind in drawn(plan)}

    return arrays
