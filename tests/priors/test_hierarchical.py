"""Priors whose scales are latents."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from scipy import stats

import crewel as cw
from crewel.priors import non_centred

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
        "w          (4, 1)  Normal given mu, tau, non-centred",
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
