"""Which images stand for each confusion."""

import numpy as np

from convlens.interpret.confusion_examples import examples_of_confusions


def test_examples_are_the_most_confident_of_each_cell():
    random = np.random.default_rng(0)
    true, predicted = random.integers(0, 4, (2, 200))
    confidence = random.choice([0.5, 0.7, 0.9], 200)  # many are equal
    found = examples_of_confusions(true, predicted, confidence, 5, count=3)
    assert found.shape == (5, 5, 3)
    for row in range(5):
        for column in range(5):
            cell = [image for image in range(200) if (true[image], predicted[image]) == (row, column)]
            expected = sorted(cell, key=lambda image: -confidence[image])[:3]
            assert found[row, column].tolist() == expected + [-1] * (3 - len(expected))
