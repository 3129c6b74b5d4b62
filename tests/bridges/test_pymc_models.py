"""PyMC models: density, posterior, what JAX is like afterwards."""

from __future__ import annotations

import os

import jax
import numpy as np
import numpyro.distributions as dist
import pytest
from jax.flatten_util import ravel_pytree
from support import errors
from support.programs import DATA, X, Y, exact, needs_pymc, point

import crewel as cw


def pymc_model(pm):
    with pm.Model() as model:
        a = pm.HalfNormal("a", 2.0)
        b = pm.Uniform("b", -a, a + 1.0)
        weights = pm.Dirichlet("weights", np.ones(3))
        c = pm.TruncatedNormal("c", b, 1.0, lower=b, upper=a + 2.0, shape=3)
        pm.Deterministic("twice", 2 * a)
        pm.Normal("y", c.sum() + weights[0], 1.0, observed=DATA)
    return model


@pytest.fixture(scope="module")
def pymc_case():
    import pymc as pm

    pm_model = pymc_model(pm)
    return pm_model, cw.Model.from_pymc(pm_model)


@needs_pymc
def test_pymc_density_is_pymcs_own(pymc_case):
    pm_model, model = pymc_case
    assert sorted(model.test_point) == ["a", "b", "c", "weights"]
    target = model.target()
    logp = pm_model.compile_logp()
    for seed in range(3):
        u = point(model, seed)
        values = {
            pm_model.rvs_to_values[rv].name: np.asarray(u[rv.name], np.float64)
            for rv in pm_model.free_RVs
        }
        np.testing.assert_allclose(target.log_density(u), logp(values), rtol=1e-5)
        params = target.constrain(u)
        back = target.transform.inverse(params)
        np.testing.assert_allclose(ravel_pytree(back)[0], ravel_pytree(u)[0], atol=1e-5)
        each = target.log_likelihood(params, None)
        assert each.shape == (6,)
        np.testing.assert_allclose(
            target.log_prior(params) + each.sum(), model.log_density(params), rtol=1e-5
        )


@needs_pymc
def test_pymc_leaves_jax_as_it_was(pymc_case):
    assert not jax.config.jax_enable_x64
    assert "device_count=100" not in os.environ.get("XLA_FLAGS", "")
    assert all(leaf.dtype == np.float32 for leaf in jax.tree.leaves(pymc_case[1].test_point))


@needs_pymc
def test_pymc_posterior_and_predictions():
    import pymc as pm

    with pm.Model() as pm_model:
        weights = pm.Normal("weights", 0.0, 2.0, shape=2)
        pm.Normal("y", weights[0] + weights[1] * X, 0.5, observed=Y)
    post = cw.Model.from_pymc(pm_model).mcmc.numpyro_nuts(seed=0, num_draws=500, progress=False)
    mean, covariance = exact(X, Y)
    off_mean, off_sd = errors(post.draws["weights"], mean, np.sqrt(np.diag(covariance)))
    assert np.abs(off_mean).max() < 5 and np.abs(off_sd).max() < 5
    own = dist.Normal(post.draws["weights"] @ np.stack([np.ones(12), X]), 0.5).log_prob(Y)
    np.testing.assert_allclose(post.log_likelihood()["log_likelihood"]["y"], own, atol=1e-4)
    with pytest.raises(ValueError, match="pymc.sample_posterior_predictive"):
        post.predict()
    if int(pm.__version__.split(".")[0]) >= 6:  # older ones take no DataTree
        made = pm.sample_posterior_predictive(
            post.to_datatree(), model=pm_model, progressbar=False, random_seed=0
        )
        y = made["posterior_predictive"]["y"].values
        noise = (y - post.draws["weights"] @ np.stack([np.ones(12), X])) / 0.5
        assert abs(noise.std() - 1) < 5 / np.sqrt(2 * noise.size)


@needs_pymc
def test_pymc_errors():
    import pymc as pm

    with pm.Model() as pm_model:
        k = pm.Bernoulli("k", 0.5)
        pm.Normal("z", k, 1.0)
    with pytest.raises(ValueError, match="`k` are discrete.*marginalize"):
        cw.Model.from_pymc(pm_model)
    with pytest.raises(TypeError, match="needs a `pymc.Model`, got a int"):
        cw.Model.from_pymc(3)
    with pm.Model() as pm_model:
        z = pm.HalfNormal("z", 1.0)
        pm.Potential("penalty", -(z**2))
        pm.Normal("y", z, 1.0, observed=1.0)
    model = cw.Model.from_pymc(pm_model)
    assert model.target().log_prior is None  # a potential is neither prior nor likelihood
    np.testing.assert_allclose(
        model.log_density({"z": 0.5}),
        dist.HalfNormal(1.0).log_prob(0.5) - 0.25 + dist.Normal(0.5, 1.0).log_prob(1.0),
        rtol=1e-5,
    )
