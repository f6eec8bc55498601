"""Ways to do the work, each in a process of its own: they share no threads, no allocator and no caches."""

import multiprocessing
import os
import resource
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack
from typing import Any

Prepare = Callable[..., Callable[[], float]]


class Worker(AbstractContextManager):
    """A process that prepares one way once, then takes a turn whenever it is called; it rests in between.

    `prepare(*arguments)` runs there and returns the function of a turn; it must be importable by name. What it raises
    is raised here.
    """

    def __init__(self, prepare: Prepare, *arguments: Any):
        here, there = multiprocessing.Pipe()
        context = multiprocessing.get_context("spawn")  # a forked TensorFlow does not work
        self._pipe = here
        # Not a daemon: those may have no children, and PyTorch's DataLoader has. A closed pipe ends it.
        self._process = context.Process(target=_work, args=(there, prepare, arguments))
        self._process.start()
        there.close()
        self._ready = False

    def wait(self) -> None:
        """Until it is prepared."""
        if not self._ready:
            self._receive()
            self._ready = True

    def __call__(self) -> float:
        self.wait()
        self._pipe.send("turn")
        return self._receive()

    @property
    def peak_memory(self) -> float:
        """Bytes: the most that the process has held so far."""
        self._pipe.send("memory")
        return self._receive()

    def __exit__(self, *_: object) -> None:
        self._pipe.close()
        self._process.join(timeout=10)
        if self._process.is_alive():
            self._process.terminate()

    def _receive(self) -> Any:
        try:
            message = self._pipe.recv()
        except EOFError:
            raise RuntimeError(f"the measuring process ended with code {self._process.exitcode}") from None
        if isinstance(message, BaseException):
            raise message
        return message


def prepared(works: Mapping[str, tuple], stack: ExitStack) -> dict[str, Worker]:
    """A worker for each way, given as `(prepare, *arguments)`, all of them ready; they end with the stack."""
    workers = {name: stack.enter_context(Worker(*work)) for name, work in works.items()}
    for worker in workers.values():
        worker.wait()
    return workers


def _work(pipe: Any, prepare: Prepare, arguments: tuple) -> None:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        turn = prepare(*arguments)
        pipe.send("ready")
        while True:
            request = pipe.recv()
            pipe.send(turn() if request == "turn" else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
    except EOFError:
        return
    except Exception as error:
        pipe.send(RuntimeError(f"{type(error).__name__}: {error}"))
