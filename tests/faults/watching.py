"""What reading a file did to this process: programs, network and files, memory, Keras' global state."""

import os
import sys
from pathlib import Path

import keras


class Watch:
    """What Python is about to do, as its audit events tell: programs, network, files opened."""

    FORBIDDEN = ("os.system", "os.exec", "os.posix_spawn", "os.fork", "subprocess.", "socket.", "urllib.", "ftplib.",
                 "http.", "pickle.", "marshal.loads", "ctypes.")  # fmt: skip

    def __init__(self):
        self.on = False
        self.done: list[str] = []
        self.opened: list[str] = []
        sys.addaudithook(self.hear)

    def hear(self, event, arguments):
        if not self.on:
            return
        if event.startswith(self.FORBIDDEN):
            self.done.append(f"{event}{arguments}")
        elif event == "open" and isinstance(arguments[0], str | bytes | os.PathLike):
            self.opened.append(os.fsdecode(arguments[0]))

    def files_outside(self, *allowed: Path) -> list[str]:
        """What was opened but for `allowed` and modules that Python imports."""
        roots = [str(root) for root in (*allowed, sys.prefix, sys.base_prefix, Path(__file__).parents[2])]
        return [name for name in self.opened if not name.startswith(tuple(roots))]


class Peak:
    """Growth of this process' memory at its highest, in megabytes."""

    def __enter__(self):
        Path("/proc/self/clear_refs").write_text("5")  # forget the highest so far
        self.before = self.kilobytes("VmRSS")
        return self

    def __exit__(self, *_):
        self.growth = (self.kilobytes("VmHWM") - self.before) / 1024

    @staticmethod
    def kilobytes(field):
        status = Path("/proc/self/status").read_text()
        return int(status.split(f"{field}:")[1].split()[0])


def keras_state():
    return {
        "floatx": keras.config.floatx(),
        "epsilon": keras.config.epsilon(),
        "data format": keras.config.image_data_format(),
        "policy": keras.config.dtype_policy().name,
        "backend": keras.config.backend(),
        "epochs": keras.config.max_epochs(),
        "steps": keras.config.max_steps_per_epoch(),
        "custom objects": dict(keras.saving.get_custom_objects()),
        "traceback filtering": keras.config.is_traceback_filtering_enabled(),
        "interactive logging": keras.config.is_interactive_logging_enabled(),
    }
