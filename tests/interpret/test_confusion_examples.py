"""Which images stand for each confusion."""

import numpy as np

from convlens.interpret.confusion_examples import confusion_examples, examples_of_confusions


def test_examples_are_the_most_confident_of_each_cell():
    random = np.random.default_rng(0)
    true, predicted = random.integers(0, 4, (2, 200))
    confidence = random.choice([0.5, 0.7, 0.9], 200)  # many are equal
    examples = examples_of_confusions(true, predicted, confidence, 5, count=3)
    assert examples.shape == (5, 5, 3)
    for row in range(5):
        for column in range(5):
            cell = [image for image in range(200) if (true[image], predicted[image]) == (row, column)]
            expected = sorted(cell, key=lambda image: -confidence[image])[:3]
            assert examples[row, column].tolist() == expected + [-1] * (3 - len(expected))


def test_each_image_is_asked_for_once_and_stands_in_its_cell():
    random = np.random.default_rng(0)
    true, predicted = random.integers(0, 3, (2, 50))
    confidence = random.random(50)
    asked = []

    def images_of(index):
        asked.extend(index.tolist())
        return index[:, None, None, None] * np.ones((1, 2, 2, 1))

    confusions = confusion_examples(true, predicted, confidence, 3, images_of, count=2)
    assert len(set(asked)) == len(asked) and asked == confusions.index.tolist()
    assert confusions.matrix.sum() == 50 and confusions.matrix[1, 2] == ((true == 1) & (predicted == 2)).sum()
    examples = examples_of_confusions(true, predicted, confidence, 3, count=2)
    shown = confusions.examples >= 0
    np.testing.assert_array_equal(shown, examples >= 0)
    np.testing.assert_array_equal(confusions.images[confusions.examples[shown], 0, 0, 0], examples[shown])
