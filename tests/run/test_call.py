"""What a call refuses before anything runs."""

from __future__ import annotations

import dataclasses

import jax.numpy as jnp
import pytest
import support

import crewel as cw
from crewel import methods
from crewel.core.protocol import Algorithm
from crewel.run import execution

QUICK = {"num_chains": 3, "num_warmup": 10, "num_draws": 20, "progress": False}


@pytest.fixture(scope="module")
def model():
    return support.small()


@pytest.mark.parametrize(
    ("log_density", "text"),
    [
        (lambda p: -(p["x"] ** 2), r"shape \(4,\); it must be a scalar"),
        (lambda p: jnp.sum(p["x"]) * jnp.nan, "`test_point` is nan"),
        (lambda p: jnp.where(jnp.all(p["x"] == 0), 0.0, -jnp.inf), "-inf at the initial state"),
        (lambda p: -jnp.sum(jnp.sqrt(p["x"] ** 2 * 0)), "gradient .* with respect to `x`"),
    ],
)
def test_broken_log_density_fails_before_sampling(log_density, text, monkeypatch):
    monkeypatch.setattr(execution, "execute", lambda *_, **__: pytest.fail("sampling began"))
    model = cw.Model(log_density, {"x": jnp.zeros(4)})
    with pytest.raises(ValueError, match=text):
        model.mcmc.numpyro_nuts(seed=0, progress=False)


@pytest.mark.parametrize("name", ["num_chains", "num_draws", "thinning"])
@pytest.mark.parametrize("value", [0, -1, 2.5, True])
def test_counts_must_be_positive_integers(model, name, value):
    with pytest.raises(ValueError, match=f"`{name}` must be an integer of at least 1"):
        model.mcmc.numpyro_nuts(seed=0, **{name: value})


def test_other_bad_words(model):
    with pytest.raises(ValueError, match="`num_warmup` must be an integer of at least 0"):
        model.mcmc.numpyro_nuts(seed=0, num_warmup=-1)
    with pytest.raises(ValueError, match="`chain_method` must be one of auto"):
        model.mcmc.numpyro_nuts(seed=0, chain_method="pmap")
    with pytest.raises(TypeError, match="`seed` must be an integer or a PRNG key, got str"):
        model.mcmc.numpyro_nuts(seed="0")
    with pytest.raises(TypeError, match="Did you mean `target_accept_prob`"):
        model.mcmc.numpyro_nuts(seed=0, target_accept=0.9)
    with pytest.raises(AttributeError, match="Nearest: `numpyro_nuts`"):
        _ = model.mcmc.numpyro_nut
    with pytest.raises(AttributeError, match=r"It is in `model\.optimize`"):
        _ = model.mcmc.optax_adam
    with pytest.raises(ValueError, match="rows"):
        cw.Model(lambda p, d: 0.0, 0.0, data={"x": jnp.zeros(3), "y": jnp.zeros(4)})


def absent(**changes) -> Algorithm:
    return dataclasses.replace(cw.ALGORITHMS["blackjax_nuts"], **changes)


def test_missing_need_is_said_before_anything_runs(model):
    with pytest.raises(ValueError, match="needs a model with `data`"):
        methods.Method(model, absent(needs=frozenset({"data"})))(seed=0)


def test_option_that_can_be_neither_code_nor_data(model):
    with pytest.raises(TypeError, match="Option `dense_mass` holds a set"):
        model.mcmc.numpyro_nuts(seed=0, dense_mass={1}, **QUICK)
