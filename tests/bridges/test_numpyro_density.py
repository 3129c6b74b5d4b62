"""NumPyro programs: the density is NumPyro's own, and what the model's parts are."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from jax.flatten_util import ravel_pytree
from numpyro.infer.util import potential_energy
from support.programs import DATA, PROGRAMS, X, Y, constrained, dependent, line, point, schools

import crewel as cw


@pytest.mark.parametrize("name", PROGRAMS)
def test_numpyro_density_is_numpyros_own(name):
    fn, args, kwargs = PROGRAMS[name]
    model = cw.Model.from_numpyro(fn, *args, **kwargs)
    target = model.target()

    @jax.jit
    def both(u):
        back = target.transform.inverse(target.transform.forward(u))
        ours = jax.value_and_grad(target.log_density)(u)
        return ours, jax.value_and_grad(lambda u: -potential_energy(fn, args, kwargs, u))(u), back

    for seed in range(3):
        u = point(model, seed)
        (value, gradient), (own, slope), back = both(u)
        np.testing.assert_allclose(value, own, rtol=1e-5)
        np.testing.assert_allclose(
            ravel_pytree(gradient)[0], ravel_pytree(slope)[0], rtol=1e-4, atol=1e-4
        )
        np.testing.assert_allclose(ravel_pytree(back)[0], ravel_pytree(u)[0], atol=1e-5)


@pytest.mark.parametrize("name", PROGRAMS)
def test_numpyro_prior_and_likelihood_add_up(name):
    fn, args, kwargs = PROGRAMS[name]
    model = cw.Model.from_numpyro(fn, *args, **kwargs)
    target = model.target()
    if name == "factor, scale and mask":
        assert target.log_prior is None and target.log_likelihood is None
        return

    @jax.jit
    def parts(u):
        params = target.constrain(u)
        each = target.log_likelihood(params, None)
        return target.log_prior(params), each, model.log_density(params)

    prior, each, whole = parts(point(model, 1))
    assert each.shape == (6,)
    np.testing.assert_allclose(prior + each.sum(), whole, rtol=1e-5)


def test_numpyro_parameters_are_the_latents_only():
    model = cw.Model.from_numpyro(schools, 6, np.arange(5.0, 11.0), y=3 * DATA)
    assert {name: leaf.shape for name, leaf in model.test_point.items()} == {
        "mu": (),
        "tau": (),
        "theta": (6,),
    }
    assert repr(model) == "<crewel.Model: 8 parameters in 3 leaves>"


def test_numpyro_code_stays_code():
    model = cw.Model.from_numpyro(schools, 6, np.arange(5.0, 11.0), y=None)
    assert model.test_point["y"].shape == (6,)  # not observed, so a parameter
    wide = cw.Model.from_numpyro(line, X, y=Y, scale=2.0)
    narrow = cw.Model.from_numpyro(line, X, y=Y)
    params = {"weights": jnp.array([0.1, 0.2])}
    assert float(wide.log_density(params)) != float(narrow.log_density(params))


def test_numpyro_ways_to_start():
    model = cw.Model.from_numpyro(dependent, DATA)
    assert model.initial_state == "uniform" and list(model.initializers) == ["prior"]
    drawn = jax.vmap(model.initializers["prior"])(jax.random.split(jax.random.key(0), 500))
    assert (drawn["b"] > -drawn["a"]).all() and (drawn["c"] > drawn["b"][:, None]).all()
    assert abs(drawn["a"].mean() - 2 * np.sqrt(2 / np.pi)) < 5 * 1.2 / np.sqrt(500)
    assert list(cw.Model.from_numpyro(constrained, DATA).initializers) == []  # it is improper
    start = {"weights": jnp.array([3.0, 4.0])}
    model = cw.Model.from_numpyro(line, X, y=Y, initial_state=start)
    post = model.optimize.optax_sgd(seed=0, num_steps=1, learning_rate=1e-30, progress=False)
    np.testing.assert_allclose(post.draws["weights"], np.broadcast_to([3.0, 4.0], (8, 1, 2)))


def _discrete():
    k = numpyro.sample("k", dist.Bernoulli(0.5))
    numpyro.sample("z", dist.Normal(k, 1.0))


def _subsampled(x):
    z = numpyro.sample("z", dist.Normal(0.0, 1.0))
    with numpyro.plate("rows", 12, subsample_size=4):
        numpyro.sample("y", dist.Normal(z, 1.0), obs=x[:4])


def _branching(x, n):
    z = numpyro.sample("z", dist.Normal(0.0, 1.0).expand([int(n)]).to_event(1))
    numpyro.sample("y", dist.Normal(z.sum(), 1.0), obs=x)


@pytest.mark.parametrize(
    ("error", "match", "fn", "args"),
    [
        (ValueError, "`k` is a discrete latent.*MixtureSameFamily", _discrete, ()),
        (ValueError, "`rows` draws 4 of 12 rows anew.*crewel.wrap", _subsampled, (X,)),
        (ValueError, "no latent site.*`obs=`", lambda: numpyro.sample("y", dist.Normal(), obs=0.0),
         ()),
        (ValueError, "`z` has a `Delta`.*deterministic",
         lambda: numpyro.sample("z", dist.Delta(0.0)), ()),
        (TypeError, r"value of an array argument.*`int\(n\)`", _branching, (X, jnp.array(3))),
        (TypeError, "needs a function of NumPyro statements, got a int", 3, ()),
        (TypeError, "Argument `args.0` holds a set", line, ({1},)),
    ],
)  # fmt: skip
def test_numpyro_bad_models_say_what_to_do(error, match, fn, args):
    with pytest.raises(error, match=match):
        cw.Model.from_numpyro(fn, *args)
