"""Saved configurations made to harm: each is refused, nothing in them is called and no environment value is read out.

To add a case, add a row to HOSTILE: a name, the YAML, words that the refusal must say.
"""

import os
import sys
import time

import pytest
import yaml
from hypothesis import given, settings, strategies as st

from convlens.configs import Train
from convlens.configs.plain_yaml import BYTES
from convlens.configs.saved import read_config
from convlens.core.errors import UserError

SECRET = "canary-5f2b8c"
SECONDS = 2  # of the processor

LAUGHS = "a: &a [x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join(['*' + chr(97 + n)] * 9)}]\n" for n in range(9)
)

HOSTILE: list[tuple[str, str, str]] = [
    # Hydra would call these
    ("_target_ at the top", "_target_: os.system\n_args_: [id]", "'_target_'"),
    ("_target_ in a section", "data: {_target_: os.system, command: id}", "'_target_'"),
    ("_target_ in the model", "model: {_target_: keras.saving.load_model, filepath: /tmp/x.keras}", "'_target_'"),
    ("_target_ among free options", "training: {optimizer: {options: {_target_: os.system}}}", "'_target_'"),
    ("_target_ in a list", "data: {classes: [{_target_: builtins.open, file: /tmp/x, mode: w}, b]}", "'_target_'"),
    ("_target_ among class weights", "training: {class_weights: {_target_: subprocess.Popen}}", "'_target_'"),
    (
        "_target_ of copyfile",
        "data: {augment: {_target_: shutil.copyfile, src: /etc/passwd, dst: /tmp/x}}",
        "'_target_'",
    ),
    ("_target_ of urlopen", "training: {schedule: {_target_: urllib.request.urlopen, url: 'http://a'}}", "'_target_'"),
    ("_target_ of eval", "name: {_target_: builtins.eval, _args_: ['1+1']}", "'_target_'"),
    ("_target_ with escapes", '"\\x5ftarget_": os.system', "'_target_'"),
    ("_partial_", "model: {_partial_: true}", "'_partial_'"),
    ("_recursive_", "training: {_recursive_: true}", "'_recursive_'"),
    ("_convert_", "data: {splits: {_convert_: all}}", "'_convert_'"),
    ("a defaults list", "defaults: [{override /data: evil}]", "Unknown key 'defaults'"),
    ("hydra's own section", "hydra: {run: {dir: /tmp/x}}", "Unknown key 'hydra'"),
    ("search path", "hydra: {searchpath: ['file:///tmp/evil']}", "Unknown key 'hydra'"),
    # Python would run these
    ("object/apply", "name: !!python/object/apply:os.system [id]", "YAML tag"),
    ("object/new", "!!python/object/new:subprocess.Popen [[id]]", "YAML tag"),
    ("python/name", "name: !!python/name:os.system", "YAML tag"),
    ("python/module", "name: !!python/module:antigravity", "YAML tag"),
    ("own tag", "name: !include /etc/passwd", "YAML tag"),
    ("tag under another name", "%TAG !e! tag:yaml.org,2002:python/\n---\nname: !e!name:os.system x", "YAML tag"),
    ("binary", "name: !!binary aWQ=", "YAML tag"),
    ("set", "data: !!set {a, b}", "YAML tag"),
    # More than a machine has
    ("a billion laughs", LAUGHS, "anchor or alias"),
    ("an alias of itself", "a: &a [*a]", "anchor or alias"),
    ("an anchor that nobody uses", "name: &a x", "anchor or alias"),
    ("a merge", "data: {<<: {source: tfds}}", "'<<'"),
    ("a megabyte", "# " + "x" * 2**20, f"more than {BYTES:,} bytes"),
    ("100,000 levels", "[" * 100_000, "nested deeper"),
    ("100,000 levels of lists", "- " * 100_000, "nested deeper"),
    ("100,000 values", "a: [" + "1," * 100_000 + "1]", "more than 20,000 values"),
    ("a number of 200,000 digits", "seed: " + "9" * 200_000, "200,000 characters"),
    ("a number of 9,000 digits", "seed: " + "9" * 9_000, "a number of 9,000 characters"),
    *(
        (f"a long number {name}", f"{key}: {digits}", "a number of")
        for key in ("seed", "name", "data", "data: {validation_share", "training: {epochs")
        for name, digits in {
            "in base 2": "0b" + "1" * 9_000,
            "in base 8": "0" + "7" * 9_000,
            "in base 16": "0x" + "f" * 9_000,
            "in base 60": ":".join(["1"] * 4_900),
            "in base 60, with a point": ":".join(["1"] * 4_900) + ".5",
        }.items()
        for digits in [digits + "}" * key.count("{")]
    ),
    ("a name of 9,000 characters", "name: " + "x" * 9_000, "cannot be a folder's name"),
    ("a key of 900 characters", "k" * 900 + ": 1", "a key of 900 characters"),
    ("a number in base sixty", "seed: " + ":".join(["1"] * 100_000), "199,999 characters"),
    # What no configuration is
    ("nothing", "", "found NoneType"),
    ("a list", "- a", "found list"),
    ("text", "train well", "found str"),
    ("two documents", "--- {}\n--- {}", "not readable YAML"),
    ("control characters", "name: \x00", "not readable YAML"),
    ("a key twice", "seed: 1\nseed: 2", "'seed' twice"),
    ("a list for a key", "? [a]\n: 1", "where a key belongs"),
    ("a date that does not exist", "name: 2026-99-99", "not readable YAML"),
    ("NaN", "training: {label_smoothing: .nan}", "finite number"),
    ("name that leaves the folder", "name: ../../etc", "cannot be a folder's name"),
    ("code for a number", "seed: '__import__(\"os\").getpid()'", "whole number"),
    ("environment for a number", "seed: ${oc.env:CONVLENS_SECRET}", "whole number"),
    ("resolver for a number", "training: {epochs: '${eval:6*7}'}", "whole number"),
    ("environment for a choice", "data: {source: '${oc.env:CONVLENS_SECRET}'}", "is not a choice"),
]


@pytest.fixture(scope="module")
def calls():
    """Programs, network and files that Python is about to touch, while `calls["on"]`."""
    heard = {"on": False, "events": []}
    watched = ("os.", "subprocess.", "socket.", "urllib.", "shutil.", "exec", "open", "import", "compile", "pickle.")
    sys.addaudithook(
        lambda event, args: heard["on"] and event.startswith(watched) and heard["events"].append((event, args))
    )
    return heard


def test_there_are_at_least_fifteen_instructions_among_the_hostile_configurations():
    assert sum("'_" in reason for _, _, reason in HOSTILE) >= 13 and len(HOSTILE) >= 15
    assert sum("_target_" in text or "_target_" in name for name, text, _ in HOSTILE) >= 10


@pytest.mark.parametrize(("text", "reason"), [row[1:] for row in HOSTILE], ids=[row[0] for row in HOSTILE])
def test_a_hostile_configuration_is_refused_and_nothing_is_called(text, reason, calls, monkeypatch):
    monkeypatch.setenv("CONVLENS_SECRET", SECRET)
    calls["events"].clear()

    start = time.process_time()
    calls["on"] = True
    try:
        with pytest.raises(UserError) as refusal:
            read_config(text, Train)
    finally:
        calls["on"] = False
    seconds = time.process_time() - start

    line = str(refusal.value)
    assert reason in line and "\n" not in line and len(line) < 600
    assert SECRET not in line
    assert calls["events"] == []
    assert seconds < SECONDS


def test_an_interpolation_stays_the_text_that_it_is(monkeypatch):
    monkeypatch.setenv("CONVLENS_SECRET", SECRET)
    written = [
        "${oc.env:CONVLENS_SECRET}",
        "${eval:1+1}",
        "${oc.decode:'1'}",
        "${now:%Y}",
        "${hydra:job.name}",
        "$HOME",
    ]
    config = read_config(yaml.safe_dump({"data": {"classes": written}}), Train)
    assert config.data.classes == written
    assert SECRET not in str(config.document())


def test_what_a_run_writes_is_read_back_as_it_was(tmp_path):
    config = Train.model_validate({"name": "cars: #1", "seed": 3, "model": {"filters": [4, 8]}, "data": {"root": "/ü"}})
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(config.document(), sort_keys=False))
    assert read_config(path, Train) == config


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: None, "No such file"),
        (lambda path: path.mkdir(), "is not a regular file"),
        (lambda path: os.mkfifo(path), "is not a regular file"),
        (lambda path: path.symlink_to("/dev/zero"), "is not a regular file"),
        (lambda path: path.symlink_to(path.name), "symbolic links"),
        (lambda path: path.write_bytes(b"name: \xff"), "not UTF-8"),
        (lambda path: path.write_bytes(b"#" * (BYTES + 1)), "more than"),
        (lambda path: path.write_text("data: {sorce: tfds}"), "Did you mean 'data.source'?"),
    ],
    ids=["missing", "folder", "fifo", "device", "link to itself", "not UTF-8", "too long", "misspelt"],
)
def test_a_file_that_is_no_configuration_is_refused_by_name(make, reason, tmp_path):
    path = tmp_path / "config.yaml"
    make(path)
    with pytest.raises(UserError, match="config.yaml") as refusal:
        read_config(path, Train)
    assert reason in str(refusal.value)


@settings(max_examples=150, deadline=None)
@given(
    st.text(alphabet=st.characters(codec="utf-8"), max_size=200)
    | st.text("{}[]:,-&*!|>?%@`'\"#~ \n\tab1._$", max_size=60)
)
def test_any_text_is_a_configuration_or_a_user_error(text):
    try:
        read_config(text, Train)
    except UserError as error:
        assert "\n" not in str(error)
