"""Every description that TFDS writes, or has written, is read; hostile ones stand in tests/faults/hostile_runs.py."""

import json

import numpy as np
import pytest
import tensorflow_datasets as tfds
from tensorflow_datasets.core.features.feature import FeatureConnector

from convlens.data.sources.tfds_description import FEATURES, KINDS, check_description
from convlens.data.sources.tfds_finding import named

CORE = "tensorflow_datasets.core.features"


def every_feature():
    features = tfds.features
    return features.FeaturesDict(
        {
            "image": features.Image(),
            "deep image": features.Image(shape=(4, 4, 1), dtype=np.uint16, encoding_format="png"),
            "label": features.ClassLabel(names=["a", "b"]),
            "open label": features.ClassLabel(),
            "text": features.Text(),
            "tensor": features.Tensor(shape=(None, 3), dtype=np.float32),
            "scalar": features.Scalar(np.int64),
            "box": features.BBoxFeature(),
            "boxes": features.Sequence({"box": features.BBoxFeature(), "label": features.ClassLabel(num_classes=3)}),
            "sound": features.Audio(),
            "film": features.Video(shape=(None, 8, 8, 3)),
            "pair": features.Translation(["en", "de"]),
            "pairs": features.TranslationVariableLanguages(["en", "de"]),
            "segments": features.LabeledImage(labels=3, shape=(None, None, 1)),
            "steps": features.Dataset({"reward": np.float64}),
            "nested": {"deeper": {"deepest": np.bool_}, "words": np.str_},
        }
    )


OLDEST = {
    "type": f"{CORE}.features_dict.FeaturesDict",
    "content": {
        "image": {
            "type": f"{CORE}.image_feature.Image",
            "content": {"shape": [None, None, 3], "dtype": "uint8", "encoding_format": "png"},
        },
        "label": {"type": f"{CORE}.class_label_feature.ClassLabel", "content": {"num_classes": 10}},
        "text": {"type": f"{CORE}.text_feature.Text", "content": {}},
        "numbers": {
            "type": f"{CORE}.sequence_feature.Sequence",
            "content": {
                "feature": {"type": f"{CORE}.tensor_feature.Tensor", "content": {"shape": [], "dtype": "int64"}},
                "length": None,
            },
        },
    },
}


@pytest.mark.parametrize("form", ["of today", "before 4.5", "before messages"])
def test_what_tfds_writes_is_read(form, tmp_path):
    every_feature().save_config(tmp_path)
    if form != "of today":
        content = every_feature().to_json() if form == "before 4.5" else OLDEST
        (tmp_path / FEATURES).write_text(json.dumps(content))
    check_description(tmp_path)
    assert "image" in FeatureConnector.from_config(tmp_path)


def test_every_feature_that_may_be_read_is_there_without_an_import():
    assert {f"{CORE}.{name}" for name in KINDS} <= set(FeatureConnector._registered_features)


def test_a_dataset_without_code_is_found_by_its_name_configuration_and_version(tmp_path):
    from convlens.configs import Data

    for version in ("1.0.0", "1.2.0", "1.10.0", "2.0.0"):
        for config in ("one", "two"):
            folder = tmp_path / "strange_birds" / config / version
            folder.mkdir(parents=True)
            (folder / FEATURES).write_text("{}")
    (tmp_path / "strange_birds/.config").mkdir()
    (tmp_path / "strange_birds/.config/metadata.json").write_text('{"default_config_name": "two"}')
    full_names = {
        given: named(Data(source="tfds", name=f"strange_birds{given}", data_dir=str(tmp_path))).name
        for given in ("", "/one", "/one:1.*.*", ":1.2.0")
    }
    assert full_names == {
        "": "strange_birds/two/2.0.0",
        "/one": "strange_birds/one/2.0.0",
        "/one:1.*.*": "strange_birds/one/1.10.0",
        ":1.2.0": "strange_birds/two/1.2.0",
    }
