"""Scores of uncertainty: selective prediction, rows out of distribution."""

import numpy as np
import pytest

from crewel import metrics


def test_the_most_uncertain_rows_are_declined_first():
    rng = np.random.default_rng(0)
    loss, unsure = rng.exponential(size=200), rng.normal(size=200)
    curve = metrics.selective_risk(loss, unsure)
    assert curve.declined[0] == 0 and len(curve.score) == 200
    for share, score in zip(curve.declined, curve.score, strict=True):
        kept = np.argsort(unsure)[: round(200 * (1 - share))]
        np.testing.assert_allclose(score, loss[kept].mean(), rtol=1e-12)


def test_rows_of_equal_uncertainty_are_declined_together():
    curve = metrics.selective_risk([4.0, 0.0, 2.0, 9.0], [1, 1, 0, 2])
    np.testing.assert_allclose(curve.declined, [0, 0.25, 0.75])
    np.testing.assert_allclose(curve.score, [15 / 4, 2.0, 2.0])


def test_accuracy_by_the_probability_of_the_class_and_by_another_score():
    p = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.55, 0.45]])
    curve = metrics.selective_accuracy(p, [0, 1, 1, 1])
    np.testing.assert_allclose(curve.declined, [0, 0.25, 0.5, 0.75])
    np.testing.assert_allclose(curve.score, [0.5, 2 / 3, 1.0, 1.0])
    other = metrics.selective_accuracy(p, [0, 1, 1, 1], uncertainty=[4, 3, 2, 1])
    np.testing.assert_allclose(other.score, [0.5, 1 / 3, 0.0, 0.0])


def test_auroc_is_the_share_of_pairs_in_order():
    rng = np.random.default_rng(1)
    inside, outside = rng.integers(0, 9, 50), rng.integers(3, 12, 40)
    pairs = outside[:, None] - inside
    expected = ((pairs > 0) + 0.5 * (pairs == 0)).mean()
    np.testing.assert_allclose(metrics.auroc(inside, outside), expected, rtol=1e-12)
    np.testing.assert_allclose(metrics.auroc(outside, inside), 1 - expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("loss", "unsure", "match"),
    [
        ([1.0, np.nan], [1, 2], "`loss` holds NaN"),
        ([1.0], [1, 2], "`loss` has shape .1,. and `uncertainty` .2,."),
        ([[1.0]], [1], "`loss` has shape .1, 1."),
        ([], [], "`loss` has shape .0,."),
    ],
)
def test_wrong_arrays_are_named(loss, unsure, match):
    with pytest.raises(ValueError, match=match):
        metrics.selective_risk(loss, unsure)
