"""All scores by name: what is not observed, angles, and point predictions without a mean."""

import numpy as np
import pytest

from crewel import metrics

RNG = np.random.default_rng(0)
FLAT = np.zeros((2, 50, 6))  # log likelihoods
DRAWS = RNG.normal(size=(2, 50, 6, 3))
Y = RNG.normal(size=(6, 3))
KNOWN = RNG.random((6, 3)) < 0.5


def test_only_what_is_observed_is_scored():
    scores = metrics.regression_scores(FLAT, DRAWS, DRAWS, Y, observed=KNOWN)
    draws, y = DRAWS[:, :, KNOWN], Y[KNOWN]
    assert scores["rmse"] == metrics.rmse(draws.mean((0, 1)), y)
    assert scores["crps"] == metrics.crps(draws, y)
    assert scores["coverage"] == metrics.coverage(draws, y)
    p = RNG.dirichlet(np.ones(4), (2, 50, 6, 3))
    labels = RNG.integers(0, 4, (6, 3))
    scores = metrics.classification_scores(FLAT, p, np.where(KNOWN, labels, 99), observed=KNOWN)
    assert scores["accuracy"] == metrics.accuracy(p.mean((0, 1))[KNOWN], labels[KNOWN])
    nothing = np.zeros_like(KNOWN)
    for found in (
        metrics.regression_scores(FLAT, DRAWS, DRAWS, Y, observed=nothing),
        metrics.classification_scores(FLAT, p, labels, observed=nothing),
    ):
        assert found.keys() == {"lppd"} and abs(found["lppd"]) < 1e-12
    with pytest.raises(ValueError, match=r"`observed` has shape \(6,\)"):
        metrics.regression_scores(FLAT, DRAWS, DRAWS, Y, observed=np.ones(6))


def test_the_point_prediction_is_a_mean_where_there_is_one():
    means = DRAWS.copy()
    means[:, :, 0] = np.nan
    means[0, 0, 1] = np.inf
    point = DRAWS.mean((0, 1))
    point[:2] = np.median(DRAWS[:, :, :2], axis=(0, 1))
    scores = metrics.regression_scores(FLAT, DRAWS, means, Y)
    np.testing.assert_allclose(scores["rmse"], metrics.rmse(point, Y), rtol=1e-12)
    scores = metrics.regression_scores(FLAT, DRAWS, None, Y)
    np.testing.assert_allclose(scores["rmse"], metrics.rmse(DRAWS.mean((0, 1)), Y), rtol=1e-12)


def test_angles_by_hand():
    """Draws on both sides of pi: their mean is pi, and `y` is 0.05 from it."""
    draws = np.array([[[np.pi - 0.1], [0.1 - np.pi]]])
    scores = metrics.regression_scores(FLAT[:1, :2, :1], draws, None, [0.05 - np.pi], circular=True)
    np.testing.assert_allclose(scores["rmse"], 0.05)
    np.testing.assert_allclose(scores["interval_width"], 0.9 * 0.2)
    np.testing.assert_allclose(scores["crps"], (0.15 + 0.05) / 2 - 0.2 / 2, atol=1e-12)
    assert scores["coverage"] == 1.0
    turned = metrics.regression_scores(
        FLAT[:1, :2, :1], draws + 2, None, [2.05 - np.pi], circular=True
    )
    for name, score in scores.items():
        np.testing.assert_allclose(turned[name], score, atol=1e-12)
