"""Priors by path, and priors whose scales are latents."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from scipy import stats

import crewel as cw
from crewel.core.trees import named_leaves
from crewel.priors import assignment as priors
from crewel.priors import non_centred, patterns

PARAMS = {
    "Dense_0": {"kernel": jnp.zeros((4, 5)), "bias": jnp.zeros(5)},
    "Dense_1": {"kernel": jnp.zeros((5, 1)), "bias": jnp.zeros(1)},
}
SHAPES = {path: leaf.shape for path, leaf in named_leaves(PARAMS).items()}


# Patterns


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


# Distributions


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


# Scales that are latents


X = np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32)
Y = X[:, 0]


def linear(params, x):
    return x @ params["w"] + params["b"]


def scaled(path, shape, latents):
    return dist.Normal(latents["mu"], latents["tau"]).expand(shape).to_event()


def hierarchical(prior, likelihood="gaussian"):
    return cw.wrap(
        linear,
        X,
        Y,
        likelihood=likelihood,
        example={"w": jnp.ones((4, 1)), "b": jnp.zeros(1)},
        prior={"w": prior, "b": dist.Normal(0, 2)},
        latents={"tau": dist.LogNormal(0, 1), "mu": dist.Normal(0, 1)},
    )


POINT = {
    "w": jnp.array([[0.3], [-1.0], [2.0], [0.1]]),
    "b": jnp.array([0.5]),
    "sigma": jnp.float32(0.7),
    "tau": jnp.float32(0.4),
    "mu": jnp.float32(-0.2),
}


@pytest.mark.parametrize("prior", [scaled, non_centred(scaled)])
def test_a_hierarchical_density_is_that_of_the_weights_given_the_latents(prior):
    p = {name: np.asarray(value, np.float64) for name, value in POINT.items()}
    expected = stats.norm(p["mu"], p["tau"]).logpdf(p["w"]).sum()
    expected += stats.norm(0, 2).logpdf(p["b"]).sum() + stats.norm(0, 1).logpdf(p["mu"])
    expected += stats.lognorm(1).logpdf(p["tau"]) + stats.halfnorm(0, 1).logpdf(p["sigma"])
    mean = (X @ p["w"] + p["b"])[:, 0]
    expected += stats.norm(mean, p["sigma"]).logpdf(Y).sum()
    np.testing.assert_allclose(hierarchical(prior).log_density(POINT), expected, rtol=1e-5)


def test_non_centred_is_the_same_model_in_standardised_coordinates():
    model = hierarchical(non_centred(scaled))
    transform = model.target().transform
    z = transform.inverse(POINT)
    np.testing.assert_allclose(z["w"], (POINT["w"] + 0.2) / 0.4, rtol=1e-5)
    np.testing.assert_allclose(z["tau"], np.log(0.4), rtol=1e-5)
    again = transform.forward(z)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), again, POINT)
    flat, unravel = jax.flatten_util.ravel_pytree(z)
    jacobian = jax.jacfwd(lambda u: jax.flatten_util.ravel_pytree(transform.forward(unravel(u)))[0])
    expected = np.linalg.slogdet(np.asarray(jacobian(flat), np.float64))[1]
    np.testing.assert_allclose(transform.log_det(z), expected, rtol=1e-5)


def test_a_non_centred_funnel_is_sampled_right():
    def flat(out, p):  # says nothing about the parameters: the posterior is the prior
        return dist.Normal(0.0 * out[:, 0], 1.0)

    model = hierarchical(non_centred(scaled), likelihood=flat)
    post = model.mcmc.numpyro_nuts(seed=1, num_warmup=300, num_draws=700, progress=False)
    tau, mu, w = (np.asarray(post.draws[name], np.float64) for name in ("tau", "mu", "w"))
    assert int(post.stats["diverging"].sum()) == 0
    z = (w[..., 0] - mu[..., None]) / tau[..., None]
    for value in (np.log(tau), mu, z):
        # 2,800 draws of a standard normal; NUTS makes at least half of them independent.
        assert abs(value.mean()) < 5 / np.sqrt(1400)
        assert abs(value.std() - 1) < 5 / np.sqrt(2 * 1400)


def test_hierarchical_priors_in_the_table_and_at_the_start():
    model = hierarchical(non_centred(scaled))
    assert repr(model.priors).splitlines() == [
        "parameter  shape   prior",
        "b          (1,)    Normal(loc=0, scale=2)",
        "w          (4, 1)  Normal given mu, tau, non-centered",
        "sigma      ()      HalfNormal(scale=1)",
        "tau        ()      LogNormal(loc=0, scale=1)",
        "mu         ()      Normal(loc=0, scale=1)",
    ]
    draws = jax.vmap(model.initializers["prior"])(jax.random.split(jax.random.key(0), 2000))
    z = (draws["w"] - draws["mu"][:, None, None]) / draws["tau"][:, None, None]
    assert abs(float(z.mean())) < 5 / np.sqrt(8000)
    assert abs(float(z.std()) - 1) < 5 / np.sqrt(16000)


def test_relevance_of_inputs_one_scale_each():
    model = cw.wrap(
        linear, X, Y, likelihood="gaussian", example={"w": jnp.ones((4, 1)), "b": jnp.zeros(1)},
        prior={"w": lambda path, shape, latents: dist.Normal(0, latents["tau"][:, None]),
               "b": dist.Normal(0, 1)},
        latents={"tau": dist.HalfNormal(1.0).expand([4]).to_event(1)},
    )  # fmt: skip
    tau = np.array([0.1, 1.0, 2.0, 3.0])
    p = {"w": jnp.ones((4, 1)), "b": jnp.zeros(1), "tau": jnp.asarray(tau), "sigma": jnp.ones(())}
    expected = stats.norm(0, tau[:, None]).logpdf(1).sum() + stats.halfnorm.logpdf(tau).sum()
    expected += stats.norm.logpdf(0) + stats.halfnorm.logpdf(1)
    np.testing.assert_allclose(model.target().log_prior(p), expected, rtol=1e-5)


@pytest.mark.parametrize(
    "prior, error, words",
    [
        (lambda p, s, latents: dist.Normal(0, latents["scale"]), KeyError,
         "uses the latent 'scale', but `latents` has ['sigma', 'tau', 'mu']"),
        (lambda p, s, latents: latents["tau"], TypeError, "for `w`; it must return a NumPyro"),
        (lambda p, s, latents: dist.Uniform(0, latents["tau"]), ValueError,
         "support of the prior for `w` depends on a latent: Uniform"),
        (non_centred(lambda p, s, latents: dist.Gamma(2.0, latents["tau"])), TypeError,
         "`non_centred` needs a distribution with `loc` and `scale` for `w`"),
        (lambda p, s, latents: dist.Normal(jnp.zeros(3), latents["tau"]), ValueError,
         "`w` has shape (3,), which does not fit the parameter's (4, 1)"),
    ],
)  # fmt: skip
def test_hierarchical_priors_that_do_not_fit_are_refused(prior, error, words):
    with pytest.raises(error) as caught:
        hierarchical(prior)
    assert words in str(caught.value)
