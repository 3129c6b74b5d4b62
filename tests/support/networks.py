"""One small network in every library, and posteriors of it that need no sampler."""

from __future__ import annotations

from typing import Any, NamedTuple

import equinox as eqx
import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from flax import nnx
from jax.example_libraries import stax

import crewel as cw
from crewel.core.trees import named_leaves
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


def check_by_hand(model, x, y, apply):
    """Compare predictions and density of a Gaussian model with the library's own `apply(own, x)`.

    The priors are standard normal and half-normal. Returns the outputs `(N,)`.
    """
    post = posterior_of(model)
    params = jax.tree.map(lambda leaf: leaf[1, 2], post.draws)
    out = np.asarray(apply(post.network(1, 2), x), np.float64).reshape(len(y))
    found = outputs(post, x)[1, 2].reshape(len(y))
    np.testing.assert_allclose(found, out, rtol=1e-4, atol=1e-4)
    density = sum(normal(leaf) for leaf in named_leaves(params).values()) + np.log(2)
    density += normal(out - y, params["sigma"])
    np.testing.assert_allclose(jax.jit(model.log_density)(params), density, rtol=2e-5)
    return found


def check_density_of_classes(model, params, logits, y):
    """Compare the density of a categorical model with standard normal priors with one by hand."""
    logits = np.asarray(logits, np.float64)
    density = (logits[np.arange(len(y)), y] - np.log(np.exp(logits).sum(-1))).sum()
    density += sum(normal(leaf) for leaf in named_leaves(params).values())
    np.testing.assert_allclose(jax.jit(model.log_density)(params), density, rtol=1e-5)
