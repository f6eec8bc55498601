"""What is said at the end of a training that did not go well, and that nothing is said of one that did."""

import shlex
from dataclasses import replace

import numpy as np
import pytest

from convlens.configs import Train
from convlens.configs.composition import compose
from convlens.models import build_model
from convlens.training import Run, Session, fit_model
from convlens.training.diagnosis import MOST_LINES, Outcome, diagnose, outcome_of

CLASSES = ("bus", "car", "tram", "van")


def rows(accuracies, validation, losses):
    """A row an epoch."""
    columns = zip(accuracies, validation, losses, strict=True)
    return [
        {"epoch": number, "accuracy": accuracy, "val_accuracy": right, "loss": 1.0, "val_loss": loss}
        for number, (accuracy, right, loss) in enumerate(columns, start=1)
    ]


HEALTHY = Outcome(
    config=Train(),
    rows=rows([0.4, 0.7, 0.9, 0.97], [0.5, 0.72, 0.86, 0.9], [1.2, 0.8, 0.5, 0.4]),
    classes=CLASSES,
    trained_on=np.array([900, 1000, 800, 950]),
    validated_on=400,
    matrix=np.diag([90, 100, 80, 95]),
    first_layer="block1_conv1",
    cosine=0.4,
)
AT_CHANCE = rows([0.25, 0.26, 0.25, 0.26], [0.25, 0.27, 0.24, 0.25], [1.4, 1.4, 1.4, 1.4])
BY_HEART = rows([0.5, 0.8, 0.95, 0.99], [0.4, 0.5, 0.55, 0.6], [1.2, 1.5, 2.5, 4.0])
EXPLODING = rows([0.5, 0.6, 0.5, 0.6], [0.5, 0.6, 0.5, 0.6], [1.2, 1.0, 9.0, 1.0])
NO_TRAM = np.array([[90, 0, 0, 0], [0, 90, 0, 10], [20, 30, 0, 30], [0, 5, 0, 90]])
TEN_OF_TWELVE = np.array([[3, 0, 0, 0], [0, 3, 0, 0], [0, 0, 3, 0], [1, 1, 0, 1]])


def configured(*words):
    return compose("train", Train, list(words))


# A row: what was different, and what the line must say.
NOT_WELL = [
    ({"rows": AT_CHANCE}, "Nothing was learned: validation accuracy was 0.270 at best"),
    ({"rows": AT_CHANCE, "matrix": NO_TRAM, "cosine": 1.0}, "training.optimizer.learning_rate=0.0001;"),
    ({"rows": EXPLODING}, "The validation loss went up to 9, in epoch 3, where guessing has 1.39."),
    ({"rows": EXPLODING[:3]}, "training.optimizer.learning_rate=0.0001, or training.optimizer.clip"),
    ({"rows": BY_HEART}, "accuracy 0.990 on them, 0.600 on validation images. More images help most"),
    ({"rows": BY_HEART}, "else try data.augment.translate=0.1 and data.augment.flip=true"),
    (
        {"rows": BY_HEART, "config": configured("data.augment.crop=4", "data.augment.flip=true")},
        "else try data.augment.rand_augment=2 and model.head.dropout=0.5.",
    ),
    ({"matrix": NO_TRAM}, "No test image was taken for tram, though there are some. Try a longer training"),
    (
        {"matrix": NO_TRAM, "trained_on": np.array([900, 900, 100, 900])},
        "for tram, though there are some. Try training.class_weights=balanced.",
    ),
    ({"cosine": 0.98}, "The kernels of block1_conv1 are nearly those of the start (median cosine 0.98, 1 is"),
    ({"cosine": 0.98}, "Try model.first_stddev=0.01, with larger kernels: model.first_kernel_size=7."),
    (
        {"cosine": 0.98, "config": configured("model=resnet")},
        "Try model.first_stddev=0.01, with larger kernels: model.first_kernel_size=5.",
    ),
    ({"cosine": 0.98, "config": configured("model.first_stddev=0.1")}, "Try model.first_stddev=0.01."),
    ({"cosine": 0.98, "config": configured("model=vgg")}, "Try a longer training, training.epochs=20."),
]


@pytest.mark.parametrize(("different", "message"), NOT_WELL)
def test_what_did_not_go_well_is_said_in_a_line_with_what_to_try(different, message):
    (line,) = diagnose(replace(HEALTHY, **different))
    assert message in line and "\n" not in line


@pytest.mark.parametrize(("different", "message"), NOT_WELL)
def test_what_is_to_be_tried_is_a_configuration(different, message):
    config = replace(HEALTHY, **different).config
    (line,) = diagnose(replace(HEALTHY, **different))
    words = [word.rstrip(".,;") for word in line.split() if "=" in word]
    assert words
    for word in words:
        assert shlex.split(word) == [word]
        advised = compose("train", Train, [word])
        assert "debug" in word or advised != Train() and advised != config


def test_of_few_test_images_it_is_said_how_little_their_accuracy_is_known():
    (line,) = diagnose(replace(HEALTHY, matrix=TEN_OF_TWELVE))
    assert "of 12 images only, 10 of them right" in line and "from 0.55 to 0.95" in line


@pytest.mark.parametrize(
    "different",
    [
        {},
        {"rows": EXPLODING, "config": configured("training.keep=last")},  # the rate rises, and falls again
        {"rows": EXPLODING, "validated_on": 12},  # a few sure mistakes
        {"cosine": None},
        {"cosine": 0.98, "config": Train(init_from="runs/cars/latest")},
        {"cosine": 0.98, "config": configured("training.freeze_base=true")},
        {"rows": rows([0.5, 0.8, 0.9], [0.2, 0.7, 0.85], [30.0, 0.7, 0.5])},  # a bad first epoch
        {"rows": rows([0.5, 0.8, 0.9], [0.5, 0.6, 0.7], [0.9, 0.8, 0.7]), "validated_on": 20},  # too few to tell
        {"matrix": np.diag([90, 100, 0, 95]) + np.array([[0, 0, 0, 0]] * 2 + [[4, 0, 0, 0], [0, 0, 0, 0]])},
        {"rows": BY_HEART[:2]},
        {"rows": BY_HEART, "trained_on": np.array([16, 16, 16, 16])},  # four steps
        {"rows": AT_CHANCE, "config": configured("debug=fast")},
        {"rows": BY_HEART, "cosine": 1.0, "matrix": NO_TRAM, "config": configured("debug=overfit")},
    ],
)
def test_a_healthy_training_and_one_that_was_no_training_say_nothing(different):
    assert diagnose(replace(HEALTHY, **different)) == []


def test_only_what_weighs_most_is_said():
    lines = diagnose(replace(HEALTHY, rows=BY_HEART, matrix=NO_TRAM, cosine=1.0))
    assert len(lines) == MOST_LINES and "by heart" in lines[0] and "tram" in lines[1]


def trained(tmp_path, data, config):
    """The outcome of a training on arrays."""
    run = Run.create(tmp_path / "runs", "arrays", config)
    run.write_labels(data.info.classes)
    model = build_model(config.model, (8, 8), 3, 3, seed=0)
    fit_model(Session(config, run, data), model)
    images, labels = data.splits["test"]
    predicted = model.predict(images, verbose=0).argmax(axis=1)
    matrix = np.zeros((3, 3), int)
    np.add.at(matrix, (labels, predicted), 1)
    return outcome_of(run, data, matrix, "", None)


def test_the_lower_rate_that_is_advised_helps(tmp_path, array_data, configuration):
    data, schedule = array_data(train=480, validation=60), {"name": "constant"}
    config = configuration(epochs=4, schedule=schedule, optimizer={"name": "sgd", "learning_rate": 30.0})
    outcome = trained(tmp_path, data, config)
    (line,) = diagnose(outcome)
    assert "Nothing was learned" in line
    rate = float(line.split("learning_rate=")[1].split(";")[0])
    while diagnose(outcome):
        config = configuration(epochs=4, schedule=schedule, optimizer={"name": "sgd", "learning_rate": rate})
        outcome, rate = trained(tmp_path, data, config), rate / 10
    assert rate > 1e-4 and outcome.last["val_accuracy"] > 0.9
