"""One contract over every bridge, on one network written in each library; then the quirks."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from flax import linen as nn
from flax import nnx
from jax.example_libraries import stax
from support import counting

import crewel as cw
from crewel.core.trees import leaf_paths, named_leaves
from crewel.posterior.posterior import Posterior
from crewel.run.call import prepare

ROWS, INPUTS, HIDDEN = 30, 4, 5
ORDER = ("w1", "b1", "w2", "b2")


def data(seed=0, dtype=np.float32):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(ROWS, INPUTS)) * 2 + 1
    return x.astype(dtype), np.sin(x[:, 0]).astype(dtype)


def weights(dtype=np.float32, seed=1):
    rng = np.random.default_rng(seed)
    shapes = {"w1": (INPUTS, HIDDEN), "b1": (HIDDEN,), "w2": (HIDDEN, 1), "b2": (1,)}
    return {name: jnp.asarray(rng.normal(size=shape), dtype) for name, shape in shapes.items()}


def plain(p, x):
    return jnp.tanh(x @ p["w1"] + p["b1"]) @ p["w2"] + p["b2"]


class Linen(nn.Module):
    dtype: Any = jnp.float32

    def setup(self):
        self.hidden = nn.Dense(HIDDEN, param_dtype=self.dtype)
        self.out = nn.Dense(1, param_dtype=self.dtype)

    def __call__(self, x):
        return self.out(nn.tanh(self.hidden(x)))


class Nnx(nnx.Module):
    def __init__(self, rngs, dtype=jnp.float32):
        self.hidden = nnx.Linear(INPUTS, HIDDEN, rngs=rngs, param_dtype=dtype)
        self.out = nnx.Linear(HIDDEN, 1, rngs=rngs, param_dtype=dtype)

    def __call__(self, x):
        return self.out(nnx.tanh(self.hidden(x)))


def haiku_net(x):
    return hk.nets.MLP([HIDDEN, 1], activation=jnp.tanh)(x)


def haiku_functions():
    net = hk.nets.MLP([HIDDEN, 1], activation=jnp.tanh)
    return (lambda x: net(x)), (lambda x: net(x))


HAIKU = hk.transform(haiku_net)
HAIKU_PLAIN = hk.without_apply_rng(HAIKU)
HAIKU_STATE = hk.transform_with_state(haiku_net)
HAIKU_MULTI = hk.without_apply_rng(hk.multi_transform(haiku_functions))
STAX = stax.serial(stax.Dense(HIDDEN), stax.Tanh, stax.Dense(1))


def dense(w, kernel="kernel", bias="bias"):
    return {kernel: w[0], bias: w[1]}


def haiku_params(w):
    names = {"mlp/~/linear_0": ("w1", "b1"), "mlp/~/linear_1": ("w2", "b2")}
    return {name: {"w": w[a], "b": w[b]} for name, (a, b) in names.items()}


def eqx_net(w=None):
    net = eqx.nn.MLP(INPUTS, 1, HIDDEN, 1, jnp.tanh, key=jax.random.key(0))
    if w is None:
        return net
    values = [w["w1"].T, w["b1"], w["w2"].T, w["b2"]]
    return eqx.tree_at(
        lambda m: [v for layer in m.layers for v in (layer.weight, layer.bias)], net, values
    )


def layers(w):
    return {"hidden": dense((w["w1"], w["b1"])), "out": dense((w["w2"], w["b2"]))}


class Case(NamedTuple):
    """One library: a network, the weights in its own form, its paths, how its object predicts."""

    network: Any
    example: Any
    paths: tuple[str, str, str, str]
    predict: Any
    transposed: bool = False


def cases(w):
    dtype = w["w1"].dtype
    linen = Linen(dtype)
    flax = ("hidden.kernel", "hidden.bias", "out.kernel", "out.bias")
    haiku = ("mlp.linear_0.w", "mlp.linear_0.b", "mlp.linear_1.w", "mlp.linear_1.b")
    stax_paths = tuple(f"network.{layer}.{i}" for layer in (0, 2) for i in (0, 1))
    eqx_paths = tuple(f"layers.{i}.{name}" for i in (0, 1) for name in ("weight", "bias"))
    two = haiku_params(w)
    multi = HAIKU_MULTI
    return {
        "linen": Case(linen, {"params": layers(w)}, flax, lambda o, x: linen.apply(o, x)),
        "nnx": Case(Nnx(nnx.Rngs(0), dtype), layers(w), flax, lambda o, x: o(x)),
        "haiku": Case(HAIKU, two, haiku, lambda o, x: HAIKU.apply(o, None, x)),
        "haiku_plain": Case(HAIKU_PLAIN, two, haiku, lambda o, x: HAIKU_PLAIN.apply(o, x)),
        "haiku_state": Case(
            HAIKU_STATE, (two, {}), haiku, lambda o, x: HAIKU_STATE.apply(*o, None, x)[0]
        ),
        "haiku_multi": Case(multi, two, haiku, lambda o, x: multi.apply(o, x)),
        "equinox": Case(eqx_net(), eqx_net(w), eqx_paths, lambda o, x: jax.vmap(o)(x), True),
        "function": Case(plain, w, ("w1", "b1", "w2", "b2"), plain),
        "stax": Case(
            STAX,
            [(w["w1"], w["b1"]), (), (w["w2"], w["b2"])],
            stax_paths,
            lambda o, x: STAX[1](o, x),
        ),
    }


NAMES = list(cases(weights()))
LIBRARIES = [name for name in NAMES if "_" not in name]


def posterior_of(model, draws=3, seed=0):
    """A `Posterior` of points near the test point: what is tested here needs no sampler."""
    rng = np.random.default_rng(seed)
    made = jax.tree.map(
        lambda leaf: np.asarray(leaf) + rng.normal(size=(2, draws, *leaf.shape)).astype(leaf.dtype),
        model.test_point,
    )
    for name in model.latents:
        made[name] = np.abs(made[name])
    none = dict.fromkeys(("losses", "state", "starts", "keys", "surplus"))
    call = prepare(model, cw.ALGORITHMS["numpyro_nuts"], 0, {})
    return Posterior(draws=made, stats={}, call=call, timing={}, model=model, **none)


def outputs(post, x):
    return post.predict(x)["predictions"]["outputs"].values


def normal(z, sd=1.0):
    """Summed log density of centred normal values."""
    z = np.asarray(z, np.float64)
    return (-0.5 * (z / sd) ** 2 - np.log(sd) - 0.5 * np.log(2 * np.pi)).sum()


def wrapped(case, x, y, **kwargs):
    return cw.wrap(case.network, x, y, likelihood="gaussian", example=case.example, **kwargs)


def in_plain_order(tree, case):
    """Leaves of the network in the order and orientation of `weights`."""
    named = named_leaves(tree)
    found = [np.asarray(named[path], np.float64) for path in case.paths]
    return [leaf.T if case.transposed and leaf.ndim == 2 else leaf for leaf in found]


# The contract


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


def test_an_nnx_module_is_never_changed():
    x, y = data()
    net = NnxNorm(nnx.Rngs(0))
    before = jax.tree.map(np.asarray, nnx.to_pure_dict(nnx.state(net, nnx.Not(nnx.RngKey))))
    post = posterior_of(
        cw.wrap(net, x, y, likelihood="gaussian", batch_stats="per_draw", dropout=0)
    )
    outputs(post, x)
    post.network(0, 0)(x)
    after = nnx.to_pure_dict(nnx.state(net, nnx.Not(nnx.RngKey)))
    jax.tree.map(np.testing.assert_array_equal, before, after)
    assert not net.norm.use_running_average
    assert net.norm.momentum == 0.99
    assert not net.drop.deterministic


# Where chains start


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


# Batch statistics


class LinenNorm(nn.Module):
    """The flag reaches BatchNorm as a field, and Dropout as an argument."""

    @nn.compact
    def __call__(self, x, train=False):
        h = nn.Dense(HIDDEN)(x)
        h = nn.BatchNorm(use_running_average=not train)(h)
        h = nn.Dropout(0.5)(nn.tanh(h), deterministic=not train)
        return nn.Dense(1)(h)


class LinenNormArgument(nn.Module):
    @nn.compact
    def __call__(self, x, train):
        h = nn.BatchNorm()(nn.Dense(HIDDEN)(x), use_running_average=not train)
        h = nn.Dropout(0.5, deterministic=not train)(nn.tanh(h))
        return nn.Dense(1)(h)


class NnxNorm(nnx.Module):
    def __init__(self, rngs):
        self.hidden = nnx.Linear(INPUTS, HIDDEN, rngs=rngs)
        self.norm = nnx.BatchNorm(HIDDEN, rngs=rngs)
        self.drop = nnx.Dropout(0.5, rngs=rngs)
        self.out = nnx.Linear(HIDDEN, 1, rngs=rngs)

    def __call__(self, x):
        return self.out(self.drop(nnx.tanh(self.norm(self.hidden(x)))))


def haiku_norm(x, is_training=True):
    h = hk.BatchNorm(True, True, 0.9)(hk.Linear(HIDDEN)(x), is_training)
    h = jnp.tanh(h)
    return hk.Linear(1)(h)


class EqxNorm(eqx.Module):
    hidden: eqx.nn.Linear
    norm: eqx.nn.BatchNorm
    drop: eqx.nn.Dropout
    out: eqx.nn.Linear

    def __init__(self, key, mode="batch"):
        first, second = jax.random.split(key)
        self.hidden = eqx.nn.Linear(INPUTS, HIDDEN, key=first)
        self.norm = eqx.nn.BatchNorm(HIDDEN, "batch", mode=mode)
        self.drop = eqx.nn.Dropout(0.5)
        self.out = eqx.nn.Linear(HIDDEN, 1, key=second)

    def __call__(self, x, state, key=None):
        h, state = self.norm(self.hidden(x), state)
        return self.out(self.drop(jnp.tanh(h), key=key)), state


HAIKU_NORM = hk.transform_with_state(haiku_norm)


class Norm(NamedTuple):
    """A network with BatchNorm: what `wrap` gets, its statistics, its paths, how it predicts."""

    network: Any
    example: Any
    call: Any
    mean: Any
    var: Any
    paths: tuple[str, ...]
    predict: Any


LINEN_PATHS = tuple(
    f"{layer}.{leaf}"
    for layer, leaves in (
        ("Dense_0", ("kernel", "bias")),
        ("BatchNorm_0", ("scale", "bias")),
        ("Dense_1", ("kernel", "bias")),
    )
    for leaf in leaves
)


def norm_linen(module, call):
    x = data()[0]
    variables = module.init(jax.random.key(3), x, train=False)
    mean, var = jnp.arange(5.0), 1 + jnp.arange(5.0)
    variables = {**variables, "batch_stats": {"BatchNorm_0": {"mean": mean, "var": var}}}
    return Norm(
        module,
        variables,
        call,
        mean,
        var,
        LINEN_PATHS,
        lambda o, x: module.apply(o, x, train=False),
    )


def norm_nnx():
    module = NnxNorm(nnx.Rngs(0))
    mean, var = jnp.arange(5.0), 1 + jnp.arange(5.0)
    module.norm.mean[...], module.norm.var[...] = mean, var
    paths = tuple(
        path.replace("Dense_0", "hidden").replace("Dense_1", "out").replace("BatchNorm_0", "norm")
        for path in LINEN_PATHS
    )
    return Norm(module, None, None, mean, var, paths, lambda o, x: o(x))


def norm_haiku():
    x = data()[0]
    params, state = HAIKU_NORM.init(jax.random.key(3), x)
    state = HAIKU_NORM.apply(params, state, None, x + 0.5)[1]
    mean, var = (state[f"batch_norm/~/{name}_ema"]["average"] for name in ("mean", "var"))
    paths = (
        "linear.w",
        "linear.b",
        "batch_norm.scale",
        "batch_norm.offset",
        "linear_1.w",
        "linear_1.b",
    )
    return Norm(
        HAIKU_NORM,
        (params, state),
        None,
        mean,
        var,
        paths,
        lambda o, x: HAIKU_NORM.apply(*o, None, x, is_training=False)[0],
    )


def norm_equinox(mode):
    x = data()[0] + 0.5
    model, state = eqx.nn.make_with_state(EqxNorm)(jax.random.key(3), mode)
    hidden = jax.vmap(model.hidden)(x)
    norm = jax.vmap(model.norm, (0, None), (0, None), axis_name="batch")
    for _ in range(3):
        state = norm(hidden, state)[1]
    mean, var = hidden.mean(0), hidden.var(0)
    if mode == "batch":  # the variance starts at 1 there, and its bias is not taken out
        var = (var * (1 - 0.99**3) + 0.99**3) / (1 - 0.99**3)
    paths = ("hidden.weight", "hidden.bias", "norm.weight", "norm.bias", "out.weight", "out.bias")

    def predict(o, x):
        return jax.vmap(lambda row: o[0](row, o[1])[0])(x)

    return Norm((model, state), None, None, mean, var, paths, predict)


NORMS = {
    "linen_field": lambda: norm_linen(LinenNorm(), None),
    "linen_field_training": lambda: norm_linen(LinenNorm(), {"train": True}),
    "linen_argument": lambda: norm_linen(LinenNormArgument(), {"train": True}),
    "nnx": norm_nnx,
    "haiku": norm_haiku,
    "equinox_batch": lambda: norm_equinox("batch"),
    "equinox_ema": lambda: norm_equinox("ema"),
}


def norm_outputs(case, params, x, rows=None):
    """The network by hand, with the statistics of `rows`, or those it came with."""
    named = named_leaves(params)
    w1, b1, scale, offset, w2, b2 = (np.asarray(named[path]) for path in case.paths)
    if case.paths[0].endswith("weight"):
        w1, w2 = w1.T, w2.T
    mean, var = case.mean, case.var
    if rows is not None:
        hidden = rows @ w1 + b1
        mean, var = hidden.mean(0), hidden.var(0)
    h = (x @ w1 + b1 - mean) / np.sqrt(var + 1e-5) * scale + offset
    return np.tanh(h) @ w2 + b2


@pytest.mark.parametrize("batch_stats", ["frozen", "per_draw"])
@pytest.mark.parametrize("name", NORMS)
def test_batch_statistics_are_those_that_were_asked_for(name, batch_stats):
    x, y = data()
    x_new = data(5)[0][:7]
    case = NORMS[name]()
    model = cw.wrap(
        case.network,
        x,
        y,
        likelihood="gaussian",
        example=case.example,
        call=case.call,
        batch_stats=batch_stats,
    )
    assert set(leaf_paths(model.test_point)) == {*case.paths, "sigma"}
    post = posterior_of(model)
    params = jax.tree.map(lambda leaf: leaf[1, 2], post.draws)
    rows = None if batch_stats == "frozen" else x
    expected = norm_outputs(case, params, x_new, rows)
    found = outputs(post, x_new)[1, 2]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(outputs(post, x_new[:1])[1, 2], found[:1], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(case.predict(post.network(1, 2), x_new), found, rtol=1e-5, atol=1e-5)
    on_train = norm_outputs(case, params, x, rows)[:, 0]
    density = normal(on_train - y, params["sigma"]) + np.log(2)  # a half-normal has twice as much
    density += sum(normal(leaf) for leaf in named_leaves(params).values())
    np.testing.assert_allclose(jax.jit(model.log_density)(params), density, rtol=2e-5)


def wrap_linen(module=None, **kwargs):
    x, y = data()
    return cw.wrap(module or LinenNorm(), x, y, likelihood="gaussian", **kwargs)


def test_batch_statistics_need_a_choice():
    with pytest.raises(ValueError, match="BatchNorm_0.mean.*Choose: `batch_stats='frozen'`"):
        wrap_linen()
    with pytest.raises(ValueError, match="`batch_stats` is 'both'"):
        wrap_linen(batch_stats="both")
    with pytest.raises(ValueError, match="no batch statistics"):
        wrap_linen(Linen(), batch_stats="frozen")
    with pytest.raises(ValueError, match="needs statistics to freeze.*`example=`"):
        wrap_linen(batch_stats="frozen")
    with pytest.raises(TypeError, match="keeps state.*make_with_state"):
        wrap_linen(EqxNorm(jax.random.key(0)), batch_stats="frozen")
    fresh = eqx.nn.make_with_state(EqxNorm)(jax.random.key(0), "ema")
    with pytest.raises(ValueError, match="needs statistics to freeze"):
        wrap_linen(fresh, batch_stats="frozen")


class OwnFlag(nnx.Module):
    """A module whose own code overrules every switch."""

    def __init__(self, rngs, norm=None, drop=None):
        self.hidden = nnx.Linear(INPUTS, HIDDEN, rngs=rngs)
        self.norm = nnx.BatchNorm(HIDDEN, rngs=rngs)
        self.drop = nnx.Dropout(0.5, rngs=rngs)
        self.flags = norm, drop

    def __call__(self, x):
        h = self.norm(self.hidden(x), use_running_average=self.flags[0])
        return self.drop(h, deterministic=self.flags[1])[:, :1]


def test_a_network_that_does_not_obey_the_choice_is_refused():
    with pytest.raises(ValueError, match="'frozen'`, but a call of the network changes"):
        wrap_linen(OwnFlag(nnx.Rngs(0), norm=False), batch_stats="frozen")
    with pytest.raises(ValueError, match="'per_draw'`, but a call of the network leaves"):
        wrap_linen(OwnFlag(nnx.Rngs(0), norm=True), batch_stats="per_draw")
    with pytest.raises(ValueError, match="draws random numbers.*no `dropout=`"):
        wrap_linen(OwnFlag(nnx.Rngs(0), drop=False), batch_stats="frozen")


# Dropout


class LinenDrop(nn.Module):
    @nn.compact
    def __call__(self, x, train):
        h = nn.Dropout(0.5, deterministic=not train)(nn.Dense(40)(x))
        return nn.Dense(1)(nn.Dropout(0.5)(h, deterministic=not train))


class NnxDrop(nnx.Module):
    def __init__(self, rngs):
        self.hidden, self.out = (nnx.Linear(i, o, rngs=rngs) for i, o in ((INPUTS, 40), (40, 1)))
        self.drop = nnx.Dropout(0.5, rngs=rngs)

    def __call__(self, x):
        return self.out(self.drop(self.hidden(x)))


class EqxDrop(eqx.Module):
    hidden: eqx.nn.Linear
    out: eqx.nn.Linear
    drop: eqx.nn.Dropout

    def __init__(self, key):
        self.hidden, self.out = (eqx.nn.Linear(i, o, key=key) for i, o in ((INPUTS, 40), (40, 1)))
        self.drop = eqx.nn.Dropout(0.5)

    def __call__(self, x, key=None):
        return self.out(self.drop(self.hidden(x), key=key))


def haiku_drop(x, is_training=True):
    h = hk.Linear(40)(x)
    return hk.Linear(1)(hk.dropout(hk.next_rng_key(), 0.5, h) if is_training else h)


DROPS = {
    "linen": (LinenDrop(), {"train": True}, {"train": True}),
    "nnx": (NnxDrop(nnx.Rngs(0)), None, None),
    "haiku": (hk.transform(haiku_drop), {"is_training": False}, None),
    "equinox": (EqxDrop(jax.random.key(0)), None, None),
    "stax": (tuple(stax.serial(stax.Dense(40), stax.Dropout(0.5), stax.Dense(1))), None, None),
}


@pytest.mark.parametrize("name", DROPS)
def test_dropout_is_off_unless_a_key_is_given(name):
    x, y = data()
    network, off, on = DROPS[name]

    def predicted(call, dropout):
        model = cw.wrap(network, x, y, likelihood="gaussian", call=call, dropout=dropout)
        return outputs(posterior_of(model), x)[0, 0]

    one, same, other = (predicted(on, key) for key in (0, jax.random.key(0), 1))
    np.testing.assert_array_equal(one, same)
    assert np.abs(one - other).max() > 0.1
    if name == "stax":  # its own layer refuses to run without a key
        with pytest.raises(ValueError, match="Dropout layer requires"):
            predicted(off, None)
        return
    model = cw.wrap(network, x, y, likelihood="gaussian", call=off)
    post = posterior_of(model)
    leaves = named_leaves(jax.tree.map(lambda leaf: leaf[0, 0], post.draws))
    matrices = {leaf.shape: leaf for leaf in leaves.values() if leaf.ndim == 2}
    vectors = {leaf.shape: leaf for leaf in leaves.values() if leaf.ndim == 1}
    first = matrices[40, 4].T if name == "equinox" else matrices[4, 40]
    last = matrices[1, 40].T if name == "equinox" else matrices[40, 1]
    expected = (x @ first + vectors[40,]) @ last + vectors[1,]
    np.testing.assert_allclose(outputs(post, x)[0, 0], expected, rtol=1e-4, atol=1e-4)


def test_dropout_without_effect_is_refused():
    with pytest.raises(ValueError, match="outputs do not depend on that key"):
        wrap_linen(Linen(), dropout=0)
    with pytest.raises(ValueError, match="leave out `hk.without_apply_rng`"):
        wrap_linen(HAIKU_PLAIN, dropout=0)
    with pytest.raises(Exception, match="PRNGKey") as caught:
        wrap_linen(hk.transform(haiku_drop))
    assert "`dropout=key`" in caught.value.__notes__[-1]


# Part of a network


def test_last_is_the_layer_that_meets_the_data_last():
    x, y = data()

    class Upside(nn.Module):
        @nn.compact
        def __call__(self, x):
            h = nn.LayerNorm(name="z")(nn.Dense(HIDDEN, name="y")(x))
            return nn.Dense(1, name="a")(nn.relu(h))

    deep = [stax.Dense(2), stax.Tanh] * 6 + [stax.Dense(1)]
    for network, paths in (
        (Upside(), ["a.bias", "a.kernel"]),
        (stax.serial(*deep), ["network.12.0", "network.12.1"]),
        (HAIKU, ["mlp.linear_1.b", "mlp.linear_1.w"]),
        (eqx_net(), ["layers.1.bias", "layers.1.weight"]),
        (Nnx(nnx.Rngs(0)), ["out.bias", "out.kernel"]),
        (nn.Sequential([nn.Dense(3), jnp.tanh, nn.Dense(1)]), ["layers_2.bias", "layers_2.kernel"]),
        (
            nn.Sequential([nn.RNN(nn.LSTMCell(3)), nn.Dense(1)]),
            ["layers_1.bias", "layers_1.kernel"],
        ),
    ):
        rows = x[:, :, None] if isinstance(network, nn.Sequential) and "RNN" in str(network) else x
        likelihood = lambda out, p: dist.Normal(out.reshape(len(out), -1)[:, 0], p["sigma"])  # noqa: E731
        model = cw.wrap(
            network,
            rows,
            y,
            likelihood=likelihood,
            bayesian="last",
            latents={"sigma": dist.HalfNormal(1.0)},
        )
        assert [path for path in leaf_paths(model.test_point) if path != "sigma"] == paths


@pytest.mark.parametrize("name", LIBRARIES)
def test_the_rest_keeps_its_values(name):
    x, y = data()
    w = weights()
    case = cases(w)[name]
    patterns = list(case.paths[2:])
    model = wrapped(
        case, x, y, bayesian=patterns, prior={pattern: dist.Normal(0, 2) for pattern in patterns}
    )
    assert set(leaf_paths(model.test_point)) == {*patterns, "sigma"}
    assert set(model.priors.priors) == {*patterns, "sigma"}
    post = posterior_of(model)
    named = named_leaves(jax.tree.map(lambda leaf: leaf[1, 2], post.draws))
    w2, b2 = (named[path] for path in patterns)
    w2 = w2.T if case.transposed else w2
    expected = plain({**w, "w2": w2, "b2": b2}, x)
    np.testing.assert_allclose(outputs(post, x)[1, 2], expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(case.predict(post.network(1, 2), x), expected, rtol=1e-5, atol=1e-5)
    p = model.test_point
    density = model.log_density(p)
    prior = sum(dist.Normal(0, 2).log_prob(w[leaf]).sum() for leaf in ("w2", "b2"))
    prior += dist.HalfNormal(1.0).log_prob(p["sigma"])
    likelihood = dist.Normal(plain(w, x)[:, 0], p["sigma"]).log_prob(y).sum()
    np.testing.assert_allclose(density, prior + likelihood, rtol=1e-5)


def test_partly_bayesian_networks_start_at_their_own_initialisations():
    x, y = data()
    model = cw.wrap(Linen(), x, y, likelihood="gaussian", bayesian="out.*")
    start = model.initializers["network"](jax.random.key(0))
    assert leaf_paths(start) == ["out.bias", "out.kernel", "sigma"]


def test_patterns_of_the_bayesian_part_are_strict():
    x, y = data()
    with pytest.raises(
        ValueError, match=r"pattern in `bayesian` `Dense.\*` matches no(.|\n)*out.kernel"
    ):
        cw.wrap(Linen(), x, y, likelihood="gaussian", bayesian="Dense.*")
    with pytest.raises(ValueError, match="no layer is clearly the last"):
        cw.wrap(plain, x, y, likelihood="gaussian", example=weights(), bayesian="last")


def test_fixed_parameters_may_be_integers_and_sampled_ones_may_not():
    x, y = data()
    example = {"shift": jnp.arange(4), "w": jnp.zeros((4, 1))}

    def apply(p, x):
        return (x - p["shift"]) @ p["w"]

    with pytest.raises(TypeError, match="parameter `shift` is of type int32.*`bayesian=`"):
        cw.wrap(apply, x, y, likelihood="gaussian", example=example)
    model = cw.wrap(apply, x, y, likelihood="gaussian", example=example, bayesian="w")
    assert leaf_paths(model.test_point) == ["sigma", "w"]


# Several networks


def chain(networks, x):
    return networks["head"](jnp.tanh(networks["encoder"](x)))


def test_several_networks_of_several_libraries_are_one_model():
    x, y = data()
    w = weights()
    encoder = Case(nn.Dense(HIDDEN), {"params": dense((w["w1"], w["b1"]))}, (), None)
    head = eqx.nn.Linear(HIDDEN, 1, key=jax.random.key(0))
    head = eqx.tree_at(lambda m: (m.weight, m.bias), head, (w["w2"].T, w["b2"]))
    networks = {"encoder": encoder.network, "head": head}
    model = cw.wrap(
        networks, x, y, likelihood="gaussian", combine=chain, example={"encoder": encoder.example}
    )
    assert leaf_paths(model.test_point) == [
        "encoder.bias",
        "encoder.kernel",
        "head.bias",
        "head.weight",
        "sigma",
    ]
    reference = wrapped(cases(w)["function"], x, y)
    p = {**w, "sigma": model.test_point["sigma"]}
    np.testing.assert_allclose(
        model.log_density(model.test_point), reference.log_density(p), rtol=1e-5
    )
    post = posterior_of(model)
    own = post.network(0, 1)
    found = chain(
        {
            "encoder": lambda x: nn.Dense(HIDDEN).apply(own["encoder"], x),
            "head": jax.vmap(own["head"]),
        },
        x,
    )
    np.testing.assert_allclose(found, outputs(post, x)[0, 1], rtol=1e-5, atol=1e-6)
    last = cw.wrap(networks, x, y, likelihood="gaussian", combine=chain, bayesian="last")
    assert leaf_paths(last.test_point) == ["head.bias", "head.weight", "sigma"]


def test_without_combine_the_likelihood_gets_every_output_by_name():
    x, y = data()
    networks = {
        "mean": nn.Dense(1),
        "log_scale": hk.without_apply_rng(hk.transform(lambda x: hk.Linear(1)(x))),
    }

    def likelihood(out, p):
        return dist.Normal(out["mean"][:, 0], jnp.exp(out["log_scale"][:, 0]))

    model = cw.wrap(networks, x, y, likelihood=likelihood)
    p = model.test_point
    mean = x @ p["mean"]["kernel"] + p["mean"]["bias"]
    scale = jnp.exp(x @ p["log_scale"]["linear"]["w"] + p["log_scale"]["linear"]["b"])
    expected = dist.Normal(mean[:, 0], scale[:, 0]).log_prob(y)
    np.testing.assert_allclose(model.predictive.pointwise(p, x, y), expected, rtol=1e-4, atol=1e-4)
    assert list(model.initializers) == ["network", "prior"]
    assert posterior_of(model).predict(x)["predictions"]["outputs.mean"].shape == (2, 3, ROWS, 1)


def test_several_networks_with_statistics_of_their_own():
    x, y = data()
    case = norm_nnx()
    networks = {"encoder": case.network, "head": nn.Dense(1)}
    model = cw.wrap(networks, x, y, likelihood="gaussian", combine=chain, batch_stats="per_draw")
    post = posterior_of(model)
    params = jax.tree.map(lambda leaf: leaf[0, 0], post.draws)
    inner = jnp.tanh(norm_outputs(case, params["encoder"], x[:3], rows=x))
    expected = inner @ params["head"]["kernel"] + params["head"]["bias"]
    np.testing.assert_allclose(outputs(post, x[:3])[0, 0], expected, rtol=1e-4, atol=1e-4)


def test_several_networks_wrong():
    x, y = data()
    networks = {"encoder": nn.Dense(HIDDEN), "head": nn.Dense(1)}
    with pytest.raises(ValueError, match="never calls \\['head'\\]"):
        cw.wrap(networks, x, y, likelihood="gaussian", combine=lambda nets, x: nets["encoder"](x))
    with pytest.raises(TypeError, match="networks, `call` is a dict by their names"):
        cw.wrap(networks, x, y, likelihood="gaussian", combine=chain, call={"train": False})
    with pytest.raises(TypeError, match="pass them as a dict by name"):
        cw.wrap(nn.Dense(1), x, y, likelihood="gaussian", combine=chain)


# What cannot be wrapped


@pytest.mark.parametrize(
    "thing, what",
    [
        (3, "a `builtins.int`"),
        ({1, 2}, "a `builtins.set`"),
        (Linen, "the class `Linen`"),
        (eqx.nn.MLP, "the class `MLP`"),
        (
            type("Torch", (), {"__call__": lambda self, x: x, "__module__": "torch.nn"})(),
            "a `torch.nn.Torch`",
        ),
    ],
)
def test_an_unknown_object_says_what_can_be_wrapped_and_how_by_hand(thing, what):
    x, y = data()
    with pytest.raises(TypeError) as caught:
        cw.wrap(thing, x, y, likelihood="gaussian")
    text = str(caught.value)
    assert f"Cannot wrap {what}." in text
    assert "flax.linen, flax.nnx, haiku, equinox" in text
    assert "by hand" in text and "example=params" in text


def test_a_function_without_parameters_says_what_it_needs():
    x, y = data()
    with pytest.raises(ValueError, match="needs example parameters: `wrap.apply, x, y, example="):
        cw.wrap(plain, x, y, likelihood="gaussian")
    with pytest.raises(ValueError, match="no parameters to sample"):
        cw.wrap(lambda p, x: x[:, 0], x, y, likelihood="gaussian", example={})
    with pytest.raises(TypeError, match="`init` must be.*it takes \\['a', 'b', 'c'\\]"):
        cw.wrap((lambda a, b, c: None, plain), x, y, likelihood="gaussian")


def test_haiku_with_several_functions_says_how_to_take_one():
    x, y = data()
    net = hk.multi_transform(lambda: (lambda x: hk.Linear(1)(x), (haiku_net, haiku_net)))
    with pytest.raises(TypeError, match="2 `apply` functions.*net.apply.0."):
        cw.wrap(net, x, y, likelihood="gaussian")


def test_a_missing_flag_of_the_call_is_hinted_at():
    x, y = data()
    with pytest.raises(TypeError, match="train") as caught:
        cw.wrap(LinenDrop(), x, y, likelihood="gaussian")
    assert "`call={'train': False}`" in caught.value.__notes__[-1]


@pytest.mark.slow
def test_the_page_of_bridges_runs():
    page = (Path(__file__).parents[1] / "docs" / "bridges.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert all(block.count("\n") <= 12 for block in blocks)
    scope: dict[str, Any] = {}
    for block in blocks:
        exec(compile(block, "docs/bridges.md", "exec"), scope)
    assert repr(scope["model"].priors).count("Normal given tau, non-centered") == 4
