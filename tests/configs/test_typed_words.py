"""What a person types is taken as it is meant, or answered with what is to be typed."""

import shlex
import shutil
import subprocess

import pytest

from convlens.configs import Evaluate, Train, Visualize
from convlens.configs.aliases import ALIASES, OF_GROUPS
from convlens.configs.cli import _split, choices_of, help_text
from convlens.configs.composition import _paths, compose, groups, groups_of, section_of
from convlens.configs.typed_words import annotation_of
from convlens.core import program
from convlens.core.errors import MOST_SHOWN, UserError, nearest, unknown
from convlens.gallery import registry
from convlens.gallery.help_lines import help_lines

SCHEMAS = {"train": Train, "evaluate": Evaluate, "visualize": Visualize}
KEYS = {name: {*_paths(schema), *groups_of(name)} for name, schema in SCHEMAS.items()}


def refusal(script, *words):
    with pytest.raises(UserError) as refused:
        compose(script, SCHEMAS[script], list(words))
    assert "\n" not in str(refused.value)
    return str(refused.value)


@pytest.mark.parametrize("alias", ALIASES)
def test_an_alias_is_answered_with_its_key_with_and_without_a_prefix(alias):
    answered = 0
    for script, keys in KEYS.items():
        key = next((key for key in ALIASES[alias] if key in keys), None)
        if key is None or alias in keys:
            continue
        answered += 1
        prefixes = ("", "training.optimizer.", "data.") if script == "train" else ("",)
        for typed in (f"{prefix}{alias}" for prefix in prefixes):
            if annotation_of(SCHEMAS[script], typed) is None and not is_section(SCHEMAS[script], typed):
                assert f"Did you mean '{key}'?" in refusal(script, f"{typed}=1")
    assert answered, f"no script has a key of {ALIASES[alias]}"


def is_section(schema, key):
    for part in key.split("."):
        field = schema.model_fields.get(part)
        schema = section_of(field.annotation) if field else None
        if schema is None:
            return False
    return True


@pytest.mark.parametrize("group", OF_GROUPS)
def test_a_value_for_a_group_of_keys_is_answered_with_the_key_that_takes_it(group):
    script = "visualize" if group == "extraction" else "train"
    assert OF_GROUPS[group] in KEYS[script]
    if group in groups():  # data=..., model=... choose a file of a group
        return
    line = refusal(script, f"{group}=adam")
    assert f"{group} is a group of keys" in line and f"Did you mean {OF_GROUPS[group]}=adam?" in line


def test_every_list_takes_commas():
    lists = {
        "visualize": {"figures": "basics,units", "layers": "a,b", "units": "1,2", "image": "a.jpg,3"},
        "train": {
            "data.classes": "a,b", "data.image_size": "32,48", "data.train_only": "a,b", "data.value_range": "0,4095",
            "model.filters": "8,16,32", "model.kernel_size": "7,3,3",
            "model.convolutions": "1,2,2", "model.stride": "1,2,1", "model.padding": "same,valid,same",
            "model.dilation": "1,1,2", "model.pooling": "max,average,none", "model.pool_size": "2,2,2",
            "model.dropout": "0.1,0.2,0", "model.head.dense": "64,32", "training.schedule.step_epochs": "3,5",
        },
    }  # fmt: skip
    for script, schema in SCHEMAS.items():
        having = {key for key in _paths(schema) if "list[" in str(annotation_of(schema, key)) and key != "kernel"}
        assert having == set(lists.get(script, {}))
        for key, value in lists.get(script, {}).items():
            with_commas = compose(script, schema, [f"{key}={value}"])
            assert with_commas == compose(script, schema, [f"{key}=[{value}]"])
            assert shlex.split(f"{key}={value}") == [f"{key}={value}"]


@pytest.mark.parametrize("word", ["figures=basics", "figures='basics'", "figures=[basics]", "figures=[ 'basics' ]"])
def test_a_list_of_one_needs_neither_comma_nor_bracket(word):
    assert compose("visualize", Visualize, [word]).figures == ["basics"]
    assert compose("train", Train, ["model.head.dense=64"]).model.head.dense == [64]


@pytest.mark.parametrize(
    ("word", "images"),
    [
        ("image=josé (1).jpg,it's.png", ["josé (1).jpg", "it's.png"]),
        ("image=it's.jpg", ["it's.jpg"]),
        ("image=${oc.env:HOME}", ["HOME"]),
        ("image='a, b.jpg',c.jpg", ["a, b.jpg", "c.jpg"]),
        ("image=3,car 1.jpg", [3, "car 1.jpg"]),
        ("image=~/a.jpg,~/b.jpg", ["HOME/a.jpg", "HOME/b.jpg"]),
    ],
)
def test_files_of_any_name_stand_in_a_list(word, images, monkeypatch):
    monkeypatch.setenv("HOME", "HOME")
    assert compose("visualize", Visualize, [word]).image == images


def test_several_values_for_a_key_that_takes_one_are_refused_and_m_is_advised_where_it_helps():
    assert "add -m to run one job for each" in refusal("train", "seed=0,1")
    assert "-m" not in refusal("visualize", "split=train,test")
    assert "-m" not in refusal("evaluate", "run=a,b")


@pytest.mark.parametrize("typed", ["64", "0064", "1e3", "true", "no", "3.10", "a(b)", "it's", "a: b", "null and void"])
def test_text_needs_no_quotes_whatever_it_looks_like(typed):
    config = compose("train", Train, [f"data.name={typed}", f"data.classes={typed},b"])
    assert (config.data.name, config.data.classes) == (typed, [typed, "b"])
    if typed not in ("64", "0064", "1e3", "true", "no", "3.10"):  # of target, a number is an index
        assert compose("visualize", Visualize, [f"target={typed}"]).target == typed


def test_a_number_in_an_experiment_is_text_where_text_belongs(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("# @package _global_\ndata: {name: 128, classes: [0, 1]}\n")
    data = compose("train", Train, [f"experiment={file}"]).data
    assert (data.name, data.classes) == ("128", ["0", "1"])


def test_no_text_is_null_and_empty_text_is_refused():
    assert compose("train", Train, ["init_from=null"]).init_from is None
    for script, schema in SCHEMAS.items():
        for key in _paths(schema):
            if "str" in str(annotation_of(schema, key)) and "dict" not in str(annotation_of(schema, key)):
                assert f"{key}= is empty" in refusal(script, f"{key}=")


PLACES = {
    "train": ("data.root", "data.data_dir", "data.manual_dir", "runs_dir", "init_from", "resume"),
    "evaluate": ("run", "runs_dir", "data.root", "data.data_dir", "data.manual_dir"),
    "visualize": ("run", "a", "b", "model", "out", "runs_dir", "image", "data.root", "data.data_dir"),
}


@pytest.mark.parametrize("script", PLACES)
@pytest.mark.parametrize("form", ["{}=~/mine", "{}='~/mine'", '{}="~/mine"'])
def test_a_path_begins_in_the_home_of_the_user_however_it_is_written(script, form, monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    for key in PLACES[script]:
        words = [form.format(key), *(["b=x"] if key == "a" else ["a=x"] if key == "b" else [])]
        value = compose(script, SCHEMAS[script], words)
        for part in key.split("."):
            value = getattr(value, part)
        assert value in ("/home/me/mine", ["/home/me/mine"])


def test_a_path_in_an_experiment_begins_in_the_home_of_the_user(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    file = tmp_path / "mine.yaml"
    file.write_text("# @package _global_\nruns_dir: ~/runs\n")
    assert compose("train", Train, [f"experiment={file}"]).runs_dir == "/home/me/runs"


def test_an_experiment_that_configures_hydra_is_refused(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("# @package _global_\nhydra: {run: {dir: elsewhere}}\n")
    assert "mine.yaml has the key 'hydra'" in refusal("train", f"experiment={file}")


@pytest.mark.parametrize(
    ("script", "typed", "message"),
    [
        ("train", "--epochs=3", "training.epochs=3"),
        ("train", "--lr 0.1", "training.optimizer.learning_rate=0.1"),
        ("train", "--batch-size=8", "training.batch_size=8"),
        ("train", "--training.epochs 3", "training.epochs=3"),
        ("train", "--epochs --help", "training.epochs=..."),
        ("evaluate", "--bs=8", "batch_size=8"),
        ("visualize", "--figure 'a b'", "'figures=a b'"),
        ("train", "--hlep", "Did you mean '--help'?"),
        ("train", "--nothing-like-it", "Unknown flag '--nothing-like-it'. Choices: --help"),
    ],
)
def test_a_flag_of_another_program_is_answered_with_the_key(script, typed, message):
    with pytest.raises(UserError) as refused:
        _split(shlex.split(typed), script, SCHEMAS[script])
    assert message in str(refused.value) and "\n" not in str(refused.value)


def test_all_choices_are_shown_or_where_they_are():
    names = [f"name{number}" for number in range(MOST_SHOWN)]
    assert unknown("name", "x", names, where="a.txt").endswith(f"name{MOST_SHOWN - 1}.")
    assert unknown("name", "x", [*names, "one more"], where="a.txt").endswith(f"... ({MOST_SHOWN + 1} in all: a.txt).")
    assert len(registry.figures()) + len(registry.groups()) < MOST_SHOWN


def test_only_what_is_alike_is_a_guess():
    assert nearest("nope", ["opt", "home"], likeness=0.7) == ""
    assert nearest("PHOTS", ["photos", "opt"], likeness=0.7) == "photos"


@pytest.mark.parametrize("script", SCHEMAS)
def test_help_has_the_meaning_of_every_key_and_every_choice(script):
    text = help_text(script, SCHEMAS[script], sweeps=False)
    lines = {line.split("=")[0].strip(): line for line in text.splitlines() if "=" in line}
    for key in _paths(SCHEMAS[script]):
        line = lines[key]
        assert line.strip().split(maxsplit=1)[1:], f"{key} has no meaning"
        below = text[text.index(line) + len(line) :].split("=")[0]
        for choice in choices_of(annotation_of(SCHEMAS[script], key)):
            assert choice in line or f"\n      {choice} " in below, f"{key}={choice} has no line"
            assert script == "train" or f"\n      {choice} " in below, f"{key}={choice} has no line of its own"


def test_help_of_visualize_has_a_line_for_every_figure_group_and_kernel():
    from convlens.interpret import named_kernels

    lines = {line.split(maxsplit=1)[0]: line for line in help_lines() if line.startswith(" ")}
    assert {*registry.figures(), *registry.groups(), *named_kernels()} <= set(lines)
    assert all(lines[name].endswith(f" {figure.shows}") for name, figure in registry.figures().items())
    assert all(len(line) <= 120 for line in help_lines())


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_a_printed_word_reaches_the_program_as_it_stands(shell, tmp_path):
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed")
    values = [
        "runs/cars/latest",
        "my photos",
        "[0,1]",
        "{a:1,b:2}",
        "it's",
        "~/x",
        "a*b?",
        "$HOME",
        "!!",
        "=x",
        "#x",
        "a${b}",
        "${",
        "${HOME}'s",
    ]
    for value in values:
        line = program.command_line("train", init_from=value)
        code = f"convlens() {{ printf '%s\\0' \"$@\"; }}; {line}"
        done = subprocess.run([shell, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
        words = done.stdout.split("\0")[1:-1]
        assert words == [f"init_from={program.as_value(value)}"]
        assert compose("train", Train, words).init_from == value.replace("~", program.os.path.expanduser("~"))
