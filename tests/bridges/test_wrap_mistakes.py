"""Likelihoods, priors and networks that cannot work are refused by `wrap`, in its own words."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from flax import linen as nn
from support.lines import example, inputs, linear, linear_model, normals

import crewel as cw
from crewel import likelihoods


@pytest.mark.parametrize(
    ("likelihood", "match"),
    [
        (dist.Normal(0, 1), "a `Normal` distribution, which has no outputs in it"),
        (dist.Normal, "the class `Normal`"),
        (likelihoods.gaussian, r"call it, `likelihoods.gaussian\(\)`"),
        (likelihoods.categorical, r"call it, `likelihoods.categorical\(\)`"),
        (lambda outputs: dist.Normal(outputs, 1), r"a function with the arguments `\(outputs\)`"),
        (lambda outputs, latents, x, y: None, r"arguments `\(outputs, latents, x, y\)`"),
        (3, "a int"),
    ],
)
def test_what_is_not_a_likelihood(likelihood, match):
    with pytest.raises(TypeError, match=f"`likelihood` is .*{match}.*lambda outputs, latents"):
        linear_model(normals(), likelihood)


def test_a_likelihood_may_have_defaults():
    model = linear_model(normals(), lambda out, latents, sd=0.5: dist.Normal(out[..., 0], sd))
    expected = dist.Normal(inputs() @ example(1)["w"][:, 0], 0.5).log_prob(normals())
    found = model.predictive.pointwise(model.test_point, inputs(), normals())
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_a_latent_that_is_not_there():
    def likelihood(outputs, latents):
        return dist.Normal(outputs[..., 0], latents["tau"])

    with pytest.raises(ValueError, match=r"reads `tau`, but `latents` has \['sigma'\]"):
        linear_model(normals(), likelihood, latents={"sigma": dist.HalfNormal(1.0)})
    linear_model(normals(), likelihood, latents={"tau": dist.HalfNormal(1.0)})


def test_an_output_that_is_not_there_is_not_a_latent():
    networks = {"mean": linear, "scale": linear}
    with pytest.raises(KeyError, match="sd"):
        cw.wrap(
            networks, inputs(), normals(), example={name: example(1) for name in networks},
            likelihood=lambda out, latents: dist.Normal(out["mean"][..., 0], out["sd"]),
        )  # fmt: skip


@pytest.mark.parametrize("sigma", [-1, 0.0, float("nan"), np.inf, jnp.array([1.0, -1.0]), "x"])
def test_a_standard_deviation_is_positive(sigma):
    with pytest.raises(ValueError, match="a standard deviation must be a positive, finite number"):
        likelihoods.gaussian(sigma)


def test_the_prior_of_a_latent_belongs_in_latents():
    prior = {"sigma": dist.HalfNormal(0.1), "*": dist.Normal(0, 1)}
    with pytest.raises(ValueError, match=r"`sigma` is not a parameter.*`latents=\{'sigma': ...\}`"):
        linear_model(normals(), "gaussian", prior=prior)


def test_an_improper_prior():
    flat = dist.ImproperUniform(dist.constraints.real, (), ())
    with pytest.raises(ValueError, match="The prior for `w` is improper"):
        linear_model(normals(), "gaussian", prior=flat)
    positive = dist.ImproperUniform(dist.constraints.positive, (), ())
    with pytest.raises(ValueError, match="The prior for `sigma` is improper"):
        linear_model(normals(), "gaussian", latents={"sigma": positive})


def test_arguments_of_a_network_in_the_other_order():
    def apply(x, params):
        return x @ params["w"]

    with pytest.raises(TypeError, match=r"its arguments as `\(x, params\)`.*lambda params, x"):
        cw.wrap(apply, inputs(), normals(), likelihood="gaussian", example=example(1))
    with pytest.raises(TypeError, match=r"its arguments as `\(x, params\)`"):
        cw.wrap((lambda key: example(1), apply), inputs(), normals(), likelihood="gaussian")


class Dropped(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dense(1)(nn.Dropout(0.5, deterministic=False)(x))


@pytest.mark.parametrize("dropout", [0.5, 1.0, True])
def test_dropout_is_a_key_and_not_a_rate(dropout):
    with pytest.raises(TypeError, match="it is the key .* The rate belongs to the network's"):
        cw.wrap(Dropped(), inputs(), normals(), likelihood="gaussian", dropout=dropout)
