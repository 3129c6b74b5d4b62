"""Targets with axes within a row, such as the labels of a sequence: each label counts."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest
from support.networks import posterior_of

import crewel as cw
from crewel import metrics
from crewel.posterior import verdict

ROWS, LENGTH, FEATURES, CLASSES = 12, 5, 3, 4
RNG = np.random.default_rng(0)
X = RNG.normal(size=(ROWS, LENGTH, FEATURES)).astype(np.float32)
LABELS = RNG.integers(0, CLASSES, (ROWS, LENGTH))
COINS = RNG.integers(0, 2, (ROWS, LENGTH))
VALUES = RNG.normal(size=(ROWS, LENGTH, 2)).astype(np.float32)


def tagger(params, x):
    """A label for each position, from it and the one before."""
    before = jnp.pad(x, ((0, 0), (1, 0), (0, 0)))[:, :-1]
    return x @ params["now"] + before @ params["before"]


def posterior(y, likelihood, *outputs):
    example = {name: jnp.zeros((FEATURES, *outputs)) for name in ("now", "before")}
    return posterior_of(cw.wrap(tagger, X, y, likelihood=likelihood, example=example), draws=4)


def logits(post):
    """Outputs `(chain, draw, row, position, ...)` in NumPy."""
    before = np.pad(X, ((0, 0), (1, 0), (0, 0)))[:, :-1]
    now, then = (np.asarray(post.draws[name], np.float64) for name in ("now", "before"))
    return np.einsum("nti,cdi...->cdnt...", X, now) + np.einsum("nti,cdi...->cdnt...", before, then)


def test_labels_of_a_sequence_are_scored_one_by_one():
    post = posterior(LABELS, "categorical", CLASSES)
    p = np.exp(logits(post))
    p /= p.sum(-1, keepdims=True)
    mean = p.mean((0, 1))
    scores = post.metrics(X, LABELS)
    assert scores["accuracy"] == np.mean(mean.argmax(-1) == LABELS)
    one_hot = np.eye(CLASSES)[LABELS]
    np.testing.assert_allclose(scores["brier"], ((mean - one_hot) ** 2).sum(-1).mean(), rtol=1e-5)
    rows = np.log(np.take_along_axis(p, LABELS[None, None, ..., None], -1)[..., 0]).sum(-1)
    np.testing.assert_allclose(scores["lppd"], np.log(np.exp(rows).mean((0, 1))).mean(), rtol=1e-5)
    report = post.report(X, LABELS)
    assert len(report.rhat) == ROWS * LENGTH * CLASSES
    np.testing.assert_allclose(report.cumulative_lppd[-1], scores["lppd"], rtol=1e-5)
    assert "constant predictor" in verdict.judge(post).looked_at


def test_coins_of_a_sequence_are_scored_one_by_one():
    post = posterior(COINS, "bernoulli")
    one = (1 / (1 + np.exp(-logits(post)))).mean((0, 1))
    scores = post.metrics(X, COINS)
    assert scores["accuracy"] == np.mean((one > 0.5) == COINS)
    np.testing.assert_allclose(scores["brier"], 2 * np.mean((one - COINS) ** 2), rtol=1e-5)


def test_values_of_a_sequence_are_scored_one_by_one():
    post = posterior(VALUES, cw.likelihoods.gaussian(0.5), 2)
    scores = post.metrics(X, VALUES)
    error = logits(post).mean((0, 1)) - VALUES
    np.testing.assert_allclose(scores["rmse"], np.sqrt(np.mean(error**2)), rtol=1e-5)
    draws = post.predict(X)["predictions"]["y"]
    assert draws.dims == ("chain", "draw", "row", "y_dim_1", "y_dim_2")
    assert scores["coverage"] == metrics.coverage(draws, VALUES)


def test_every_score_of_classes_takes_the_predictions_as_they_are():
    post = posterior(LABELS, "categorical", CLASSES)
    draws = post.predict(X)["predictions"]["probability"]
    mean = draws.mean(("chain", "draw"))
    flat, labels = mean.values.reshape(-1, CLASSES), LABELS.ravel()
    for score in (metrics.accuracy, metrics.brier, metrics.ece):
        assert score(mean, LABELS) == score(flat, labels)
    curve = metrics.reliability_curve(mean, LABELS, 5)
    np.testing.assert_array_equal(curve, metrics.reliability_curve(flat, labels, 5))
    assert curve.num_rows.sum() == ROWS * LENGTH
    split = metrics.uncertainty(draws)
    rows = metrics.uncertainty(draws.values.reshape(2, 4, -1, CLASSES))
    for name, values in split.items():
        assert values.shape == (ROWS, LENGTH)
        np.testing.assert_allclose(values.ravel(), rows[name], rtol=1e-12)


def test_pictures_count_labels():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    from matplotlib.pyplot import close

    from crewel import plots

    draws = posterior(LABELS, "categorical", CLASSES).predict(X)["predictions"]["probability"]
    mean = draws.mean(("chain", "draw"))
    ax = plots.plot_reliability(mean, LABELS)
    assert "share of the 60 labels" in [text.get_text() for text in ax.get_legend().get_texts()]
    ax = plots.plot_class_probabilities(draws, LABELS)
    right = round(60 * metrics.accuracy(mean, LABELS))
    words = [text.get_text() for text in ax.get_legend().get_texts()]
    assert words[:2] == [f"correct ({right} labels)", f"wrong ({60 - right} labels)"]
    assert ax.get_xlabel().startswith("held-out label,")
    close("all")


def test_a_report_judges_some_of_very_many_predictions():
    x = np.repeat(X, 30, axis=1)  # 150 positions, 4 classes: 7,200 predictions
    post = posterior(LABELS, "categorical", CLASSES)
    assert len(post.report(x).rhat) == 2000
