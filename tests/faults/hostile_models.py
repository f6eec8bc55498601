"""Makes model files that harm: each maker takes an empty folder and a good model file, and returns the hostile file."""

import copy
import io
import json
import os
import socket
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
KERNEL = "layers/conv2d/vars/0"
CANARY = Path(tempfile.gettempdir()) / f"convlens-canary-{os.getpid()}"  # there once a file's code was run

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
        return os.system, (f"touch {CANARY}",)


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


TRANSPOSED = {"filters": 4, "kernel_size": [1, 1], "strides": [1000, 10**5], "depth": [None, 16, 16, 4]}


def added(class_name: str, depth: list | None = None, **options) -> Maker:
    """A layer more, before one that makes any shape small again; `depth`: the input shape, where it has weights."""

    def edit(config):
        layers = config["config"]["layers"]
        after = layer(config, "MaxPooling2D")
        more = copy.deepcopy(after)
        more |= {"class_name": class_name, "name": "added", "config": {"name": "added", **options}}
        after["inbound_nodes"][0]["args"][0]["config"]["keras_history"][0] = "added"
        layers.insert(layers.index(after), more)
        small = layer(config, "Flatten")
        small |= {"class_name": "GlobalAveragePooling2D", "config": {"name": small["name"]}, "build_config": None}
        layer(config, "Dense")["build_config"]["input_shape"] = [None, 4]
        if depth:
            more["build_config"] = {"input_shape": depth}

    return with_config(edit)


def tensors(class_name: str, count: int, calls: int = 1) -> Maker:
    """A model inside a model, in which a layer takes the same tensor so often; the outer one calls it so often."""

    def tensor(name, call=0):
        history = {"shape": [None, 4], "dtype": "float32", "keras_history": [name, call, 0]}
        return {"class_name": "__keras_tensor__", "config": history}

    def layer_of(name, kind, nodes, **options):
        return {"module": "keras.layers", "class_name": kind, "config": {"name": name, **options},
                "registered_name": None, "name": name, "inbound_nodes": nodes}  # fmt: skip

    def model(name, layers, output):
        config = {"name": name, "trainable": True, "layers": layers, "input_layers": ["in", 0, 0]}
        return {"module": "keras.src.models.functional", "class_name": "Functional", "registered_name": "Functional",
                "config": config | {"output_layers": output}}  # fmt: skip

    first = layer_of("in", "InputLayer", [], batch_shape=[None, 4], dtype="float32")
    merging = layer_of("merging", class_name, [{"args": [[tensor("in")] * count], "kwargs": {}}])
    inner = model("inner", [first, merging], ["merging", 0, 0])
    called = [{"args": [tensor("inner", call - 1) if call else tensor("in")], "kwargs": {}} for call in range(calls)]
    outer = model("outer", [first, {**inner, "name": "inner", "inbound_nodes": called}], ["inner", calls, 0])
    return with_config(lambda config: outer)


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


def layers_of(config: dict, *class_names: str) -> list[dict]:
    return [item for item in config["config"]["layers"] if item["class_name"] in class_names]


def one_heap(file_content: bytes) -> bytes:
    """Weights of which all groups find the names of their members in the same place."""
    places = [place for place in range(0, len(file_content), 8) if file_content[place : place + 4] == b"HEAP"]
    for place in places[1:]:
        file_content = file_content.replace(place.to_bytes(8, "little"), places[0].to_bytes(8, "little"))
    return file_content


def twice(contents: dict) -> None:
    """Weights in which another array has the name that a kernel has by the groups that it lies in."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "weights.h5")
        path.write_bytes(contents[WEIGHTS])
        with h5py.File(path, "r+") as file:
            file[KERNEL.replace("/", "|")] = file[KERNEL][()]
        contents[WEIGHTS] = path.read_bytes().replace(KERNEL.replace("/", "|").encode(), KERNEL.encode())


def seeds_and_another_input(config: dict) -> None:
    """A layer for which Keras draws a seed, in a model whose weights cannot be those of the file."""
    layer(config, "Dropout")["config"]["seed"] = None
    layer(config, "InputLayer")["config"]["batch_shape"] = [None, 32, 32, 3]


def zip64(content: bytes) -> bytes:
    """The archive with a directory of 64 bits beside its own, which says the same."""
    end = content.rindex(b"PK\5\6")
    record = content[end:]
    count, size, offset = (int.from_bytes(record[a:b], "little") for a, b in ((10, 12), (12, 16), (16, 20)))
    wide = b"PK\6\6" + (44).to_bytes(8, "little") + b"\x2d\0\x2d\0" + bytes(8)
    wide += b"".join(number.to_bytes(8, "little") for number in (count, count, size, offset))
    locator = b"PK\6\7" + bytes(4) + end.to_bytes(8, "little") + b"\1\0\0\0"
    return content[:end] + wide + locator + record


def fewer_than_there_are(content: bytes) -> bytes:
    """The archive whose last record says that it has three members."""
    end = content.rindex(b"PK\5\6")
    return content[: end + 8] + b"\3\0\3\0" + content[end + 12 :]


def refused_at_its_end(contents: dict) -> None:
    """Much room for weights, and a last layer whose option no layer may have."""
    config = json.loads(contents[CONFIG])
    first, last = layers_of(config, "Dense")
    first["config"]["units"] = 60_000
    last["build_config"]["input_shape"] = [None, 60_000]
    layer(config, "Dropout")["config"]["rate"] = 7
    contents[CONFIG], contents[WEIGHTS] = json.dumps(config).encode(), bytes(70 * 10**6)


def unused_layer(contents: dict) -> None:
    """A layer more, which no output needs, before one of its kind: Keras would give its weights to that one."""
    config = json.loads(contents[CONFIG])
    index = next(number for number, item in enumerate(config["config"]["layers"]) if item["class_name"] == "Dense")
    extra = copy.deepcopy(config["config"]["layers"][index])
    extra["name"] = extra["config"]["name"] = "unused"
    config["config"]["layers"].insert(index, extra)
    contents[CONFIG] = json.dumps(config).encode()


def deep_groups(file):
    group = file
    for _ in range(12):
        group = group.create_group("g" * 200)
    group.create_dataset("a", data=[1.0])
