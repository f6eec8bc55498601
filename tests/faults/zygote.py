"""Trains in many short-lived processes without importing TensorFlow anew in each: a parent that imports and forks.

It reads a job a line (JSON) from stdin and answers with the job's exit code. A job has `words`, the command line of
train.py; `log`, where its output goes; and how it is disturbed, if it is:
`signal` and `at` ([callback's method, epoch, step]): it sends itself this signal there;
`signal` and `after` (seconds): it gets this signal so long after its start;
`free` (bytes of `memory`, of `disk`): what it finds to be free; `cache`: where things are remembered.
"""

import json
import os
import sys
import time
import traceback
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np  # noqa: E402
import tensorflow_datasets as tfds  # noqa: E402

import convlens.data.cache.disk_space as disk_space  # noqa: E402
import convlens.data.cache.memory as memory  # noqa: E402
import convlens.data.pipeline  # noqa: E402, F401
from convlens.configs import Train  # noqa: E402
from convlens.configs.composition import compose  # noqa: E402
from convlens.core.errors import Stopped, UserError  # noqa: E402
from convlens.train import train  # noqa: E402
from convlens.training.state import Checkpoints  # noqa: E402


class TinyBlobs(tfds.core.GeneratorBasedBuilder):
    """Bright blobs in one of three corners, noisy enough that accuracy moves for many epochs."""

    VERSION = tfds.core.Version("1.0.0")
    pkg_dir_path = Path(__file__).parent
    SIZES = {"train": 44, "validation": 21, "test": 9}

    def _info(self):
        features = {"image": tfds.features.Image(shape=(8, 8, 3)), "label": tfds.features.ClassLabel(num_classes=3)}
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

    def _split_generators(self, dl_manager):
        return {name: self._generate_examples(number, count) for number, (name, count) in enumerate(self.SIZES.items())}

    def _generate_examples(self, seed, count):
        generator = np.random.default_rng(seed)
        for index in range(count):
            image = generator.normal(90, 60, (8, 8, 3))
            row, column = [(0, 0), (0, 4), (4, 2)][index % 3]
            image[row : row + 4, column : column + 4] += 50
            yield index, {"image": np.clip(image, 0, 255).astype("uint8"), "label": index % 3}


def train_here(job: dict) -> int:
    os.environ["XDG_CACHE_HOME"] = job.get("cache", os.environ["XDG_CACHE_HOME"])
    free = job.get("free", {})
    if "memory" in free:
        memory.free_memory = lambda: free["memory"]
    if "disk" in free:
        disk_space.free = lambda: free["disk"]
    if "at" in job:
        method, *place = job["at"]
        undisturbed = getattr(Checkpoints, method)

        def disturbed(self, index, logs=None):
            step = self.offset + index if method == "on_train_batch_begin" else index
            if [self.epoch, step] == place:
                os.kill(os.getpid(), job["signal"])
            undisturbed(self, index, logs)

        setattr(Checkpoints, method, disturbed)
    try:
        train(compose("train", Train, job["words"]))
    except UserError as error:
        print(f"REFUSED {error}")
        return 2
    except Stopped as stop:
        return 128 + stop.signal
    except BaseException:
        traceback.print_exc(file=sys.stdout)
        return 1
    return 0


def in_a_child(job: dict) -> int:
    child = fork(lambda: train_here(job), job["log"])
    if "after" in job:
        time.sleep(job["after"])
        os.kill(child, job["signal"])
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def fork(work, log: str) -> int:
    child = os.fork()
    if child == 0:
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        code = work()
        sys.stdout.flush()
        os._exit(code or 0)
    return child


if __name__ == "__main__":
    # In a child too: nothing may start here that a fork would lose.
    os.waitpid(fork(lambda: TinyBlobs(data_dir=sys.argv[1]).download_and_prepare() and 0, os.devnull), 0)
    print("ready", flush=True)
    for line in sys.stdin:
        print(in_a_child(json.loads(line)), flush=True)
