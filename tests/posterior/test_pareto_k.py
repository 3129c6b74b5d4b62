"""Pareto k in verdicts, of importance weights whose tail is known."""

from __future__ import annotations

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest

import crewel as cw
from crewel.posterior import evidence, faults


def normal(x):
    return -0.5 * jnp.sum(x**2)


@pytest.fixture(scope="module")
def short_fit():
    with cw.settings(verdict="off"):
        return cw.Model(normal, jnp.zeros(2)).vi.numpyro_auto_normal(
            seed=0, num_chains=1, num_steps=5, num_draws=4000, progress=False
        )


def pareto_message(post, log_weights):
    stats = {"lp": log_weights[None], "log_q": np.zeros((1, 4000))}
    return faults.pareto_k(evidence.Evidence(replace(post, stats=stats)))


@pytest.mark.parametrize("k", [0.3, 1.2])
def test_pareto_k_is_that_of_the_weights(short_fit, k):
    """Weights of a Pareto distribution, whose k is known."""
    log_weights = k * np.random.default_rng(0).exponential(size=4000)
    assert bool(pareto_message(short_fit, log_weights)) == (k > 0.7)


@pytest.mark.parametrize("step", [1e-3, 1.0])
def test_equal_weights_have_no_tail(short_fit, step):
    """arviz-stats returns NaN or raises for them."""
    ties = step * np.random.default_rng(0).integers(0, 3, 4000)
    assert pareto_message(short_fit, ties) == ""


def test_weights_that_are_not_finite_are_a_fault(short_fit):
    assert "Pareto k of 1 of 1 fit" in pareto_message(short_fit, np.full(4000, np.nan))
