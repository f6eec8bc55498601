"""Runs side by side."""

import os
import signal
import sys
import threading

from rich.console import Console

from convlens.configs import Train
from convlens.configs.cli import Job, _run_job
from convlens.training.run import Run
from convlens.training.sweep import duration, summarize


def finished_run(folder, *accuracies, test):
    """A run of so many epochs, of which the last one is the best."""
    run = Run.create(folder, "cars", Train())
    run.write_metrics(
        [{"epoch": epoch, "val_accuracy": right, "seconds": 32.5} for epoch, right in enumerate(accuracies, start=1)]
    )
    run.write_facts(best={"epoch": len(accuracies)})
    run.write_json(run.evaluation_path, {"accuracy": test})
    return run


def printed(*jobs, width=250):
    console = Console(width=width, record=True, file=open("/dev/null", "w"))
    summarize(jobs, console)
    return console.export_text()


def test_a_line_a_job_with_scores_time_and_place(tmp_path):
    run = finished_run(tmp_path, 0.91234, 0.95, test=0.9375)
    table = printed(Job(("seed=0", "model.filters=[8]"), 0, run.path), Job(("seed=1", "model.filters=[8]"), 2, None))
    first, second = (line for line in table.splitlines() if "seed=" in line)
    assert "*" not in table  # nothing to choose from
    for cell in ("seed=0 model.filters=[8]", "0.9500", "0.9375", " 2 ", "1 min 05 s", str(run.path)):
        assert cell in first
    assert "seed=1 model.filters=[8]" in second
    assert "failed (exit code 2)" in second


def test_the_run_to_choose_is_marked_by_its_validation_accuracy_also_where_nothing_is_bold(tmp_path):
    runs = [finished_run(tmp_path, 0.9, test=0.99), finished_run(tmp_path, 0.95, test=0.9), None]
    table = printed(*(Job((f"seed={seed}",), 0, run and run.path) for seed, run in enumerate(runs)))
    first, second, failed = (line for line in table.splitlines() if "seed=" in line)
    assert second.startswith("│ * │") and "*" not in first + failed
    assert "* the highest validation accuracy: the one to choose" in table


def test_a_narrow_terminal_shows_every_value_whole(tmp_path):
    runs = [finished_run(tmp_path, 0.9, test=0.99), finished_run(tmp_path, 0.95, test=0.9)]
    shown = printed(*(Job((f"seed={seed}",), 0, run.path) for seed, run in enumerate(runs)), width=20)
    assert "…" not in shown and "* seed=1\n" in shown
    assert all(line in " ".join(shown.split()) for line in ("test accuracy 0.9900 best epoch 1 time 32 s", "run /"))


def test_durations_read_as_people_say_them():
    assert [duration(seconds) for seconds in (4.4, 59.4, 59.6, 3599, 8000)] == [
        "4 s",
        "59 s",
        "1 min 00 s",
        "59 min 59 s",
        "2 h 13 min",
    ]


def test_sigterm_is_passed_on_to_the_job_of_a_sweep_and_its_exit_code_comes_back():
    job = "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit(143)); time.sleep(60)"
    previous = signal.getsignal(signal.SIGTERM)
    threading.Timer(2, os.kill, (os.getpid(), signal.SIGTERM)).start()
    assert _run_job([sys.executable, "-c", job], dict(os.environ)) == (143, True)
    assert signal.getsignal(signal.SIGTERM) is previous


def test_a_job_that_a_signal_ended_has_the_code_that_a_shell_gives_it():
    job = "import os, signal; os.kill(os.getpid(), signal.SIGINT)"
    code, asked_to_stop = _run_job([sys.executable, "-c", job], dict(os.environ))
    assert (code, asked_to_stop) == (130, False)
