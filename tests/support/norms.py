"""Networks with batch statistics in every library that has them, and their values by hand."""

from __future__ import annotations

from typing import Any, NamedTuple

import equinox as eqx
import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from flax import nnx

import crewel as cw
from crewel.core.trees import named_leaves
from support.networks import HIDDEN, INPUTS, data


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


def wrap_linen(module=None, **kwargs):
    x, y = data()
    return cw.wrap(module or LinenNorm(), x, y, likelihood="gaussian", **kwargs)


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
