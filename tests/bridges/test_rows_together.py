"""Rows that belong together: `x` is one object, such as a graph."""

from __future__ import annotations

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest

import crewel as cw

NODES = 30
QUICK = {"num_chains": 2, "num_warmup": 100, "num_draws": 50, "progress": False}


def graph(seed=0, nodes=NODES):
    """A random graph with three features per node; messages are means over neighbors."""
    rng = np.random.default_rng(seed)
    edges = rng.random((nodes, nodes)) < 0.2
    edges = (edges | edges.T | np.eye(nodes, dtype=bool)).astype(np.float32)
    adjacency = edges / edges.sum(1, keepdims=True)
    return {"adjacency": adjacency, "nodes": rng.normal(size=(nodes, 3)).astype(np.float32)}


def messages(x):
    return x["adjacency"] @ x["nodes"]


def targets(x, seed=1):
    noise = np.random.default_rng(seed).normal(size=len(x["nodes"]))
    return (messages(x) @ np.array([1.0, -1.0, 0.5]) + 0.3 * noise).astype(np.float32)


def wrapped(**settings):
    x = graph()
    return cw.wrap(
        lambda p, x: (messages(x) @ p["w"])[:, 0], x, targets(x),
        likelihood=cw.likelihoods.gaussian(0.3), example={"w": jnp.zeros((3, 1))},
        rows="together", **settings,
    )  # fmt: skip


def alone(**settings):
    """The same density, with the messages computed beforehand."""
    x = graph()
    return cw.wrap(
        lambda p, x: x @ p["w"], messages(x), targets(x),
        likelihood=cw.likelihoods.gaussian(0.3), example={"w": jnp.zeros((3, 1))}, **settings,
    )  # fmt: skip


def test_the_density_is_that_of_rows_with_their_messages():
    params = {"w": jax.random.normal(jax.random.key(0), (3, 1))}
    weights = np.arange(NODES) % 3
    for settings in ({}, {"weights": weights}):
        together, other = wrapped(**settings), alone(**settings)
        np.testing.assert_allclose(
            together.log_density(params), other.log_density(params), rtol=1e-5
        )


def test_predictions_scores_and_reports_are_those_of_rows_with_their_messages():
    x, new = graph(), graph(seed=5, nodes=12)
    post = wrapped().mcmc.numpyro_nuts(seed=0, **QUICK)
    other = replace(post, model=alone())
    predicted, wanted = post.predict(new), other.predict(messages(new))
    np.testing.assert_allclose(
        predicted["predictions"]["outputs"],
        wanted["predictions"]["outputs"][..., 0],
        rtol=1e-3,
        atol=1e-3,
    )
    scores, same = post.metrics(new, targets(new)), other.metrics(messages(new), targets(new))
    assert scores == pytest.approx(same, rel=1e-2)
    for found, like in (
        (post.report(), other.report()),
        (post.report(new, targets(new)), other.report(messages(new), targets(new))),
    ):
        assert found.sd.shape == like.sd.shape
        np.testing.assert_allclose(found.sd, like.sd, rtol=1e-2)
        assert found.baseline_lppd == pytest.approx(like.baseline_lppd, rel=1e-4)
        np.testing.assert_allclose(found.chain_lppd, like.chain_lppd, rtol=1e-3, atol=1e-3)
    values = post.log_likelihood()["log_likelihood"]["y"]
    same = post.log_likelihood(x, targets(x))["log_likelihood"]["y"]
    np.testing.assert_allclose(values, same, rtol=1e-5, atol=1e-5)


def test_held_out_objects_are_scored_during_a_run():
    new = graph(seed=5, nodes=12)
    run = {"num_particles": 2, "num_steps": 20, "progress": False}
    post = wrapped().optimize.optax_adam(seed=0, evaluate=(new, targets(new), 5), patience=2, **run)
    found = post.metrics(new, targets(new))
    assert post.stats["test_lppd"].shape == (2, 1)
    assert np.isfinite(found["lppd"])


def test_stochastic_gradients_see_all_rows_and_batches_are_refused():
    model = wrapped()
    for call in (
        lambda: model.sgmcmc.blackjax_sgld(seed=0, batch_size=8),
        lambda: model.optimize.optax_adam(seed=0, batch_size=8),
        lambda: model.sgmcmc.blackjax_sgld(seed=0, batches=iter([]), num_data=NODES),
        lambda: model.sgmcmc.numpyro_hmcecs(seed=0),
    ):
        with pytest.raises(ValueError, match="wrapped with `rows='together'`"):
            call()
    run = {"num_chains": 1, "num_warmup": 0, "num_draws": 5, "step_size": 1e-3, "progress": False}
    found = model.sgmcmc.blackjax_sgld(seed=0, init="prior", **run)
    whole = alone().sgmcmc.blackjax_sgld(seed=0, init="prior", batch_size=NODES, **run)
    np.testing.assert_allclose(found.params["w"], whole.params["w"], rtol=1e-3, atol=1e-4)


def test_debug_says_that_rows_belong_together():
    report = wrapped().debug(seed=0)
    checks = {check.name: check for check in report.checks}
    assert report
    for name in ("rows independent", "minibatches"):
        assert checks[name].status == "skipped" and "as you chose" in checks[name].message


def test_what_cannot_be_together_is_refused():
    with pytest.raises(ValueError, match="'independent' or 'together', got 'all'"):
        cw.wrap(lambda p, x: x, 0, 0, likelihood="gaussian", rows="all")
    x = graph()
    with pytest.raises(ValueError, match=r"takes `\(outputs, latents\)`"):
        cw.wrap(
            lambda p, x: messages(x) @ p["w"], x, targets(x), rows="together",
            likelihood=lambda outputs, latents, batch: dist.Normal(outputs[:, 0], 1.0),
            example={"w": jnp.zeros((3, 1))},
        )  # fmt: skip
    with pytest.raises(ValueError, match="returns 30 rows and `y` has 29"):
        cw.wrap(
            lambda p, x: (messages(x) @ p["w"])[:, 0], x, targets(x)[1:], rows="together",
            likelihood="gaussian", example={"w": jnp.zeros((3, 1))},
        )  # fmt: skip
