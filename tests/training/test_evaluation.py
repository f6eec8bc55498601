"""Scores agree with independent implementations of them."""

import json

import keras
import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, log_loss, precision_recall_fscore_support, top_k_accuracy_score

from convlens.training.evaluation import evaluate_model

CLASSES = tuple("abcdefg")


@pytest.fixture(scope="module")
def scored():
    """A model whose logits are its input, so that a test chooses them."""
    inputs = keras.Input((1, 1, 7))
    model = keras.Model(inputs, keras.layers.Flatten()(inputs))
    generator = np.random.default_rng(3)
    logits = generator.normal(0, 2, (101, 7)).astype("float32")
    labels = np.where(generator.random(101) < 0.6, logits.argmax(1), generator.integers(0, 6, 101))
    batches = [(logits[i : i + 25, None, None], labels[i : i + 25]) for i in range(0, 101, 25)]
    exact = logits.astype(np.float64)
    probabilities = np.exp(exact) / np.exp(exact).sum(1, keepdims=True)
    return evaluate_model(model, batches, CLASSES), probabilities, labels


def test_the_first_mistakes_come_with_their_images(scored):
    evaluation, _, _ = scored
    wrong = evaluation.mistakes(3)
    images = np.arange(3)[:, None, None, None] * np.ones((1, 4, 4, 3))
    mistakes = evaluation.shown_mistakes(images)
    assert mistakes.images is images and mistakes.index.tolist() == evaluation.indices[wrong].tolist()
    assert (mistakes.true != mistakes.predicted).all() and (np.diff(mistakes.confidence) <= 0).all()
    assert set(mistakes.arrays()) == {"images", "true", "predicted", "confidence", "index"}
    named = evaluation.shown_mistakes(images, ["a.jpg", "b/c.jpg", "caf\udce9.png"])
    assert named.arrays()["names"].tolist() == ["a.jpg", "b/c.jpg", "caf\udce9.png"]


def test_accuracy_loss_top5_and_matrix(scored):
    evaluation, probabilities, labels = scored
    assert evaluation.images == 101
    assert evaluation.accuracy == np.mean(probabilities.argmax(1) == labels)
    assert evaluation.loss == pytest.approx(log_loss(labels, probabilities, labels=range(7)))
    assert evaluation.top5 == pytest.approx(top_k_accuracy_score(labels, probabilities, k=5, labels=range(7)))
    np.testing.assert_array_equal(evaluation.matrix, confusion_matrix(labels, probabilities.argmax(1), labels=range(7)))


def test_scores_of_each_class(scored):
    evaluation, probabilities, labels = scored
    expected = precision_recall_fscore_support(labels, probabilities.argmax(1), labels=range(7), zero_division=0)
    for score, wanted in zip(
        (evaluation.precision, evaluation.recall, evaluation.f1, evaluation.support), expected, strict=True
    ):
        np.testing.assert_allclose(score, wanted)


def test_calibration_error_is_the_weighted_gap_of_fifteen_bins(scored):
    evaluation, probabilities, labels = scored
    confidence, right = probabilities.max(1), probabilities.argmax(1) == labels
    error = 0.0
    for low in np.arange(15) / 15:
        inside = (confidence > low) & (confidence <= low + 1 / 15)
        if inside.any():
            error += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    assert evaluation.calibration_error == pytest.approx(error)


def test_mistakes_come_most_confident_first(scored):
    evaluation, probabilities, labels = scored
    mistakes = evaluation.mistakes(10)
    assert (evaluation.predicted[mistakes] != labels[mistakes]).all()
    rest = np.setdiff1d(np.flatnonzero(evaluation.predicted != labels), mistakes)
    assert (np.diff(evaluation.confidence[mistakes]) <= 0).all()
    assert evaluation.confidence[rest].max() <= evaluation.confidence[mistakes].min()


def test_the_report_is_plain_json_with_every_score(scored):
    evaluation = scored[0]
    report = json.loads(json.dumps(evaluation.report(), allow_nan=False))
    assert report["accuracy"] == evaluation.accuracy
    assert [row["name"] for row in report["classes"]] == list(CLASSES)
    assert np.sum(report["confusion_matrix"]) == report["images"] == 101
    assert report["images_per_second"] > 0


def test_top5_makes_no_sense_for_five_classes():
    inputs = keras.Input((1, 1, 5))
    model = keras.Model(inputs, keras.layers.Flatten()(inputs))
    evaluation = evaluate_model(model, [(np.eye(5, dtype="float32")[:, None, None], np.arange(5))], tuple("abcde"))
    assert evaluation.top5 is None
    assert evaluation.accuracy == 1


def test_an_image_and_its_mirror_image_are_heard_alike():
    inputs = keras.Input((2, 3, 1))
    model = keras.Model(inputs, keras.layers.Dense(3)(keras.layers.Flatten()(inputs)))
    images = np.random.default_rng(0).normal(size=(20, 2, 3, 1)).astype("float32")
    kernel, bias = (weight.astype(np.float64) for weight in model.get_weights())
    both = [view.reshape(20, -1) @ kernel + bias for view in (images, images[:, :, ::-1])]
    labels = np.arange(20) % 3
    evaluation = evaluate_model(model, [(images, labels)], ("a", "b", "c"), mirrored=True)
    mean = (both[0] + both[1]) / 2
    np.testing.assert_array_equal(evaluation.predicted, mean.argmax(1))
    shares = np.exp(mean) / np.exp(mean).sum(1, keepdims=True)
    np.testing.assert_allclose(evaluation.confidence, shares.max(1), rtol=1e-5)
    assert evaluation.loss == pytest.approx(log_loss(labels, shares, labels=range(3)), rel=1e-5)


def test_progress_is_told_how_many_images_are_scored_and_of_how_many():
    inputs = keras.Input((1, 1, 7))
    model = keras.Model(inputs, keras.layers.Flatten()(inputs))
    batches = [(np.zeros((count, 1, 1, 7), "float32"), np.zeros(count, int)) for count in (4, 4, 2)]
    calls = []

    def progress(done, total=None, /):
        calls.append((done, total))

    evaluate_model(model, batches, CLASSES, progress=progress)
    evaluate_model(model, batches, CLASSES, indices=np.arange(0, 20, 2), progress=progress)
    assert calls == [(4, None), (8, None), (10, None), (4, 10), (8, 10), (10, 10)]
