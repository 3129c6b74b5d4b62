"""Mistakes that users reported and that show in a run only, rewritten; see the page."""

import warnings

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist

import crewel as cw

QUICK = {"seed": 0, "num_warmup": 300, "num_draws": 300, "progress": False}


def verdict(**options):
    """The verdict of HMC on a standard normal."""
    model = cw.Model(lambda x: -0.5 * jnp.sum(x**2), jnp.zeros(10))
    with cw.settings(verdict="warn"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        post = model.mcmc.numpyro_hmc(**QUICK, **options)
    return post, post.verdict


def test_a_number_of_steps_that_fixes_the_step_size():
    """NumPyro 1678: three steps over a length of two pi are too long for a standard normal."""
    post, found = verdict(num_steps=3)
    assert (np.diff(post.draws, axis=1) == 0).all()
    names = {fault.name for fault in found.faults}
    assert {"moving chains", "acceptance"} <= names
    assert "All 4 chains accept 0.0 % of proposals" in found["acceptance"].message
    assert "`trajectory_length=None` as well" in found["acceptance"].message


def test_the_same_number_of_steps_with_an_adapted_step_size():
    """A fixed length may still resonate, but every chain accepts its proposals and moves."""
    post, found = verdict(num_steps=3, trajectory_length=None)
    assert post.stats["acceptance_rate"].mean() > 0.6
    assert not {"moving chains", "acceptance", "divergences"} & {f.name for f in found.faults}


def test_a_rate_where_a_scale_was_meant_beside_an_intercept():
    """NumPyro 1360: predictions under the prior have the right size, but the slope stays zero."""
    rng = np.random.default_rng(0)
    x = rng.uniform(0, 5, size=(100, 1)).astype(np.float32)
    y = (20 * x[:, 0] + 3 + 0.1 * rng.normal(size=100)).astype(np.float32)

    def model(slope):
        return cw.wrap(
            lambda params, x: x[:, 0] * params["slope"] + params["intercept"],
            x,
            y,
            prior={"slope": slope, "intercept": dist.Normal(0, 10)},
            likelihood=lambda outputs, params: dist.Normal(outputs, params["noise"]),
            latents={"noise": dist.HalfNormal(10)},
            example={"slope": jnp.ones(()), "intercept": jnp.ones(())},
        )

    with cw.settings(verdict="warn"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wrong = model(dist.Exponential(87.3)).mcmc.numpyro_nuts(**QUICK, num_chains=2).verdict
        right = model(dist.Exponential(1 / 87.3)).mcmc.numpyro_nuts(**QUICK, num_chains=2).verdict
    assert "chains predict the training rows no better" in wrong["constant predictor"].message
    assert "constant predictor" not in {fault.name for fault in right.faults}
