"""bayeux's flowMC keywords: loops of training and of production."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import pytest

import crewel.compat.bayeux as bx
from crewel.run import driver

flowmc = pytest.importorskip("flowMC.resource_strategy_bundle.RQSpline_MALA")
KEY = jax.random.key(0)
NAMES = ["flowmc_rqspline_hmc", "flowmc_rqspline_mala", "flowmc_realnvp_hmc", "flowmc_realnvp_mala"]


@pytest.fixture
def model():
    return bx.Model(lambda p: -jnp.sum(p["x"] ** 2), {"x": jnp.zeros(2)})


@pytest.mark.parametrize("name", NAMES)
def test_loops_are_those_of_bayeux(model, monkeypatch, name):
    """bayeux's defaults and its own keywords, in the steps that the row runs."""
    found = []

    def run(model, row, seed, **keywords):
        found.append(keywords)
        raise KeyboardInterrupt

    monkeypatch.setattr(driver, "run", run)
    method = getattr(model.mcmc, name)
    for keywords in (
        {},
        {"n_loop_training": 2, "n_loop_production": 3},
        {"n_loop_production": 7, "n_local_steps": 4, "n_global_steps": 1},
    ):
        with pytest.raises(KeyboardInterrupt):
            method(KEY, **keywords)
    sizes = [(each["num_warmup"], each["num_draws"]) for each in found]
    assert sizes == [(500, 500), (200, 300), (25, 35)]
    assert not any("n_loop" in word for each in found for word in each)


def test_a_short_run_of_one_training_loop(model, monkeypatch):
    """bayeux's own test: (1 local + 1 global step) x 5 loops are 10 draws of each chain."""
    from flowMC.Sampler import Sampler

    trained = []
    build = Sampler.__init__

    def init(self, *args, **kwargs):
        bundle = kwargs["resource_strategy_bundles"]
        trained.append(bundle.strategy_order.count("model_trainer"))
        build(self, *args, **kwargs)

    monkeypatch.setattr(Sampler, "__init__", init)
    draws = model.mcmc.flowmc_rqspline_mala(
        KEY, n_chains=4, n_local_steps=1, n_global_steps=1, n_loop_training=1,
        n_loop_production=5, n_epochs=1, return_pytree=True,
    )  # fmt: skip
    assert draws["x"].shape == (4, 10, 2)
    assert trained == [1]
