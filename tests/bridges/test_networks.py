"""One contract over every network library, on the same network written in each."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from flax import nnx
from support import counting
from support.networks import (
    HAIKU,
    HIDDEN,
    INPUTS,
    LIBRARIES,
    NAMES,
    ORDER,
    STAX,
    Linen,
    Nnx,
    cases,
    data,
    eqx_net,
    in_plain_order,
    normal,
    outputs,
    plain,
    posterior_of,
    weights,
    wrapped,
)

import crewel as cw
from crewel.core.trees import leaf_paths, named_leaves


@pytest.mark.parametrize("name", NAMES)
def test_same_network_same_density_gradient_and_paths(name):
    x, y = data()
    w = weights()
    case = cases(w)[name]
    model = wrapped(case, x, y)
    sigma = model.test_point["sigma"]
    assert set(leaf_paths(model.test_point)) == {*case.paths, "sigma"}

    def reference(p):
        prior = sum(dist.Normal(0, 1).log_prob(leaf).sum() for leaf in p.values())
        prior += dist.HalfNormal(1.0).log_prob(sigma)
        return prior + dist.Normal(plain(p, x)[:, 0], sigma).log_prob(y).sum()

    expected, gradient = jax.jit(jax.value_and_grad(reference))(w)
    found, own = jax.jit(jax.value_and_grad(model.log_density))(model.test_point)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    for one, other in zip(
        in_plain_order(own, case), [gradient[name] for name in ORDER], strict=True
    ):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_predictions_and_round_trip_of_a_draw(name):
    x, y = data()
    x_new = data(5)[0][:7]
    case = cases(weights())[name]
    model = wrapped(case, x, y)
    post = posterior_of(model)
    own = post.network(chain=1, draw=2)
    leaves = in_plain_order(jax.tree.map(lambda leaf: leaf[1, 2], post.draws), case)
    expected = plain(dict(zip(ORDER, leaves, strict=True)), x_new)
    found = outputs(post, x_new)[1, 2]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(case.predict(own, x_new), found, rtol=1e-6, atol=1e-6)
    again = wrapped(case._replace(example=own), x, y)
    for one, other in zip(in_plain_order(again.test_point, case), leaves, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", LIBRARIES)
def test_float64(name):
    with jax.enable_x64(True):
        x, y = data(dtype=np.float64)
        w = weights(np.float64)
        case = cases(w)[name]
        model = wrapped(case, x, y)
        assert {leaf.dtype for leaf in jax.tree.leaves(model.test_point)} == {np.dtype("float64")}
        sigma = float(model.test_point["sigma"])
        p = {name: np.asarray(leaf) for name, leaf in w.items()}
        mean = np.tanh(np.asarray(x) @ p["w1"] + p["b1"]) @ p["w2"] + p["b2"]
        expected = sum(map(normal, [*p.values(), sigma])) + np.log(2)  # half-normal sigma
        expected += normal(y - mean[:, 0], sigma)
        found = jax.jit(model.log_density)(model.test_point)
        assert found.dtype == np.float64
        np.testing.assert_allclose(found, expected, rtol=1e-13)


@pytest.mark.parametrize("name", LIBRARIES)
def test_bfloat16_weights_stay_bfloat16(name):
    x, y = data()
    case = cases(weights(jnp.bfloat16))[name]
    model = wrapped(case, x, y)
    network = {path: leaf for path, leaf in named_leaves(model.test_point).items()}
    sigma = network.pop("sigma")
    assert {leaf.dtype for leaf in network.values()} == {jnp.dtype(jnp.bfloat16)}
    assert sigma.dtype == jnp.float32
    value, gradient = jax.eval_shape(jax.value_and_grad(model.log_density), model.test_point)
    assert value.dtype == jnp.float32
    assert jax.tree.map(lambda g: g.dtype, gradient) == jax.tree.map(
        lambda p: p.dtype, model.test_point
    )
    for sampler in model.initializers.values():
        drawn = jax.eval_shape(sampler, jax.random.key(0))
        assert jax.tree.map(lambda d: d.dtype, drawn) == jax.tree.map(
            lambda p: p.dtype, model.test_point
        )


@pytest.mark.parametrize("name", LIBRARIES)
def test_the_same_network_wrapped_again_shares_its_programs(name):
    first = cases(weights())[name]
    run = {"num_particles": 2, "num_steps": 3, "init": "prior", "progress": False}
    kwargs = {"bayesian": [first.paths[2], first.paths[3]]}
    wrapped(first, *data(0), **kwargs).optimize.optax_sgd(seed=0, **run)
    second = cases(weights(seed=2))[name]
    model = wrapped(second, *data(1), **kwargs, prior=dist.Normal(0, 3))
    with counting() as count:
        model.optimize.optax_sgd(seed=1, **run)
    assert count == {"trace": 0, "compile": 0}


def test_chains_start_at_initialisations_of_their_own():
    x, y = data()
    made = {
        "linen": (Linen(), None),
        "haiku": (HAIKU, None),
        "stax": (STAX, None),
        "nnx": (Nnx(nnx.Rngs(0)), lambda key: Nnx(nnx.Rngs(key))),
        "equinox": (eqx_net(), lambda key: eqx.nn.MLP(INPUTS, 1, HIDDEN, 1, jnp.tanh, key=key)),
        "function": (
            plain,
            lambda key: {k: jax.random.normal(key, v.shape) for k, v in weights().items()},
        ),
    }
    for name, (network, example) in made.items():
        model = cw.wrap(network, x, y, likelihood="gaussian", example=example)
        start = model.initializers["network"]
        one, other = (start(jax.random.key(seed)) for seed in (0, 1))
        assert jax.tree.structure(one) == jax.tree.structure(model.test_point), name
        path = leaf_paths(one)[1]
        assert not np.array_equal(named_leaves(one)[path], named_leaves(other)[path]), name


@pytest.mark.parametrize("name", ["nnx", "equinox", "function"])
def test_what_cannot_initialise_itself_starts_from_the_prior(name):
    x, y = data()
    model = wrapped(cases(weights())[name], x, y)
    assert list(model.initializers) == ["prior"]
    with pytest.raises(ValueError, match="'network'.*among this model's ways to start: prior"):
        model.mcmc.numpyro_nuts(seed=0, init="network", progress=False)


def test_linen_modules_bound_to_variables():
    x, y = data()
    case = cases(weights())["linen"]
    model = cw.wrap(case.network.bind(case.example), x, y, likelihood="gaussian")
    np.testing.assert_array_equal(model.test_point["hidden"]["kernel"], weights()["w1"])
