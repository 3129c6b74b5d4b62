"""Scores of held-out rows during a run."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import support
from support import counting
from support.minibatches import QUICK, same, three_classes

import crewel as cw
from crewel import metrics
from crewel.posterior.predict import predictions


@pytest.fixture(scope="module")
def model():
    return support.rows().model


@pytest.fixture(scope="module")
def classes():
    return three_classes()


def test_scores_are_those_of_the_averaged_predictive(classes):
    model, x, y = classes
    call = QUICK | {"num_draws": 12, "batch_size": 20, "step_size": 1e-2}
    post = model.sgmcmc.blackjax_sgld(seed=0, evaluate=(x, y, 4), **call)
    for chain in range(2):
        kept = np.asarray(post.draws["w"])[chain : chain + 1, 3::4]
        logits = np.einsum("ni,cdik->cdnk", x, kept)
        p = np.exp(logits - logits.max(-1, keepdims=True))
        p /= p.sum(-1, keepdims=True)
        for look in (1, 2, 3):
            mean = p[0, :look].mean(0)
            log_likelihood = np.log(p[:, :look, np.arange(30), y])
            at = post.stats["test_lppd"][chain, 4 * look - 1]
            np.testing.assert_allclose(at, metrics.lppd(log_likelihood), rtol=1e-5)
            at = post.stats["test_accuracy"][chain, 4 * look - 1]
            np.testing.assert_allclose(at, metrics.accuracy(mean, y), rtol=1e-6)
            at = post.stats["test_ece"][chain, 4 * look - 1]
            np.testing.assert_allclose(at, metrics.ece(mean, y), rtol=1e-4)
    assert np.isnan(post.stats["test_lppd"][:, :3]).all()  # before the first look
    np.testing.assert_array_equal(post.stats["test_lppd"][:, 3], post.stats["test_lppd"][:, 6])
    assert post.to_datatree()["sample_stats"]["test_accuracy"].shape == (2, 12)


def test_scores_go_on_in_an_extended_run_and_with_a_summary(classes):
    model, x, y = classes
    call = QUICK | {"batch_size": 20, "evaluate": (x, y, 1)}
    whole = model.sgmcmc.blackjax_sgld(seed=0, **call | {"num_draws": 9})
    parts = model.sgmcmc.blackjax_sgld(seed=0, **call | {"num_draws": 4}).extend(5, progress=False)
    assert same(parts.stats, whole.stats)
    mean = model.sgmcmc.blackjax_sgld(seed=0, reduce="mean", **call | {"num_draws": 9})
    np.testing.assert_allclose(mean.stats["test_lppd"][:, 0], whole.stats["test_lppd"][:, -1])


def test_scores_of_a_regression():
    random = np.random.default_rng(0)
    x = random.normal(size=(80, 1)).astype(np.float32)
    y = (x[:, 0] + 0.5 * random.normal(size=80)).astype(np.float32)
    model = cw.wrap(
        lambda p, x: x @ p["w"], x[:40], y[:40], likelihood=cw.likelihoods.gaussian(0.5),
        example={"w": jnp.zeros((1, 1))},
    )  # fmt: skip
    call = QUICK | {"num_draws": 6, "batch_size": 10, "step_size": 1e-3}
    post = model.sgmcmc.blackjax_sgld(seed=0, evaluate=(x[40:], y[40:], 1), **call)
    means = x[40:, 0] * np.asarray(post.draws["w"])[..., 0]
    rmse = np.sqrt(((means.mean(1) - y[40:]) ** 2).mean(-1))
    np.testing.assert_allclose(post.stats["test_rmse"][:, -1], rmse, rtol=1e-5)
    from scipy.stats import norm

    below = norm.cdf(y[40:], means, 0.5).mean(1)
    inside = ((below > 0.05) & (below < 0.95)).mean(-1)
    np.testing.assert_allclose(post.stats["test_coverage"][:, -1], inside, rtol=1e-6)


def test_predictions_as_what_is_collected(classes):
    model, x, y = classes
    call = QUICK | {"batch_size": 20, "step_size": 1e-2}
    post = model.sgmcmc.blackjax_sgld(seed=0, **call)
    kept = model.sgmcmc.blackjax_sgld(seed=0, collect=predictions(model, x), reduce="mean", **call)
    wanted = post.predict(x)["predictions"]["probability"].mean("draw")
    np.testing.assert_allclose(kept.draws[:, 0], wanted, rtol=1e-4, atol=1e-6)
    with counting() as counts:  # other inputs of the same shape are data
        model.sgmcmc.blackjax_sgld(
            seed=0, collect=predictions(model, x[::-1]), reduce="mean", **call
        )
    assert counts == {"trace": 0, "compile": 0}


def test_held_out_rows_need_a_model_that_predicts(model):
    with pytest.raises(ValueError, match="`evaluate` needs a model that predicts"):
        model.sgmcmc.blackjax_sgld(seed=0, evaluate=(1, 2), **QUICK)


def test_bad_evaluate(classes):
    model, x, y = classes
    with pytest.raises(TypeError, match=r"must be `\(x_test, y_test\)`"):
        model.sgmcmc.blackjax_sgld(seed=0, evaluate=x, **QUICK)
    with pytest.raises(ValueError, match="`every` of `evaluate` must be an integer"):
        model.sgmcmc.blackjax_sgld(seed=0, evaluate=(x, y, 0), **QUICK)


def test_optimizer_returns_its_best_look_and_stops(classes):
    model, x, y = classes
    call = {"seed": 0, "num_particles": 3, "progress": False, "learning_rate": 5.0}
    call |= {"batch_size": 10}
    # Every step is looked at; the best of all is what a patient run returns.
    every = [
        model.optimize.optax_sgd(num_steps=steps, **call).draws["w"][:, 0] for steps in range(1, 13)
    ]
    score = jax.vmap(lambda w: model.predictive.pointwise({"w": w}, x, y).mean())
    scores = np.stack([score(jnp.asarray(w)) for w in every], 1)
    post = model.optimize.optax_sgd(num_steps=12, evaluate=(x, y, 1), **call)
    np.testing.assert_allclose(post.stats["test_lppd"][:, 0], scores.max(1), rtol=1e-5)
    np.testing.assert_array_equal(post.stats["best_step"][:, 0], scores.argmax(1) + 1)
    best = np.stack(every, 1)[np.arange(3), scores.argmax(1)]
    np.testing.assert_allclose(post.draws["w"][:, 0], best, rtol=1e-5)
    # With a patience of one the first look that is no better ends it.
    short = model.optimize.optax_sgd(num_steps=5000, evaluate=(x, y, 1), patience=1, **call)
    worse = np.diff(scores, axis=1) <= 0
    assert worse.any(1).all()
    np.testing.assert_array_equal(short.stats["best_step"][:, 0], worse.argmax(1) + 1)
    assert short.losses.shape == (3, 5000) and np.isnan(short.losses[:, -1]).all()


def test_patience_needs_held_out_rows(classes):
    with pytest.raises(ValueError, match="`patience` needs `evaluate="):
        classes[0].optimize.optax_sgd(seed=0, patience=3, progress=False)


def test_bar_shows_the_latest_scores(classes, capsys):
    model, x, y = classes
    call = QUICK | {"progress": True, "evaluate": (x, y, 1), "batch_size": 20, "num_chains": 1}
    post = model.sgmcmc.blackjax_sgld(seed=0, **call)
    shown = capsys.readouterr().err.split("test_accuracy ")[-1].split(",")[0].split("]")[0]
    assert abs(float(shown) - post.stats["test_accuracy"][:, -1].mean()) < 1e-3
