"""Weights of rows, and likelihoods that read the inputs of their rows."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest

import crewel as cw

ROWS = 24
PARAMS = {"w": jnp.array([[0.7], [-0.4]])}


def data():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(ROWS, 2)).astype(np.float32)
    y = (x @ np.array([1.0, -0.5]) + 0.2 * rng.normal(size=ROWS)).astype(np.float32)
    return x, y


def wrapped(x, y, likelihood=None, **settings):
    return cw.wrap(
        lambda p, x: (x["features"] if isinstance(x, dict) else x) @ p["w"], x, y,
        likelihood=likelihood or cw.likelihoods.gaussian(0.5), example={"w": jnp.zeros((2, 1))},
        **settings,
    )  # fmt: skip


def test_a_weight_is_the_number_of_times_that_a_row_counts():
    (x, y), weights = data(), np.arange(ROWS) % 3
    repeated = np.repeat(np.arange(ROWS), weights)
    found = wrapped(x, y, weights=weights).log_density(PARAMS)
    wanted = wrapped(x[repeated], y[repeated]).log_density(PARAMS)
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


def test_minibatches_of_weighted_rows_are_unbiased():
    (x, y), weights = data(), np.linspace(0, 2, ROWS)
    target = wrapped(x, y, weights=weights).target()
    halves = [jax.tree.map(lambda leaf, h=h: leaf[h::2], target.data) for h in (0, 1)]
    estimates = [target.on(half).log_density(PARAMS) for half in halves]
    np.testing.assert_allclose(np.mean(estimates), target.log_density(PARAMS), rtol=1e-5)


def test_reports_weight_the_rows_and_pointwise_likelihoods_do_not():
    x, y = data()
    y = np.where(np.arange(ROWS) < 6, 50.0, y).astype(np.float32)  # of weight zero
    weights = (np.arange(ROWS) >= 6).astype(float)
    run = {"seed": 0, "num_chains": 2, "num_warmup": 100, "num_draws": 50, "progress": False}
    post = wrapped(x, y, weights=weights).mcmc.numpyro_nuts(**run)
    kept = wrapped(x[6:], y[6:]).mcmc.numpyro_nuts(**run)
    np.testing.assert_allclose(post.params["w"], kept.params["w"], rtol=1e-3, atol=1e-4)
    found, wanted = post.report(), kept.report()
    np.testing.assert_allclose(found.chain_lppd, wanted.chain_lppd, rtol=1e-3)
    np.testing.assert_allclose(found.cumulative_lppd, wanted.cumulative_lppd, rtol=1e-3)
    assert found.baseline_lppd == pytest.approx(wanted.baseline_lppd, rel=1e-4)
    assert (found.dead_chains, wanted.dead_chains) == ((), ())
    values = post.log_likelihood()["log_likelihood"]["y"].to_numpy()
    np.testing.assert_allclose(values[..., 6:], kept.log_likelihood()["log_likelihood"]["y"], 1e-2)
    assert (values[..., :6] < -1000).all()


@pytest.mark.parametrize("kind", ["categorical", "poisson"])
def test_the_constant_predictor_is_fitted_to_rows_by_weight(kind):
    x, _ = data()
    y = np.arange(ROWS) % 2
    weights = np.where(y == 1, 3.0, 1.0)
    repeated = np.repeat(np.arange(ROWS), weights.astype(int))
    outputs = 2 if kind == "categorical" else 1
    settings = {"likelihood": kind, "example": {"w": jnp.zeros((2, outputs))}}
    run = {"seed": 0, "num_particles": 2, "num_steps": 3, "progress": False}

    def baseline(x, y, **more):
        model = cw.wrap(lambda p, x: x @ p["w"], x, y, **settings, **more)
        return model.optimize.optax_adam(**run).report().baseline_lppd

    assert baseline(x, y, weights=weights) == pytest.approx(
        baseline(x[repeated], y[repeated]), rel=1e-5
    )


def test_weights_that_are_none_are_refused():
    x, y = data()
    for weights, message in (
        (np.ones((ROWS, 1)), r"shape \(24, 1\); it must have one number per row, shape \(24,\)"),
        (np.r_[np.ones(ROWS - 1), -2.0], "it is -2 in row 23"),
        (np.zeros(ROWS), "zero everywhere"),
        (np.r_[np.ones(ROWS - 1), np.nan], "NaN or infinite"),
    ):
        with pytest.raises(ValueError, match=message):
            wrapped(x, y, weights=weights)


def test_weights_are_paired_with_rows_by_index():
    import pandas as pd

    x, y = data()
    frame = pd.DataFrame(x, columns=["a", "b"])
    weights = pd.Series(np.arange(1.0, ROWS + 1))
    with pytest.raises(ValueError, match="`weights` has another index than `x`"):
        wrapped(frame, y, weights=weights[::-1])
    assert wrapped(frame, y, weights=weights).data["weights"].shape == (ROWS,)


# --- the batch as an argument of the likelihood ---------------------------------------------------


def with_exposure(outputs, latents, batch):
    return dist.Poisson(batch["x"]["exposure"] * jnp.exp(outputs[:, 0]))


def counts(seed=0, rows=200):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 2)).astype(np.float32)
    exposure = rng.uniform(0.5, 5, rows).astype(np.float32)
    y = rng.poisson(exposure * np.exp(x @ np.array([0.7, -0.4])))
    return {"features": x, "exposure": exposure}, y


def test_a_likelihood_reads_the_inputs_of_its_rows():
    x, y = counts()
    model = wrapped(x, y, with_exposure)
    rate = x["exposure"] * np.exp(x["features"] @ np.array([0.7, -0.4]))
    wanted = dist.Poisson(rate).log_prob(y)
    np.testing.assert_allclose(model.predictive.pointwise(PARAMS, x, y), wanted, rtol=1e-4)
    target = model.target()
    part = jax.tree.map(lambda leaf: leaf[::2], target.data)
    prior = dist.Normal(0, 1).log_prob(PARAMS["w"]).sum()
    np.testing.assert_allclose(
        target.on(part).log_density(PARAMS), prior + 2 * wanted[::2].sum(), rtol=1e-4
    )


def test_predictions_and_scores_read_the_inputs_of_new_rows():
    model = wrapped(*counts(), with_exposure)
    post = model.mcmc.numpyro_nuts(
        seed=0, num_chains=2, num_warmup=200, num_draws=500, progress=False
    )
    x, y = counts(seed=1, rows=500)
    # 95 % of the mass; the posterior is about 0.04 wide.
    np.testing.assert_allclose(post.params["w"].mean((0, 1)).ravel(), [0.7, -0.4], atol=0.1)
    scores = post.metrics(x, y)
    rate = x["exposure"] * np.exp(x["features"] @ np.array([0.7, -0.4]))
    best = dist.Poisson(rate).log_prob(y).mean()
    assert best - 0.05 < scores["lppd"] < best + 0.02
    drawn = post.predict(x)["predictions"]["y"].mean(("chain", "draw"))
    doubled = post.predict({**x, "exposure": 2 * x["exposure"]})["predictions"]["y"]
    ratio = float(doubled.mean(("chain", "draw")).sum() / drawn.sum())
    # 1,000 draws of 500 counts, whose mean is about 4.
    assert ratio == pytest.approx(2.0, rel=0.01)


def test_what_a_likelihood_cannot_read_is_named():
    x, y = counts()
    with pytest.raises(ValueError, match=r"its batch has `x` alone.*a leaf of `x`"):
        wrapped(x, y, lambda o, latents, batch: dist.Poisson(batch["y"] * jnp.exp(o[:, 0])))
    with pytest.raises(TypeError, match="a censoring flag or an exposure, can be a leaf of `x`"):
        wrapped(x["features"], {"value": y, "censored": y > 3})


def test_sets_with_masks_ignore_what_is_padded():
    """Deep sets (Zaheer et al. 2017): a masked mean over the members of each row."""
    rng = np.random.default_rng(0)
    members = rng.normal(size=(ROWS, 5, 2)).astype(np.float32)
    mask = np.arange(5) < rng.integers(1, 6, size=(ROWS, 1))
    y = np.asarray(data()[1])

    def pooled(params, x):
        hidden = jnp.tanh(x["members"] @ params["inner"]) * x["mask"][..., None]
        return (hidden.sum(1) / x["mask"].sum(1, keepdims=True)) @ params["outer"]

    def outputs(members, order):
        model = cw.wrap(
            pooled, {"members": members[:, order], "mask": mask[:, order]}, y,
            likelihood="gaussian", example={"inner": jnp.ones((2, 4)), "outer": jnp.ones((4, 1))},
        )  # fmt: skip
        return np.asarray(model.predictive.point(model.test_point, model.data["x"])["outputs"])

    kept = outputs(members, np.arange(5))
    padded = np.where(mask[..., None], members, 1e3)
    np.testing.assert_array_equal(outputs(padded, np.arange(5)), kept)
    np.testing.assert_allclose(outputs(members, [4, 2, 0, 1, 3]), kept, rtol=1e-4, atol=1e-6)
