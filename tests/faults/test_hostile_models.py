"""Model files made to harm, and files that merely broke: each is refused with its true reason, and nothing happens.

To add a case, add a row to HOSTILE: a name, a function that makes the file, words that the refusal must say.
"""

import copy
import io
import json
import os
import pickle
import random
import socket
import subprocess
import sys
import tempfile
import textwrap
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import h5py  # noqa: E402
import keras  # noqa: E402
import numpy as np  # noqa: E402
import pytest  # noqa: E402
from keras import layers  # noqa: E402

from configs import Model  # noqa: E402
from models import ModelError, build_model  # noqa: E402
from models.reading import read_model  # noqa: E402
from models.saved_config import expected_weights  # noqa: E402
from models.saved_weights import checked_weights  # noqa: E402

SECONDS, MEGABYTES = 2, 500
CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
CANARY = Path(tempfile.gettempdir()) / f"convlens-canary-{os.getpid()}"
TOUCH = f"touch {CANARY}"

Maker = Callable[[Path, Path], object]  # (empty folder, a good model file) -> the hostile file


def members(good: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(good) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(folder: Path, contents, compression=zipfile.ZIP_STORED) -> Path:
    path = folder / "hostile.keras"
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in contents.items() if isinstance(contents, dict) else contents:
            archive.writestr(name, content)
    return path


def of_bytes(content: bytes | Callable[[bytes], bytes], name: str = "hostile.keras") -> Maker:
    def make(folder, good):
        path = folder / name
        path.write_bytes(content(good.read_bytes()) if callable(content) else content)
        return path

    return make


def with_members(edit: Callable[[dict], object], compression=zipfile.ZIP_STORED) -> Maker:
    def make(folder, good):
        contents = members(good)
        return packed(folder, edit(contents) or contents, compression)

    return make


def with_config(edit: Callable[[dict], object]) -> Maker:
    def make(contents):
        config = json.loads(contents[CONFIG])
        contents[CONFIG] = json.dumps(edit(config) or config).encode()

    return with_members(make)


def layer(config: dict, class_name: str) -> dict:
    return next(item for item in config["config"]["layers"] if item["class_name"] == class_name)


def with_option(which: str, **options) -> Maker:
    return with_config(lambda config: layer(config, which)["config"].update(options))


def in_place_of(which: str, **changes) -> Maker:
    """Changes the serialized layer itself: its class, its module, its registered name."""
    return with_config(lambda config: layer(config, which).update(changes))


def with_weights(edit: Callable[[h5py.File], object]) -> Maker:
    def make(contents):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "weights.h5")
            path.write_bytes(contents[WEIGHTS])
            with h5py.File(path, "r+") as file:
                edit(file)
            contents[WEIGHTS] = path.read_bytes()

    return with_members(make)


def dataset_made_anew(**options) -> Maker:
    """The first kernel stored in another way."""

    def edit(file):
        shape = file[KERNEL].shape
        del file[KERNEL]
        file.create_dataset(KERNEL, **{"shape": shape, "dtype": "f4", **options})

    return with_weights(edit)


KERNEL = "layers/conv2d/vars/0"


def flipped(marker: bytes, after: int) -> Callable[[bytes], bytes]:
    def edit(content):
        place = content.index(marker) + after
        return content[:place] + bytes([content[place] ^ 8]) + content[place + 1 :]

    return edit


def directory_says(field: int, value: int, width: int = 4, entry: bytes = CONFIG.encode()) -> Maker:
    """Patches a field of a member's entry in the zip directory."""

    def edit(content):
        start = content.rindex(entry) - 46
        assert content[start : start + 4] == b"PK\x01\x02"
        return content[: start + field] + value.to_bytes(width, "little") + content[start + field + width :]

    return of_bytes(edit)


def function(module: str, name: str) -> dict:
    return {"module": module, "class_name": "function", "config": name, "registered_name": name}


def link(folder: Path, target: str) -> Path:
    path = folder / "hostile.keras"
    path.symlink_to(target)
    return path


def fifo(folder, good):
    os.mkfifo(folder / "hostile.keras")
    return folder / "hostile.keras"


def listening_socket(folder, good):
    place = os.getcwd()
    os.chdir(folder)  # a socket's path may have about 100 characters
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind("hostile.keras")
    finally:
        os.chdir(place)
    return folder / "hostile.keras"


def saved_model_folder(folder, good):
    (folder / "hostile.keras").mkdir()
    (folder / "hostile.keras" / "saved_model.pb").write_bytes(b"\x08\x01")
    return folder / "hostile.keras"


def a_folder(folder, good):
    (folder / "hostile.keras").mkdir()
    return folder / "hostile.keras"


def sparse_file(folder, good):
    path = folder / "hostile.keras"
    path.write_bytes(good.read_bytes())
    os.truncate(path, 50 * 2**30)
    return path


def unreadable(folder, good):
    path = of_bytes(bytes)(folder, good)
    path.chmod(0)
    return path


class Runs:
    def __reduce__(self):
        return os.system, (TOUCH,)


def weights_alone(contents):
    return contents[WEIGHTS]


def renamed_h5(folder, good):
    return of_bytes(members(good)[WEIGHTS])(folder, good)


def nested(depth: int, calls: int = 1) -> Maker:
    """Models inside models; each calls the one inside it `calls` times in a row."""

    def tensor(name, call):
        history = [name, call, 0]
        keras_tensor = {"shape": [None, 4], "dtype": "float32", "keras_history": history}
        return {"args": [{"class_name": "__keras_tensor__", "config": keras_tensor}], "kwargs": {}}

    def model(level):
        name = f"level{level}"
        options = {"batch_shape": [None, 4], "dtype": "float32", "name": "in"}
        first = {"module": "keras.layers", "class_name": "InputLayer", "config": options, "registered_name": None}
        inner = (
            {"module": "keras.layers", "class_name": "Flatten", "config": {"name": "inner"}, "registered_name": None}
            if level == 0
            else model(level - 1)
        )
        start = 1 if level else 0
        nodes = [tensor("in", 0) if call == 0 else tensor("inner", start + call - 1) for call in range(calls)]
        return {
            "module": "keras.src.models.functional",
            "class_name": "Functional",
            "config": {
                "name": name,
                "trainable": True,
                "layers": [
                    {**first, "name": "in", "inbound_nodes": []},
                    {**inner, "name": "inner", "inbound_nodes": nodes},
                ],
                "input_layers": ["in", 0, 0],
                "output_layers": ["inner", start + calls - 1, 0],
            },
            "registered_name": "Functional",
        }

    return with_config(lambda config: model(depth))


def many_layers(count: int) -> Maker:
    def edit(config):
        relu = {"module": "keras.layers", "class_name": "ReLU", "config": {"name": "r"}, "registered_name": None}
        config["config"]["layers"] += [relu] * count

    return with_config(edit)


def chain_in_reverse(config):
    chain = config["config"]["layers"]
    chain[1:] = reversed(chain[1:])
    extra = []
    for number in range(60):
        item = copy.deepcopy(layer(config, "Flatten"))
        item["name"] = item["config"]["name"] = f"late{number}"
        source = item["inbound_nodes"][0]["args"][0]["config"]["keras_history"]
        source[0] = f"late{number + 1}" if number < 59 else chain[0]["name"]
        extra.append(item)
    chain[1:1] = extra


def loop(config):
    item = layer(config, "Flatten")
    item["inbound_nodes"][0]["args"][0]["config"]["keras_history"][0] = item["name"]


def swap(file):
    one, other = "layers/conv2d/vars/1", "layers/dense_1/vars/1"
    first, second = file[one][()], file[other][()]
    del file[one], file[other]
    file[one], file[other] = second, first


def replaced(path: str, value) -> Callable[[h5py.File], None]:
    def edit(file):
        del file[path]
        file[path] = value

    return edit


def filled(value: float) -> Callable[[h5py.File], None]:
    def edit(file):
        file[KERNEL][0, 0, 0, 0] = value

    return edit


def virtual(file):
    shape = file[KERNEL].shape
    del file[KERNEL]
    layout = h5py.VirtualLayout(shape=shape, dtype="f4")
    layout[...] = h5py.VirtualSource("/etc/hostname", "a", shape=shape)
    file.create_virtual_dataset(KERNEL, layout)


def outside(file):
    shape = file[KERNEL].shape
    del file[KERNEL]
    file.create_dataset(KERNEL, shape, "f4", external=[("/etc/passwd", 0, h5py.h5f.UNLIMITED)])


def unwritten(file):
    del file["layers/dense/vars/0"]
    file.create_dataset("layers/dense/vars/0", (50_000, 60_000), "f4")


def newer_format(contents):
    target = io.BytesIO()
    with h5py.File(io.BytesIO(contents[WEIGHTS])) as old, h5py.File(target, "w", libver="latest") as new:
        old.copy("layers", new)
    contents[WEIGHTS] = target.getvalue()


def text_of(size: int) -> bytes:
    return b'{"a": "' + b" " * size + b'"}'


def setting(name: str, value) -> Callable[[dict], None]:
    def edit(contents):
        contents[name] = value(contents[name]) if callable(value) else value

    return edit


def without(name: str) -> Callable[[dict], None]:
    return lambda contents: contents.pop(name) and None


def adding(name: str, content: bytes = b"x") -> Callable[[dict], list]:
    return lambda contents: [*contents.items(), (name, content)]


TRUNCATIONS = [5, 30, 60, 100, 500, 1000, 3000, 7000, 12000, 20000, -3000, -500, -200, -100, -60, -30, -22, -10, -2, -1]

HOSTILE: list[tuple[str, Maker, str]] = [
    # What is no ordinary file
    ("missing", lambda folder, good: folder / "hostile.keras", "does not exist"),
    ("broken link", lambda folder, good: link(folder, "nowhere"), "broken link"),
    ("link to itself", lambda folder, good: link(folder, "hostile.keras"), "symbolic links"),
    ("fifo", fifo, "is a FIFO"),
    ("link to an endless device", lambda folder, good: link(folder, "/dev/zero"), "is a device"),
    ("link to an empty device", lambda folder, good: link(folder, "/dev/null"), "is a device"),
    ("socket", listening_socket, "is a socket"),
    ("folder", a_folder, "is a folder"),
    ("SavedModel folder", saved_model_folder, "is a SavedModel folder"),
    ("50 GB sparse file", sparse_file, "takes 53.7 GB"),
    ("unreadable", unreadable, "Permission denied"),
    ("NUL in the name", lambda folder, good: folder / "a\0.keras", "null"),
    ("SHA-256 of another file", of_bytes(bytes), "SHA-256"),
    # What is no zip archive
    ("empty", of_bytes(b""), "0 bytes"),
    ("one byte", of_bytes(b"P"), "does not begin as a zip"),
    ("a megabyte of zeros", of_bytes(bytes(2**20)), "begins with zero bytes"),
    ("first kilobyte lost", of_bytes(lambda content: bytes(1024) + content[1024:]), "begins with zero bytes"),
    ("text", of_bytes(b"This is my model.\n"), "does not begin as a zip"),
    ("web page", of_bytes(b"<!doctype html><title>404</title>"), "web page"),
    ("JSON", of_bytes(b'{"class_name": "Functional"}'), "JSON text"),
    ("HDF5 by another name", renamed_h5, "HDF5 file (.h5) by another name"),
    ("HDF5", of_bytes(bytes, "model.h5"), "ends in '.h5'"),
    ("pickle by another name", of_bytes(pickle.dumps(Runs())), "Python pickle"),
    ("pickle", of_bytes(pickle.dumps(Runs()), "model.pkl"), "ends in '.pkl'"),
    ("gzip", of_bytes(b"\x1f\x8b\x08\x00\x00\x00\x00\x00"), "gzip"),
    # What broke
    *(
        (f"cut at {place}", of_bytes(lambda content, place=place: content[:place]), "is truncated")
        for place in TRUNCATIONS
    ),
    ("bytes after the end", of_bytes(lambda content: content + b"PK more"), "something after its end"),
    ("flipped bit in the configuration", of_bytes(flipped(b"Conv2D", 2)), "config.json cannot be read (Bad CRC"),
    ("flipped bit in the metadata", of_bytes(flipped(b"keras_version", 17)), "metadata.json cannot be read (Bad CRC"),
    ("flipped bit in the weights", of_bytes(flipped(b"\x89HDF", 9000)), "model.weights.h5 cannot be read (Bad CRC"),
    (
        "4 KB of zeros in the weights",
        of_bytes(lambda content: content[: len(content) // 2] + bytes(4096) + content[len(content) // 2 + 4096 :]),
        "Bad CRC",
    ),
    ("flipped bit in the directory", of_bytes(flipped(b"PK\x01\x02", 3)), "zip directory cannot be read"),
    # Zip archives
    ("3 GB of configuration, says the directory", directory_says(24, 3 * 2**30), "takes 3.2 GB once unpacked"),
    (
        "200 MB of spaces, compressed",
        with_members(setting(CONFIG, text_of(200 * 10**6)), zipfile.ZIP_DEFLATED),
        "takes 200.0 MB once unpacked",
    ),
    ("100 MB of configuration", with_members(setting(CONFIG, text_of(10**8))), "takes 100.0 MB once unpacked"),
    (
        "100 MB of zeros for weights, compressed",
        with_members(setting(WEIGHTS, bytes(10**8)), zipfile.ZIP_DEFLATED),
        "decompression bomb",
    ),
    (
        "5,000 members",
        with_members(lambda contents: {**contents, **{f"m{n}": b"" for n in range(5000)}}),
        "5,003 members",
    ),
    ("no members", of_bytes(b"PK\x05\x06" + bytes(18)), "does not begin as a zip"),
    ("configuration twice", with_members(adding(CONFIG, b"{}")), "4 members"),
    ("configuration twice, no metadata", with_members(lambda c: [*list(c.items())[1:], (CONFIG, b"{}")]), "2 times"),
    ("a fourth member", with_members(adding("assets/vocabulary.txt")), "4 members"),
    ("path upwards", with_members(lambda c: [*list(c.items())[1:], ("../../evil.py", b"x")]), "holds '../../evil.py'"),
    ("absolute path", with_members(lambda c: [*list(c.items())[1:], ("/tmp/evil.py", b"x")]), "holds '/tmp/evil.py'"),
    ("no configuration", with_members(without(CONFIG)), "holds no config.json"),
    ("no metadata", with_members(without(METADATA)), "holds no metadata.json"),
    ("no weights", with_members(without(WEIGHTS)), "holds no model.weights.h5"),
    (
        "weights as npz",
        with_members(lambda c: {**{k: v for k, v in c.items() if k != WEIGHTS}, "model.weights.npz": b"PK"}),
        "holds 'model.weights.npz'",
    ),
    ("encrypted", directory_says(8, 1, 2), "is encrypted"),
    ("bzip2", with_members(lambda contents: None, zipfile.ZIP_BZIP2), "method 12"),
    ("lzma", with_members(lambda contents: None, zipfile.ZIP_LZMA), "method 14"),
    ("size that is a lie", directory_says(24, 10), "is damaged"),
    ("offset that is a lie", directory_says(42, 2**31), "is damaged"),
    # JSON
    ("not JSON", with_members(setting(CONFIG, b"class Functional:")), "is not JSON"),
    ("not UTF-8", with_members(setting(CONFIG, b'{"a": "\xff\xfe"}')), "is not UTF-8"),
    ("UTF-16", with_members(setting(CONFIG, lambda content: content.decode().encode("utf-16"))), "is not UTF-8"),
    ("a list", with_members(setting(CONFIG, b"[]")), "holds list"),
    ("null", with_members(setting(CONFIG, b"null")), "holds NoneType"),
    ("an empty group", with_members(setting(CONFIG, b"{}")), "is no model"),
    ("a key twice", with_members(setting(CONFIG, b'{"module": 1, "module": 2}')), "'module' twice"),
    ("NaN", with_members(setting(CONFIG, b'{"a": NaN}')), "says NaN"),
    ("a number of 100,000 digits", with_members(setting(CONFIG, b'{"a": ' + b"9" * 10**5 + b"}")), "is not JSON"),
    (
        "100,000 levels",
        with_members(setting(CONFIG, b'{"a": ' + b"[" * 10**5 + b"]" * 10**5 + b"}")),
        "nested too deeply",
    ),
    ("2,000 levels", with_config(lambda c: [c := {"config": c} for _ in range(900)] and c), "nested too deeply"),
    (
        "a million lists",
        with_members(setting(CONFIG, b'{"a": [' + b"[]," * 10**6 + b"[]]}")),
        "more than 500,000 lists",
    ),
    ("metadata of Keras 2", with_members(setting(METADATA, b'{"keras_version": "2.15.0"}')), "Keras 2.15.0"),
    ("metadata without a version", with_members(setting(METADATA, b"{}")), "Keras None"),
    # Code and functions
    ("Lambda layer", in_place_of("Flatten", class_name="Lambda"), "Lambda layer 'head_flatten', which runs code"),
    (
        "marshalled lambda",
        with_option("Dense", activation={"class_name": "__lambda__", "config": {"value": "4wEAAAA="}}),
        "which runs code",
    ),
    (
        "custom class",
        in_place_of("Flatten", module=None, class_name="Evil", registered_name="package>Evil"),
        "custom class 'package>Evil'",
    ),
    ("os.system", in_place_of("Flatten", module="os", class_name="system"), "names os.system"),
    (
        "os.system called",
        in_place_of("Flatten", module="os", class_name="function", config="system", registered_name="system"),
        "calls the function 'os.system'",
    ),
    ("builtins.eval", in_place_of("Flatten", module="builtins", class_name="eval"), "names builtins.eval"),
    ("subprocess.Popen", in_place_of("Flatten", module="subprocess", class_name="Popen"), "names subprocess.Popen"),
    (
        "module that runs when imported",
        in_place_of("Flatten", module="antigravity", class_name="x"),
        "names antigravity.x",
    ),
    (
        "registered under another name",
        in_place_of("Flatten", registered_name="Dense"),
        "registers keras.layers.Flatten",
    ),
    (
        "internals of Keras",
        in_place_of("Flatten", module="keras.src.utils.file_utils", class_name="get_file"),
        "keras.src.utils.file_utils.get_file",
    ),
    (
        "pickle among Keras' classes",
        in_place_of("Flatten", module="keras.src.saving.keras_saveable", class_name="KerasSaveable"),
        "not one of the built-in layers",
    ),
    ("set_floatx", with_option("Dense", activation=function("keras.config", "set_floatx")), "keras.config.set_floatx"),
    (
        "set_max_epochs",
        with_option("Conv2D", kernel_initializer=function("keras.config", "set_max_epochs")),
        "keras.config.set_max_epochs",
    ),
    (
        "set_image_data_format",
        in_place_of("Flatten", **function("keras.config", "set_image_data_format")),
        "keras.config.set_image_data_format",
    ),
    (
        "enable_unsafe_deserialization",
        with_option("Conv2D", kernel_regularizer=function("keras.config", "enable_unsafe_deserialization")),
        "enable_unsafe_deserialization",
    ),
    ("get_file", with_option("Dense", activation=function("keras.utils", "get_file")), "keras.utils.get_file"),
    (
        "a function for a model",
        with_config(lambda c: function("keras.config", "set_epsilon")),
        "keras.config.set_epsilon",
    ),
    ("unknown activation", with_option("Dense", activation="get_file"), "unknown activation 'get_file'"),
    ("unknown initializer", with_option("Dense", kernel_initializer="stft"), "unknown initializer 'stft'"),
    ("TFSMLayer", in_place_of("Flatten", class_name="TFSMLayer"), "keras.layers.TFSMLayer"),
    ("TorchModuleWrapper", in_place_of("Flatten", class_name="TorchModuleWrapper"), "keras.layers.TorchModuleWrapper"),
    ("JaxLayer", in_place_of("Flatten", class_name="JaxLayer"), "keras.layers.JaxLayer"),
    (
        "StringLookup of a file",
        in_place_of("Flatten", class_name="StringLookup", config={"name": "x", "vocabulary": "/etc/passwd"}),
        "keras.layers.StringLookup",
    ),
    (
        "TextVectorization of a file",
        in_place_of("Flatten", class_name="TextVectorization", config={"name": "x", "vocabulary": "/etc/passwd"}),
        "keras.layers.TextVectorization",
    ),
    ("wrapper", in_place_of("Flatten", class_name="TimeDistributed"), "keras.layers.TimeDistributed"),
    ("subclassed model", with_config(lambda c: {**c, "module": "keras", "class_name": "Model"}), "keras.Model"),
    (
        "layer without a module",
        with_config(lambda c: layer(c, "Flatten").pop("module") and None),
        "custom class 'Flatten'",
    ),
    (
        "array in an option",
        with_option("Rescaling", scale={"class_name": "__numpy__", "config": {"value": [1], "dtype": "float32"}}),
        "an object of class __numpy__",
    ),
    (
        "tensor in an option",
        with_option("Rescaling", offset={"class_name": "__tensor__", "config": {"value": 1, "dtype": "float32"}}),
        "an object of class __tensor__",
    ),
    (
        "type in an option",
        with_option("Dense", dtype={"class_name": "__typespec__", "spec_name": "x", "config": []}),
        "class '__typespec__'",
    ),
    (
        "quantized weights",
        with_option(
            "Dense",
            dtype={"module": "keras", "class_name": "QuantizedDTypePolicy", "config": {}, "registered_name": None},
        ),
        "QuantizedDTypePolicy",
    ),
    ("low-rank weights", with_option("Dense", lora_rank=10**9), "sets 'lora_rank'"),
    ("tensor in an input layer", with_option("InputLayer", input_tensor=[1]), "sets 'input_tensor'"),
    ("key beside the layers", with_config(lambda c: c["config"].update(inputs=[1])), "sets 'inputs'"),
    # More than a machine has
    ("11 GB Dense", with_option("Dense", units=10_800_000), "asks for 11"),
    ("endless Dense", with_option("Dense", units=10**15), "asks for weights of shape"),
    ("huge Conv2D", with_option("Conv2D", filters=10**8), "of weights"),
    ("huge kernel", with_option("Conv2D", kernel_size=[10**5, 10**5]), "of weights"),
    ("huge input", with_option("InputLayer", batch_shape=[None, 10**6, 10**6, 3]), "more than 2**30 values"),
    ("endless side", with_option("InputLayer", batch_shape=[None, 10**12, 1, 3]), "a side is a number from 1"),
    (
        "huge built shape",
        with_config(lambda c: layer(c, "Dense").update(build_config={"input_shape": [None, 10**7]})),
        "of weights",
    ),
    (
        "statistics spread over an image",
        in_place_of(
            "Rescaling",
            class_name="Normalization",
            config={"name": "rescale", "axis": [1, 2, 3], "mean": 0.0, "variance": 1.0},
            build_config={"input_shape": [None, 16384, 16384, 3]},
        ),
        "spreads its mean",
    ),
    ("negative units", with_option("Dense", units=-1), "asks for weights of shape (256, -1)"),
    ("no units", with_option("Dense", units=0), "asks for weights of shape (256, 0)"),
    ("units that are text", with_option("Dense", units="64"), "asks for weights of shape"),
    ("true units", with_option("Dense", units=True), "asks for weights of shape (256, True)"),
    ("no groups", with_option("Conv2D", groups=0), "do not fit together"),
    ("kernel without a size", with_option("Conv2D", kernel_size=None), "do not fit together"),
    (
        "unbuilt layer",
        with_config(lambda c: layer(c, "Dense").pop("build_config") and None),
        "before its input's shape",
    ),
    ("long list", with_option("Rescaling", scale=[0.0] * 10**5), "over-long list"),
    ("lists of lists", with_option("Rescaling", scale=[[[0.0] * 90] * 90] * 100), "over-long list"),
    ("options out of range", with_option("Dropout", rate=7), "cannot be built: ValueError"),
    ("infinite number", with_option("Dropout", rate=10**400), "has the number"),
    ("models in models", nested(8), "nests models more than 5 deep"),
    ("models called 60 times each", nested(4, 60), "calls its layers more than 50,000 times"),
    ("6,000 layers", many_layers(6000), "has 6,0"),
    ("30,000 layers", many_layers(30_000), "has 30,0"),
    ("layers in reverse order", with_config(chain_in_reverse), "cannot be linked"),
    ("layers in a loop", with_config(loop), "cannot be linked"),
    (
        "link to nowhere",
        with_config(lambda c: c["config"].update(output_layers=["nowhere", 0, 0])),
        "links to the layer 'nowhere'",
    ),
    (
        "two layers of one name",
        with_config(lambda c: c["config"]["layers"].append(c["config"]["layers"][0])),
        "two layers of the same name",
    ),
    ("no layers", with_config(lambda c: c["config"].update(layers=[])), "lists no layers"),
    ("name that rewrites the terminal", with_option("Dense", name="\x1b[2Jok"), r"\x1b[2Jok"),
    ("name of 100,000 characters", with_option("Dense", name="x" * 10**5), "at most 200 characters"),
    # Weights
    ("empty weights", with_members(setting(WEIGHTS, b"")), "asks for"),
    ("zeros for weights", with_members(setting(WEIGHTS, lambda w: bytes(len(w)))), "a form of HDF5"),
    ("text for weights", with_members(setting(WEIGHTS, b"weights " * 20000)), "a form of HDF5"),
    ("weights cut in half", with_members(setting(WEIGHTS, lambda w: w[: len(w) * 3 // 4])), "weights"),
    ("NaN in the weights", with_weights(filled(np.nan)), "NaN or infinite in layer 'block1_conv1'"),
    ("infinity in the weights", with_weights(filled(-np.inf)), "NaN or infinite in layer 'block1_conv1'"),
    ("kernel missing", with_weights(lambda file: file.__delitem__(KERNEL)), "misses weights of layer 'block1_conv1'"),
    ("all weights missing", with_weights(lambda file: file.__delitem__("layers")), "misses weights of layer"),
    ("array too many", with_weights(lambda file: file.create_dataset("layers/extra", data=[1.0])), "'layers/extra'"),
    ("kernel of another shape", with_weights(replaced(KERNEL, np.zeros((3, 3, 3, 5), "f4"))), "(3, 3, 3, 5)"),
    ("kernel transposed", with_weights(replaced(KERNEL, np.zeros((4, 3, 3, 3), "f4"))), "(4, 3, 3, 3)"),
    ("biases swapped", with_weights(swap), "which has (4,)"),
    ("kernel as float64", with_weights(replaced(KERNEL, np.zeros((3, 3, 3, 4)))), "dtype float64"),
    ("kernel as whole numbers", with_weights(replaced(KERNEL, np.zeros((3, 3, 3, 4), "i4"))), "dtype int32"),
    ("kernel in other byte order", with_weights(replaced(KERNEL, np.zeros((3, 3, 3, 4), ">f4"))), "of a type"),
    ("text in the weights", dataset_made_anew(dtype=h5py.string_dtype()), "of a type that is not read"),
    ("references in the weights", dataset_made_anew(dtype=h5py.ref_dtype), "of a type that is not read"),
    ("records in the weights", dataset_made_anew(dtype=[("a", "f4")]), "of a type that is not read"),
    (
        "40 GB in chunks",
        dataset_made_anew(shape=(10**5, 10**5), chunks=(1000, 1000)),
        "in chunks, compressed or virtual",
    ),
    ("compressed weights", dataset_made_anew(compression="gzip"), "in chunks, compressed or virtual"),
    ("12 GB never written", with_weights(unwritten), "declares 12.0 GB"),
    ("weights in another file", with_weights(outside), "stored in other files"),
    ("virtual weights", with_weights(virtual), "virtual"),
    (
        "soft link",
        with_weights(lambda f: f.__delitem__(KERNEL) or f.__setitem__(KERNEL, h5py.SoftLink("/layers/dense/vars/0"))),
        "link to somewhere else",
    ),
    (
        "link to another file",
        with_weights(
            lambda f: f.__delitem__(KERNEL) or f.__setitem__(KERNEL, h5py.ExternalLink("/tmp/other.h5", "/a"))
        ),
        "links in its weights",
    ),
    ("array under two names", with_weights(lambda f: f.__setitem__("layers/again", f[KERNEL])), "reached twice"),
    ("group that holds itself", with_weights(lambda f: f["layers"].__setitem__("self", f["layers"])), "reached twice"),
    ("newer HDF5", with_members(newer_format), "form of HDF5 that Keras does not write"),
]


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


@pytest.fixture(scope="module")
def watch():
    return Watch()


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """A small model of ours, with every part that the hostile files change."""
    config = Model(filters=[4], head={"dense": [4], "dropout": 0.1})
    path = tmp_path_factory.mktemp("good") / "good.keras"
    build_model(config, (16, 16), 3, 3, seed=0).save(path)
    return path


@pytest.fixture(scope="module")
def tally():
    found = {"tried": 0, "refused": 0, "seconds": 0.0, "megabytes": 0.0}
    yield found
    print("\n{tried} tried, {refused} refused; at most {seconds:.2f} s and {megabytes:.0f} MB".format(**found))


def test_there_are_at_least_sixty_hostile_files():
    assert len(HOSTILE) >= 60
    assert len({name for name, _, _ in HOSTILE}) == len(HOSTILE)


@pytest.mark.parametrize(("make", "reason"), [row[1:] for row in HOSTILE], ids=[row[0] for row in HOSTILE])
def test_a_hostile_file_is_refused_with_its_true_reason_and_nothing_happens(make, reason, tmp_path, good, watch, tally):
    if make is unreadable and os.geteuid() == 0:
        pytest.skip("root may read everything")
    path = make(tmp_path, good)
    sha256 = "0" * 64 if "SHA-256" in reason else None
    before = keras_state()
    watch.done, watch.opened = [], []
    tally["tried"] += 1

    with Peak() as memory:
        start, started = time.perf_counter(), time.process_time()
        watch.on = True
        try:
            with pytest.raises(ModelError) as refusal:
                read_model(path, sha256=sha256)
        finally:
            watch.on = False
        # Of the processor, so that a busy machine does not fail the test; a wait is caught all the same.
        waited, seconds = time.perf_counter() - start, time.process_time() - started

    line = str(refusal.value)
    assert reason in line
    assert line.isprintable() and len(line) < 700
    assert watch.done == [] and not CANARY.exists()
    assert watch.files_outside(path, Path(tempfile.gettempdir(), "convlens-")) == []
    assert keras_state() == before
    assert seconds < SECONDS and waited < 10 * SECONDS and memory.growth < MEGABYTES
    tally["refused"] += 1
    tally["seconds"] = max(tally["seconds"], seconds)
    tally["megabytes"] = max(tally["megabytes"], memory.growth)


def same(one, other) -> bool:
    images = np.random.default_rng(0).uniform(0, 255, (2, *one.input_shape[1:])).astype("float32")
    return (
        one.get_config() == other.get_config()
        and all(np.array_equal(a, b) for a, b in zip(one.get_weights(), other.get_weights(), strict=True))
        and np.array_equal(one.predict(images, verbose=0), other.predict(images, verbose=0))
    )


def nested_model():
    inner = keras.Sequential([keras.Input((16, 16, 3)), layers.Conv2D(4, 3), layers.Normalization()], name="inner")
    images = keras.Input((16, 16, 3))
    x = layers.RandomFlip(seed=1)(images)
    x = layers.Concatenate()([inner(x), inner(x + 1.0)])
    x = layers.SeparableConv2D(4, 3, depth_multiplier=2, activation=layers.ReLU())(x)
    x = layers.LayerNormalization(axis=[2, 3])(layers.PReLU(shared_axes=[1, 2])(x))
    x = keras.ops.relu(layers.GroupNormalization(2)(layers.Conv2DTranspose(6, 3)(x)))
    return keras.Model(images, layers.Dense(3, dtype="bfloat16")(layers.GlobalAveragePooling2D()(x)))


def sequential_model():
    stack = [layers.Conv2D(4, 3, activation="gelu", kernel_regularizer="l2"), layers.BatchNormalization()]
    model = keras.Sequential([keras.Input((16, 16, 1)), *stack, layers.Flatten(), layers.Dense(2)])
    model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    model.fit(np.ones((4, 16, 16, 1)), np.eye(2)[[0, 1, 0, 1]], verbose=0)
    return model


def ours(**config):
    return lambda: build_model(Model(**config), (24, 24), 3, 4, seed=1)


def application(name, **options):
    return lambda: getattr(keras.applications, name)(weights=None, input_shape=(64, 64, 3), classes=5, **options)


GOOD = {
    "lesson": ours(filters=[4, 8], head={"dense": [8]}),
    "vgg": ours(filters=[4, 8], convolutions=2, batch_norm=True, dropout=0.2, weight_decay=1e-4),
    "resnet": ours(family="resnet", filters=[4, 8], batch_norm=True, head={"pooling": "average"}),
    "trained sequential": sequential_model,
    "nested": nested_model,
    "MobileNetV3Small": application("MobileNetV3Small"),
}
LARGE = [
    "ConvNeXtTiny",
    "DenseNet121",
    "EfficientNetB0",
    "EfficientNetV2B0",
    "MobileNetV2",
    "NASNetMobile",
    "ResNet50V2",
]


@pytest.mark.parametrize("name", [*GOOD, *(pytest.param(name, marks=pytest.mark.slow) for name in LARGE)])
def test_an_honest_model_is_read_to_the_last_bit(name, tmp_path):
    model = GOOD.get(name, application(name))()
    model.save(tmp_path / "honest.keras")
    before = keras_state()

    loaded = read_model(tmp_path / "honest.keras")

    assert same(loaded, keras.saving.load_model(tmp_path / "honest.keras", compile=False))
    assert all(np.array_equal(a, b) for a, b in zip(loaded.get_weights(), model.get_weights(), strict=True))
    assert not loaded.compiled and keras_state() == before


def test_a_model_packed_anew_with_compression_is_read(tmp_path, good):
    assert same(read_model(packed(tmp_path, members(good), zipfile.ZIP_DEFLATED)), read_model(good))


def test_a_link_to_a_model_is_read_and_its_sum_is_compared(tmp_path, good):
    import hashlib

    link(tmp_path, str(good))
    read_model(tmp_path / "hostile.keras", sha256=hashlib.sha256(good.read_bytes()).hexdigest().upper())


def test_training_settings_are_left_out_and_never_called(tmp_path, good):
    evil = {"optimizer": "adam", "loss": function("keras.config", "set_floatx"), "metrics": [function("os", "system")]}
    path = with_config(lambda config: config.update(compile_config=evil))(tmp_path, good)
    before = keras_state()
    assert not read_model(path).compiled
    assert keras_state() == before


def test_jax_reads_what_tensorflow_saved_and_refuses_the_same(tmp_path, good):
    bad = with_option("Dense", units=10_800_000)(tmp_path, good)
    program = textwrap.dedent("""
        import sys
        import keras, numpy as np
        from models.errors import ModelError
        from models.reading import read_model
        assert keras.backend.backend() == "jax"
        good, bad = sys.argv[1:]
        one, other = read_model(good), keras.saving.load_model(good, compile=False)
        images = np.full((1, 16, 16, 3), 100.0)
        assert np.array_equal(one.predict(images, verbose=0), other.predict(images, verbose=0))
        other.save(good + "-jax.keras")
        assert np.array_equal(read_model(good + "-jax.keras").get_weights()[0], other.get_weights()[0])
        try:
            read_model(bad)
        except ModelError as error:
            print(error)
    """)
    environment = {**os.environ, "KERAS_BACKEND": "jax", "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, "-c", program, str(good), str(bad)], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "asks for 11" in done.stdout


@pytest.mark.parametrize("flips", [60, pytest.param(1000, marks=pytest.mark.slow)])
def test_no_flipped_bit_changes_a_model_silently(flips, tmp_path, good):
    original, content = read_model(good), good.read_bytes()
    generator, path = random.Random(0), tmp_path / "flipped.keras"
    outcomes = {"refused": 0, "the same model": 0, "silently wrong": 0}
    for _ in range(flips):
        place = generator.randrange(8 * len(content))
        damaged = bytearray(content)
        damaged[place // 8] ^= 1 << place % 8
        path.write_bytes(damaged)
        try:
            outcomes["the same model" if same(read_model(path), original) else "silently wrong"] += 1
        except ModelError:
            outcomes["refused"] += 1
    print(outcomes)
    assert outcomes["silently wrong"] == 0 and outcomes["refused"] > 0.9 * flips


VALUES = [None, True, -1, 0, 2**40, 1e308, "", "relu", "Dense", "os", [], {}, [None, 3], ["a", 0, 0], [[[[[[[[]]]]]]]],
          {"class_name": "x"}, {"class_name": "function", "config": [], "module": "builtins"},
          {"class_name": "__keras_tensor__", "config": {}}, {"class_name": "Lambda", "config": 3}]  # fmt: skip


def places(value, found):
    for key, item in list(value.items() if isinstance(value, dict) else enumerate(value)):
        found.append((value, key))
        if isinstance(item, dict | list):
            places(item, found)
    return found


@pytest.mark.parametrize("tries", [500, pytest.param(20_000, marks=pytest.mark.slow)])
def test_a_configuration_changed_anywhere_is_understood_or_refused_but_never_a_surprise(tries, good):
    generator, config = random.Random(0), json.loads(members(good)[CONFIG])
    refused = 0
    for _ in range(tries):
        changed = copy.deepcopy(config)
        for _ in range(generator.choice([1, 1, 3])):
            group, key = generator.choice(places(changed, []))
            group[key] = copy.deepcopy(generator.choice(VALUES))
        try:
            expected_weights(changed)
        except ModelError:
            refused += 1
    assert refused > tries / 2


@pytest.mark.parametrize("tries", [500, pytest.param(20_000, marks=pytest.mark.slow)])
def test_weights_changed_anywhere_by_someone_who_mended_the_sum_are_understood_or_refused(tries, tmp_path, good):
    """The HDF5 library loops without end or crashes on some of these."""
    content, path = members(good)[WEIGHTS], tmp_path / "weights.h5"
    expected = expected_weights(json.loads(members(good)[CONFIG]))
    generator, refused = random.Random(0), 0
    for _ in range(tries):
        changed = bytearray(content)
        for _ in range(generator.choice([1, 3, 20])):
            changed[generator.randrange(len(changed))] = generator.choice([0, 255, generator.randrange(256)])
        path.write_bytes(changed)
        try:
            checked_weights(path, expected)
        except ModelError:
            refused += 1
    assert refused > tries / 20
