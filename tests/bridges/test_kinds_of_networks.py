"""Layers of many kinds in every library: attention, transposed convolutions, tied embeddings."""

from __future__ import annotations

import equinox as eqx
import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from flax import nnx
from support.networks import INPUTS, check_by_hand, check_density_of_classes, data, normal

import crewel as cw
from crewel.core.trees import named_leaves

KEYS = jax.random.split(jax.random.key(0), 4)
RNG = np.random.default_rng(0)
SEQUENCES = RNG.normal(size=(12, 6, 4)).astype(np.float32)
IMAGES = RNG.normal(size=(12, 5, 5, 3)).astype(np.float32)
TOKENS = RNG.integers(0, 7, size=(12, 6))
Y = RNG.normal(size=12).astype(np.float32)


class LinenAttention(nn.Module):
    @nn.compact
    def __call__(self, x, train=False):
        attend = nn.MultiHeadDotProductAttention(2, dropout_rate=0.5, deterministic=not train)
        return nn.Dense(1)(nn.LayerNorm()(attend(x, x)).mean(1))


class NnxAttention(nnx.Module):
    def __init__(self, rngs):
        self.attend = nnx.MultiHeadAttention(
            2, 4, dropout_rate=0.5, decode=False, deterministic=True, rngs=rngs
        )
        self.out = nnx.Linear(4, 1, rngs=rngs)

    def __call__(self, x):
        return self.out(self.attend(x).mean(1))


class EqxAttention(eqx.Module):
    attend: eqx.nn.MultiheadAttention
    out: eqx.nn.Linear

    def __init__(self):
        self.attend = eqx.nn.MultiheadAttention(2, 4, dropout_p=0.5, inference=True, key=KEYS[0])
        self.out = eqx.nn.Linear(4, 1, key=KEYS[1])

    def __call__(self, x, key=None):
        return self.out(self.attend(x, x, x, key=key).mean(0))


def haiku_attention(x):
    attend = hk.MultiHeadAttention(2, 2, w_init=hk.initializers.VarianceScaling())
    return hk.Linear(1)(attend(x, x, x).mean(1))


class LinenImage(nn.Module):
    @nn.compact
    def __call__(self, x):
        h = nn.GroupNorm(2)(nn.ConvTranspose(4, (3, 3), (2, 2))(x))
        return nn.Dense(1)(nn.relu(h).mean((1, 2)))


class NnxImage(nnx.Module):
    def __init__(self, rngs):
        self.up = nnx.ConvTranspose(3, 4, (3, 3), strides=2, rngs=rngs)
        self.norm = nnx.GroupNorm(4, num_groups=2, rngs=rngs)
        self.out = nnx.Linear(4, 1, rngs=rngs)

    def __call__(self, x):
        return self.out(nnx.relu(self.norm(self.up(x))).mean((1, 2)))


class EqxImage(eqx.Module):
    up: eqx.nn.ConvTranspose2d
    norm: eqx.nn.GroupNorm
    out: eqx.nn.Linear

    def __init__(self):
        self.up = eqx.nn.ConvTranspose2d(3, 4, 3, 2, key=KEYS[0])
        self.norm = eqx.nn.GroupNorm(2, 4)
        self.out = eqx.nn.Linear(4, 1, key=KEYS[1])

    def __call__(self, x):
        return self.out(jax.nn.relu(self.norm(self.up(x.transpose(2, 0, 1)))).mean((1, 2)))


def haiku_image(x):
    h = hk.GroupNorm(2)(hk.Conv2DTranspose(4, 3, 2)(x))
    return hk.Linear(1)(jax.nn.relu(h).mean((1, 2)))


def by_apply(net, *key):
    return net, lambda own, x: net.apply(own, *key, x)


CASES = {
    "linen_attention": (SEQUENCES, lambda: by_apply(LinenAttention())),
    "nnx_attention": (SEQUENCES, lambda: (NnxAttention(nnx.Rngs(0)), lambda own, x: own(x))),
    "equinox_attention": (SEQUENCES, lambda: (EqxAttention(), lambda own, x: jax.vmap(own)(x))),
    "haiku_attention": (SEQUENCES, lambda: by_apply(hk.transform(haiku_attention), None)),
    "linen_image": (IMAGES, lambda: by_apply(LinenImage())),
    "nnx_image": (IMAGES, lambda: (NnxImage(nnx.Rngs(0)), lambda own, x: own(x))),
    "equinox_image": (IMAGES, lambda: (EqxImage(), lambda own, x: jax.vmap(own)(x))),
    "haiku_image": (IMAGES, lambda: by_apply(hk.transform(haiku_image), None)),
}


@pytest.mark.parametrize("name", CASES)
def test_layers_of_other_kinds(name):
    x, make = CASES[name]
    network, predict = make()
    model = cw.wrap(network, x, Y, likelihood="gaussian")
    check_by_hand(model, x, Y, predict)


class LinenTied(nn.Module):
    @nn.compact
    def __call__(self, tokens):
        table = nn.Embed(7, 5)
        return table.attend(nn.tanh(nn.Dense(5)(table(tokens).mean(1))))


class NnxTied(nnx.Module):
    def __init__(self, rngs):
        self.table, self.hidden = nnx.Embed(7, 5, rngs=rngs), nnx.Linear(5, 5, rngs=rngs)

    def __call__(self, tokens):
        return self.table.attend(nnx.tanh(self.hidden(self.table(tokens).mean(1))))


class EqxTied(eqx.Module):
    shared: eqx.nn.Shared

    def __init__(self):
        parts = (
            eqx.nn.Embedding(7, 5, key=KEYS[0]),
            eqx.nn.Linear(5, 5, key=KEYS[1]),
            eqx.nn.Linear(5, 7, use_bias=False, key=KEYS[2]),
        )
        self.shared = eqx.nn.Shared(parts, lambda p: p[2].weight, lambda p: p[0].weight)

    def __call__(self, tokens):
        table, hidden, out = self.shared()
        return out(jnp.tanh(hidden(jax.vmap(table)(tokens).mean(0))))


def haiku_tied(tokens):
    table = hk.Embed(7, 5)
    return jnp.tanh(hk.Linear(5)(table(tokens).mean(1))) @ table.embeddings.T


@pytest.mark.parametrize(
    "network",
    [LinenTied(), NnxTied(nnx.Rngs(0)), EqxTied(), hk.transform(haiku_tied)],
    ids=["linen", "nnx", "equinox", "haiku"],
)
def test_embeddings_that_are_tied_to_the_last_layer_count_once(network):
    y = TOKENS[:, 0]
    model = cw.wrap(network, TOKENS, y, likelihood="categorical")
    named = named_leaves(model.test_point)
    by_shape = {leaf.shape: np.asarray(leaf, np.float64) for leaf in named.values()}
    assert sorted(by_shape) == [(5,), (5, 5), (7, 5)] and len(named) == 3
    table, weight, bias = (by_shape[shape] for shape in ((7, 5), (5, 5), (5,)))
    if isinstance(network, eqx.Module):
        weight = weight.T
    logits = np.tanh(table[TOKENS].mean(1) @ weight + bias) @ table.T
    check_density_of_classes(model, model.test_point, logits, y)


class SameLayerTwice(eqx.Module):
    first: eqx.nn.Linear
    second: eqx.nn.Linear

    def __init__(self):
        self.first = self.second = eqx.nn.Linear(INPUTS, INPUTS, key=KEYS[0])

    def __call__(self, x):
        return self.second(self.first(x))[:1]


def test_equinox_makes_two_parameters_of_a_layer_that_is_used_twice():
    x, y = data()
    with pytest.raises(ValueError, match="`first.weight` and `second.weight` are the same.*Shared"):
        cw.wrap(SameLayerTwice(), x, y, likelihood="gaussian")


class EqxHalf(eqx.Module):
    net: eqx.nn.MLP

    def __call__(self, x):
        def half(leaf):
            return leaf.astype(jnp.bfloat16) if eqx.is_inexact_array(leaf) else leaf

        return jax.tree.map(half, self.net)(x.astype(jnp.bfloat16))


def haiku_half(x):
    def half(getter, value, context):
        return getter(value).astype(jnp.bfloat16)

    with hk.custom_getter(half):
        return hk.nets.MLP([5, 1])(x.astype(jnp.bfloat16))


def nnx_half():
    first, last = (
        nnx.Linear(i, o, dtype=jnp.bfloat16, rngs=nnx.Rngs(0)) for i, o in ((INPUTS, 5), (5, 1))
    )
    return nnx.Sequential(first, nnx.tanh, last)


HALF = {
    "linen": lambda: nn.Sequential(
        [nn.Dense(5, dtype=jnp.bfloat16), nn.tanh, nn.Dense(1, dtype=jnp.bfloat16)]
    ),
    "nnx": nnx_half,
    "equinox": lambda: EqxHalf(eqx.nn.MLP(INPUTS, 1, 5, 1, jnp.tanh, key=KEYS[0])),
    "haiku": lambda: hk.transform(haiku_half),
}


@pytest.mark.parametrize("name", HALF)
def test_layers_that_compute_in_bfloat16_have_a_float32_density(name):
    x, y = data()
    model = cw.wrap(HALF[name](), x, y, likelihood="gaussian")
    point = model.test_point
    value, gradient = jax.jit(jax.value_and_grad(model.log_density))(point)
    assert value.dtype == jnp.float32
    for slope, leaf in zip(jax.tree.leaves(gradient), jax.tree.leaves(point), strict=True):
        assert slope.dtype == leaf.dtype and np.isfinite(slope).all()
    out = np.asarray(model.predictive.apply(point, x))[:, 0]
    assert out.dtype == np.float32
    density = sum(normal(leaf) for leaf in named_leaves(point).values()) + np.log(2)
    density += normal(out.astype(np.float64) - y, float(point["sigma"]))
    # Each output of the compiled program may be rounded to the next bfloat16, 2**-8 of its size.
    error = np.sum(np.abs(out - y) * np.abs(out)) * 2**-8 / float(point["sigma"]) ** 2
    np.testing.assert_allclose(value, density, atol=error)
