"""What TensorBoard finds in a run."""

import io

import keras
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image
from tensorboard.backend.event_processing.event_multiplexer import EventMultiplexer
from tensorboard.plugins.hparams import plugin_data_pb2
from tensorboard.util import tensor_util

from convlens.configs import Train
from convlens.models import build_model
from convlens.training import Run, Session, evaluate_model, fit_model, tensorboard
from convlens.training.tensorboard import Drawings, write_confusion, write_hyperparameters


@pytest.fixture(scope="module")
def logged(tmp_path_factory, array_data):
    """A finished run and its event files."""
    config = Train.model_validate(
        {
            "seed": 4,
            "model": {"filters": [4, 6]},
            "training": {"epochs": 2, "batch_size": 16, "profile": True, "tensorboard": {"images_every": 2}},
        }
    )
    data = array_data()
    run = Run.create(tmp_path_factory.mktemp("runs"), "arrays", config)
    run.write_labels(data.info.classes)
    keras.utils.set_random_seed(4)
    model = build_model(config.model, (8, 8), 3, 3, seed=4)
    drawn = []

    def picture(name):
        return lambda array, *rest: drawn.append((name, array.shape, *rest)) or np.zeros((5, 7, 3), "uint8")

    def figure(confusion):
        drawn.append(("confusion", confusion.matrix, confusion.classes))
        return Figure(figsize=(1, 1))

    drawings = Drawings(kernels=picture("kernels"), maps=picture("maps"), confusion=figure)
    fit_model(Session(config, run, data, drawings=drawings), model)
    write_hyperparameters(run, config, {"test_accuracy": 0.75})
    write_confusion(run, "test", Figure(figsize=(1, 1)))
    events = EventMultiplexer(size_guidance={"tensors": 0}).AddRunsFromDirectory(str(run.tensorboard_dir))
    return run, data, drawn, events.Reload()


def values(events, part, tag):
    return {event.step: float(tensor_util.make_ndarray(event.tensor_proto)) for event in events.Tensors(part, tag)}


def test_curves_of_training_and_validation_share_their_names(logged):
    run, data, drawn, events = logged
    for part, prefix in (("train", ""), ("validation", "val_")):
        for name in ("loss", "accuracy"):
            expected = {row["epoch"]: row[f"{prefix}{name}"] for row in run.metrics}
            assert values(events, part, name) == pytest.approx(expected)


def test_learning_rate_and_throughput_have_curves(logged):
    run, data, drawn, events = logged
    for name in ("learning_rate", "images_per_second"):
        assert values(events, "train", name) == pytest.approx({row["epoch"]: row[name] for row in run.metrics})


def test_the_graph_is_there_as_layers_and_as_operations(logged):
    events = logged[-1]
    layers = tensor_util.make_ndarray(events.Tensors("train", "keras")[0].tensor_proto).item().decode()
    assert "block2_conv1" in layers
    assert any("block2_conv1" in node.name for node in events.Graph("train").node)


def test_every_weight_has_a_histogram_an_epoch(logged):
    run, data, drawn, events = logged
    for weight in run.model.weights:
        assert [event.step for event in events.Tensors("train", f"weights/{weight.path}")] == [1, 2]


def test_the_bars_of_a_histogram_count_the_weights(logged):
    run, data, drawn, events = logged
    epoch = run.epoch
    for weight in run.model.weights:
        (event,) = [event for event in events.Tensors("train", f"weights/{weight.path}") if event.step == epoch]
        left, right, counts = tensor_util.make_ndarray(event.tensor_proto).T
        values = keras.ops.convert_to_numpy(weight)
        assert counts.sum() == values.size
        assert (left.min(), right.max()) == pytest.approx((values.min(), values.max()), abs=1e-6)


def test_a_picture_is_kept_pixel_by_pixel(tmp_path):
    run = Run.create(tmp_path, "arrays", Train())
    writer = tensorboard._writer(run, "train")
    generator = np.random.default_rng(0)
    pictures = {f"of {channels}": generator.integers(0, 256, (5, 7, channels), "uint8") for channels in (1, 3)}
    for name, picture in pictures.items():
        tensorboard._write_picture(writer, name, picture, step=3)
    writer.close()
    events = EventMultiplexer(size_guidance={"tensors": 0}).AddRunsFromDirectory(str(run.tensorboard_dir)).Reload()
    for name, picture in pictures.items():
        assert events.SummaryMetadata("train", name).plugin_data.plugin_name == "images"
        (event,) = events.Tensors("train", name)
        width, height, content = tensor_util.make_ndarray(event.tensor_proto)
        assert (event.step, int(width), int(height)) == (3, 7, 5)
        np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(content))), np.squeeze(picture))


def test_kernels_and_feature_maps_are_drawn_when_they_are_due(logged):
    events = logged[-1]
    for layer in ("block1_conv1", "block2_conv1"):
        assert [event.step for event in events.Tensors("train", f"kernels/{layer}")] == [2]
        for image in (1, 2, 3):
            assert [event.step for event in events.Tensors("validation", f"image_{image}/{layer}")] == [2]


def test_drawings_get_the_arrays_of_the_network(logged):
    shapes = [entry[:2] for entry in logged[2] if entry[0] != "confusion"]
    assert ("kernels", (3, 3, 4, 6)) in shapes
    assert shapes.count(("maps", (8, 8, 4))) == 3


def test_the_confusion_matrix_of_an_epoch_is_the_one_of_its_validation(logged):
    run, data, drawn, events = logged
    ((_, matrix, classes),) = [entry for entry in drawn if entry[0] == "confusion"]
    assert classes == data.info.classes
    assert matrix.sum() == data.info.sizes["validation"]
    assert np.trace(matrix) / matrix.sum() == pytest.approx(run.metrics[-1]["val_accuracy"])
    if run.epoch == 2:
        evaluation = evaluate_model(run.model, data.evaluation("validation", 16), run.labels)
        np.testing.assert_array_equal(matrix, evaluation.matrix)


def test_hyperparameters_name_the_settings_that_shape_learning(logged):
    run, data, drawn, events = logged
    metadata = events.SummaryMetadata(".", "_hparams_/session_start_info")
    info = plugin_data_pb2.HParamsPluginData.FromString(metadata.plugin_data.content).session_start_info
    assert info.hparams["seed"].number_value == 4
    assert info.hparams["model.filters"].string_value == "[4, 6]"
    assert info.hparams["training.optimizer.name"].string_value == "adamw"
    assert values(events, ".", "test_accuracy") == {0: 0.75}


def test_an_evaluation_adds_its_matrix_at_the_epoch_of_the_model(logged):
    run, data, drawn, events = logged
    assert [event.step for event in events.Tensors("test", "confusion_matrix")] == [run.epoch]


def test_a_profile_of_a_few_steps_is_written(logged):
    assert list(logged[0].tensorboard_dir.glob("plugins/profile/*/*.xplane.pb"))


def test_each_folder_has_one_event_file_because_tensorboard_follows_only_the_newest(logged):
    for part in ("train", "validation"):
        files = [path for path in (logged[0].tensorboard_dir / part).glob("events.*") if "profile" not in path.name]
        assert len(files) == 1
