"""Whole networks: what they are made of, what they take for alike, and what they get wrong."""

import numpy as np
import pytest

from convlens import interpret
from convlens.core.errors import UserError
from convlens.gallery.planning import planned
from convlens.gallery.projector import write_projector
from convlens.gallery.registry import groups
from convlens.gallery.saving import drawn


def test_an_image_is_not_its_own_neighbour_and_neighbours_are_named_by_their_place_in_the_split(photos_run, arrays_of):
    figures = arrays_of(photos_run, ["networks"], image=[4], images=8, layers=["block2_conv1"])
    assert {name.partition("-")[0] for name in figures} == set(groups()["networks"]) - {"evolution", "projector"}
    near = figures["neighbours-block2_conv1"]
    assert set(near["index"][0]) <= set(range(0, 16, 2)) - {4}
    images, _, _ = photos_run.data.examples("test", near["index"][0])
    np.testing.assert_array_equal(near["neighbours"][0], images)
    assert near["names"][0].tolist() == photos_run.data.examples("test", near["index"][0])[2]
    assert figures["architecture"]["parameters"].sum() == photos_run.model.count_params()


def softmax(logits):
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shares / shares.sum(axis=1, keepdims=True)


def test_mistakes_and_confusions_are_those_of_the_network_and_their_images_those_of_the_split(photos_run, arrays_of):
    figures = arrays_of(photos_run, ["confusion_examples", "mistakes"])
    images, true, _ = photos_run.data.examples("test", list(range(16)))
    shares = softmax(photos_run.model.predict(images.astype("float32"), verbose=0))
    predicted, confidence = shares.argmax(axis=1), shares.max(axis=1)

    confused = figures["confusion_examples"]
    for right in range(2):
        for answer in range(2):
            rows = np.flatnonzero((true == right) & (predicted == answer))
            assert confused["matrix"][right, answer] == len(rows)
            cell = [place for place in confused["examples"][right, answer] if place >= 0]
            best = rows[np.argsort(-confidence[rows], kind="stable")][:4]
            assert confused["index"][cell].tolist() == best.tolist()
            np.testing.assert_array_equal(confused["images"][cell], images[best])

    wrong = np.flatnonzero(predicted != true)
    wrong = wrong[np.argsort(-confidence[wrong], kind="stable")][:6]
    made = figures["mistakes"]
    assert made["index"].tolist() == wrong.tolist()
    assert made["names"].tolist() == photos_run.data.examples("test", wrong)[2]
    assert confused["names"].tolist() == photos_run.data.examples("test", confused["index"])[2]
    assert (photos_run.data.labels("test")[wrong] == ["night" in name for name in made["names"]]).all()
    np.testing.assert_allclose(
        made["said"], interpret.grad_cam(photos_run.model, images[wrong], predicted[wrong]), atol=1e-5
    )
    np.testing.assert_allclose(
        made["true"], interpret.grad_cam(photos_run.model, images[wrong], true[wrong]), atol=1e-5
    )


def test_under_each_mistake_stands_the_name_of_its_file(photos_run, inputs_of):
    (plan,) = planned(inputs_of(photos_run, ["mistakes"]))
    ((_, figure, arrays),) = drawn(plan)
    words = {text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text"))}
    assert len(arrays["names"]) and set(arrays["names"]) <= words


def test_the_projector_shows_the_features_of_each_image_of_the_split(photos_run, inputs_of, tmp_path):
    from convlens.models import feature_extractor

    inputs = inputs_of(photos_run, ["projector"], out=str(tmp_path))
    assert list(write_projector(inputs, tmp_path)) == [tmp_path / "projector"]
    rows = (tmp_path / "projector/tensors.tsv").read_text().splitlines()
    vectors = np.array([row.split("\t") for row in rows], float)
    images, _, _ = photos_run.data.examples("test", list(range(16)))
    expected = feature_extractor(photos_run.model, ["head_dense1"])(images)["head_dense1"]
    expected = next(iter(expected.values())) if isinstance(expected, dict) else expected
    np.testing.assert_allclose(vectors, expected, rtol=1e-4, atol=1e-5)
    table = (tmp_path / "projector/metadata.tsv").read_text().splitlines()
    assert table[0] == "label\tindex" and table[1] == "day\t0" and table[16] == "night\t15"


def test_the_projector_of_two_layers_is_refused(photos_run, inputs_of, tmp_path):
    with pytest.raises(UserError, match="shows one layer, not 2"):
        next(write_projector(inputs_of(photos_run, ["projector"], layers=["block1_conv1", "head_dense1"]), tmp_path))
