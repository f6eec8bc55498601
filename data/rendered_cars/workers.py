"""Many pictures at once, rendered and encoded by processes of their own.

The processes are plain Python programs that import NumPy and Pillow only. They are not forked, so TensorFlow's
threads in the parent do no harm, and not `multiprocessing`'s, so that a script without a `__main__` guard is not run
again. Each sends its pictures through its own pipe, in order; a full pipe makes it wait.
"""

import io
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from PIL import Image

from .render import render

_MOST = 8  # more would wait for the one process that writes the records


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def encoded(style: str, seed: str, size: int) -> dict[str, Any]:
    """As `render`, with `image` and `parts` as the bytes of PNG files."""
    picture = render(style, seed, size)
    return picture | {"image": _png(picture["image"]), "parts": _png(picture["parts"][..., 0])}


def _png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "png", compress_level=1)
    return file.getvalue()


def render_all(styles: Sequence[str], split: str, count: int, size: int) -> Iterator[dict[str, Any]]:
    """Encoded pictures 0 ... count - 1 of a split, in order; picture i shows a vehicle of styles[i % len(styles)]."""
    workers = max(min(_cores(), _MOST, count), 1)
    job = {"styles": list(styles), "split": split, "size": size}
    tasks = [job | {"span": [first, count, workers]} for first in range(workers)]
    command = [sys.executable, "-P", "-m", "convlens.data.rendered_cars.workers"]
    processes = []
    try:
        for task in tasks:
            # In a group of its own: the terminal's Ctrl-C reaches the parent alone, which ends them.
            working = subprocess.Popen([*command, json.dumps(task)], stdout=subprocess.PIPE, process_group=0)
            processes.append(working)
        for index in range(count):
            yield _next(processes[index % workers])
    finally:
        for process in processes:
            process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()


def _next(process: subprocess.Popen) -> dict[str, Any]:
    assert process.stdout is not None, "it is a pipe"
    try:
        return pickle.load(process.stdout)
    except EOFError:
        raise RuntimeError(f"a process that renders pictures ended early, with code {process.wait()}") from None


def _work(styles: Sequence[str], split: str, size: int, span: Sequence[int]) -> None:
    for index in range(*span):
        picture = encoded(styles[index % len(styles)], f"{split}/{index}", size)
        pickle.dump(picture, sys.stdout.buffer)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    try:
        _work(**json.loads(sys.argv[1]))
    except BrokenPipeError:
        os._exit(1)  # nobody listens any more
