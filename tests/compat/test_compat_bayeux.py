"""bayeux's README, documents and notebooks, with another import line."""

from __future__ import annotations

import warnings
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import optax
import pytest

import crewel.compat.bayeux as bx

KEY = jax.random.key(0)
QUICK = {"num_chains": 2, "num_warmup": 200, "num_samples": 400, "progress_bar": False}


@pytest.fixture(scope="module")
def normal():
    return bx.Model(lambda x: -(x**2), 0.0)


class Point(NamedTuple):
    loc: jax.Array
    scale: jax.Array


@pytest.fixture(scope="module")
def positive():
    """A named tuple with a positive leaf, whose inverse and Jacobian are found."""

    def log_density(p):
        return dist.Normal(2.0, 1.0).log_prob(p.loc) + dist.Gamma(3.0, 2.0).log_prob(p.scale)

    def transform(p):
        return Point(p.loc, jax.nn.softplus(p.scale))

    return bx.Model(log_density, Point(0.0, 1.0), transform)


def test_names_and_order(normal):
    # bayeux's order; the rows that this environment has.
    names = normal.methods["mcmc"]
    expected = [
        "tfp_hmc", "tfp_nuts", "tfp_snaper_hmc", "blackjax_hmc", "blackjax_chees_hmc",
        "blackjax_meads_hmc", "blackjax_nuts", "blackjax_hmc_pathfinder",
        "blackjax_nuts_pathfinder", "flowmc_rqspline_hmc", "flowmc_rqspline_mala",
        "flowmc_realnvp_hmc", "flowmc_realnvp_mala", "numpyro_hmc", "numpyro_nuts", "nutpie",
    ]  # fmt: skip
    assert names == [name for name in expected if name in names] and "numpyro_nuts" in names
    assert repr(normal).startswith(f"mcmc\n\t.{names[0]}\n")
    assert repr(normal.mcmc) == "\n".join(names)
    assert normal.optimize.methods == normal.methods["optimize"]
    for family in (bx.mcmc, bx.optimize):
        for class_name in family.__all__:
            assert getattr(family, class_name).name in repr(normal)
    assert bx.mcmc.NUTSnumpyro.name == "numpyro_nuts" and bx.optimize.Adam.name == "optax_adam"


def test_sampling_a_scalar(normal):
    tree = normal.mcmc.numpyro_nuts(seed=KEY, **QUICK)
    draws = tree["posterior"]["var0"].to_numpy()
    assert draws.shape == (2, 400)
    # sd of exp(-x^2): 0.5 ** 0.5; 5 Monte Carlo errors of some 250 effective draws.
    assert abs(draws.std() - 0.5**0.5) < 5 * 0.5**0.5 / 500**0.5
    assert {"lp", "diverging", "energy"} <= set(tree["sample_stats"].data_vars)
    raw = normal.mcmc.numpyro_nuts(seed=jax.random.PRNGKey(0), return_pytree=True, **QUICK)
    assert np.array_equal(raw, draws)  # both kinds of key
    thinned = normal.mcmc.numpyro_nuts(seed=KEY, return_pytree=True, thinning=4, **QUICK)
    assert thinned.shape == (2, 100)  # NumPyro counts the draws before it thins them


def test_optimizer_results_unpack(positive):
    params, _, loss = positive.optimize.optax_adam(seed=KEY, num_iters=500)
    assert loss.shape == (8, 500)
    assert type(params) is Point and params.loc.shape == (8,)
    np.testing.assert_allclose(params.loc, 2.0, atol=1e-3)
    np.testing.assert_allclose(params.scale, 1.0, atol=1e-3)  # the mode of Gamma(3, 2) itself
    found = positive.optimize.optax_adam(seed=KEY, num_iters=10, num_particles=3)
    assert found.params.scale.shape == (3,) and found.loss.shape == (3, 10)


def test_an_optimizer_without_the_transform():
    model = bx.Model(lambda x: -((x - 1.0) ** 2), 1.0, jnp.exp)
    start = jnp.full(4, 2.0)
    model = bx.Model(lambda x: -((x + 1.0) ** 2), 1.0, jnp.exp, initial_state=start)
    on_reals = model.optimize.optax_adam(seed=KEY, num_particles=4, apply_transform=False)
    np.testing.assert_allclose(on_reals.params, -1.0, atol=1e-3)
    on_support = model.optimize.optax_adam(seed=KEY, num_particles=4)
    assert (on_support.params > 0).all()


@pytest.mark.parametrize("name", ["numpyro_nuts", "blackjax_nuts"])
def test_dictionaries(name):
    """The network of the Oryx notebook in small: nested dicts, keywords of the backend."""
    pytest.importorskip(name.split("_")[0])
    model = bx.Model(
        jax.jit(lambda p: -jnp.sum(p["layer"]["w"] ** 2) - jnp.sum(p["b"] ** 2)),
        {"layer": {"w": jnp.zeros((2, 3))}, "b": jnp.zeros(3)},
    )
    depth = {"numpyro_nuts": "max_tree_depth", "blackjax_nuts": "max_num_doublings"}[name]
    draws = getattr(model.mcmc, name)(
        seed=KEY, num_chains=2, num_draws=20, return_pytree=True, **{depth: 4}
    )
    assert draws["layer"]["w"].shape == (2, 20, 2, 3)
    assert jax.vmap(jax.vmap(model.log_density))(draws).shape == (2, 20)
    tree = getattr(model.mcmc, name)(seed=KEY, num_chains=2, num_draws=20, **{depth: 4})
    assert tree["posterior"]["layer.w"].shape == (2, 20, 2, 3)


def test_from_numpyro_drops_what_is_observed():
    def program():
        mu = numpyro.sample("mu", dist.Normal(0.0, 1.0))
        tau = numpyro.sample("tau", dist.HalfNormal(1.0))
        numpyro.deterministic("both", mu + tau)
        numpyro.sample("y", dist.Normal(mu, tau), obs=jnp.array([0.5, 1.5]))

    model = bx.Model.from_numpyro(program)
    assert set(model.test_point) == {"mu", "tau"}
    tree = model.mcmc.numpyro_nuts(seed=KEY, **QUICK)
    assert set(tree["posterior"].data_vars) == {"mu", "tau"}
    assert (tree["posterior"]["tau"] > 0).all()
    assert model.optimize.optax_adam(seed=KEY, num_iters=5).loss.T.shape == (5, 8)


def test_initial_state_is_constrained():
    start = {"tau": jnp.array([0.5, 3.0])}
    model = bx.Model(lambda p: -p["tau"], {"tau": 1.0}, lambda p: {"tau": jnp.exp(p["tau"])},
                     initial_state=start)  # fmt: skip
    assert model.mcmc.numpyro_nuts.get_initial_state(KEY) is start
    # A density of steps so short that draws stay where they start.
    draws = model.mcmc.numpyro_hmc(
        seed=KEY, num_chains=2, num_warmup=0, num_samples=2, step_size=1e-6,
        adapt_step_size=False, trajectory_length=1e-6, return_pytree=True,
    )  # fmt: skip
    np.testing.assert_allclose(draws["tau"][:, 0], start["tau"], rtol=1e-4)
    fresh = bx.Model(model.log_density, model.test_point, model.transform_fn)
    points = fresh.mcmc.numpyro_nuts.get_initial_state(KEY, num_chains=50)["tau"]
    assert points.shape == (50,) and (np.abs(np.log(points)) < 2).all()


def test_a_transform_sees_one_point():
    # `cumsum` over a batch would run over the batch: bayeux samples rightly and returns garbage.
    def ordered(u):
        return jnp.cumsum(jnp.concatenate([u[:1], jnp.exp(u[1:])]))

    def unordered(x):
        return jnp.concatenate([x[:1], jnp.log(jnp.diff(x))])

    model = bx.Model(
        lambda x: -jnp.sum(x**2) / 2, jnp.arange(3.0), ordered, unordered,
        lambda x: -jnp.sum(jnp.log(jnp.diff(x))),
    )  # fmt: skip
    draws = model.mcmc.numpyro_nuts(seed=KEY, return_pytree=True, **QUICK)
    assert draws.shape == (2, 400, 3) and (np.diff(draws, axis=-1) > 0).all()


def test_get_kwargs(normal):
    from numpyro import infer

    found = normal.mcmc.numpyro_nuts.get_kwargs(num_chains=5, max_tree_depth=7)
    assert found[infer.NUTS]["max_tree_depth"] == 7
    assert found[infer.NUTS]["target_accept_prob"] == 0.8
    sizes = {"num_chains": 5, "num_samples": 1000, "num_warmup": 500, "thinning": 1}
    assert found[infer.MCMC] | sizes == found[infer.MCMC]
    assert found["extra_parameters"] == {"return_pytree": False}
    found = normal.optimize.optax_adam.get_kwargs()
    assert found[optax.adam]["learning_rate"] == 0.1
    assert found["extra_parameters"] == {
        "num_particles": 8, "num_iters": 1000, "chain_method": "vectorized",
        "apply_transform": True,
    }  # fmt: skip
    slow = ("adafactor", "fromage", "lamb", "lion", "noisy_sgd", "novograd", "radam", "rmsprop",
            "sgd")  # fmt: skip
    for class_name in bx.optimize.__all__:
        name = getattr(bx.optimize, class_name).name
        if name.startswith("optax_"):
            callables = list(getattr(normal.optimize, name).get_kwargs().values())
            expected = 1e-4 if name[6:] in slow else 0.1
            assert callables[0]["learning_rate"] == expected, name


def test_unknown_keywords_warn(normal):
    with pytest.warns(UserWarning, match="does not use `num_sampels`. Did you mean `num_samples`"):
        normal.mcmc.numpyro_nuts.get_kwargs(num_sampels=3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # Uniform names are understood too.
        draws = normal.mcmc.numpyro_nuts(
            seed=KEY, num_draws=7, num_warmup=5, num_chains=2, return_pytree=True
        )
    assert draws.shape == (2, 7)


def test_every_default_is_understood(normal):
    # bayeux's defaults reach a word of ours or an option of the row, whose names may have changed.
    from crewel.core.options import backend_options, settings_of

    own = {"return_pytree", "apply_transform"}
    for family in (bx.mcmc, bx.optimize, bx.vi):
        for class_name in family.__all__:
            method = getattr(family, class_name)
            try:
                accepted = {*settings_of(method.row), *backend_options(method.row), *own}
            except ImportError as error:  # the lane bayeux has a flowMC of its own time
                assert "needs a newer `flowMC`" in str(error)
                continue
            names = {method.dialect.renamed.get(name, name) for name in method.dialect.defaults}
            assert names - accepted <= {"chain_method"}, method.name
    fit = normal.vi.tfp_factored_surrogate_posterior if bx.vi.__all__ else None
    if fit is not None:
        surrogate, loss = fit(KEY, batch_size=3)
        assert loss.shape == (3, 2000) and surrogate.batch_shape == (3,)
        draws = surrogate.sample((300,), seed=KEY)
        assert draws.shape == (300, 3)  # sd of exp(-x^2) within 5 errors, and the fit's own 10 %
        assert (np.abs(draws.std(0) / 0.5**0.5 - 1) < 0.1 + 5 / 600**0.5).all()
