"""Each benchmark runs to its table; how fast anything is, no test says."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.slow
@pytest.mark.parametrize("name", ["training", "input", "features", "startup", "figures", "scale"])
def test_a_benchmark_ends_with_a_table_and_every_value_as_json(name, tmp_path):
    command = [sys.executable, "-m", f"benchmarks.{name}", "--quick", "--json", str(tmp_path / "values.json")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""  # no banner of TensorFlow, no warning of Keras between the lines of a table
    assert "ours" in done.stdout or name in ("startup", "scale")
    assert json.loads((tmp_path / "values.json").read_text())


@pytest.mark.slow
def test_the_speedrun_trains_scores_and_counts_on_whatever_it_is_given(tmp_path):
    pytest.importorskip("jax")
    from benchmarks.photos import write_folder

    words = [
        "data=folder", f"data.root={write_folder(tmp_path / 'photos', 16, 40)}", "model.filters=[4,4,4,4]",
        "training.batch_size=8", "training.epochs=2", "training.precision=float32",
    ]  # fmt: skip
    table = tmp_path / "values.json"
    command = [sys.executable, "-m", "benchmarks.speedrun", "--seeds", "2", "--json", str(table), *words]
    environment = os.environ | {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rows = {row["what"]: row for row in json.loads(table.read_text())["rows"]}
    assert len(rows["test accuracy, mirrored images too"]["values"]) == 2
    # Multiply-adds of a 16 x 16 image, whitened by 24 kernels of 2 x 2, halved after each block; then the logits.
    pixels = 256 * 4 * 3 * 24 + 9 * 4 * (256 * 24 + 2 * 64 * 4 + 2 * 16 * 4 + 4 * 4)
    assert rows["arithmetic of a training"]["median"] * 1e15 == pytest.approx(6 * (pixels + 4 * 4) * 2 * 40, rel=0.02)


@pytest.mark.slow
def test_few_photographs_are_learned_beside_the_scripts_of_others(tmp_path):
    from benchmarks.photos import write_folder

    photos, table = write_folder(tmp_path / "photos", 16, 40), tmp_path / "values.json"
    cell = ["--photographs", "10", "--classes", "2", "--side", "16", "--seeds", "1", "--test", "4"]
    words = ["--clock", "cpu", "--json", str(table), "training.epochs=2"]
    command = [sys.executable, "-m", "benchmarks.small_data", str(photos), *cell, *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    results = {result["way"]: result for result in json.loads(table.read_text())}
    assert results["ours"]["epochs"] == 2 and results["keras"]["epochs"] >= 1
    assert 0.5 < results["keras"]["seconds"] / results["ours"]["seconds"] < 1.5
    assert "torch" in results or "has no torchvision" in done.stdout


@pytest.mark.parametrize("path", sorted((ROOT / "benchmarks").glob("*.py")), ids=lambda path: path.stem)
def test_what_prints_a_table_keeps_the_libraries_words_out_of_it(path):
    tree = ast.parse(path.read_text())
    calls = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    if calls & {"measuring.parser", "argparse.ArgumentParser", "Table"} and path.stem != "measuring":
        (last,) = (node for node in tree.body if isinstance(node, ast.If) and "__main__" in ast.unparse(node.test))
        assert "with quietly():\n" in ast.unparse(last)


def test_a_cell_shows_the_mean_over_seeds_and_the_best_way_in_bold():
    from rich.console import Console

    from benchmarks.small_data import Result, table

    scores = {"ours": (0.5, 0.7), "keras": (0.4, 0.4)}
    results = [
        Result(way, 20, 2, 32, seed, accuracy, 10.0, 5)
        for way, accuracies in scores.items()
        for seed, accuracy in enumerate(accuracies)
    ]
    console = Console(width=140, record=True, file=open(os.devnull, "w"))
    console.print(table(results))
    (row,) = [line for line in console.export_text(styles=True).splitlines() if "60.0%" in line]
    assert "\x1b[1m60.0% ± 10.0%\x1b" in row and "40.0% ± 0.0%" in row and "not run" in row


def test_a_ratio_is_the_median_over_turns_in_which_both_ran():
    from benchmarks.measuring import Figure, Row, rate_for_a_while, rate_of, seconds_of, take_turns

    ours, peer = Figure((10.0, 40.0, 30.0)), Figure((5.0, 10.0, 15.0))
    assert Row("peer", peer, "images/s", against=ours).ratio == 2
    assert ours.median == 30 and ours.spread == 1

    order = []
    figures = take_turns({"a": lambda: order.append("a") or 1, "b": lambda: order.append("b") or 2}, 2)
    assert order == ["a", "b", "b", "a"] and figures["b"].values == (2, 2)

    ticks = iter((3.0, 5.0, 10.0, 14.0))
    assert seconds_of(lambda: None, clock=lambda: next(ticks)) == 2
    assert rate_of(lambda: 8, clock=lambda: next(ticks)) == 2

    ticks = iter((0.0, 0.0, 1.0, 2.0))
    assert rate_for_a_while(lambda: 8, seconds=1.5, clock=lambda: next(ticks)) == 8
