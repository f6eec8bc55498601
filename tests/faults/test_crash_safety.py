"""What was saved stays, whatever happens: processes killed while saving, full disks, flipped bits."""

import errno
import io
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from convlens.configs import Train
from convlens.core import files
from convlens.core.errors import ModelError, UserError
from convlens.training.checkpoint import (
    Damaged,
    State,
    checkpoints,
    newest_checkpoint,
    read_checkpoint,
    write_checkpoint,
)
from convlens.training.run import Run


def state(number: int) -> State:
    arrays = {
        f"model.{index}": np.random.default_rng((number, index)).normal(size=size).astype("float32")
        for index, size in enumerate([(3, 3, 3, 8), (8,), (8, 100), ()])
    }
    arrays["model.seed"] = np.array([number, 7], "uint32")
    rows = [{"epoch": epoch, "loss": 1 / epoch, "val_loss": 2 / epoch} for epoch in range(1, number + 1)]
    return State(number, 2 * number, False, arrays, {"rows": rows, "best": {"epoch": 1}}, b"a model's file" * 50)


def same(one: State, other: State) -> bool:
    return (
        one.arrays.keys() == other.arrays.keys()
        and all(
            array.tobytes() == other.arrays[name].tobytes() and array.shape == other.arrays[name].shape
            for name, array in one.arrays.items()
        )
        and (one.epoch, one.step, one.complete) == (other.epoch, other.step, other.complete)
        and (one.values, one.best_model) == (other.values, other.best_model)
    )


def newest(folder: Path) -> State:
    return newest_checkpoint(folder, lambda line: None)


def test_a_state_comes_back_as_it_was(tmp_path):
    write_checkpoint(tmp_path, state(3))
    assert same(newest(tmp_path), state(3))


def test_two_checkpoints_are_kept_and_a_damaged_newest_one_is_told_and_passed_over(tmp_path):
    for number in (1, 2, 3):
        path = write_checkpoint(tmp_path, state(number))
    assert len(checkpoints(tmp_path)) == 2
    (path / "arrays.safetensors").write_bytes(b"")
    notes = []
    assert same(newest_checkpoint(tmp_path, notes.append), state(2))
    assert "arrays.safetensors has changed since it was written" in notes[0]
    assert "Continuing after step 4 of epoch 3, from" in notes[1]
    (checkpoints(tmp_path)[1] / "manifest.json").unlink()
    with pytest.raises(UserError, match="No checkpoint .* can be resumed"):
        newest(tmp_path)


def test_what_the_disk_does_not_give_back_as_written_replaces_nothing(tmp_path, monkeypatch):
    write_checkpoint(tmp_path, state(1))
    write_checkpoint(tmp_path, state(2))
    monkeypatch.setattr(files, "sync", lambda path: path.is_file() and path.write_bytes(path.read_bytes()[:-1]))
    with pytest.raises(UserError, match="epoch3-step6 differs from what was just written.*runs_dir="):
        write_checkpoint(tmp_path, state(3))
    assert len(checkpoints(tmp_path)) == 3
    assert same(newest(tmp_path), state(2))


def test_what_lies_beside_the_checkpoints_stays_and_only_what_a_killed_process_left_goes(tmp_path):
    (tmp_path / ".DS_Store").write_bytes(b"of a file manager")
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".0a1b2c3d.elsewhere").symlink_to(".ssh")
    for left in (".0a1b2c3d", ".0a1b2c3d.000001-epoch1-step0"):
        (tmp_path / left).mkdir()
        (tmp_path / left / "values.json").write_bytes(b"{")
    path = write_checkpoint(tmp_path, state(1))
    kept = [tmp_path / name for name in (".0a1b2c3d.elsewhere", ".DS_Store", ".ssh")]
    assert sorted(tmp_path.iterdir()) == [*kept, path]


# Killed while saving


def killed_while_saving(folder: Path, kills: int) -> dict:
    script = Path(__file__).with_name("saving.py")
    done = subprocess.run([sys.executable, str(script), str(folder), str(kills), "5"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    counts = json.loads(done.stdout)
    print(counts, done.stderr)
    return counts


def test_processes_killed_while_saving_lose_nothing(tmp_path):
    counts = killed_while_saving(tmp_path, 10)
    assert counts["survived"] == counts["tried"] == 10


@pytest.mark.slow
def test_two_hundred_processes_killed_while_saving_lose_nothing(tmp_path):
    counts = killed_while_saving(tmp_path, 200)
    assert counts["survived"] == counts["tried"] == 200
    assert counts["halfway"] > 50


# A full disk

OFFSETS = 20


def size_of(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def test_a_disk_that_fills_up_at_any_offset_keeps_the_checkpoint_before_and_tells_what_is_missing(
    tmp_path, monkeypatch
):
    whole = size_of(write_checkpoint(tmp_path, state(1)))
    survived = 0
    for number in range(OFFSETS):
        free = whole * number // OFFSETS

        class SmallDisk(io.FileIO):
            def writelines(self, pieces):
                nonlocal free
                for piece in pieces:
                    written = self.write(piece[:free])  # noqa: B023  called within this round
                    free -= written
                    if written < len(piece):
                        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(Path, "open", lambda path, mode: SmallDisk(path, mode))  # noqa: B023
        monkeypatch.setattr(files, "_free_space", lambda path: (free, 1, True))  # noqa: B023
        with pytest.raises(UserError, match=r"disk is full.*about .*B are missing"):
            write_checkpoint(tmp_path, state(2))
        monkeypatch.undo()
        survived += same(newest(tmp_path), state(1)) and len(list(tmp_path.iterdir())) == 1
    assert survived == OFFSETS


@pytest.fixture
def small_disk(tmp_path):
    """A file system of its own, one megabyte large."""
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(tmp_path)], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting a small disk needs root")
    yield tmp_path
    subprocess.run(["umount", str(tmp_path)], check=True)


def test_a_disk_that_is_really_full_keeps_every_file_before_and_tells_what_is_missing(small_disk):
    run = Run.create(small_disk, "full", Train())
    big = State(1, 0, False, {"model.0": np.zeros(50_000, "float32")}, {"rows": []})
    write_checkpoint(run.checkpoints_dir, big)
    run.write_metrics([{"epoch": 1, "loss": 0.5}])
    ballast, survived = small_disk / "ballast", 0
    for number in range(OFFSETS):
        left = 4096 * (2 * number + 1)  # a tmpfs gives whole pages; 50 of them hold the arrays
        ballast.write_bytes(b"\0" * max(0, shutil.disk_usage(small_disk).free - left))
        with pytest.raises(UserError, match=r"disk is full.*about .*B are missing") as refusal:
            write_checkpoint(run.checkpoints_dir, big)
        missing = float(re.search(r"about ([\d.]+) kB are missing", str(refusal.value))[1]) * 1000
        assert missing == pytest.approx(200_000 - left, abs=6_000)
        ballast.unlink()
        survived += newest(run.checkpoints_dir).epoch == 1 and Run.open(run.path, check=False).metrics[0]["loss"] == 0.5
    assert survived == OFFSETS
    write_checkpoint(run.checkpoints_dir, state(2))
    assert newest(run.checkpoints_dir).epoch == 2


# Flipped bits


@pytest.fixture
def run(tmp_path):
    """A run with every kind of file; the model's needs no network here, only its sum is asked for."""
    config = Train.model_validate({"name": "flips", "seed": 7, "training": {"optimizer": {"learning_rate": 0.003}}})
    run = Run.create(tmp_path, "flips", config)
    run.write_labels(("car", "truck"))
    run.write_metrics([{"epoch": epoch, "loss": 1 / epoch, "val_accuracy": 1 - 0.5 / epoch} for epoch in (1, 2, 3)])
    run.write_json(run.evaluation_path, {"accuracy": 0.9375, "loss": 0.25})
    run.write_facts(dataset={"fingerprint": "f00d"}, best={"epoch": 2, "val_accuracy": 0.75})
    write_checkpoint(run.checkpoints_dir, state(2))
    return run


KINDS = {
    "checkpoint": (
        lambda run: sorted(checkpoints(run.checkpoints_dir)[0].iterdir()),
        lambda run: read_checkpoint(checkpoints(run.checkpoints_dir)[0]),
    ),
    "metrics": (lambda run: [run.metrics_path], lambda run: run.metrics),
    "config": (lambda run: [run.config_path], lambda run: run.config),
    "labels": (lambda run: [run.labels_path], lambda run: run.labels),
    "facts": (lambda run: [run.facts_path], lambda run: run.facts),
    "evaluation": (lambda run: [run.evaluation_path], lambda run: run.evaluation),
}


def flip_bits(run: Run, kind: str, tries: int) -> dict[str, int]:
    """How many files with one flipped bit were refused, loaded as they had been saved, or loaded wrong."""
    files, load = KINDS[kind]
    saved, generator = load(Run(run.path)), np.random.default_rng(11)
    counts = {"refused": 0, "unharmed": 0, "wrong": 0}
    for _ in range(tries):
        file = files(run)[generator.integers(len(files(run)))]
        content = file.read_bytes()
        damaged = bytearray(content)
        damaged[generator.integers(len(damaged))] ^= 1 << generator.integers(8)
        file.write_bytes(damaged)
        try:
            loaded = load(Run(run.path))
            equal = same(loaded, saved) if isinstance(saved, State) else loaded == saved
            counts["unharmed" if equal else "wrong"] += 1
        except (UserError, Damaged):
            counts["refused"] += 1
        file.write_bytes(content)
    print(kind, counts)
    return counts


@pytest.mark.parametrize("kind", KINDS)
def test_no_flipped_bit_loads_silently_wrong(run, kind):
    assert flip_bits(run, kind, 40)["wrong"] == 0


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_none_of_a_thousand_flipped_bits_loads_silently_wrong(run, kind):
    counts = flip_bits(run, kind, 1000)
    assert counts["wrong"] == 0
    assert counts["refused"] >= 900


def test_a_model_with_a_flipped_bit_is_refused_and_put_back_from_the_checkpoint(tmp_path):
    from convlens.models import build_model

    run = Run.create(tmp_path, "flips", Train())
    run.save_model(build_model(run.config.model, (16, 16), 3, 3, seed=0), epoch=1, val_loss=0.5)
    content, best, generator = run.model_path.read_bytes(), run.best, np.random.default_rng(2)
    for _ in range(40):
        damaged = bytearray(content)
        damaged[generator.integers(len(damaged))] ^= 1 << generator.integers(8)
        run.model_path.write_bytes(damaged)
        with pytest.raises(ModelError, match="SHA-256"):
            _ = Run(run.path).model
    run.restore_model(content, best)
    assert run.model_path.read_bytes() == content and Run(run.path).model.count_params() > 0
