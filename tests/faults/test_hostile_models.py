"""Model files made to harm, and files that merely broke: each is refused with its true reason, and nothing happens.

To add a case, add a row to HOSTILE: a name, a function that makes the file (hostile_models.py), words that the refusal
must say.
"""

import os
import pickle
import tempfile
import time
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

from convlens.core.errors import ModelError
from convlens.models.keras_file.reading import read_model
from tests.faults.hostile_models import (
    CANARY,
    CONFIG,
    KERNEL,
    METADATA,
    TRANSPOSED,
    WEIGHTS,
    Maker,
    Runs,
    a_folder,
    added,
    adding,
    chain_in_reverse,
    dataset_made_anew,
    deep_groups,
    directory_says,
    fewer_than_there_are,
    fifo,
    filled,
    flipped,
    function,
    in_place_of,
    layer,
    link,
    listening_socket,
    loop,
    many_layers,
    nested,
    newer_format,
    of_bytes,
    one_heap,
    outside,
    refused_at_its_end,
    renamed_h5,
    replaced,
    saved_model_folder,
    seeds_and_another_input,
    setting,
    sparse_file,
    swap,
    tensors,
    text_of,
    twice,
    unreadable,
    unused_layer,
    unwritten,
    virtual,
    with_config,
    with_members,
    with_option,
    with_weights,
    without,
    zip64,
)
from tests.faults.watching import Peak, Watch, keras_state

SECONDS, MEGABYTES = 2, 300

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
    ("SavedModel folder", saved_model_folder, "is a SavedModel: it holds a graph"),
    ("50 GB sparse file", sparse_file, "takes 53.7 GB"),
    ("unreadable", unreadable, "Permission denied"),
    ("NUL in the name", lambda folder, good: folder / "a\0.keras", "null"),
    ("SHA-256 of another file", of_bytes(bytes), "SHA-256"),
    # What is no zip archive
    ("empty", of_bytes(b""), "0 bytes"),
    ("one byte", of_bytes(b"P"), "does not begin like a zip"),
    ("a megabyte of zeros", of_bytes(bytes(2**20)), "begins with zero bytes"),
    ("first kilobyte lost", of_bytes(lambda content: bytes(1024) + content[1024:]), "begins with zero bytes"),
    ("text", of_bytes(b"This is my model.\n"), "does not begin like a zip"),
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
    ("no members", of_bytes(b"PK\x05\x06" + bytes(18)), "does not begin like a zip"),
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
    ("directory of 64 bits", of_bytes(zip64), "zip64 directory"),
    (
        "more members than it says",
        lambda folder, good: of_bytes(fewer_than_there_are)(
            folder, with_members(lambda contents: {**contents, **{f"m{n}": b"" for n in range(90)}})(folder, good)
        ),
        "it does not list 3 members",
    ),
    ("comment", of_bytes(lambda content: content[:-2] + b"\5\0hello"), "something after its end"),
    ("two members in one place", directory_says(42, 0), "members overlap"),
    ("something before the archive", of_bytes(lambda content: b"PK\3\4" + bytes(96) + content), "its beginning"),
    # JSON
    ("not JSON", with_members(setting(CONFIG, b"class Functional:")), "is not JSON"),
    ("not UTF-8", with_members(setting(CONFIG, b'{"a": "\xff\xfe"}')), "is not UTF-8"),
    ("UTF-16", with_members(setting(CONFIG, lambda content: content.decode().encode("utf-16"))), "is not UTF-8"),
    ("a list", with_members(setting(CONFIG, b"[]")), "holds list"),
    ("null", with_members(setting(CONFIG, b"null")), "holds NoneType"),
    ("an empty group", with_members(setting(CONFIG, b"{}")), "is not a model"),
    ("a key twice", with_members(setting(CONFIG, b'{"module": 1, "module": 2}')), "'module' twice"),
    ("NaN", with_members(setting(CONFIG, b'{"a": NaN}')), "has NaN"),
    ("a number of 100,000 digits", with_members(setting(CONFIG, b'{"a": ' + b"9" * 10**5 + b"}")), "100,000 digits"),
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
    ("1e400", with_members(setting(CONFIG, b'{"a": 1e400}')), "has 1e400"),
    ("half of a character", with_members(setting(CONFIG, b'{"a": "\\ud800"}')), "half of a character"),
    (
        "two million numbers",
        with_members(setting(CONFIG, b'{"a": [' + b"0," * 2_090_000 + b"0]}")),
        "more than 2,000,000 values",
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
    ("huge input", with_option("InputLayer", batch_shape=[None, 10**6, 10**6, 3]), "more than 1,073,741,824 values"),
    ("huge padding", added("ZeroPadding2D", padding=[[10**5, 10**5]] * 2), "tensor of shape (None, 200016, 200016, 4)"),
    ("huge stretching", added("UpSampling2D", size=[10**4, 10**4]), "tensor of shape (None, 160000, 160000, 4)"),
    ("endless stretching", added("UpSampling2D", size=[2**40, 2**40]), "values an image"),
    ("huge size", added("Resizing", height=10**5, width=10**5), "tensor of shape (None, 100000, 100000, 4)"),
    ("huge strides", added("Conv2DTranspose", **TRANSPOSED), "tensor of shape (None, 16000, 1600000, 4)"),
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
    (
        "an axis 9,000 times",
        in_place_of(
            "Rescaling",
            class_name="LayerNormalization",
            config={"name": "rescale", "axis": [1] * 9000},
            build_config={"input_shape": [None, 16, 16, 3]},
        ),
        "asks for weights of shape",
    ),
    ("a last layer that cannot be", with_members(refused_at_its_end), "cannot be built: ValueError"),
    ("a layer that nothing uses", with_members(unused_layer), "the layer 'unused', which no output"),
    (
        "seventy megabytes beside the weights",
        with_members(setting(WEIGHTS, lambda w: w + bytes(70 * 10**6))),
        "has a weights file of 70",
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
    ("text for a factor", with_option("Rescaling", scale="twice"), "the text 'twice'"),
    ("text for a share", with_option("Dropout", rate="half"), "where a number belongs"),
    ("infinite number", with_option("Dropout", rate=10**400), "has the number"),
    ("models in models", nested(8), "nests models more than 5 deep"),
    ("models called 60 times each", nested(4, 60), "calls its layers more than 5,000 times"),
    ("20,000 tensors in a layer", tensors("Concatenate", 20_000), "passes 20,000 tensors to a layer"),
    ("900 tensors in a layer called 400 times", tensors("Add", 900, 400), "calls its layers more than 5,000 times"),
    ("a seed to draw, and another input", with_config(seeds_and_another_input), "with shape (None, 1024)"),
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
        "5,000 outputs",
        with_config(lambda c: c["config"].update(output_layers=[c["config"]["output_layers"]] * 5000)),
        "has 5,000 output layers",
    ),
    ("no outputs", with_config(lambda c: c["config"].update(output_layers=[])), "has 0 output layers"),
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
    ("kernel missing", with_weights(lambda file: file.__delitem__(KERNEL)), "lacks weights of layer 'block1_conv1'"),
    ("all weights missing", with_weights(lambda file: file.__delitem__("layers")), "lacks weights of layer"),
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
    ("array under one name twice", with_members(twice), "is there twice"),
    ("group that holds itself", with_weights(lambda f: f["layers"].__setitem__("self", f["layers"])), "reached twice"),
    ("names in one place", with_members(setting(WEIGHTS, one_heap)), "the list of names"),
    ("groups of long names", with_weights(deep_groups), "more than 1,000 characters"),
    ("newer HDF5", with_members(newer_format), "form of HDF5 that Keras does not write"),
]


@pytest.fixture(scope="module")
def watch():
    return Watch()


@pytest.fixture(scope="module")
def tally():
    counts = {"tried": 0, "refused": 0, "seconds": 0.0, "megabytes": 0.0}
    yield counts
    print("\n{tried} tried, {refused} refused; at most {seconds:.2f} s and {megabytes:.0f} MB".format(**counts))


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


@pytest.mark.parametrize(
    "make",
    [
        with_option("Conv2D", activation="threshold"),
        with_option("Conv2D", activation="glu"),
        with_option("Rescaling", scale=[1.0] * 5),
    ],
    ids=["activation without its options", "activation of half the maps", "factors of no channel"],
)
def test_what_turns_out_wrong_only_when_something_is_computed_ends_in_a_line_too(make, tmp_path, good):
    from convlens.models import conv_layers
    from convlens.training.evaluation import evaluate_model

    model = read_model(make(tmp_path, good))
    for compute in (
        lambda: conv_layers(model),
        lambda: evaluate_model(model, [(np.zeros((1, 16, 16, 3)), np.zeros(1, int))], ["a", "b", "c"]),
    ):
        with pytest.raises(ModelError, match="^The model cannot be computed: [A-Z][A-Za-z]+: ") as refusal:
            compute()
        assert len(str(refusal.value)) < 400 and str(refusal.value).isprintable()
