"""Runs of which one file is no file, or says what no training wrote; everything else in them is right, sums included.

`HOSTILE` has a row for each: its name, which of `forked_openings.COMMANDS` opens it, what is done to a copy of a run
first, and what the line that refuses it says. Links that lead out of the run lead to `run.parents[2] / "outside"`.
"""

import hashlib
import io
import json
import os
import socket
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import yaml

from convlens.training.checkpoint import ARRAYS, MANIFEST, MODEL, VALUES
from convlens.training.sealed_json import dumped, sum_of

Harm = Callable[[Path], object]
Row = tuple[str, str, Harm, str]

FILES = {
    "config.yaml": "evaluate",
    "model.keras": "evaluate",
    "labels.txt": "evaluate",
    "run.json": "evaluate",
    "metrics.csv": "read",
    "evaluation.json": "read",
    "train.log": "resume",
}
FOLDERS = ("checkpoints", "snapshots", "figures", "tensorboard", "tensorboard/train", "tensorboard/test")


def outside(run: Path) -> Path:
    return run.parents[2] / "outside"


def emptied(path: Path) -> Path:
    if path.is_dir() and not path.is_symlink():
        path.rename(path.parents[0] / f"moved-{path.name}")
    path.unlink(missing_ok=True)
    path.parent.mkdir(exist_ok=True, parents=True)
    return path


# What is no regular file


def fifo(name: str) -> Harm:
    return lambda run: os.mkfifo(emptied(run / name))


def folder(name: str) -> Harm:
    return lambda run: emptied(run / name).mkdir()


def linked(name: str, target: str) -> Harm:
    return lambda run: emptied(run / name).symlink_to(target)


def out(name: str, to: str) -> Harm:
    return lambda run: emptied(run / name).symlink_to(outside(run) / to)


def relative_out(name: str, to: str) -> Harm:
    def harm(run):
        path = emptied(run / name)
        path.symlink_to(os.path.relpath(outside(run) / to, path.parent))

    return harm


def links(count: int, row: int) -> Harm:
    """So many links, of which `row` lead to one another."""

    def harm(run):
        (run / "exports").mkdir()
        for number in range(count):
            target = f"{number - 1}" if number % row else "nowhere"
            (run / "exports" / f"{number}").symlink_to(target)

    return harm


def sparse(name: str, size: int = 50 * 2**30) -> Harm:
    def harm(run):
        path = run / name
        path.touch()
        os.truncate(path, size)

    return harm


def file_for(name: str) -> Harm:
    return lambda run: emptied(run / name).write_text("no folder")


def listening(name: str) -> Harm:
    def harm(run):
        emptied(run / name)
        place = os.getcwd()
        os.chdir(run)  # a socket's path may have about 100 characters
        try:
            with socket.socket(socket.AF_UNIX) as server:
                server.bind(name)
        finally:
            os.chdir(place)

    return harm


def copied(name: str, to: str) -> Harm:
    return lambda run: (run / to).write_bytes((run / name).read_bytes())


def deep_folders(run: Path) -> None:
    place = os.getcwd()
    os.chdir(run)
    for _ in range(600):
        os.mkdir("d" * 200)
        os.chdir("d" * 200)
    os.chdir(place)


# What says what no training wrote


def sealed(name: str, content: dict) -> Harm:
    """A JSON file of a run with its own right sum."""
    return lambda run: (run / name).write_text(dumped({**content, "sha256": sum_of(content)}), errors="surrogatepass")


def raw_json(name: str, text: str) -> Harm:
    """JSON as this text, with its right sum where it ends in one."""

    def harm(run):
        body = text.removesuffix("}").rstrip()
        total = hashlib.sha256(f"{body}\n}}\n".encode()).hexdigest()
        (run / name).write_text(f'{body},\n  "sha256": "{total}"\n}}\n')

    return harm


def facts(**changes) -> Harm:
    def harm(run):
        content = {key: value for key, value in json.loads((run / "run.json").read_text()).items() if key != "sha256"}
        sealed("run.json", content | changes)(run)

    return harm


def summed(name: str, content: bytes) -> Harm:
    """A file of this content, whose sum the run has."""

    def harm(run):
        (run / name).write_bytes(content)
        sums = json.loads((run / "run.json").read_text())["sums"]
        facts(sums=sums | {name: [hashlib.sha256(content).hexdigest()]})(run)

    return harm


def config(**changes) -> Harm:
    def harm(run):
        values = yaml.safe_load((run / "config.yaml").read_text())
        for key, value in changes.items():
            *groups, last = key.split(".")
            group = values
            for name in groups:
                group = group[name]
            group[last] = value
        summed("config.yaml", yaml.safe_dump(values).encode())(run)

    return harm


def table(text: str) -> Harm:
    return summed("metrics.csv", text.encode("utf-8", "surrogateescape"))


def wide_table(run: Path) -> None:
    names = ["epoch", *(f"c{number}" for number in range(99))]
    table("\n".join([",".join(names), *[",".join(["1"] * 100)] * 80_000, ""]))(run)


def labels(content: bytes) -> Harm:
    return summed("labels.txt", content)


def scores(**changes) -> Harm:
    return sealed("evaluation.json", {"split": "test", "epoch": 2, "accuracy": 0.5} | changes)


def newest(run: Path) -> Path:
    """The newest checkpoint; the one before is removed."""
    *older, last = sorted((run / "checkpoints").iterdir())
    for path in older:
        path.rename(run / f"older-{path.name}")
    return last


def in_checkpoint(name: str, content: bytes | Callable[[bytes], bytes]) -> Harm:
    """A file of a checkpoint, whose sum its manifest has."""

    def harm(run):
        path = newest(run) / name
        path.write_bytes(content(path.read_bytes()) if callable(content) else content)
        manifest = json.loads((path.parent / MANIFEST).read_text())
        manifest["files"][name] = hashlib.sha256(path.read_bytes()).hexdigest()
        (path.parent / MANIFEST).write_text(json.dumps(manifest))

    return harm


def values(edit: Callable[[dict], object]) -> Harm:
    """Other values in a checkpoint."""

    def changed(content):
        group = json.loads(content)
        return json.dumps(edit(group) or group).encode()

    return in_checkpoint(VALUES, changed)


def manifest(content: bytes) -> Harm:
    return lambda run: (newest(run) / MANIFEST).write_bytes(content)


def in_place_of(name: str, harm: Callable[[str], Harm]) -> Harm:
    def harmed(run):
        path = newest(run) / name
        harm(str(path.relative_to(run)))(run)

    return harmed


def arrays(header: object, data: bytes = b"") -> Harm:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return in_checkpoint(ARRAYS, len(text).to_bytes(8, "little") + text + data)


def array_of(shape, span, dtype="F32") -> dict:
    return {"model.0": {"dtype": dtype, "shape": shape, "data_offsets": span}}


def npy(shape: str, descr: str = "'<f2'", data: bytes = b"", order: str = "False", version: bytes = b"\1\0") -> bytes:
    header = f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}".ljust(117).encode() + b"\n"
    return b"\x93NUMPY" + version + len(header).to_bytes(2, "little") + header + data


def scalar(value, dtype="<i8") -> bytes:
    file = io.BytesIO()
    np.save(file, np.array(value, dtype))
    return file.getvalue()


WHOLE = {"format.npy": scalar(1), "epoch.npy": scalar(3)}


def archive(members, compression=zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as target:
        for name, content in members.items() if isinstance(members, dict) else members:
            target.writestr(name, content)
    return file.getvalue()


def snapshot(content: bytes) -> Harm:
    return lambda run: (run / "snapshots" / "epoch-00003.npz").write_bytes(content)


def kernel(content: bytes, limit: bytes = scalar(1, "<f4")) -> Harm:
    name = "kernels/block1_conv1"
    return snapshot(archive({**WHOLE, f"{name}.npy": content, f"limits/{name}.npy": limit}))


def end_says(count: int, size: int | None = None, zip64: bool = False) -> Harm:
    """An archive whose last record says another number of members, or leads to a record of 64 bits."""
    content = archive(WHOLE)
    directory = content.rindex(b"PK\5\6")
    record = bytearray(content[directory:])
    record[8:12] = count.to_bytes(2, "little") * 2
    if size is not None:
        record[12:16] = size.to_bytes(4, "little")
    locator = b"PK\6\7" + bytes(4) + directory.to_bytes(8, "little") + b"\1\0\0\0" if zip64 else b""
    return snapshot(content[:directory] + locator + bytes(record))


def snapshots_of(count: int) -> Harm:
    """Whole snapshots, each of 100 MB in half a megabyte."""

    def harm(run):
        layers = {}
        for number in range(6):
            content = npy("(8, 64, 64, 64)", data=np.full(8 * 64**3, 1, "<f2").tobytes())
            layers |= {f"maps/c{number}.npy": content, f"limits/maps/c{number}.npy": scalar(1, "<f4")}
        whole = archive({**WHOLE, **layers}, zipfile.ZIP_STORED)
        for number in range(count):
            (run / "snapshots" / f"epoch-{number:05d}.npz").write_bytes(whole)

    return harm


HONEST = [
    *(
        ("a run as it was left", command, lambda run: None)
        for command in ("evaluate", "evolution", "checkpoint", "read")
    ),
    ("a run without run.json", "evaluate", lambda run: (run / "run.json").unlink()),
    ("a run that says of no best epoch", "evaluate", facts(best={}, best_before={})),
    ("links that stay in the run", "evaluate", lambda run: (run / "figures").symlink_to("snapshots")),
    ("links that lead nowhere yet", "evaluate", links(30, 30)),
    ("a snapshot of another name", "evolution", copied("snapshots/epoch-00000.npz", "snapshots/epoch-x.npz")),
]

PARTS = MANIFEST, VALUES, ARRAYS, MODEL
IS_LINK, NO_FILE, NO_STATE = "outside of", "is not a regular file", "can be resumed"
DEEP = '{"a": ' + "[" * 50_000 + "]" * 50_000 + "}"
ROW = "epoch,loss\n1,0.5\n"
HEADER = '{\n  "finished": false'

KINDS: list[Row] = [
    *((f"a FIFO for {name}", command, fifo(name), NO_FILE) for name, command in FILES.items()),
    *((f"a folder for {name}", command, folder(name), "is a folder") for name, command in FILES.items()),
    *((f"a device for {name}", command, linked(name, "/dev/zero"), IS_LINK) for name, command in FILES.items()),
    *((f"a link out for {name}", command, out(name, "secret.txt"), IS_LINK) for name, command in FILES.items()),
    *(
        (f"a sparse {name}", command, sparse(name), "bytes; expected" if name != "model.keras" else "takes 53.7 GB")
        for name, command in FILES.items()
        if name != "train.log"
    ),
    *((f"a link out for {name}", "evaluate", out(name, "folder"), IS_LINK) for name in FOLDERS),
    *((f"a file for {name}", "evaluate", file_for(name), "expected a folder") for name in FOLDERS),
    ("a link to a file that is not there yet", "resume", out("train.log", "new.txt"), IS_LINK),
    ("a link upwards", "evaluate", relative_out("labels.txt", "secret.txt"), IS_LINK),
    ("a link in the figures", "evaluate", out("figures/beside", "folder"), IS_LINK),
    ("a link among snapshots", "evolution", out("snapshots/epoch-00009.npz", "secret.txt"), IS_LINK),
    ("a link to the root", "evaluate", linked("exports", "/"), IS_LINK),
    ("a link to this process", "evaluate", linked("labels.txt", "/proc/self/environ"), IS_LINK),
    ("a link to itself", "evaluate", linked("labels.txt", "labels.txt"), "symbolic links"),
    ("3,000 links in a row", "evaluate", links(3000, 3000), "is a link that cannot be followed"),
    ("5,000 links", "evaluate", links(5_000, 20), "more than 1,000 symbolic links"),
    ("a FIFO among logs", "resume", fifo("tensorboard/train/events.out.tfevents.1.v2"), NO_FILE),
    ("a socket", "evaluate", listening("labels.txt"), NO_FILE),
    ("folders without end", "evaluate", deep_folders, "cannot be read"),
    (
        "a log under two names",
        "resume",
        lambda run: (run / "train.log").unlink() or os.link(outside(run) / "log.txt", run / "train.log"),
        "hard links",
    ),
]  # fmt: skip

FACTS: list[Row] = [
    *(
        (f"run.json: {name}", "evaluate", harm, words)
        for name, harm, words in [
            ("no JSON", lambda run: (run / "run.json").write_bytes(b"{"), "is not JSON"),
            ("no text", lambda run: (run / "run.json").write_bytes(b"\xff\xfe{}"), "is not JSON"),
            ("a list", lambda run: (run / "run.json").write_text("[]"), "holds list"),
            ("empty", lambda run: (run / "run.json").write_text(""), "is not JSON"),
            ("no sum", lambda run: (run / "run.json").write_text("{}"), "SHA-256"),
            ("nested without end", lambda run: (run / "run.json").write_text(DEEP), "nested too deeply"),
            ("nested", facts(a=json.loads("[" * 70 + "]" * 70)), "nested too deeply"),
            ("a million lists", lambda run: (run / "run.json").write_text('{"a": [' + "[]," * 10**6 + "[]]}"),
             "lists and groups"),
            ("seven million numbers", lambda run: (run / "run.json").write_text('{"a": [' + "0," * 7_000_000 + "0]}"),
             "values"),
            ("20 MB", lambda run: (run / "run.json").write_text('{"a": "' + " " * 20_000_000), "bytes; expected"),
            ("a key twice", raw_json("run.json", HEADER + ',\n  "finished": true}'), "twice"),
            ("NaN", raw_json("run.json", HEADER + ',\n  "a": NaN}'), "NaN"),
            ("1e400", raw_json("run.json", HEADER + ',\n  "a": 1e400}'), "1e400"),
            ("-Infinity", raw_json("run.json", HEADER + ',\n  "a": -Infinity}'), "-Infinity"),
            ("endless digits", raw_json("run.json", HEADER + ',\n  "a": ' + "9" * 5000 + "}"), "5,000 digits"),
            ("half of a character", raw_json("run.json", HEADER + ',\n  "a": "\\ud800"}'), "half of a character"),
            ("another sum", lambda run: (run / "run.json").write_text(dumped({"sha256": "0" * 64})), "SHA-256"),
            ("best: null", facts(best=None), "best"),
            ("best: a list", facts(best=[]), "best"),
            ("best.epoch: text", facts(best={"epoch": "3"}), "best.epoch"),
            ("best.epoch: -1", facts(best={"epoch": -1}), "best.epoch"),
            ("best.epoch: true", facts(best={"epoch": True}), "best.epoch"),
            ("best.epoch: 10**30", facts(best={"epoch": 10**24}), "best.epoch"),
            ("best.sha256: a number", facts(best={"epoch": 1, "sha256": 5}), "best.sha256"),
            ("best.sha256: a line", facts(best={"epoch": 1, "sha256": "0" * 64 + "\n"}), "best.sha256"),
            ("best: a score of text", facts(best={"epoch": 1, "val_loss": "low"}), "best.val_loss"),
            ("best_before: text", facts(best_before="x"), "best_before"),
            ("sums: []", facts(sums=[]), "sums"),
            ("sums: null", facts(sums=None), "sums"),
            ("sums of nothing", facts(sums={"config.yaml": []}), "sums.config.yaml"),
            ("sums of numbers", facts(sums={"config.yaml": [5]}), "sums.config.yaml"),
            ("dataset: text", facts(dataset="pictures"), "dataset"),
            ("dataset without a fingerprint", facts(dataset={}), "dataset.fingerprint"),
            ("a fingerprint that is a list", facts(dataset={"fingerprint": []}), "dataset.fingerprint"),
            ("environment: a list", facts(environment=[]), "environment"),
            ("threads: a billion", facts(environment={"threads": 10**9}), "environment.threads"),
            ("threads: -1", facts(environment={"threads": -1}), "environment.threads"),
            ("environment in the environment", facts(environment={"a": {"b": {}}}), "environment.a"),
            ("a megabyte of device", facts(environment={"devices": ["x" * 10**6]}), "environment.devices"),
            ("finished: text", facts(finished="yes"), "finished"),
            ("format: text", facts(format="1"), "its format is"),
            ("format: 99", facts(format=99), "is of format 99"),
        ]
    ),
    ("run.json: no dataset", "resume", facts(dataset=None), "nothing to resume"),
]  # fmt: skip

TEXTS: list[Row] = [
    *(
        (f"labels.txt: {name}", "evaluate", harm, words)
        for name, harm, words in [
            ("100 MB", lambda run: labels(b"a\n" * 50_000_000)(run), "bytes; expected"),
            ("a million lines", labels(b"\n" * 10**6), "is damaged"),
            ("empty", labels(b""), "is damaged"),
            ("no end", labels(b"a\nb\nc"), "is damaged"),
            ("too few", labels(b"a\nb\n"), "2 classes"),
            ("a name of 4 MB", labels(b"a" * 4_000_000 + b"\nb\nc\n"), "is damaged"),
            ("names of 4 KB", labels(b"".join(bytes([n]) * 4096 + b"\n" for n in b"abc")), "the run knows 3 classes"),
            ("too many", labels(b"a\nb\nc\nd\n"), "4 classes"),
            ("missing", lambda run: (run / "labels.txt").unlink(), "is missing"),
            ("another sum", lambda run: (run / "labels.txt").write_text("x\ny\nz\n"), "SHA-256"),
        ]
    ),
    *(
        (f"config.yaml: {name}", "evaluate", harm, words)
        for name, harm, words in [
            ("no text", summed("config.yaml", b"\xff\xfe"), "not UTF-8"),
            ("a list", summed("config.yaml", b"[1]"), "is not a configuration"),
            ("a million levels", summed("config.yaml", b"a: " + b"[" * 100_000), "nested deeper"),
            ("an object", summed("config.yaml", b"a: !!python/object/apply:os.system [id]"), "tag"),
            ("aliases", summed("config.yaml", b"a: &a [x]\nb: *a\n"), "anchor"),
            ("300 KB", summed("config.yaml", b"# " + b"x" * 300_000), "bytes; expected"),
            ("a target", config(**{"model._target_": "os.system"}), "_target_"),
            ("huge images", config(**{"data.image_size": [16_000, 16_000]}), "takes images of shape (16, 16, 3)"),
            ("epochs: text", config(**{"training.epochs": "many"}), "training.epochs"),
            ("a NaN", config(**{"data.validation_share": float("nan")}), "data.validation_share"),
            ("another sum", lambda run: (run / "config.yaml").open("a").write("# more\n"), "SHA-256"),
        ]
    ),
    *(
        (f"metrics.csv: {name}", "read", harm, words)
        for name, harm, words in [
            ("empty", table(""), "names"),
            ("a ragged row", table("epoch,loss\n1,0.5\n2\n"), "row of 1 numbers for 2"),
            ("a long row", table("epoch,loss\n1,0.5,7\n"), "row of 3 numbers for 2"),
            ("text", table("epoch,loss\n1,low\n"), "'low'"),
            ("NaN", table("epoch,loss\n1,nan\n"), "'nan'"),
            ("1e400", table("epoch,loss\n1,1e400\n"), "'1e400'"),
            ("NUL", table("epoch,loss\n1,\0\n"), "no table of numbers"),
            ("no text", table("epoch,loss\n1,\udcff\n"), "no table of numbers"),
            ("digits of another script", table("epoch,loss\n1,٣\n"), "no table of numbers"),
            ("a million columns", table("a" + ",a" * 10**6 + "\n"), "5,000 characters"),
            ("two hundred columns", table(",".join(f"c{n}" for n in range(200)) + "\n"), "200 names"),
            ("a name twice", table("epoch,epoch\n1,1\n"), "twice"),
            ("a million rows", table("epoch\n" + "1\n" * 10**6), "100,000 rows"),
            ("eight million numbers", wide_table, "1,000,000 numbers"),
            ("20 MB", table("epoch\n" + "1" * 20_000_000 + "\n"), "bytes; expected"),
            ("an open quote", table('epoch,loss\n1,"0.5\n'), "is not CSV"),
            ("no epoch", table("loss\n1\n"), "no epoch"),
            ("half an epoch", table("epoch\n1.5\n"), "no epoch"),
            ("epoch -1", table("epoch\n-1\n"), "no epoch"),
            ("no end", table("epoch\n1"), "line's end"),
            ("another sum", lambda run: (run / "metrics.csv").write_text(ROW), "SHA-256"),
        ]
    ),
    *(
        (f"evaluation.json: {name}", "read", harm, words)
        for name, harm, words in [
            ("accuracy: text", scores(accuracy="high"), "accuracy"),
            ("accuracy: 7", scores(accuracy=7), "accuracy"),
            ("epoch: []", scores(epoch=[]), "epoch"),
            ("classes: null", scores(classes=None), "classes"),
            ("classes of numbers", scores(classes=[1]), "classes.0"),
            ("a ragged matrix", scores(confusion_matrix=[[1, 2], [3]]), "confusion_matrix"),
            ("a matrix of text", scores(confusion_matrix=[["1"]]), "confusion_matrix"),
            ("mistakes: {}", scores(mistakes={}), "mistakes"),
            ("a name of a megabyte", scores(split="x" * 10**6), "split"),
            ("100 MB", lambda run: (run / "evaluation.json").write_bytes(b" " * 10**8), "bytes; expected"),
            ("edited", lambda run: (run / "evaluation.json").write_text('{"accuracy": 1}'), "SHA-256"),
        ]
    ),
]  # fmt: skip

SNAPSHOTS: list[Row] = [
    (f"a snapshot: {name}", "evolution", harm, words)
    for name, harm, words in [
        ("a FIFO", fifo("snapshots/epoch-00003.npz"), NO_FILE),
        ("a folder", folder("snapshots/epoch-00003.npz"), NO_FILE),
        ("sparse", sparse("snapshots/epoch-00003.npz"), "bytes; expected"),
        ("empty", snapshot(b""), "not a snapshot"),
        ("no archive", snapshot(b"no archive"), "not a snapshot"),
        ("cut", snapshot(archive(WHOLE)[:-30]), "is truncated"),
        ("something before it", snapshot(b"x" * 100 + archive(WHOLE)), "does not lie at its beginning"),
        ("something behind it", snapshot(archive(WHOLE) + b"x" * 100), "something after its end"),
        ("65,535 members, it says", end_says(2**16 - 1), "65,535 members"),
        ("a directory of 4 GB, it says", end_says(2, 2**32 - 2), "zip directory cannot be read"),
        ("zip64", end_says(2, zip64=True), "zip64"),
        ("20,000 members", snapshot(archive({f"{n}": b"" for n in range(20_000)})), "20,000 members"),
        ("a member twice", snapshot(archive([*WHOLE.items(), ("epoch.npy", scalar(4))])), "holds epoch.npy 2 times"),
        ("300 MB of zeros", lambda run: snapshot(archive({**WHOLE, "a.npy": bytes(3 * 10**8)}))(run), "unpacked"),
        ("lzma", snapshot(archive(WHOLE, zipfile.ZIP_LZMA)), "compressed in a way"),
        ("18 EiB, says a header", kernel(npy("(4611686018427387904, 3, 3, 4)")), "not one of"),
        ("40 GB, says a header", kernel(npy("(100000, 100000, 2, 1)")), "takes 0 bytes"),
        ("objects", kernel(npy("(1, 1, 1, 1)", "'|O'", b"\x80\4K\1.")), "not one of"),
        ("records", kernel(npy("(1, 1, 1, 1)", "[('a', '<f2')]", bytes(2))), "not one of"),
        ("text", kernel(npy("(1, 1, 1, 1)", "'<U9'", bytes(36))), "not one of"),
        ("other byte order", kernel(npy("(1, 1, 1, 1)", "'>f2'", bytes(2))), "not one of"),
        ("a call in a header", kernel(npy("(1,)", "__import__('os')", bytes(2))), "not one of"),
        ("a header of brackets", kernel(npy("(" * 60, data=bytes(2))), "not one of"),
        ("a header of a later version", kernel(npy("(1, 1, 1, 1)", data=bytes(2), version=b"\2\0")), "not one of"),
        ("a negative side", kernel(npy("(-1, 1, 1, 1)", data=bytes(2))), "not one of"),
        ("too few values", kernel(npy("(2, 2, 2, 2)", data=bytes(2))), "takes 2 bytes"),
        ("too many values", kernel(npy("(1, 1, 1, 1)", data=bytes(200))), "takes 200 bytes"),
        ("three sides", kernel(npy("(1, 1, 1)", data=bytes(2))), "no kernel"),
        ("no limit", snapshot(archive({**WHOLE, "kernels/a.npy": npy("(1, 1, 1, 1)", data=bytes(2))})), "no kernel"),
        ("a limit that is a list", kernel(npy("(1, 1, 1, 1)", data=bytes(2)), scalar([1, 2], "<f4")), "no kernel"),
        ("no epoch", snapshot(archive({"format.npy": scalar(1)})), "no valid 'epoch'"),
        ("epoch -1", snapshot(archive({**WHOLE, "epoch.npy": scalar(-1)})), "no valid 'epoch'"),
        ("an epoch that is a list", snapshot(archive({**WHOLE, "epoch.npy": scalar([1, 2])})), "no valid 'epoch'"),
        ("format 9", snapshot(archive({**WHOLE, "format.npy": scalar(9)})), "format 9"),
        ("40 of 25 MB", snapshots_of(40), "take more than"),
        ("of other layers", snapshot(archive(WHOLE)), "of none of these layers"),
    ]
]  # fmt: skip

CHECKPOINTS: list[Row] = [
    *(
        (f"a checkpoint: {name}", "checkpoint", harm, words)
        for name, harm, words in [
            ("a file in its place", lambda run: emptied(newest(run)).write_text("x"), NO_STATE),
            *((f"a FIFO for {name}", in_place_of(name, fifo), NO_FILE) for name in PARTS),
            *((f"a sparse {name}", in_place_of(name, sparse), NO_STATE) for name in PARTS),
            ("a manifest of a list", manifest(b"[]"), NO_STATE),
            ("a manifest of text", manifest(b'{"files": "all"}'), NO_STATE),
            ("a manifest of a path", manifest(b'{"files": {"../../../../outside/secret.txt": ""}}'), NO_STATE),
            ("a manifest without end", manifest(b"[" * 100_000), NO_STATE),
            ("no such sum", in_place_of(ARRAYS, lambda name: lambda run: (run / name).write_bytes(b"x")), NO_STATE),
            ("epoch -1", values(lambda v: v.update(epoch=-1)), NO_STATE),
            ("epoch: text", values(lambda v: v.update(epoch="3")), NO_STATE),
            ("no step", values(lambda v: v.pop("step") and None), NO_STATE),
            ("complete: 1", values(lambda v: v.update(complete=1)), NO_STATE),
            ("values: a list", in_checkpoint(VALUES, b"[]"), NO_STATE),
            ("values: NaN", in_checkpoint(VALUES, b'{"epoch": NaN}'), NO_STATE),
            ("a header of 18 EiB", in_checkpoint(ARRAYS, b"\xff" * 8 + b"{}"), NO_STATE),
            ("a header of text", arrays(b"text"), NO_STATE),
            ("a header without end", arrays(b'{"a":' * 50_000), NO_STATE),
            ("an array of 40 GB", arrays(array_of([10**5, 10**5], [0, 4 * 10**10])), NO_STATE),
            ("an array of a negative side", arrays(array_of([-1], [0, -4])), NO_STATE),
            ("an array before the file", arrays(array_of([1], [-4, 0]), bytes(4)), NO_STATE),
            ("shared bytes", arrays(dict.fromkeys("ab", array_of([1], [0, 4])["model.0"]), bytes(4)), NO_STATE),
            ("an array of objects", arrays(array_of([1], [0, 8], "object"), bytes(8)), NO_STATE),
            ("an array of a dtype that is a list", arrays(array_of([1], [0, 4], ["F32"]), bytes(4)), NO_STATE),
            ("more than its arrays", arrays(array_of([1], [0, 4]), bytes(400)), NO_STATE),
        ]
    ),
    *(
        (f"resuming: {name}", "resume" if "attribute" in name else "checkpoint", harm, words)
        for name, harm, words in [
            ("an attribute of a callback", values(lambda v: v["callbacks"]["Clock"].update(on_epoch_end="x")),
             "on_epoch_end"),
            ("a callback of another name", values(lambda v: v["callbacks"].update(os={"system": 1})), "callbacks.os"),
            ("nothing of a callback", values(lambda v: v["callbacks"].pop("Clock") and None), "nothing of Clock"),
            ("rows of text", values(lambda v: v["callbacks"]["MetricsTable"].update(rows=["x"])), "rows"),
            ("a log cut to -1", values(lambda v: v["logs"].update({"train.log": -1})), "logs"),
            ("best: null", values(lambda v: v.update(best=None)), "best"),
            ("no checkpoint that is whole", manifest(b"{}"), NO_STATE),
        ]
    ),
]  # fmt: skip

HOSTILE: list[Row] = [*KINDS, *FACTS, *TEXTS, *SNAPSHOTS, *CHECKPOINTS]
