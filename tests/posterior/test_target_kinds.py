"""What `y` is, is read off its distribution: also below `to_event`, `mask` and `expand`."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest

import crewel as cw

X = np.random.default_rng(0).normal(size=(40, 2)).astype(np.float32)
W = np.array([[2.0, -1.0, 0.0], [0.0, 1.0, -2.0]])
RUN = {"seed": 0, "num_chains": 2, "num_warmup": 50, "num_draws": 50, "progress": False}


def model(y, likelihood, outputs):
    return cw.wrap(
        lambda p, x: x @ p["w"], X, y, likelihood=likelihood,
        example={"w": jnp.zeros((2, outputs))},
    )  # fmt: skip


def softmax(logits):
    p = np.exp(logits - logits.max(-1, keepdims=True))
    return p / p.sum(-1, keepdims=True)


def lppd(log_likelihood):
    """Mean over rows of the log of the mean density over draws."""
    return np.log(np.exp(log_likelihood).mean((0, 1))).mean()


LABELS = (X @ W).argmax(1)
KNOWN, ALL = np.arange(40) % 4 != 0, np.ones(40, bool)
CATEGORICAL = {
    "plain": lambda outputs, latents: dist.Categorical(logits=outputs),
    "masked": lambda outputs, latents: dist.Categorical(logits=outputs).mask(ALL),
    "rows masked": lambda outputs, latents: dist.Categorical(logits=outputs).mask(KNOWN),
    "probabilities": lambda outputs, latents: dist.Categorical(
        probs=jnp.exp(outputs) / jnp.exp(outputs).sum(-1, keepdims=True)
    ).mask(ALL),
}


@pytest.mark.parametrize("name", CATEGORICAL)
def test_masked_classes(name):
    post = model(LABELS, CATEGORICAL[name], 3).mcmc.numpyro_nuts(**RUN)
    p = softmax(np.einsum("ni,cdik->cdnk", X, post.draws["w"].astype(np.float64)))
    predictions = post.predict(X)["predictions"]
    np.testing.assert_allclose(predictions["probability"], p, rtol=1e-3, atol=1e-5)
    scores = post.metrics(X, LABELS)
    assert scores.keys() == {"lppd", "accuracy", "brier", "ece"}
    counted = KNOWN if name == "rows masked" else ALL
    right = p.mean((0, 1)).argmax(-1) == LABELS
    assert scores["accuracy"] == right[counted].mean() > 0.8
    each = np.log(np.take_along_axis(p, LABELS[None, None, :, None], -1)[..., 0])
    np.testing.assert_allclose(scores["lppd"], lppd(each[..., counted]), rtol=1e-4)


COINS = (X @ W[:, :2] > 0).astype(np.int32)


def coins_of_a_row(outputs, latents):
    return dist.Bernoulli(logits=outputs).to_event(1)


def masked_coins(outputs, latents):
    return dist.Bernoulli(logits=outputs).mask(ALL[:, None]).to_event(1).mask(ALL)


@pytest.mark.parametrize("likelihood", [coins_of_a_row, masked_coins])
def test_coins_in_the_columns_of_a_row(likelihood):
    """`Bernoulli(...).to_event(1)`, which the hint for shapes recommends."""
    post = model(COINS, likelihood, 2).mcmc.numpyro_nuts(**RUN)
    one = 1 / (1 + np.exp(-np.einsum("ni,cdik->cdnk", X, post.draws["w"].astype(np.float64))))
    predictions = post.predict(X)["predictions"]
    assert predictions["probability"].shape == (2, 50, 40, 2, 2)
    np.testing.assert_allclose(predictions["probability"][..., 1], one, rtol=1e-3, atol=1e-5)
    assert set(np.unique(predictions["y"])) <= {0, 1}
    scores = post.metrics(X, COINS)
    assert scores["accuracy"] == ((one.mean((0, 1)) > 0.5) == COINS).mean() > 0.8
    each = np.log(np.where(COINS == 1, one, 1 - one)).sum(-1)
    np.testing.assert_allclose(scores["lppd"], lppd(each), rtol=1e-4)


def test_held_out_rows_know_the_kind_too():
    """Scores during a run are those of classes."""
    post = model(LABELS, CATEGORICAL["masked"], 3).sgmcmc.blackjax_sgld(
        seed=0, num_chains=1, num_warmup=0, num_draws=20, evaluate=(X, LABELS, 20), progress=False
    )
    assert {"test_accuracy", "test_ece"} <= post.stats.keys()
    assert "test_rmse" not in post.stats
    p = softmax(X @ post.draws["w"][0, -1].astype(np.float64))
    assert abs(post.stats["test_accuracy"][0, -1] - (p.argmax(-1) == LABELS).mean()) < 1e-6


def test_masked_values_stay_values():
    y = (X @ [1.0, 2.0]).astype(np.float32)
    post = model(y, lambda out, p: dist.Normal(out[..., 0], 1.0).mask(KNOWN), 1).mcmc.numpyro_nuts(
        **RUN
    )
    assert "probability" not in post.predict(X)["predictions"]
    scores = post.metrics(X, y)
    mean = np.einsum("ni,cdik->cdnk", X, post.draws["w"].astype(np.float64))[..., 0].mean((0, 1))
    error = (mean - y)[KNOWN]
    np.testing.assert_allclose(scores["rmse"], np.sqrt((error**2).mean()), rtol=1e-4)
