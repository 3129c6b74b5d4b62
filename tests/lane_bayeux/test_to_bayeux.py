"""The real `bayeux.Model` of a Crewel model, and back: the same density, the same answers."""

from __future__ import annotations

import bayeux as bx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from tensorflow_probability.substrates.jax import bijectors as tfb

import crewel as cw

KEY = jax.random.PRNGKey(0)
DATA = jnp.array([0.5, 1.5, 1.0, 2.0])


def log_density(p):
    return (
        dist.Gamma(3.0, 2.0).log_prob(p["rate"])
        + dist.Dirichlet(jnp.array([2.0, 3.0, 5.0])).log_prob(p["parts"])
        + dist.Normal(p["rate"], 1.0).log_prob(DATA).sum()
    )


@pytest.fixture(scope="module")
def model():
    """A simplex, whose unconstrained shape is another, beside a positive value."""
    return cw.Model(
        log_density,
        {"rate": 1.0, "parts": jnp.ones(3) / 3},
        {"rate": dist.constraints.positive, "parts": dist.constraints.simplex},
    )


@pytest.fixture(scope="module")
def own(model):
    return model.mcmc.numpyro_nuts(seed=0, num_draws=1000, progress=False)


U = {"rate": jnp.array(0.3), "parts": jnp.array([0.1, -0.2])}


def close(draws, own):
    """Means and sds of two samples agree within five Monte Carlo standard errors.

    Of some 1,000 effective draws or more on either side: 5 * sqrt(2 / 1000) sds.
    """
    for a, b in zip(jax.tree.leaves(draws), jax.tree.leaves(own), strict=True):
        a, b = (np.asarray(v).reshape(-1, *v.shape[2:]) for v in (a, b))
        sd = b.std(0)
        assert (np.abs(a.mean(0) - b.mean(0)) < 0.22 * sd).all()
        assert (np.abs(a.std(0) / sd - 1) < 0.22).all()


def test_density_transform_and_initial_states(model):
    made = model.to_bayeux()
    assert isinstance(made, bx.Model)
    density = made.mcmc.numpyro_nuts.constrained_log_density()
    np.testing.assert_allclose(density(U), model.target().log_density(U), rtol=1e-5)
    params = model.target().constrain(U)
    np.testing.assert_allclose(made.log_density(**params), log_density(params), rtol=1e-6)
    states = made.mcmc.numpyro_nuts.get_initial_state(KEY, num_chains=5)
    assert states["parts"].shape == (5, 3)
    np.testing.assert_allclose(states["parts"].sum(-1), 1.0, rtol=1e-5)
    back = made.inverse_transform_fn(states)
    assert back["parts"].shape == (5, 2)
    again = made.transform_fn(back)
    np.testing.assert_allclose(again["parts"], states["parts"], rtol=1e-4)
    assert made.mcmc.numpyro_nuts.debug(seed=KEY, verbosity=0, kwargs={"num_chains": 2})


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("numpyro_nuts", {"num_samples": 1000, "num_warmup": 500, "progress_bar": False}),
        ("blackjax_nuts", {"num_draws": 1000, "num_adapt_draws": 500}),
    ],
)
def test_mcmc(model, own, name, options):
    method = getattr(model.to_bayeux().mcmc, name)
    draws = method(seed=KEY, num_chains=4, return_pytree=True, **options)
    assert draws["parts"].shape == (4, 1000, 3)
    close(draws, own.draws)


def test_optimize(model):
    found = model.to_bayeux().optimize.optax_adam(seed=KEY, num_iters=2000, num_particles=3)
    own = model.optimize.optax_adam(
        seed=0, num_steps=2000, num_particles=3, learning_rate=0.1, progress=False
    )
    for name, value in found.params.items():
        np.testing.assert_allclose(value, own.draws[name][:, 0], atol=5e-3)


def test_vi(model, own):
    surrogate, _ = model.to_bayeux().vi.tfp_factored_surrogate_posterior(
        seed=KEY, num_steps=1500, batch_size=2
    )
    draws = surrogate.sample(2000, seed=jax.random.PRNGKey(1))
    # A mean field: its means are near those of the posterior, within half a sd.
    for name, value in draws.items():
        mean, sd = own.draws[name].mean((0, 1)), own.draws[name].std((0, 1))
        assert (np.abs(value.mean(0) - mean) < 0.5 * sd).all()


def test_dependent_supports_of_numpyro_go_over():
    def fn(y):
        a = numpyro.sample("a", dist.HalfNormal(1.0))
        b = numpyro.sample("b", dist.Uniform(-a, a + 1.0))
        numpyro.sample("y", dist.Normal(b, 0.5), obs=y)

    model = cw.Model.from_numpyro(fn, DATA)
    draws = model.to_bayeux().mcmc.numpyro_nuts(
        seed=KEY, num_chains=4, num_samples=1000, progress_bar=False, return_pytree=True
    )
    assert (draws["b"] < draws["a"] + 1).all() and (draws["b"] > -draws["a"]).all()
    close(draws, model.mcmc.numpyro_nuts(seed=0, num_draws=1000, progress=False).draws)


def test_initial_states_go_over(model):
    start = {"rate": jnp.array([1.0, 2.0]), "parts": jnp.full((2, 3), 1 / 3)}
    states = model.to_bayeux(initial_state=start).mcmc.numpyro_nuts.get_initial_state(KEY, 2)
    np.testing.assert_array_equal(states["rate"], start["rate"])
    single = cw.Model(lambda p: -(p["a"] ** 2), {"a": 0.0}, initial_state={"a": 1.0})
    with pytest.raises(ValueError, match="one initial state per chain.*leading axis of chains"):
        single.to_bayeux()


def test_there_and_back(model):
    again = cw.Model.from_bayeux(model.to_bayeux())
    np.testing.assert_allclose(
        again.target().log_density(U), model.target().log_density(U), rtol=1e-5
    )


@pytest.mark.parametrize(
    "made",
    [
        bx.Model(lambda p: -(p["a"] ** 2) - (p["b"] ** 2).sum(), {"a": 1.0, "b": jnp.ones(2)},
                 transform_fn=lambda u: {"a": jnp.exp(u["a"]), "b": u["b"]}),
        bx.Model(lambda p: -(p**2), 1.0, transform_fn=tfb.Softplus()),
        bx.Model(lambda p: -(p["a"] ** 2), {"a": 1.0}),
        bx.Model(lambda p: -(p["a"] ** 2), {"a": 1.0}, initial_state={"a": jnp.ones(3)},
                 transform_fn=lambda u: {"a": 2 * jnp.exp(u["a"])},
                 inverse_transform_fn=lambda p: {"a": jnp.log(p["a"] / 2)},
                 inverse_log_det_jacobian=lambda p: -jnp.log(p["a"])),
    ],
    ids=["function", "bijector", "identity", "given inverse"],
)  # fmt: skip
def test_from_bayeux(made):
    model = cw.Model.from_bayeux(made)
    u = jax.tree.map(lambda leaf: jnp.full(jnp.shape(leaf), 0.3), made.test_point)
    np.testing.assert_allclose(
        model.target().log_density(u), made.constrained_log_density()(u), rtol=1e-5
    )
    assert (model.initial_state is None) == (made.initial_state is None)
