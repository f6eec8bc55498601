"""Telling images of no class of one's own apart."""

import numpy as np
import pytest
from scipy.special import logsumexp
from sklearn.metrics import roc_auc_score

from convlens.interpret import Familiarity, energy_score, separation


def test_the_energy_score_is_the_log_of_the_summed_exponentials():
    logits = np.random.default_rng(0).normal(0, 300, (50, 7))  # exp would overflow
    np.testing.assert_allclose(energy_score(logits), logsumexp(logits, axis=1))


def test_a_single_logit_is_familiar_on_either_side():
    scores = energy_score(np.array([[-8.0], [0.0], [8.0]]))
    assert scores[0] == scores[2] > scores[1]


def test_what_scores_below_one_in_twenty_of_the_known_is_unlike_them():
    known = energy_score(np.random.default_rng(0).normal(5, 1, (2000, 4)))
    familiar = Familiarity(known)
    assert (known < familiar.threshold).mean() == pytest.approx(0.05, abs=1e-3)
    assert familiar.unlike(np.array([[0.0, 0, 0, 0], [9, 0, 0, 0]])).tolist() == [True, False]


@pytest.mark.parametrize("digits", [8, 1])  # with ties, too
def test_separation_is_the_area_under_the_roc_curve(digits):
    random = np.random.default_rng(0)
    known, strange = random.normal(1, 1, 300).round(digits), random.normal(0, 1, 200).round(digits)
    expected = roc_auc_score([1] * 300 + [0] * 200, np.concatenate([known, strange]))
    assert separation(known, strange) == pytest.approx(expected)
