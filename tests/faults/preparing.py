"""Prepares a dataset while something goes wrong: python preparing.py FOLDER SMALL_DISK; prints the outcomes as JSON.

Every attempt is a child forked from this process, which imports TensorFlow and computes nothing.
SMALL_DISK is a file system with little room, or '-' where there is none; the writer then reports a full disk itself.
"""

import errno
import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np  # noqa: E402
import tensorflow_datasets as tfds  # noqa: E402

import convlens.data.sources.tfds  # noqa: E402, F401
from convlens.configs import Data
from convlens.core.errors import UserError
from convlens.data import open_dataset  # noqa: E402

IMAGES = 60


class Prepared(tfds.core.GeneratorBasedBuilder):
    """Noise of two classes. `at_image` is called with the number of every image before it is written."""

    VERSION = tfds.core.Version("1.0.0")
    pkg_dir_path = Path(__file__).parent
    at_image = staticmethod(lambda number: None)

    def _info(self):
        features = {"image": tfds.features.Image(shape=(32, 32, 3)), "label": tfds.features.ClassLabel(num_classes=2)}
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples()}

    def _generate_examples(self):
        for number in range(IMAGES):
            type(self).at_image(number)
            image = np.random.default_rng(number).integers(0, 256, (32, 32, 3), np.uint8)
            yield number, {"image": image, "label": number % 2}


def attempt(folder: Path, at_image=lambda number: None):
    """Starts to open the dataset in a child; the function that is returned waits for it and tells how it ended."""
    report = folder.with_name(f"{folder.name}-{time.monotonic_ns()}.txt")
    child = os.fork()
    if child == 0:
        Prepared.at_image = staticmethod(at_image)
        try:
            dataset = open_dataset(Data(source="tfds", name="prepared", data_dir=str(folder)), progress=False)
            report.write_text(f"opened {sum(dataset.info.sizes.values())}")
        except UserError as error:
            report.write_text(f"refused {error}")
        except BaseException as error:
            report.write_text(f"trace {type(error)} {error}")
        os._exit(0)

    def wait() -> str:
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        return report.read_text() if code == 0 else f"killed {-code}"

    return wait


def killed_at(last: int):
    return lambda number: number == last and os.kill(os.getpid(), signal.SIGKILL)


def failing_at(last: int, error: Exception):
    def fail(number: int) -> None:
        if number == last:
            raise error

    return fail


def together(folder: Path, count: int) -> list[str]:
    """Several preparations, each of which writes nothing before all have begun."""
    meeting = folder.with_name("meeting")
    meeting.mkdir()

    def meet(number: int) -> None:
        (meeting / str(os.getpid())).touch()
        while number == 0 and len(list(meeting.iterdir())) < count:
            time.sleep(0.01)

    waiting = [attempt(folder, meet) for _ in range(count)]
    return [wait() for wait in waiting]


if __name__ == "__main__":
    root, small = Path(sys.argv[1]), sys.argv[2]
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    crowded = Path(small) if small != "-" else root / "crowded"
    results = {
        "killed": attempt(root / "killed", killed_at(30))(),
        "killed, then again": attempt(root / "killed")(),
        "stopped": attempt(root / "stopped", failing_at(30, KeyboardInterrupt()))(),
        "stopped, then again": attempt(root / "stopped")(),
        "failing": attempt(root / "failing", failing_at(30, ValueError("record 30 has no image")))(),
        "failing, then again": attempt(root / "failing")(),
        "full disk": attempt(crowded, (lambda number: None) if small != "-" else failing_at(30, full))(),
        "full disk, then again": attempt(shutil.move(crowded, root / "roomy") if small == "-" else root / "roomy")(),
        "three at once": together(root / "together", 3),
    }
    print(json.dumps(results))
