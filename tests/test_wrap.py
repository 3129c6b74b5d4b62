"""`wrap`: what is refused, where the parameters are, and what is compiled again (nothing)."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from flax import linen as nn
from scipy import stats
from support import counting
from support.lines import ROWS, example, inputs, linear, linear_model, normals

import crewel as cw
from crewel import likelihoods
from crewel.core.trees import leaf_paths


def test_data_that_do_not_fit():
    x, y = inputs(), normals()
    kwargs = {"likelihood": "gaussian", "example": example(1)}
    with pytest.raises(ValueError, match="`x` has 20 rows and `y` has 19"):
        cw.wrap(linear, x, y[:-1], **kwargs)
    for name, broken in (("x", (np.where(np.arange(ROWS)[:, None] == 4, np.nan, x), y)),
                         ("y", (x, np.where(np.arange(ROWS) == 4, np.inf, y)))):  # fmt: skip
        with pytest.raises(ValueError, match=f"`{name}` has . values that are NaN.*row 4"):
            cw.wrap(linear, *broken, **kwargs)
    with pytest.raises(ValueError, match="a list of numbers is a pytree of scalars"):
        cw.wrap(linear, x, list(y), **kwargs)
    with pytest.raises(TypeError, match="`y` is a dict; it must be one array"):
        cw.wrap(linear, x, {"y": y}, **kwargs)


def test_a_latent_with_the_name_of_a_layer():
    with pytest.raises(ValueError, match="`latents` has the names \\['w'\\]"):
        linear_model(normals(), "gaussian", latents={"w": dist.Normal(0, 1)})


def test_inputs_may_be_a_pytree():
    x = {"a": inputs(0), "b": inputs(1)}
    model = cw.wrap(
        lambda p, x: x["a"] @ p["w"] + x["b"][:, :1], x, normals(),
        likelihood=likelihoods.gaussian(1.0), example=example(1),
    )  # fmt: skip
    mean = x["a"] @ example(1)["w"] + x["b"][:, :1]
    expected = stats.norm(mean[:, 0], 1).logpdf(normals())
    found = model.predictive.pointwise(model.test_point, x, normals())
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_latents_are_beside_the_layers_or_beside_the_network():
    x, y = inputs(), normals()
    model = cw.wrap(nn.Dense(1), x, y, likelihood="gaussian")
    assert leaf_paths(model.test_point) == ["bias", "kernel", "sigma"]
    pair = cw.wrap(
        lambda p, x: x @ p[0] + p[1], x, y, likelihood="gaussian",
        example=(jnp.zeros((3, 1)), jnp.zeros(1)), prior={"network.0": "fan_in",
                                                         "network.1": dist.Normal(0, 2)},
    )  # fmt: skip
    assert leaf_paths(pair.test_point) == ["network.0", "network.1", "sigma"]
    bare = cw.wrap(
        lambda p, x: x @ p[0] + p[1], x, y, likelihood=likelihoods.gaussian(1.0),
        example=(jnp.zeros((3, 1)), jnp.zeros(1)),
    )  # fmt: skip
    assert isinstance(bare.test_point, tuple)
    assert leaf_paths(bare.test_point) == ["0", "1"]


class Mlp(nn.Module):
    widths: list

    @nn.compact
    def __call__(self, x):
        for width in self.widths:
            x = nn.tanh(nn.Dense(width)(x))
        return nn.Dense(1)(x)


def test_the_same_network_on_other_data_with_other_priors_compiles_nothing():
    run = {"num_warmup": 5, "num_draws": 5, "num_chains": 2, "max_tree_depth": 2, "progress": False}

    def model(seed, scale, low, tau):
        return cw.wrap(
            Mlp([4]), inputs(seed), normals(seed),
            likelihood="student_t",
            prior={"*.kernel": dist.Normal(0, scale), "Dense_0.bias": dist.Uniform(low, 5.0),
                   "Dense_1.bias": dist.Normal(0, 1)},
            latents={"sigma": dist.HalfNormal(tau), "df": dist.Uniform(low + 4, 20)},
        )  # fmt: skip

    first = model(0, 1, -3, 1).mcmc.numpyro_nuts(seed=0, **run)
    other = model(1, 0.5, -2.5, 2.0)
    with counting() as count:
        second = other.mcmc.numpyro_nuts(seed=1, **run)
    assert count == {"trace": 0, "compile": 0}
    kernels = [post.draws["Dense_0"]["kernel"] for post in (first, second)]
    assert not np.array_equal(*kernels)
    assert second.draws["Dense_0"]["bias"].min() > -2.5
    assert second.draws["df"].min() > 1.5


def test_other_fixed_noise_compiles_nothing_and_changes_the_density():
    run = {"seed": 0, "num_particles": 2, "num_steps": 3, "progress": False}
    one, other = (linear_model(normals(), likelihoods.gaussian(sigma)) for sigma in (0.1, 2.0))
    first = one.optimize.optax_sgd(**run)
    with counting() as count:
        second = other.optimize.optax_sgd(**run)
    assert count == {"trace": 0, "compile": 0}
    assert np.abs(first.losses[:, 0] - second.losses[:, 0]).min() > 1


def test_wrap_knows_a_gaussian_prior():
    x, y = np.random.default_rng(0).normal(size=(2, 15, 1))

    def wrapped(prior, likelihood):
        return cw.wrap(
            lambda p, x: x @ p["w"] + p["b"], x, y[:, 0], prior=prior, likelihood=likelihood,
            example={"b": jnp.zeros(1), "w": jnp.zeros((1, 1))},
        )  # fmt: skip

    prior = {"w": dist.Normal(0.0, 2.0), "b": dist.Normal(1.0, jnp.array([3.0]))}
    loc, scale = wrapped(prior, cw.likelihoods.gaussian(0.5)).target().gaussian_prior
    assert loc == {"b": 1.0, "w": 0.0} and scale == {"b": 3.0, "w": 2.0}
    # A latent noise has a half-normal prior; a Student prior is no Gaussian one.
    assert wrapped(prior, "gaussian").target().gaussian_prior is None
    model = wrapped(dist.StudentT(5.0), cw.likelihoods.gaussian(0.5))
    with pytest.raises(ValueError, match="`blackjax_elliptical_slice` needs .* Gaussian prior"):
        model.mcmc.blackjax_elliptical_slice(seed=0)
