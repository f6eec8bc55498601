"""Optimizers and schedules do what their names say, and refuse what makes no sense."""

import inspect
import math

import keras
import numpy as np
import pytest

from convlens.configs import Training
from convlens.core.errors import UserError
from convlens.training.optimization import build_optimizer, build_schedule
from convlens.training.optimizer_options import parameters_in_source

OPTIMIZERS = (
    "adam", "adamw", "sgd", "muon", "rmsprop", "lion", "lamb", "nadam", "adagrad", "adadelta", "adamax", "adafactor",
)  # fmt: skip


def training(epochs=10, **sections):
    return Training.model_validate({"epochs": epochs, **sections})


def rates(config, steps_per_epoch, steps):
    schedule = build_schedule(config, steps_per_epoch)
    return [float(schedule(step)) if callable(schedule) else schedule for step in range(steps)]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_takes_a_step_that_changes_weights(name):
    optimizer = build_optimizer(training(optimizer={"name": name, "learning_rate": 1}, schedule={"name": "cosine"}), 3)
    weight = keras.Variable(np.ones((3, 2), "float32"))
    optimizer.apply([keras.ops.ones((3, 2))], [weight])
    assert np.isfinite(keras.ops.convert_to_numpy(weight)).all()
    assert not np.array_equal(keras.ops.convert_to_numpy(weight), np.ones((3, 2)))


def test_clipping_decay_momentum_and_averaging_reach_the_optimizer():
    given = {"name": "sgd", "momentum": 0.5, "nesterov": False, "weight_decay": 0.01, "clip_norm": 2, "ema": 0.9}
    built = build_optimizer(training(optimizer=given), 3)
    assert (built.momentum, built.nesterov, built.weight_decay, built.global_clipnorm) == (0.5, False, 0.01, 2)
    assert (built.use_ema, built.ema_momentum) == (True, 0.9)


def test_weight_decay_spares_biases_and_normalization():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2), keras.layers.BatchNormalization()])
    given = {"name": "sgd", "momentum": 0, "learning_rate": 1, "weight_decay": 0.5}
    optimizer = build_optimizer(training(optimizer=given, schedule={"name": "constant"}), 3)
    for weight in model.trainable_weights:
        weight.assign(keras.ops.ones(weight.shape))
    optimizer.apply([keras.ops.zeros(weight.shape) for weight in model.trainable_weights], model.trainable_weights)
    means = {weight.name: float(np.mean(weight)) for weight in model.trainable_weights}
    assert means == {"kernel": 0.5, "bias": 1, "gamma": 1, "beta": 1}


def test_options_reach_the_constructor_and_whole_numbers_serve_as_floats():
    built = build_optimizer(training(optimizer={"name": "adam", "options": {"beta_1": 0, "amsgrad": True}}), 3)
    assert built.beta_1 == 0.0 and isinstance(built.beta_1, float)
    assert built.amsgrad is True


@pytest.mark.parametrize(
    ("optimizer", "reason"),
    [
        ({"name": "adam", "options": {"beta1": 0.8}}, "Did you mean 'beta_1'"),
        ({"name": "adam", "options": {"learning_rate": 0.8}}, r"training\.optimizer\.learning_rate"),
        ({"name": "sgd", "options": {"momentum": 0.8}}, r"training\.optimizer\.momentum"),
        ({"name": "adam", "options": {"global_clipnorm": 0.8}}, r"training\.optimizer\.clip_norm"),
        ({"name": "adam", "options": {"loss_scale_factor": "much", "gradient_accumulation_steps": -1}}, "adam"),
    ],
)
def test_what_an_optimizer_does_not_take_is_refused(optimizer, reason):
    with pytest.raises(UserError, match=reason):
        build_optimizer(training(optimizer=optimizer), 1)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_parameters_that_are_read_in_the_source_are_those_of_the_constructor(name):
    optimizer = next(item for key, item in vars(keras.optimizers).items() if key.lower() == name)
    assert parameters_in_source(name) == [key for key in inspect.signature(optimizer).parameters if key != "kwargs"]


def test_momentum_is_an_option_where_no_key_of_ours_sets_it():
    assert build_optimizer(training(optimizer={"name": "muon", "options": {"momentum": 0.8}}), 3).momentum == 0.8


def test_constant_and_plateau_start_from_a_plain_number_that_callbacks_may_change():
    for name in ("constant", "plateau"):
        optimizer = build_optimizer(training(optimizer={"learning_rate": 1}, schedule={"name": name}), 3)
        optimizer.learning_rate = 0.25
        assert float(optimizer.learning_rate) == 0.25


def cosine(progress):
    return 0.5 * (1 + math.cos(math.pi * progress))


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ({"name": "cosine"}, lambda step: 2 * cosine(step / 40)),
        ({"name": "cosine", "final_share": 0.1}, lambda step: 2 * (0.1 + 0.9 * cosine(step / 40))),
        (
            {"name": "cosine", "warmup_epochs": 2},
            lambda step: 2 * (step + 1) / 8 if step < 8 else 2 * cosine((step - 8) / 32),
        ),
        ({"name": "constant", "warmup_epochs": 0.5}, lambda step: [1, 2][min(step, 1)]),
        ({"name": "exponential", "factor": 0.5}, lambda step: 2 * 0.5 ** (step / 4)),
        (
            {"name": "exponential", "factor": 0.5, "warmup_epochs": 1},
            lambda step: (step + 1) / 2 if step < 4 else 2 * 0.5 ** ((step - 4) / 4),
        ),
        ({"name": "step", "step_epochs": [5, 7.5]}, lambda step: 2 * 0.1 ** ((step >= 20) + (step >= 30))),
        (
            {"name": "step", "step_epochs": [5], "warmup_epochs": 1},
            lambda step: (step + 1) / 2 if step < 4 else 2 * 0.1 ** (step >= 20),
        ),
        (
            {"name": "one_cycle", "final_share": 0.01},
            lambda step: (
                2 * (1 + (1 / 25 - 1) * cosine(step / 12))
                if step < 12
                else 2 * (0.01 + 0.99 * cosine((step - 12) / 28))
            ),
        ),
        (
            {"name": "one_cycle", "warmup_epochs": 1},
            lambda step: 2 * (1 - 24 / 25 * cosine(step / 4)) if step < 4 else 2 * cosine((step - 4) / 36),
        ),
    ],
)
def test_the_rate_follows_its_formula_at_every_step(schedule, expected):
    config = training(epochs=10, optimizer={"learning_rate": 2}, schedule=schedule)
    computed = rates(config, steps_per_epoch=4, steps=40)
    np.testing.assert_allclose(computed, [expected(step) for step in range(40)], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["cosine", "one_cycle"])
def test_the_rate_stays_at_its_end_after_the_last_epoch(name):
    config = training(epochs=2, optimizer={"learning_rate": 1}, schedule={"name": name, "final_share": 0.5})
    assert rates(config, steps_per_epoch=2, steps=10)[4:] == pytest.approx([0.5] * 6)
