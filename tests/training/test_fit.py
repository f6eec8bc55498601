"""What a training leaves behind, and how it ends when it cannot go on."""

import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from convlens.core.errors import UserError
from convlens.models import build_model
from convlens.models.whitening import whitening
from convlens.training import Run, Session, evaluate_model, fit_model
from convlens.training.batches import class_weights
from convlens.training.callbacks import KeepBest
from convlens.training.devices import weighted_batches
from convlens.training.session import precision
from convlens.training.transfer import freeze_base, initialize_from


@pytest.fixture
def start(tmp_path, arrays, configuration):
    """A new run, its freshly built model, its data and its configuration."""

    def build(classes=3, **training):
        config = configuration(**training)
        keras.utils.set_random_seed(config.seed)
        with precision(config.training.precision):
            model = build_model(config.model, arrays.info.image_size, arrays.info.channels, classes, seed=config.seed)
        run = Run.create(tmp_path / "runs", "arrays", config)
        run.write_labels(arrays.info.classes)
        return run, model, arrays, config

    return build


def fitted(run, model, data, config):
    return fit_model(Session(config, run, data), model)


def scores(run, data):
    return evaluate_model(run.model, data.evaluation("validation", 16), run.labels)


def test_the_layer_that_whitens_is_made_of_training_images_and_stays_as_it_was(start, tmp_path):
    run, _, data, config = start()
    config = config.model_copy(update={"model": config.model.model_copy(update={"whiten": True})})
    model = build_model(config.model, (8, 8), 3, 3, seed=0)
    fitted(run, model, data, config)
    expected = whitening(data.splits["train"][0])
    for stored, weights in zip(run.model.get_layer("whiten").get_weights(), expected, strict=True):
        np.testing.assert_allclose(stored, weights, rtol=1e-6)

    # Weights from another model are not made anew.
    other = build_model(config.model, (8, 8), 3, 3, seed=1)
    initialize_from(other, str(run.path))
    data.splits["train"] = data.splits["train"][0] // 2, data.splits["train"][1]
    fitted(Run.create(tmp_path / "others", "arrays", config), other, data, config)
    np.testing.assert_array_equal(other.get_layer("whiten").kernel, run.model.get_layer("whiten").kernel)


def test_a_run_learns_and_its_best_model_reloads_with_the_score_that_was_seen(start):
    run, model, data, config = start(epochs=12, schedule={"name": "constant"}, optimizer={"learning_rate": 0.02})
    rows = fitted(run, model, data, config)

    assert rows == run.metrics
    assert [row["epoch"] for row in rows] == list(range(1, 13))
    assert set(rows[0]) == {
        "epoch", "loss", "accuracy", "val_loss", "val_accuracy", "learning_rate", "seconds", "images_per_second",
    }  # fmt: skip
    best = max(rows, key=lambda row: row["val_accuracy"])
    assert best["val_accuracy"] > 0.9
    assert run.epoch == best["epoch"]
    assert scores(run, data).accuracy == pytest.approx(best["val_accuracy"], abs=1e-6)
    assert run.log_path.read_text().count("val_accuracy") == 12


def test_the_lowest_validation_loss_can_choose_the_best_model(start):
    run, model, data, config = start(epochs=4, monitor="val_loss")
    rows = fitted(run, model, data, config)
    best = min(rows, key=lambda row: row["val_loss"])
    assert run.epoch == best["epoch"]
    assert scores(run, data).loss == pytest.approx(best["val_loss"], rel=1e-4)


def test_the_last_epoch_can_be_kept_whatever_validation_says(start):
    run, model, data, config = start(epochs=4, keep="last", optimizer={"learning_rate": 0.3})
    rows = fitted(run, model, data, config)
    assert run.epoch == 4 and run.best["val_accuracy"] == rows[-1]["val_accuracy"]
    assert scores(run, data).loss == pytest.approx(rows[-1]["val_loss"], rel=1e-4)
    *before, last = run.log_path.read_text().splitlines()
    assert before[0].endswith("  best so far")  # saved until the last
    assert last.endswith("  last, kept") and not any(line.endswith("  best") for line in before)


def test_the_saved_model_loads_with_plain_keras_where_this_project_is_absent(start, tmp_path):
    run, model, data, config = start(schedule={"name": "one_cycle"}, optimizer={"name": "muon", "ema": 0.5})
    fitted(run, model, data, config)
    script = (
        "import sys, keras, numpy as np\n"
        "sys.modules.update(training=None, models=None, configs=None)  # importing any of them fails\n"
        "model = keras.saving.load_model(sys.argv[1])\n"
        "print(hasattr(model, 'optimizer'), model(np.zeros((2, 8, 8, 3), 'uint8')).shape)\n"
    )
    (tmp_path / "elsewhere").mkdir()
    command = [sys.executable, "-c", script, str(run.model_path.absolute())]
    done = subprocess.run(command, cwd=tmp_path / "elsewhere", capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("False (2, 3)")


def test_the_same_seed_gives_the_same_curve_and_seed_zero_is_a_seed(start):
    def losses(seed):
        return [row["loss"] for row in fitted(*start(seed=seed, epochs=1))]

    first = losses(0)
    assert losses(0) == first
    assert losses(1) != first


def test_averaged_weights_are_validated_and_saved(start):
    run, model, data, config = start(epochs=3, optimizer={"learning_rate": 0.05, "ema": 0.9}, monitor="val_loss")
    plain = start(epochs=3, optimizer={"learning_rate": 0.05})
    rows = fitted(run, model, data, config)
    plain_rows = fitted(*plain)

    assert [row["loss"] for row in rows] == [row["loss"] for row in plain_rows]
    assert [row["val_loss"] for row in rows] != [row["val_loss"] for row in plain_rows]
    chosen = rows[run.epoch - 1]
    assert scores(run, data).loss == pytest.approx(chosen["val_loss"], rel=1e-4)


def test_a_frozen_base_keeps_its_weights_while_the_head_learns(start):
    run, model, data, config = start()
    freeze_base(model)
    before = {weight.path: keras.ops.convert_to_numpy(weight) for weight in model.weights}
    fitted(run, model, data, config)
    changed = {path for path, old in before.items() if not np.array_equal(old, model_weight(model, path))}
    assert changed == {path for path in before if path.startswith(("head_", "logits"))}


def model_weight(model, path):
    return next(keras.ops.convert_to_numpy(weight) for weight in model.weights if weight.path == path)


def test_a_new_run_starts_from_the_weights_of_another_with_other_classes(start):
    old, model, data, config = start()
    fitted(old, model, data, config)
    new = start(classes=5)[1]
    assert initialize_from(new, str(old.path)) == ["logits"]
    np.testing.assert_array_equal(
        model_weight(new, "block1_conv1/kernel"), model_weight(old.model, "block1_conv1/kernel")
    )


def test_weights_of_another_network_are_refused_naming_the_layer(start, configuration):
    old, model, data, config = start()
    fitted(old, model, data, config)
    wider = config.model.model_copy(update={"filters": [6]})
    with pytest.raises(UserError, match=r"block1_conv1.*\(3, 3, 3, 6\).*\(3, 3, 3, 4\)"):
        initialize_from(build_model(wider, (8, 8), 3, 3), str(old.model_path))


def test_balanced_weights_make_every_class_count_the_same(configuration):
    labels = np.repeat([0, 1, 2], [10, 30, 60])
    weights = class_weights(configuration(class_weights="balanced").training, ("a", "b", "c"), labels)
    np.testing.assert_allclose(weights * [10, 30, 60], 100 / 3, rtol=1e-6)


def test_weights_by_name_leave_other_classes_at_one_and_unknown_names_are_refused(configuration):
    named = configuration(class_weights={"truck": 3}).training
    np.testing.assert_array_equal(class_weights(named, ("car", "truck"), np.array([0])), [1, 3])
    with pytest.raises(UserError, match="Did you mean 'truck'"):
        class_weights(configuration(class_weights={"trcuk": 3}).training, ("car", "truck"), np.array([0]))


def test_the_loss_weighs_each_image_by_its_class(start):
    prices = {"dark": 2, "middle": 3, "bright": 7}
    run, model, data, config = start(epochs=1, limit_batches=1, batch_size=48, class_weights=prices)
    logits = model.predict_on_batch(data.splits["train"][0])
    labels = data.labels("train")
    cross_entropy = np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(48), labels]

    loss = fitted(run, model, data, config)[0]["loss"]
    assert loss == pytest.approx(np.mean(np.array([2, 3, 7])[labels] * cross_entropy), rel=1e-4)


def test_a_label_mixed_of_two_classes_weighs_what_its_parts_weigh():
    batches = tf.data.Dataset.from_tensors((np.zeros((2, 1)), np.array([[1, 0], [0.25, 0.75]], "float32")))
    for given in (batches, batches.as_numpy_iterator()):
        ((images, labels, weights),) = weighted_batches(given, np.array([4, 8], "float32"))
        np.testing.assert_allclose(weights, [4, 7])


def test_a_loss_that_is_no_number_ends_the_run_and_the_last_good_model_stays(start):
    run, model, data, config = start(epochs=5, schedule={"name": "constant"})

    def turn_bad(batches):
        for step, (images, labels) in enumerate(batches):
            yield images, (labels if step < 4 else labels * np.float32("nan"))

    training = data.training
    data.training = lambda *arguments, **named: turn_bad(training(*arguments, **named))
    with pytest.raises(UserError, match=r"loss became nan in step 2 of epoch 2; the best model \(epoch 1"):
        fitted(run, model, data, config)
    assert run.epoch == 1
    assert all(np.isfinite(weight).all() for weight in run.model.get_weights())
    assert len(run.metrics) == 1


def test_a_learning_rate_that_breaks_the_last_step_saves_nothing(start):
    run, model, data, config = start(epochs=1, limit_batches=1, optimizer={"name": "sgd", "learning_rate": 1e38})
    with pytest.raises(UserError, match="validation loss became nan in step 1 of epoch 1; nothing is saved"):
        fitted(run, model, data, config)
    assert not run.model_path.exists()


def test_weights_that_are_no_numbers_are_never_saved(start):
    run, model, data, config = start()
    model.compile("sgd", "mse")
    best = KeepBest(run, "val_accuracy")
    best.set_model(model)
    model.get_layer("logits").bias.assign([np.inf, 0, 0])
    best.on_epoch_begin(0)
    with pytest.raises(UserError, match="weights are no longer finite"):
        best.on_epoch_end(0, {"val_loss": 0.1, "val_accuracy": 0.9})
    assert not run.model_path.exists()


def test_training_stops_early_when_nothing_gets_better(start):
    tiny = {"name": "sgd", "learning_rate": 1e-12}
    run, model, data, config = start(epochs=9, optimizer=tiny, early_stopping={"patience": 2})
    assert len(fitted(run, model, data, config)) == 3
    assert run.epoch == 1


def test_a_plateau_lowers_the_rate(start):
    tiny = {"name": "sgd", "learning_rate": 1e-6}
    schedule = {"name": "plateau", "patience": 1, "factor": 0.5}
    rows = fitted(*start(epochs=4, optimizer=tiny, schedule=schedule, monitor="val_accuracy"))
    assert rows[0]["learning_rate"] == pytest.approx(1e-6)
    assert rows[-1]["learning_rate"] <= 0.5e-6


def test_one_batch_can_be_learned_by_heart(start):
    settings = {"epochs": 25, "overfit": True, "batch_size": 8, "schedule": {"name": "constant"}}
    rows = fitted(*start(**settings, optimizer={"learning_rate": 0.03}))
    assert rows[-1]["accuracy"] == 1
    assert rows[-1]["val_accuracy"] == 1


def test_limited_batches_limit_training_and_validation(start):
    run, model, data, config = start(epochs=1, limit_batches=1, batch_size=10)
    counted = []
    evaluation = data.evaluation
    data.evaluation = lambda *given, **named: counted.append(named["limit_batches"]) or evaluation(*given, **named)
    fitted(run, model, data, config)
    assert model.optimizer.iterations == 1
    assert counted == [1]


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_trains_and_reloads_and_does_not_leak(start, policy):
    run, model, data, config = start(epochs=1, precision=policy)
    fitted(run, model, data, config)
    assert run.model.get_layer("block1_conv1").compute_dtype == policy.removeprefix("mixed_")
    assert keras.config.dtype_policy().name == "float32"
    assert np.isfinite(scores(run, data).loss)


def test_steps_that_are_executed_together_see_the_very_same_batches(start):
    losses = []
    for together in (1, 3, "epoch"):
        run, model, data, config = start(steps_per_execution=together)
        fitted(run, model, data, config)
        losses.append([row["loss"] for row in run.metrics])
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-6)
    assert losses[2] == losses[1]


def test_steps_that_would_reach_into_the_next_epoch_are_refused_before_the_first_one(start):
    run, model, data, config = start(steps_per_execution=2)  # 48 images in batches of 16
    with pytest.raises(UserError, match="=2 does not divide the 3 steps of an epoch; give 1 or 3, or epoch"):
        fitted(run, model, data, config)
    assert run.metrics == []
