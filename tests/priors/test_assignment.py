"""Priors by path."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from scipy import stats

from crewel.core.trees import named_leaves
from crewel.priors import assignment as priors
from crewel.priors import patterns

PARAMS = {
    "Dense_0": {"kernel": jnp.zeros((4, 5)), "bias": jnp.zeros(5)},
    "Dense_1": {"kernel": jnp.zeros((5, 1)), "bias": jnp.zeros(1)},
}
SHAPES = {path: leaf.shape for path, leaf in named_leaves(PARAMS).items()}


def test_the_most_specific_pattern_applies():
    given = ["*", "*.kernel", "Dense_1.*", "Dense_1.kernel", "Dense_[0]*.bias"]
    assert patterns.choose(given, SHAPES) == {
        "Dense_0.bias": "Dense_[0]*.bias",
        "Dense_0.kernel": "*.kernel",
        "Dense_1.bias": "Dense_1.*",
        "Dense_1.kernel": "Dense_1.kernel",
    }


@pytest.mark.parametrize(
    "given, words",
    [
        (["*.kernel", "*.weight"], "The prior pattern `*.weight` matches no parameter"),
        (["*.kernel", "Dense_0.*"], "The prior patterns ['*.kernel', 'Dense_0.*'] all match "
         "`Dense_0.kernel`, and none is more specific"),
        (["*.kernel"], "No prior pattern matches `Dense_0.bias`"),
        ([], "No prior pattern matches `Dense_0.bias`"),
    ],
)  # fmt: skip
def test_patterns_that_do_not_fit_list_the_paths(given, words):
    with pytest.raises(ValueError) as caught:
        priors.assign(dict.fromkeys(given, dist.Normal(0, 1)), PARAMS)
    text = str(caught.value)
    assert words in text
    for path, shape in SHAPES.items():
        assert f"\n  {path}  {shape}" in text


def test_every_form_of_prior():
    found = priors.assign(
        {
            "*.bias": dist.Laplace(0, 3),
            "Dense_0.kernel": "fan_in",
            "Dense_1.kernel": lambda path, shape: dist.Normal(0, len(path) + shape[0]),
        },
        PARAMS,
    )
    assert [(type(d).__name__, float(d.scale)) for d in found.values()] == [
        ("Laplace", 3.0),
        ("Normal", 0.5),
        ("Laplace", 3.0),
        ("Normal", 19.0),
    ]


def test_fan_in_keeps_the_size_of_pre_activations():
    prior = priors.fan_in(3.0)
    scales = {
        ("Dense_0.kernel", (16, 7)): 3 / 4,
        ("Conv_0.kernel", (2, 2, 9, 7)): 3 / 6,
        ("layers.0.weight", (7, 16)): 3 / 4,
        ("conv.weight", (7, 9, 2, 2)): 3 / 6,
        ("Embed_0.embedding", (100, 8)): 3,
        ("Dense_0.bias", (7,)): 3,
    }
    for (path, shape), scale in scales.items():
        np.testing.assert_allclose(prior(path, shape).scale, scale, rtol=1e-6)
    assert type(priors.fan_in(1.0, dist.Laplace)("w", (4, 1))) is dist.Laplace


def test_log_prob_is_the_sum_over_leaves():
    rng = np.random.default_rng(0)
    params = jax.tree.map(lambda leaf: jnp.asarray(rng.normal(size=leaf.shape)), PARAMS)
    chosen = priors.assign(
        {"*.kernel": dist.Normal(1, 2), "*.bias": dist.StudentT(3, 0, 2)}, params
    )
    expected = 0.0
    for path, leaf in named_leaves(params).items():
        one = stats.norm(1, 2) if path.endswith("kernel") else stats.t(3, 0, 2)
        expected += one.logpdf(np.asarray(leaf)).sum()
    np.testing.assert_allclose(priors.log_prob(chosen, params, {}), expected, rtol=1e-6)


def test_priors_with_shapes_of_their_own():
    params = {"w": jnp.zeros((3, 2)), "v": jnp.zeros((4, 3))}
    covariance = jnp.eye(3) + 0.5
    chosen = priors.assign(
        {"w": dist.Normal(0, jnp.array([[1.0], [2.0], [3.0]])),
         "v": dist.MultivariateNormal(jnp.zeros(3), covariance)},
        params,
    )  # fmt: skip
    v = jnp.arange(12.0).reshape(4, 3) / 10
    expected = stats.norm(0, [[1.0], [2.0], [3.0]]).logpdf(np.ones((3, 2))).sum()
    expected += stats.multivariate_normal(np.zeros(3), covariance).logpdf(v).sum()
    found = priors.log_prob(chosen, {"w": jnp.ones((3, 2)), "v": v}, {})
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    drawn = priors.sample(chosen, params, jax.random.key(0))
    assert jax.tree.map(jnp.shape, drawn) == {"w": (3, 2), "v": (4, 3)}


def test_inside_a_program_every_leaf_keeps_its_own_prior():
    # JAX sorts the keys of dicts as text ("10" before "2", "a-b.w" before "a.w"); leaves are not.
    params = {"a": {"w": jnp.zeros(400)}, "a-b": {"w": jnp.zeros(400)},
              "l": [jnp.zeros(400) for _ in range(12)]}  # fmt: skip
    scales = {path: 2.0**i for i, path in enumerate(named_leaves(params))}
    chosen = priors.assign(lambda path, shape: dist.Normal(0, scales[path]), params)
    drawn = jax.jit(priors.sample)(chosen, params, jax.random.key(1))
    for path, leaf in named_leaves(drawn).items():
        # The standard deviation of 400 normal values has a relative error of 1 / sqrt(800).
        assert abs(np.std(leaf) / scales[path] - 1) < 5 / np.sqrt(800), path


@pytest.mark.parametrize(
    "prior, error, words",
    [
        (3.0, TypeError, "The prior for `Dense_0.bias` is a float"),
        (dist.Normal, TypeError, "`Dense_0.bias` is Normal; it must be a NumPyro distribution"),
        ("wide", ValueError, "No prior is called `wide`. Use one of: fan_in"),
        (lambda path, shape: 1.0, TypeError, "returned a float for `Dense_0.bias`"),
        (dist.Normal(jnp.zeros(3), 1), ValueError,
         "`Dense_0.bias` has shape (3,), which does not fit the parameter's (5,)"),
        (dist.Poisson(2.0), TypeError, "`Dense_0.bias` is a Poisson, which is discrete"),
    ],
)  # fmt: skip
def test_what_is_no_prior_is_refused(prior, error, words):
    with pytest.raises(error) as caught:
        priors.assign(prior, PARAMS)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "latents, words",
    [
        ({"sigma": 0.1}, "`latents` at `sigma` is 0.1; it must be a NumPyro distribution"),
        ({"k": dist.Poisson(2.0)}, "The prior for `k` is a Poisson, which is discrete"),
    ],
)
def test_what_is_no_prior_of_a_latent_is_refused(latents, words):
    with pytest.raises(TypeError) as caught:
        priors.of_latents(latents)
    assert words in str(caught.value)
