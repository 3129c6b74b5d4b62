"""The warm-up and the draws of `crewel_mclmc`: energy, moments, and starts that break others."""

from __future__ import annotations

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest
import support
from jax.tree_util import Partial

import crewel as cw
from crewel.adapters.crewel_mclmc import Tuning, desired
from crewel.posterior import verdict


def _gaussian(sd, z):
    return -0.5 * jnp.sum((z / sd) ** 2)


def gaussian(*sd):
    sd = jnp.asarray(sd, jnp.float32)
    return cw.Model(Partial(_gaussian, sd), jnp.zeros(sd.size))


def run(model, **kwargs):
    call = {"seed": 0, "progress": False, "num_warmup": 2000} | kwargs
    return model.mcmc.crewel_mclmc(**call)


@pytest.mark.parametrize("dimension", [2, 10, 100])
@pytest.mark.parametrize("wanted", [5e-3, 5e-4])
def test_the_energy_variance_is_what_was_asked_for(dimension, wanted):
    """Also in few dimensions, where squared errors have heavy tails."""
    model = gaussian(*np.linspace(0.5, 1.5, dimension))
    post = run(
        model, num_chains=8, num_draws=1000, thinning=4, num_warmup=4000,
        desired_energy_var_end=jnp.asarray(wanted),
    )  # fmt: skip
    each = np.nanmean(post.stats["energy_error"] ** 2, axis=1) / dimension
    # Of eight chains, each of which has found its own step size: to a quarter in the mean.
    assert abs(each.mean() / wanted - 1) < 0.25 + 5 * each.std() / wanted / 8**0.5, each
    assert (each < 3 * wanted).all()


@pytest.mark.parametrize("diagonal", [False, True])
def test_moments_within_the_stated_bias(diagonal):
    sd = np.array([0.1, 0.5, 1.0, 2.0, 4.0, 1.0, 1.0, 3.0])
    post = run(
        gaussian(*sd), num_draws=2000, thinning=10, num_warmup=5000,
        desired_energy_var_end=5e-4, diagonal_preconditioning=diagonal,
    )  # fmt: skip
    of_mean, of_sd = support.errors(post.draws, np.zeros(8), sd)
    ratio = post.draws.std((0, 1)) / sd
    assert np.abs(of_mean).max() < 5
    assert ((np.abs(of_sd) < 5) | (np.abs(ratio - 1) < 0.05)).all(), ratio
    scale = np.asarray(post.state.scale)
    if diagonal:  # learned from a few dozen independent draws, of sd 1 / sqrt(2 * 12) each
        assert (np.abs(np.log(scale / sd)) < 4 / 24**0.5).all(), scale
        length = np.sqrt(8)
    else:
        assert (scale == 1).all()
        length = np.sqrt((sd**2).sum())
    assert (np.abs(np.log(post.state.length / length)) < np.log(4 / 3)).all()


@pytest.mark.parametrize("scale", [1e-6, 1e-3, 1e3, 1e6])
def test_scales_change_nothing(scale):
    """Twelve orders of magnitude: the step size in units of the scale is the same."""
    init = cw.Model(lambda p: 0.0, jnp.zeros(5)).test_point
    one = run(gaussian(*np.ones(5)), num_draws=1, num_chains=8, init=init + 1.0)
    post = run(gaussian(*np.full(5, scale)), num_draws=500, num_chains=8, init=init + 1.0)
    found = np.log(post.stats["step_size"][:, 0] / scale)
    assert np.abs(found - np.log(one.stats["step_size"][:, 0]).mean()).max() < np.log(1.5)
    assert abs(np.log(post.draws.std() / scale)) < np.log(1.2)


def _half_plane(z):
    """NaN beyond a line that cuts through the bulk."""
    return -0.5 * jnp.sum(z**2) + jnp.where(z[0] > -0.5, 0.0, jnp.nan)


def _wall(z):
    """Minus infinity outside a ball."""
    return jnp.where(jnp.sum(z**2) < 4.0, 0.0, -jnp.inf) - 0.5 * z[1] ** 2


def _steep(z):
    """Gradients of 1e8 where the chains start, and of one in the bulk."""
    return -0.5 * jnp.sum(z**2) - jnp.sum(jnp.maximum(jnp.abs(z) - 5.0, 0.0)) * 1e8


def _funnel(z):
    """Neal's funnel."""
    return -(z[0] ** 2) / 18 - 0.5 * jnp.sum(z[1:] ** 2) * jnp.exp(-z[0]) - z[0]


def _quartic(z):
    """Tails so light that long steps overflow."""
    return -jnp.sum(z**4)


STARTS = [
    (_half_plane, [0.0, 0.0, 0.0]),
    (_half_plane, [-0.4999, 3.0, -3.0]),
    (_wall, [1.9, 0.0, 0.0]),
    (_steep, [30.0, -40.0, 20.0]),
    (_funnel, [-8.0, 0.1, 0.1]),
    (_quartic, [100.0, -100.0, 100.0]),
]


@pytest.mark.parametrize("log_density, start", STARTS)
def test_no_chain_dies(log_density, start):
    """200 chains from an awful start: all move, none has a step size that is zero or NaN."""
    model = cw.Model(log_density, jnp.zeros(3))
    post = run(
        model, num_chains=200, num_warmup=500, num_draws=200, init=jnp.asarray(start),
        chain_method="vectorized", desired_energy_var_end=0.02,
    )  # fmt: skip
    sizes = post.stats["step_size"]
    assert np.isfinite(post.draws).all() and np.isfinite(post.stats["lp"]).all()
    assert (sizes > 1e-4).all() and np.isfinite(sizes).all()
    moved = (np.diff(post.draws[..., 0], axis=1) != 0).mean(1)
    assert moved.min() > 0.3, moved.min()


def test_a_wall_leaves_the_density_alone():
    """Half a normal: steps into NaN are rejected, and the moments are those of the half."""
    model = cw.Model(
        lambda z: -0.5 * jnp.sum(z**2) + jnp.where(z[0] > 0, 0.0, jnp.nan), jnp.ones(4)
    )
    post = run(
        model, num_chains=8, num_draws=2000, thinning=20, init=jnp.ones(4),
        desired_energy_var_end=5e-4,
    )  # fmt: skip
    mean, sd = np.zeros(4), np.ones(4)
    mean[0], sd[0] = np.sqrt(2 / np.pi), np.sqrt(1 - 2 / np.pi)
    of_mean, _ = support.errors(post.draws, mean, sd)
    found = post.draws.std((0, 1)) / sd
    off = np.abs(post.draws.mean((0, 1)) - mean) / sd
    assert ((np.abs(of_mean) < 5) | (off < 0.05)).all(), off
    assert np.abs(found - 1).max() < 0.05, found
    assert post.stats["diverging"].any() and np.isnan(post.stats["energy_error"]).any()


def test_a_chain_recovers_from_steps_that_were_far_too_short():
    """The first 100 steps are in a region a million times steeper than the rest."""
    model = cw.Model(
        lambda z: -0.5 * jnp.sum(z**2) - 1e6 * jnp.maximum(z[0] - 4.0, 0.0), jnp.zeros(5)
    )
    post = run(model, num_warmup=4000, num_draws=100, init=jnp.full(5, 10.0))
    fair = run(gaussian(*np.ones(5)), num_warmup=4000, num_draws=100)
    ratio = np.log(post.stats["step_size"][:, 0] / fair.stats["step_size"][:, 0].mean())
    assert np.abs(ratio).max() < np.log(1.5)


def test_the_schedule_falls_geometrically():
    tuning = Tuning(0.4, 0.1, False)
    np.testing.assert_allclose(
        desired(tuning, jnp.array([0.0, 0.3, 0.6, 0.9])), [0.4, 0.2, 0.1, 0.1]
    )


def test_what_the_verdict_says_of_the_energy():
    """A desired variance is no fault; one far above it is, and rejected steps count for nothing."""
    post = run(gaussian(*np.ones(10)), num_draws=1000, thinning=2)
    assert "energy errors" in verdict.judge(post).looked_at and verdict.judge(post)
    errors = 30 * post.stats["energy_error"]
    errors[:, 0] = np.nan
    worse = dataclasses.replace(post, stats=post.stats | {"energy_error": errors})
    assert "above 1:" in verdict.judge(worse)["energy errors"].message


@pytest.mark.parametrize("name", ["desired_energy_var_start", "desired_energy_var_end"])
def test_a_variance_must_be_positive(name):
    with pytest.raises(ValueError, match=name):
        run(gaussian(1.0, 1.0), **{name: 0.0})
