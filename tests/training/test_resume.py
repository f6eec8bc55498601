"""Going on with a run: only what it was configured to be, only on its data, only one process at a time."""

import signal
import threading
from typing import get_args

import numpy as np
import pytest

from convlens.configs import Train, Training
from convlens.configs.composition import compose
from convlens.configs.schema import Schedule
from convlens.core.errors import UserError
from convlens.models import build_model
from convlens.training import Run, Session, fit_model
from convlens.training.callbacks import Interruption, Stopped
from convlens.training.checkpoint import State, newest_checkpoint, write_checkpoint
from convlens.training.optimization import build_schedule
from convlens.training.resume import changes, check_data, check_request, reason_against_more_epochs
from convlens.training.state import assign

START = ["experiment=cars", "model=vgg", "training.epochs=7", "data.data_dir=/data"]


@pytest.fixture
def run(tmp_path):
    config = compose("train", Train, START).model_copy(update={"runs_dir": "elsewhere/runs", "name": "cars"})
    run = Run.create(tmp_path / "runs", "cars", config)
    run.write_facts(dataset={"fingerprint": "f00d"}, environment={})
    return run


def asked(run, *words):
    return compose("train", Train, [f"resume={run.path}", *words]), run


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("training.epochs=7",),
        ("model=vgg",),
        ("name=cars",),
        tuple(START),
        ("experiment=cars", "model=vgg", "training.epochs=7"),  # typed as at the start, though the run lies elsewhere
        ("data.data_dir=/moved",),  # data that moved is still the same data
    ],
)
def test_a_request_that_says_nothing_new_is_granted(run, words):
    check_request(*asked(run, *words))


@pytest.mark.parametrize(
    ("words", "difference"),
    [
        (("training.optimizer.name=sgd",), "training.optimizer.name=sgd, but .* was started with adamw"),
        (("training.optimizer.learning_rate=0.1",), "training.optimizer.learning_rate=0.1, but"),
        (("training.epochs=8",), "training.epochs=8, but .* was started with 7"),
        (("training.schedule.name=step", "training.schedule.step_epochs=[1]"), "training.schedule.name=step, but"),
        (("training.optimizer.options.beta_1=0.5",), "training.optimizer.options"),
        (("training.early_stopping.patience=3",), "training.early_stopping.patience=3, but .* with null"),
        (("training.checkpoint.every_steps=3",), "training.checkpoint.every_steps=3, but .* with null"),
        (("training.batch_size=8",), "training.batch_size=8, but"),
        (("training.deterministic=true",), "training.deterministic=true, but .* with false"),
        (("model=lesson",), r"model\..*more differences"),
        (("model.filters=[8]",), "model.filters="),
        (("data=tfds", "data.name=mnist"), "data.source=tfds, but .* with rendered_cars"),
        (("data.augment.flip=false",), "data.augment.flip=false, but"),
        (("experiment=cifar10",), "name=cifar10, but"),
        (("debug=fast",), r"training\..*=.*, but"),
        (("seed=1",), "seed=1, but .* with 0"),
        (("init_from=runs/other",), "init_from=runs/other, but .* with null"),
        (("runs_dir=somewhere",), "runs_dir=somewhere, but"),
    ],
)
def test_a_request_for_another_training_is_refused_naming_the_difference(run, words, difference):
    with pytest.raises(UserError, match=difference) as refusal:
        check_request(*asked(run, *words))
    assert f"init_from={run.path}" in str(refusal.value) and "\n" not in str(refusal.value)


@pytest.mark.parametrize("schedule", get_args(Schedule.model_fields["name"].annotation))
def test_more_epochs_are_granted_where_the_rates_of_those_that_are_done_stay_what_they_were(run, schedule):
    names = {"name": schedule, "step_epochs": [2, 5, 8], "warmup_epochs": 0.0 if schedule == "plateau" else 1.0}
    settings = Training(epochs=7, schedule=names)
    run.write_config(run.config.model_copy(update={"training": settings}))

    def rates(epochs):
        built = build_schedule(settings.model_copy(update={"epochs": epochs}), steps_per_epoch=3)
        return [float(built(step)) if callable(built) else built for step in range(21)]

    if rates(7) == rates(12):
        assert check_request(*asked(run, "training.epochs=12")).training == settings.model_copy(update={"epochs": 12})
        with pytest.raises(UserError, match="training.epochs=5, but .* was started with 7"):
            check_request(*asked(run, "training.epochs=5"))
        with pytest.raises(UserError, match="seed=1, but .* was started with 0"):
            check_request(*asked(run, "training.epochs=12", "seed=1"))
        assert reason_against_more_epochs(run.config) == ""
    else:
        with pytest.raises(
            UserError, match=f"was started with 7, and its .* depends on the total number of epochs .*{schedule}"
        ) as refusal:
            check_request(*asked(run, "training.epochs=12"))
        assert f"init_from={run.path} training.epochs=5" in str(refusal.value) and "\n" not in str(refusal.value)


def test_a_request_that_says_nothing_new_goes_on_with_the_configuration_of_the_run(run):
    assert check_request(*asked(run)) is run.config


def test_a_run_that_never_began_has_nothing_to_resume(tmp_path):
    run = Run.create(tmp_path, "cars", Train())
    with pytest.raises(UserError, match="ended before its training began"):
        check_request(*asked(run))


def test_other_data_is_refused(run):
    check_data(run, "f00d")
    with pytest.raises(UserError, match="its fingerprint is beef, it was f00d"):
        check_data(run, "beef")


def test_what_changed_around_a_run_is_told_by_name():
    before = {"keras": "3.15.1", "threads": 2, "code": None}
    assert changes(before, before) == []
    assert changes(before, {"keras": "3.16.0", "threads": 8, "code": None}) == [
        "keras: 3.15.1 then, 3.16.0 now",
        "threads: 2 then, 8 now",
    ]


def test_a_second_process_is_kept_out_of_a_run_while_it_trains(run):
    with run.locked():
        with pytest.raises(UserError, match="Another process is training"):
            with Run(run.path).locked():
                pass
    with run.locked():
        pass


def test_what_a_killed_process_left_unfinished_is_removed_before_training(run):
    (run.path / ".0123abcd.model.keras").write_text("half of the n")
    (run.path / ".0123abcd.evaluation.json").write_text("another process may be writing this")
    run.write_snapshot(0, b"a whole one")
    (run.path / "snapshots" / ".0123abcd.epoch-00001.npz").write_text("half of o")
    with run.locked():
        pass
    assert [path.name for path in (run.path / "snapshots").iterdir()] == ["epoch-00000.npz"]
    assert [path.name for path in run.path.glob(".*")] == [".0123abcd.evaluation.json"]


def test_a_folder_in_the_place_of_what_was_left_unfinished_stays(run):
    (run.path / ".0123abcd.labels.txt").mkdir()
    with run.locked():
        pass
    assert (run.path / ".0123abcd.labels.txt").is_dir()


def test_of_what_is_no_folder_among_checkpoints_only_the_name_is_removed(run):
    folder, state = run.checkpoints_dir, State(0, 1, False, {"model.0": np.zeros((2, 2))})
    folder.mkdir()
    run.write_snapshot(0, b"a whole one")
    (folder / "1-epoch0-step1").write_text("no checkpoint")
    (folder / "2-epoch0-step1").symlink_to("../snapshots")
    for _ in range(2):
        write_checkpoint(folder, state)
    assert sorted(path.name for path in folder.iterdir()) == ["000003-epoch0-step1", "000004-epoch0-step1"]
    assert run.snapshot_epochs == [0]


def test_no_checkpoint_is_written_under_a_number_by_which_it_would_not_be_found(run):
    (run.checkpoints_dir / f"{10**9 - 1}-epoch0-step1").mkdir(parents=True)
    with pytest.raises(UserError, match="999999999-epoch0-step1 has the last number"):
        write_checkpoint(run.checkpoints_dir, State(0, 1, False, {"model.0": np.zeros((2, 2))}))


def test_a_second_ctrl_c_stops_at_once():
    interruption = Interruption()
    before = signal.getsignal(signal.SIGTERM)
    with interruption.watching():
        signal.raise_signal(signal.SIGINT)
        assert interruption.requested == signal.SIGINT
        with pytest.raises(Stopped):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.fixture
def training(tmp_path, arrays, configuration):
    """Trains in a new run with a checkpoint every step; returns the run, its data and its configuration."""

    def build(**settings):
        config = configuration(**{"checkpoint": {"every_steps": 1}, "schedule": {"name": "constant"}, **settings})
        run = Run.create(tmp_path / "runs", "arrays", config)
        run.write_labels(arrays.info.classes)
        return run, build_model(config.model, (8, 8), 3, 3, seed=0), arrays, config

    return build


def poisoned_from(step, batches):
    for number, (images, labels) in enumerate(batches):
        yield images, labels if number < step else labels * np.float32("nan")


def test_a_training_that_became_nan_within_an_epoch_resumes_from_good_weights(training):
    run, model, data, config = training(epochs=3)
    good = data.training
    data.training = lambda *given, **named: poisoned_from(4, good(*given, **named))
    with pytest.raises(UserError, match="loss became nan in step 2 of epoch 2"):
        fit_model(Session(config, run, data), model)

    state = newest_checkpoint(run.checkpoints_dir, print)
    assert (state.epoch, state.step) == (1, 1)
    assert not state.not_finite()

    data.training = good
    rows = fit_model(Session(config, run, data, start=state), build_model(config.model, (8, 8), 3, 3))
    assert [row["epoch"] for row in rows] == [1, 2, 3]
    assert all(np.isfinite(row["loss"]) for row in rows)


@pytest.mark.parametrize("part", ["model", "optimizer"])
def test_a_state_that_is_not_finite_is_never_saved(training, monkeypatch, part):
    run, model, data, config = training(epochs=1)
    saved = []
    monkeypatch.setattr("convlens.training.state.write_checkpoint", lambda folder, state: saved.append(state))

    def spoil(batches):
        for number, batch in enumerate(batches):
            if number == 1:
                # A loss may still be finite when something behind it no longer is.
                variable = model.get_layer("logits").bias if part == "model" else model.optimizer.variables[-1]
                variable.assign(np.full(variable.shape, np.inf, "float32"))
            yield batch

    good = data.training
    data.training = lambda *given, **named: spoil(good(*given, **named))
    with pytest.raises(UserError, match="step [12] of epoch 1; nothing is saved"):
        fit_model(Session(config, run, data), model)
    assert all(not state.not_finite() for state in saved)


def test_training_goes_on_while_a_checkpoint_is_written_and_ends_with_the_last_one(training, monkeypatch):
    run, model, data, config = training(epochs=3, checkpoint={})
    second_epoch, written = threading.Event(), []

    def slow(folder, state):
        assert second_epoch.wait(60), "training waited for its checkpoint"
        written.append((state.epoch, state.complete))
        return write_checkpoint(folder, state)

    def watched(batches):
        for number, batch in enumerate(batches):
            if number == data.steps(config.training.batch_size) + 1:
                second_epoch.set()
            yield batch

    good = data.training
    data.training = lambda *given, **named: watched(good(*given, **named))
    monkeypatch.setattr("convlens.training.state.write_checkpoint", slow)
    fit_model(Session(config, run, data), model)
    assert written == [(1, False), (2, False), (3, True)]
    assert newest_checkpoint(run.checkpoints_dir, print).complete


@pytest.mark.parametrize("failing", [1, 3])  # in the middle of training; at its end
def test_a_checkpoint_that_cannot_be_written_ends_the_training(training, monkeypatch, failing):
    run, model, data, config = training(epochs=3, checkpoint={})

    def failing_at(folder, state):
        if state.epoch == failing:
            raise UserError("The disk is full")
        return write_checkpoint(folder, state)

    monkeypatch.setattr("convlens.training.state.write_checkpoint", failing_at)
    with pytest.raises(UserError, match="disk is full"):
        fit_model(Session(config, run, data), model)
    kept = newest_checkpoint(run.checkpoints_dir, print)
    assert (kept and kept.epoch) == (None if failing == 1 else 2)


def test_a_training_that_was_stopped_before_its_first_step_resumes(training, monkeypatch):
    run, model, data, config = training(epochs=1)
    with monkeypatch.context() as patch:
        patch.setattr(Interruption, "requested", signal.SIGINT)
        with pytest.raises(Stopped):
            fit_model(Session(config, run, data), model)
    state = newest_checkpoint(run.checkpoints_dir, print)
    assert (state.epoch, state.step) == (0, 0)
    rows = fit_model(Session(config, run, data, start=state), build_model(config.model, (8, 8), 3, 3))
    assert [row["epoch"] for row in rows] == [1]


@pytest.mark.parametrize("place", [(2, 0), (10**8, 0), (0, 10**8)])
def test_a_state_of_a_place_that_training_does_not_have_is_refused(training, place):
    run, model, data, config = training(epochs=2)
    fit_model(Session(config, run, data), model)
    end = newest_checkpoint(run.checkpoints_dir, print)
    state = State(*place, False, end.arrays, end.values, end.best_model)
    with pytest.raises(UserError, match=f"says epoch {place[0]}, step {place[1]}, of 2 epochs of"):
        fit_model(Session(config, run, data, start=state), model)


def test_metrics_and_best_model_of_epochs_after_the_checkpoint_are_taken_back(training):
    run, model, data, config = training(epochs=4)
    fit_model(Session(config, run, data), model)
    end = newest_checkpoint(run.checkpoints_dir, print)
    assert end.complete and fit_model(Session(config, run, data, start=end), model) == run.metrics

    middle = State(
        2, 0, False, end.arrays,
        {**end.values, "callbacks": {**end.values["callbacks"], "MetricsTable": {"rows": run.metrics[:2]}}},
        end.best_model,
    )  # fmt: skip
    run.model_path.write_bytes(b"of a time that is taken back")
    rows = fit_model(Session(config, run, data, start=middle), model)
    assert [row["epoch"] for row in rows] == [1, 2, 3, 4]
    assert run.metrics == rows and run.model.count_params() > 0


def test_a_checkpoint_of_another_network_is_refused_naming_the_shapes(training, configuration):
    run, model, data, config = training()
    model.compile("adamw", "mse")
    with pytest.raises(UserError, match=r"another network: model.0 .*kernel\) has shape .* does not exist"):
        assign(model, State(0, 1, False, {}))
    write_checkpoint(run.checkpoints_dir, State(0, 1, False, {"model.0": np.zeros((2, 2))}))
    with pytest.raises(UserError, match=r"has shape \(2, 2\) there"):
        assign(model, newest_checkpoint(run.checkpoints_dir, print))
