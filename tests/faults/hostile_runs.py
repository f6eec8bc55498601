"""Runs whose configuration, or whose dataset, wants more than to be read.

`HOSTILE` has a row for each: its name, what the keys of `data` in config.yaml become, what is done to the folder of
the run before it is opened, and what the line that refuses it says. `{run}` stands for the folder of the run, and
`{module}` for a module in it, as Python would import it.
"""

import json
import os
from pathlib import Path

FEATURES = "tensorflow_datasets.core.features"
DICT = f"{FEATURES}.features_dict.FeaturesDict"
INSIDE = {"source": "tfds", "name": "evil", "data_dir": "{run}/tfds"}
PAYLOAD = 'import pathlib; pathlib.Path("CANARY").touch()\n'


def image(**changes):
    return {"pythonClassName": f"{FEATURES}.image_feature.Image",
            "image": {"shape": {"dimensions": ["8", "8", "3"]}, "dtype": "uint8", "encodingFormat": "png"}
            | changes}  # fmt: skip


def label(count=3):
    name = f"{FEATURES}.class_label_feature.ClassLabel"
    return {"pythonClassName": name, "classLabel": {"numClasses": str(count)}}


def features(**changes):
    return {"pythonClassName": DICT, "featuresDict": {"features": {"image": image(), "label": label()} | changes}}


def sequence(feature):
    return {"pythonClassName": f"{FEATURES}.sequence_feature.Sequence", "sequence": {"feature": feature}}


def nested(levels):
    feature = label()
    for _ in range(levels):
        feature = sequence(feature)
    return features(deep=feature)


def info(**changes):
    split = {"name": "train", "shardLengths": ["30"], "numBytes": "1000"}
    return {"name": "evil", "version": "1.0.0", "splits": [split], "fileFormat": "tfrecord"} | changes


def split(**changes):
    return info(splits=[info()["splits"][0] | changes])


def shards_in(splits, shards):
    return [info()["splits"][0] | {"name": f"s{n}", "shardLengths": ["1"] * shards} for n in range(splits)]


def prepared(described=None, dataset=None, below="evil/1.0.0"):
    """Writes a dataset's description into the run, beside a module that leaves a file where it is imported."""

    def write(run: Path) -> None:
        folder = run / "tfds" / below
        folder.mkdir(parents=True)
        module = ".".join([*run.parts[-3:], "payload"])
        for file, content in (
            ("features.json", features() if described is None else described),
            ("dataset_info.json", dataset or info()),
        ):
            text = content if isinstance(content, str) else json.dumps(content)
            (folder / file).write_text(text.replace("{module}", module).replace("{run}", str(run)))

    return write


def with_file(name, make):
    def write(run: Path) -> None:
        prepared()(run)
        path = run / "tfds/evil/1.0.0" / name
        path.unlink(missing_ok=True)
        path.parent.mkdir(exist_ok=True, parents=True)
        make(path)

    return write


# A record's length and the sum that proves it; TensorFlow asks for that much memory, and ends the process.
TERABYTE = bytes.fromhex("00000000 00010000 aa3d6be4") + bytes(20)
SHARD = "evil-train.tfrecord-00000-of-00001"


def records(content):
    def write(path):
        import tensorflow as tf

        with tf.io.TFRecordWriter(str(path)) as writer:
            for _ in range(30):  # as many as are listed
                writer.write(content)

    return write


def terabyte_of_nothing(path):
    path.touch()
    os.truncate(path, 2**40)


def default_config(text):
    return with_file("../.config/metadata.json", lambda path: path.write_text(text))


STRANGER = {"pythonClassName": "{module}.Anything"}
OLDER = {"type": "{module}.Anything", "content": {}}
UNREADABLE = "which is not one of the TFDS features that may be read"

DESCRIPTIONS = [
    ("a class at the top", STRANGER, UNREADABLE),
    ("a class at the top, in snake case", {"python_class_name": "{module}.Anything"}, UNREADABLE),
    ("a class in a FeaturesDict", features(more=STRANGER), UNREADABLE),
    ("a class in a Sequence", features(more=sequence(STRANGER)), UNREADABLE),
    ("a class in a Sequence in a FeaturesDict", features(more=sequence(features(most=STRANGER))), UNREADABLE),
    ("a class in the older form", OLDER, UNREADABLE),
    ("a class in the older form, inside", {"type": DICT, "content": {"image": OLDER}}, UNREADABLE),
    (
        "a class in JSON in a text",
        {"pythonClassName": DICT, "jsonFeature": {"json": json.dumps({"image": OLDER})}},
        UNREADABLE,
    ),
    ("a class of TFDS elsewhere", {"pythonClassName": "tensorflow_datasets.testing.test_utils.X"}, UNREADABLE),
    ("a class beside TFDS' own", {"pythonClassName": f"{FEATURES}.payload.Image"}, UNREADABLE),
    ("a class that is a number", {"type": 7, "content": {}}, UNREADABLE),
    ("no class", {}, UNREADABLE),
    ("another class at the top", image(), "expected a FeaturesDict"),
    ("a class of another content", {"pythonClassName": DICT, "image": {}}, "has a content of 'image'"),
    ("a file of names", {"type": DICT, "content": {"label": {"type": label()["pythonClassName"],
     "content": {"names_file": "/etc/passwd"}}}}, "a key 'names_file'"),
    ("arguments of a program", features(film={"pythonClassName": f"{FEATURES}.video_feature.Video", "video": {
     "shape": {"dimensions": ["-1", "8", "8", "3"]}, "ffmpegExtraArgs": ["-i", "/etc/passwd"]}}), "ffmpeg_extra_args"),
    ("a billion pixels", features(image=image(shape={"dimensions": ["1000000", "1000", "3"]})), "which is impossible"),
    ("an image of one dimension", features(image=image(shape={"dimensions": ["8"]})), "which is impossible"),
    ("a negative size", features(image=image(shape={"dimensions": ["-8", "8", "3"]})), "which is impossible"),
    ("a dtype that is none", features(image=image(dtype="(9999,9999)f8")), "which TFDS does not have"),
    ("a trillion classes", features(label=label(10**12)), "num_classes 1000000000000"),
    ("features in features", nested(40), "nested too deeply"),
    ("many features", features(**{f"n{number}": label() for number in range(2100)}), "more than 2,000 features"),
    ("deep JSON", "[" * 100_000 + "]" * 100_000, "features.json is damaged"),
    ("deep JSON in a text", {"pythonClassName": DICT, "jsonFeature": {"json": '{"a":' * 9999 + "1" + "}" * 9999}},
     "features.json is damaged"),
    ("huge JSON", json.dumps({"a": "b" * 5_000_000}), "more than 4,194,304 bytes"),
    ("a list", "[1, 2]", "features.json is damaged"),
    ("a key twice", '{"pythonClassName": "a", "pythonClassName": "b"}', "twice in one group"),
    ("no JSON", "\x00", "features.json is damaged"),
    ("a lone surrogate", '{"pythonClassName": "\\ud800"}', "features.json is damaged"),
    ("not a number", '{"pythonClassName": NaN}', "has NaN"),
]  # fmt: skip

LISTS = [
    ("a name that is a path", info(name="../evil"), "does not describe a dataset"),
    ("a version that is a path", info(version="../1.0.0"), "does not describe a dataset"),
    ("a config_name that is a path", info(configName="../x"), "a config_name"),
    ("shards elsewhere", split(filepathTemplate="../../../../{SPLIT}.txt"), "a filepath_template"),
    ("shards elsewhere, in snake case", split(filepath_template="/etc/{SPLIT}"), "a filepath_template"),
    ("a template that asks Python", split(filepathTemplate="{SPLIT.__class__}"), "a filepath_template"),
    ("a template of a gigabyte", split(filepathTemplate="{SPLIT:>1000000000}"), "a filepath_template"),
    ("a split that is a path", split(name="../train"), "a split '../train'"),
    ("a split twice", info(splits=[info()["splits"][0]] * 2), "appears twice"),
    ("a negative shard", split(shardLengths=["-1"]), "of impossible shards"),
    ("a hundred thousand shards", split(shardLengths=["1"] * 100_000), "100,000 shards in all splits"),
    ("shards in many splits", info(splits=shards_in(splits=20, shards=900)), "5,400 shards in all"),
    ("ten thousand splits", info(splits=shards_in(splits=10_000, shards=0)), "more than 1,000 splits"),
    ("endless shards", split(shardLengths=[str(10**15)]), "of impossible shards"),
    ("files of a format that is a module", info(fileFormat="{module}"), "a file_format"),
    ("files of another such format", info(alternativeFileFormats=["{module}"]), "a file_format"),
    ("a class in the features of the list", info(features=STRANGER), UNREADABLE),
    ("a key that does not exist", info(builder="{module}"), "dataset_info.json is damaged"),
    ("deep JSON in place of a list", "{" * 100_000, "dataset_info.json is damaged"),
]

NAMES = [
    *("../evil", "evil/../../evil", "/etc", "evil/..", "evil/.", "a:b", "huggingface:evil", "kaggle:evil/config"),
    *("evil/config/right=True", "evil/right=True", "payload.py", "{module}", "evil:../1", "evil:experimental_latest"),
    *("evil\nevil", "évil", "evil/", "evil:", " evil", "gs://evil", "e" * 5000),
]

HOSTILE = [
    *((f"features.json: {name}", INSIDE, prepared(described), words) for name, described, words in DESCRIPTIONS),
    *((f"dataset_info.json: {name}", INSIDE, prepared(dataset=told), words) for name, told, words in LISTS),
    *((f"name: {name[:30]!r}", INSIDE | {"name": name}, prepared(), "is not the name of a TFDS") for name in NAMES),
    ("a module_name", INSIDE, prepared(dataset=info(moduleName="{module}")), "is missing or damaged"),
    ("a FIFO for features.json", INSIDE, with_file("features.json", os.mkfifo), "is not a regular file"),
    ("a FIFO for dataset_info.json", INSIDE, with_file("dataset_info.json", os.mkfifo), "is not a regular file"),
    ("a FIFO for a shard", INSIDE, with_file(SHARD, os.mkfifo), "not a regular file"),
    ("a record of a terabyte", INSIDE, with_file(SHARD, lambda path: path.write_bytes(TERABYTE)), "missing or damaged"),
    ("records of no example", INSIDE, with_file(SHARD, records(b"\x93" * 50)), "are not as TFDS writes them"),
    ("records without a label", INSIDE, with_file(SHARD, records(b"\x0a\x00")), "Feature: label"),
    ("records of another kind", INSIDE, prepared(dataset=info(fileFormat="array_record")), "as tfrecord files"),
    ("a hole of a terabyte", INSIDE, with_file(SHARD, terabyte_of_nothing), "missing or damaged"),
    ("a FIFO for labels", INSIDE, with_file("label.labels.txt", os.mkfifo), "is not a regular file"),
    (
        "a device for labels",
        INSIDE,
        with_file("label.labels.txt", lambda path: path.symlink_to("/dev/zero")),
        "outside of",
    ),
    ("a FIFO for the default", INSIDE, with_file("../.config/metadata.json", os.mkfifo), "is not a regular file"),
    ("a default that is a path", INSIDE, default_config('{"default_config_name": "../../x"}'), "default_config_name"),
    ("a default in deep JSON", INSIDE, default_config("[" * 60_000), "metadata.json is damaged"),
    ("a dataset that is not there", INSIDE | {"data_dir": "{run}/tfds"}, lambda run: None, "Unknown TFDS dataset"),
    (
        "TFDS' own, a class in its files",
        INSIDE | {"name": "mnist"},
        prepared(STRANGER, info(name="mnist", version="3.0.1"), "mnist/3.0.1"),
        UNREADABLE,
    ),
    ("TFDS' own, elsewhere", INSIDE | {"name": "mnist", "data_dir": "{run}/../made"}, lambda run: None, "not prepared"),
    ("TFDS' own, by hand", INSIDE | {"name": "imagenet2012", "manual_dir": "{run}"}, lambda run: None, "not prepared"),
    ("dead downloads", INSIDE | {"name": "cars196"}, lambda run: None, "is not prepared in"),
    (
        "the embedded one",
        {"source": "rendered_cars", "data_dir": "{run}/../made"},
        lambda run: None,
        "data.prepare=true",
    ),
    (
        "one that asks to be prepared",
        {"source": "rendered_cars", "data_dir": "{run}/made", "prepare": True},
        lambda run: None,
        "data.prepare=true",
    ),
    ("the folder of nobody", INSIDE | {"data_dir": "~nobody-at-all/x"}, lambda run: None, "cannot be read"),
    ("a folder of a long name", INSIDE | {"data_dir": "{run}/" + "x" * 3000}, lambda run: None, "cannot be read"),
    ("photos of nobody", {"source": "folder", "root": "~nobody-at-all/x"}, lambda run: None, "cannot be read"),
    ("photos below a long name", {"source": "folder", "root": "x" * 3000}, lambda run: None, "cannot be read"),
    ("a folder that is not there", {"source": "folder", "root": "{run}/../made"}, lambda run: None, "does not exist"),
]  # fmt: skip
