"""Runs side by side."""

import os
import signal
import sys
import threading

from rich.console import Console

from convlens.configs import Train
from convlens.configs.cli import Job, _run_job
from convlens.training.run import Run
from convlens.training.sweep import duration, summary


def test_a_line_a_job_with_scores_time_and_place(tmp_path):
    run = Run.create(tmp_path, "cars", Train())
    row = {"epoch": 1, "val_accuracy": 0.91234, "seconds": 40.0}
    run.write_metrics([row, row | {"epoch": 2, "val_accuracy": 0.95, "seconds": 25.0}])
    run.write_facts(best={"epoch": 2})
    run.write_json(run.evaluation_path, {"accuracy": 0.9375})
    jobs = [Job(("seed=0", "model.filters=[8]"), 0, run.path), Job(("seed=1", "model.filters=[8]"), 2, None)]

    console = Console(width=250, record=True, file=open("/dev/null", "w"))
    console.print(summary(jobs))
    first, second = (line for line in console.export_text().splitlines() if "seed=" in line)
    for cell in ("seed=0 model.filters=[8]", "0.9500", "0.9375", " 2 ", "1 min 05 s", str(run.path)):
        assert cell in first
    assert "seed=1 model.filters=[8]" in second
    assert "failed (exit code 2)" in second


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
    before = signal.getsignal(signal.SIGTERM)
    threading.Timer(2, os.kill, (os.getpid(), signal.SIGTERM)).start()
    assert _run_job([sys.executable, "-c", job], dict(os.environ)) == 143
    assert signal.getsignal(signal.SIGTERM) is before
