"""Every mistake in a configuration is refused before anything heavy is imported, with the nearest valid choice."""

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from convlens.configs import Evaluate, Train, Visualize
from convlens.configs.cli import choices_of, command
from convlens.configs.composition import compose, section_of
from convlens.core.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = {"train": Train, "evaluate": Evaluate, "visualize": Visualize}

# A row: script, what was typed, and what the one line must say.
BAD = [
    ("train", "experiment=crs", "Did you mean 'cars'?"),
    ("train", "experiment=nothing_like_it", "Unknown experiment 'nothing_like_it'. Choices:"),
    ("train", "model=vg", "Did you mean 'vgg'?"),
    ("train", "data=tdfs", "Did you mean 'tfds'?"),
    ("train", "debug=quick", "Unknown debug 'quick'"),
    ("train", "trainin.epochs=3", "Did you mean 'training.epochs'?"),
    ("train", "training.epoch=3", "Did you mean 'training.epochs'?"),
    ("train", "epochs=3", "Did you mean 'training.epochs'?"),
    ("train", "learning_rate=0.1", "Did you mean 'training.optimizer.learning_rate'?"),
    ("train", "training.lr=0.1", "Unknown key 'training.lr'. Did you mean 'training.optimizer.learning_rate'?"),
    ("train", "+training.epoch=3", "Did you mean 'training.epochs'?"),
    ("train", "training.epochs.first=3", "training.epochs is a value"),
    ("train", "sede=1", "Did you mean 'seed'?"),
    ("train", "training.epochs=0", "training.epochs=0 does not fit; expected a number of at least 1."),
    ("train", "training.epochs=-3", "training.epochs=-3 does not fit"),
    ("train", "training.epochs=2.5", "expected a whole number"),
    ("train", "training.epochs=ten", "training.epochs='ten' does not fit; expected a whole number."),
    ("train", "training.epochs=true", "expected a whole number"),
    ("train", "training.epochs=null", "training.epochs=None does not fit"),
    ("train", "training.batch_size=0", "training.batch_size=0 does not fit"),
    ("train", "training.optimizer.learning_rate=nan", "expected a finite number"),
    ("train", "training.optimizer.learning_rate=inf", "expected a finite number"),
    ("train", "training.optimizer.learning_rate=0", "expected a number greater than 0"),
    ("train", "training.optimizer.learning_rate=-0.1", "expected a number greater than 0"),
    ("train", "training.optimizer.learning_rate=fast", "expected a number"),
    ("train", "training.optimizer.name=adamm", "Did you mean 'adam'?"),
    ("train", "training.optimizer=adam", "training.optimizer"),
    ("train", "training.optimizer.momentum=1", "expected a number less than 1"),
    ("train", "training.schedule.name=cosin", "Did you mean 'cosine'?"),
    ("train", "training.schedule.name=step", "give training.schedule.step_epochs=10,15"),
    ("train", "training.schedule.warmup_epochs=10", "must be less than training.epochs=10"),
    ("train", "training.label_smoothing=1", "expected a number less than 1"),
    ("train", "training.precision=float16", "Did you mean 'mixed_float16'?"),
    ("train", "training.monitor=accuracy", "Did you mean 'val_accuracy'?"),
    ("train", "training.steps_per_execution=epoc", "expected a whole number or 'epoch'"),
    ("train", "training.steps_per_execution=0", "expected a number of at least 1 or 'epoch'"),
    ("train", "training.class_weights=balance", "training.class_weights"),
    ("train", "training.early_stopping.patience=0", "expected a number of at least 1"),
    ("train", "data=tfds", "data=tfds needs a dataset name"),
    ("train", "data=folder", "data=folder needs a folder of images"),
    ("train", "data.source=web", "Choices: rendered_cars, tfds, folder, arrays."),
    ("train", "data.image_size=0", "data.image_size"),
    ("train", "data.image_size=[32,32,3]", "expected at most 2 value(s), and got 3"),
    ("train", "data.channels=2", "Choices: 1, 3."),
    ("train", "data.validation_share=1", "expected a number less than 1"),
    ("train", "data.classes=[car]", "at least two different class names"),
    ("train", "data.augment.flipp=true", "Did you mean 'data.augment.flip'?"),
    ("train", "data.augment.flip=sometimes", "expected true or false"),
    ("train", "data.augment.erase=2", "expected a number of at most 1"),
    ("train", "data.augment.cutmix=2", "expected a number of at most 1"),
    ("train", "model.filters=[]", "expected at least 1 value(s)"),
    ("train", "model.filters=[16,0]", "expected a number of at least 1"),
    ("train", "model.kernel_size=[3,5]", "model.kernel_size has 2 values but model.filters makes"),
    ("train", "model.padding=full", "Choices: same, valid."),
    ("train", "model.pooling=maximum", "Choices: max, average, none."),
    ("train", "model.stride=2 model.dilation=2", "one must be 1"),
    ("train", "model.head.dropout=1", "expected a number less than 1"),
    ("train", "data.channels=true", "data.channels='true' is not a choice. Choices: 1, 3."),
    ("train", "data.channels=1.0", "Choices: 1, 3."),
    ("train", "training.epochs=1e20", "expected a whole number"),
    ("train", "training.epochs=100000000000000000000", "expected a number of at most 2147483647"),
    ("train", "training.optimizer.learning_rate=1e300", "expected a number of at most 3e+38"),
    ("train", "training.optimizer.learning_rate=1e-300", "expected a number of at least 1e-30"),
    ("train", "data=null", "Unknown data 'null'"),
    ("train", "experiment={a:1}", "experiment takes one of"),
    ("train", "seed=-1", "seed=-1 does not fit"),
    ("train", "seed=0,1", "add -m"),
    ("train", "name=../elsewhere", "cannot be a folder's name"),
    ("train", "foo", "Cannot read 'foo'; expected key=value"),
    ("train", "training.epochs=[", "Quote a value that holds commas"),
    ("train", "name=${nothing}", "name: Interpolation key 'nothing' not found."),
    ("train", "data.root=${oc.env:NOT_SET}", "data.root: "),
    ("train", "seed={a:1}", "seed={'a': 1} does not fit; expected a single value."),
    ("train", "model.filters={a:1}", "model.filters={'a': 1} does not fit; expected one value, or several"),
    ("train", "training=[1]", "training=[1] does not fit; expected keys, such as training.epochs=VALUE."),
    ("train", "training.optimizer.options=[1]", "expected keys, such as training.optimizer.options.KEY=VALUE."),
    ("train", "training={epoch:3}", "Did you mean 'training.epochs'?"),
    ("train", "data.splits={a:1}", "Unknown key 'data.splits.a'."),
    ("train", "data.augment=null", "Did you mean data.augment.flip=null?"),
    ("train", "model@head=vgg", "moves a group of keys elsewhere, where nothing can be moved; give model=vgg."),
    ("train", "+data@model=tfds", "give data=tfds."),
    ("evaluate", "spilt=test", "Did you mean 'split'?"),
    ("evaluate", "split=valid", "Did you mean 'validation'?"),
    ("evaluate", "batch_size=0", "expected a number of at least 1"),
    ("visualize", "imgae=car.jpg", "Did you mean 'image'?"),
    ("visualize", "sort=size", "Choices: index, norm, activation, orientation."),
    ("visualize", "scale=none", "Choices: unit, layer, global."),
    ("visualize", "units=[-1]", "expected a number of at least 0"),
    ("visualize", "extraction.stride=0", "expected a number of at least 1"),
]


@pytest.mark.parametrize("script, typed, message", BAD, ids=[f"{script} {typed}" for script, typed, _ in BAD])
def test_a_bad_configuration_is_refused_in_one_line(script, typed, message):
    with pytest.raises(UserError) as refusal:
        compose(script, SCRIPTS[script], typed.split())
    line = str(refusal.value)
    assert message in line
    assert "\n" not in line


@pytest.mark.parametrize("prefix", ["", "+", "++"])
def test_a_choice_of_a_group_takes_the_signs_that_other_keys_take(prefix):
    config = compose("train", Train, [f"{prefix}model=vgg", f"{prefix}seed=3"])
    assert config.model == compose("train", Train, ["model=vgg"]).model and config.seed == 3


def keys_of(schema, prefix=""):
    """Every key of a schema, with its annotation."""
    for name, field in schema.model_fields.items():
        inner = section_of(field.annotation)
        yield from keys_of(inner, f"{prefix}{name}.") if inner else [(prefix + name, field.annotation)]


@pytest.mark.parametrize("script", SCRIPTS)
def test_true_is_no_number_and_no_choice_in_any_key(script):
    for key, annotation in keys_of(SCRIPTS[script]):
        takes_numbers = {int, float} & {annotation, *getattr(annotation, "__args__", ())}
        if bool in (annotation, *getattr(annotation, "__args__", ())) or not (takes_numbers or choices_of(annotation)):
            continue
        with pytest.raises(UserError, match=f"{key}.*(does not fit|is not a choice)"):
            compose(script, SCRIPTS[script], [f"{key}=true"])


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("seed=glob(*)", "lists no values; list them with commas between them: seed=A,B"),
        ("model=glob(*)", "model=keras,lesson,resnet,vgg,vgg16"),
        ("training.optimizer.learning_rate=interval(0.001,0.1)", "training.optimizer.learning_rate=0.001,0.01,0.1"),
        ("seed=range(0,1000000000)", "gives more than 10,000 values"),
        ("seed=shuffle(range(0,1000000000))", "gives more than 10,000 values"),
        ("seed=range(0,3,0)", "has steps of 0"),
    ],
)
def test_a_sweep_without_values_that_can_be_listed_is_refused_in_one_line(typed, message, capsys):
    with pytest.raises(SystemExit) as end:
        command("train", Train, lambda config: None, ["-m", typed], summarize=lambda jobs: None)
    errors = capsys.readouterr().err
    assert end.value.code == 2 and message in errors and errors.count("\n") == 1


@pytest.mark.parametrize("name", ["[1].jpg", "{a}.jpg", '"a.jpg', "a${b}.jpg", "it's #1=x.jpg", "a b,c.jpg", "~a.jpg"])
def test_a_file_that_exists_is_taken_whatever_its_name(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).touch()
    assert compose("visualize", Visualize, [f"image={name}"]).image == [name]


@pytest.mark.parametrize("value", ["{a},b", "'abc", "data,", "[1", "a${b", "${", "[${a}", "it's ${a"])
def test_a_word_that_cannot_be_read_is_answered_with_quotes_that_work(value):
    with pytest.raises(UserError, match="Quote a value that holds commas, brackets or quotes: ") as refusal:
        compose("train", Train, ["data=folder", f"data.root={value}"])
    (typed,) = shlex.split(str(refusal.value).split("or quotes: ")[1])
    assert compose("train", Train, ["data=folder", typed]).data.root == value


def test_a_mistake_ends_a_script_with_code_2_and_one_line_and_no_tensorflow():
    code = (
        "import sys, runpy; sys.argv = ['train.py', 'training.epoch=3']\n"
        "try: runpy.run_path('train.py', run_name='__main__')\n"
        "except SystemExit as stop: print(stop.code, 'tensorflow' in sys.modules, 'keras' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.split() == ["2", "False", "False"]
    assert len(done.stderr.splitlines()) == 1
    assert "Did you mean 'training.epochs'?" in done.stderr


def test_an_unknown_key_in_an_experiment_names_its_file(tmp_path, monkeypatch):
    experiment = ROOT / "configs" / "experiment" / "misspelt_for_a_test.yaml"
    experiment.write_text("# @package _global_\ntraining: {epoch: 3}\n")
    try:
        with pytest.raises(UserError, match=r"Did you mean 'training.epochs'.*configs/experiment/misspelt_for_a_test"):
            compose("train", Train, ["experiment=misspelt_for_a_test"])
    finally:
        experiment.unlink()
