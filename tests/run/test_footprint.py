"""A run whose draws do not fit in memory is refused before anything is compiled."""

from __future__ import annotations

import jax.numpy as jnp
import pytest

import crewel as cw
from crewel.run import footprint, initial


def model():
    return cw.Model(lambda p: -jnp.sum(p["w"] ** 2), {"w": jnp.zeros(50)})


SHORT = {"num_chains": 2, "num_warmup": 5, "num_draws": 100, "progress": False}


def test_draws_that_do_not_fit(monkeypatch):
    monkeypatch.setattr(footprint, "free_memory", lambda: 49_000.0)
    text = r"2 chains × 100 draws × 200 B = 40 kB, but only 49 kB is free.*`thinning`"
    with monkeypatch.context() as patch, pytest.raises(MemoryError, match=text):
        patch.setattr(initial, "find", lambda *_: pytest.fail("work began"))
        model().mcmc.numpyro_nuts(seed=0, **SHORT)
    kept = model().mcmc.numpyro_nuts(seed=0, **SHORT, collect=lambda p: p["w"][0])
    with pytest.raises(MemoryError, match="40,000 draws"):
        kept.extend(40_000, progress=False)
    monkeypatch.setattr(footprint, "free_memory", lambda: None)
    assert model().mcmc.numpyro_nuts(seed=0, **SHORT).draws["w"].shape == (2, 100, 50)


def test_the_run_and_debug_have_one_rule(monkeypatch):
    monkeypatch.setattr(footprint, "free_memory", lambda: 49_000.0)
    with pytest.raises(MemoryError) as refused:
        model().mcmc.numpyro_nuts(seed=0, **SHORT)
    report = model().mcmc.numpyro_nuts.debug(0, kwargs=SHORT, verbosity=0)
    assert [check.message for check in report.failed] == [str(refused.value)]


def test_a_thousand_million_chains():
    """The chains themselves would not fit: 256 GB, which few machines have."""
    with pytest.raises(MemoryError, match="1,000,000,000 chains × 1,000 draws × 200 B = 2e.05 GB"):
        model().mcmc.numpyro_nuts(seed=0, num_chains=10**9)
    if (footprint.free_memory() or 0) < 300e9:
        bare = cw.Model(lambda p: -(p**2), 0.0)
        with pytest.raises(MemoryError, match="= 4 GB, and the chains 256 GB, but only"):
            bare.optimize.optax_adam(seed=0, num_particles=10**9)
