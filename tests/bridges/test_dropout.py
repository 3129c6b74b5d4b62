"""Dropout is off unless a call asks for it."""

from __future__ import annotations

import equinox as eqx
import haiku as hk
import jax
import numpy as np
import pytest
from flax import linen as nn
from flax import nnx
from jax.example_libraries import stax
from support.networks import HAIKU_PLAIN, INPUTS, Linen, data, outputs, posterior_of
from support.norms import wrap_linen

import crewel as cw
from crewel.core.trees import named_leaves


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


class EqxNoKey(eqx.Module):
    out: eqx.nn.Linear

    def __call__(self, x):
        return self.out(x)


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
    with pytest.raises(ValueError, match="random numbers that change its outputs.*`dropout=key`"):
        wrap_linen(hk.transform(haiku_drop))
    with pytest.raises(ValueError, match="Leave `hk.without_apply_rng` out"):
        wrap_linen(hk.without_apply_rng(hk.transform(haiku_drop)))
    with pytest.raises(ValueError, match="`__call__` takes no `key`"):
        wrap_linen(EqxNoKey(eqx.nn.Linear(INPUTS, 1, key=jax.random.key(0))), dropout=0)


def test_a_missing_flag_of_the_call_is_hinted_at():
    x, y = data()
    with pytest.raises(TypeError, match="train") as caught:
        cw.wrap(LinenDrop(), x, y, likelihood="gaussian")
    assert "`call={'train': False}`" in caught.value.__notes__[-1]


class Hidden(nnx.Module):
    """A module whose own code keeps dropout on, before a layer that starts at zero."""

    def __init__(self, rngs):
        self.hidden = nnx.Linear(INPUTS, 5, rngs=rngs)
        self.drop = nnx.Dropout(0.5, rngs=rngs)
        self.out = nnx.Linear(5, 1, kernel_init=nnx.initializers.zeros, rngs=rngs)

    def __call__(self, x):
        return self.out(self.drop(self.hidden(x), deterministic=False))


def test_a_layer_of_zeros_does_not_hide_dropout():
    with pytest.raises(ValueError, match="random numbers that change its outputs"):
        wrap_linen(Hidden(nnx.Rngs(0)))
    x = data()[0]
    model = wrap_linen(Hidden(nnx.Rngs(0)), dropout=0)
    one, other = (outputs(posterior_of(model), x)[0, draw] for draw in (0, 1))
    assert np.abs(one - other).max() > 0.1


class Stacked(nnx.Module):
    """Layers that are stacked for a scan: dropout has a key for each."""

    def __init__(self, rngs):
        @nnx.split_rngs(splits=3)
        @nnx.vmap(in_axes=0, out_axes=0)
        def make(rngs):
            layer = nnx.Linear(INPUTS, INPUTS, rngs=rngs)
            layer.drop = nnx.Dropout(0.5, rngs=rngs)
            return layer

        self.layers, self.out = make(rngs), nnx.Linear(INPUTS, 1, rngs=rngs)

    def __call__(self, x):
        @nnx.scan(in_axes=(0, nnx.Carry), out_axes=nnx.Carry)
        def forward(layer, x):
            return layer.drop(nnx.tanh(layer(x)))

        return self.out(forward(self.layers, x))


def test_dropout_in_stacked_layers():
    x, y = data()
    post = posterior_of(cw.wrap(Stacked(nnx.Rngs(0)), x, y, likelihood="gaussian", dropout=0))
    masked = outputs(post, x)[1, 2]
    np.testing.assert_allclose(post.network(1, 2)(x), masked, rtol=1e-5, atol=1e-6)
    off = posterior_of(cw.wrap(Stacked(nnx.Rngs(0)), x, y, likelihood="gaussian"))
    assert np.abs(masked - outputs(off, x)[1, 2]).max() > 0.1
