"""Recurrent networks: they ask for a key that has no effect on their outputs."""

from __future__ import annotations

import equinox as eqx
import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from flax import nnx
from support.networks import check_by_hand

import crewel as cw

STEPS, FEATURES, WIDTH = 6, 3, 5


def sequences():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(20, STEPS, FEATURES)).astype(np.float32)
    return x, np.tanh(x[:, -1, 0])


def last(h):
    return h[:, -1]


def nnx_net(rnn, width=WIDTH):
    return nnx.Sequential(rnn, last, nnx.Linear(width, 1, rngs=nnx.Rngs(9)))


def nnx_rnn(cell, seed=0, **kwargs):
    return nnx.RNN(cell(FEATURES, WIDTH, rngs=nnx.Rngs(seed)), **kwargs)


NNX = {
    "lstm": lambda: nnx_net(nnx_rnn(nnx.LSTMCell)),
    "gru": lambda: nnx_net(nnx_rnn(nnx.GRUCell, rngs=nnx.Rngs(3))),
    "bidirectional": lambda: nnx_net(
        nnx.Bidirectional(nnx_rnn(nnx.GRUCell), nnx_rnn(nnx.GRUCell, 1)), 2 * WIDTH
    ),
}


@pytest.mark.parametrize("name", NNX)
def test_nnx(name):
    x, y = sequences()
    model = cw.wrap(NNX[name](), x, y, likelihood="gaussian")
    found = check_by_hand(model, x, y, lambda module, x: module(x))
    assert found.std() > 0.1


def linen_net(rnn):
    return nn.Sequential([rnn, last, nn.Dense(1)])


class OwnCarry(nn.Module):
    """A module that makes a key for the zeros with which its cell starts."""

    @nn.compact
    def __call__(self, x):
        cell = nn.LSTMCell(WIDTH)
        carry = cell.initialize_carry(self.make_rng("carry"), x[:, 0].shape)
        for t in range(STEPS):
            carry, h = cell(carry, x[:, t])
        return nn.Dense(1)(h)


LINEN = {
    "lstm": linen_net(nn.RNN(nn.LSTMCell(WIDTH))),
    "bidirectional": linen_net(
        nn.Bidirectional(nn.RNN(nn.GRUCell(WIDTH)), nn.RNN(nn.GRUCell(WIDTH)))
    ),
    "own_carry": OwnCarry(),
}


@pytest.mark.parametrize("name", LINEN)
def test_linen(name):
    x, y = sequences()
    net = LINEN[name]
    model = cw.wrap(net, x, y, likelihood="gaussian")
    rngs = {"carry": jax.random.key(3)}
    check_by_hand(model, x, y, lambda variables, x: net.apply(variables, x, rngs=rngs))


class EqxGRU(eqx.Module):
    cell: eqx.nn.GRUCell
    out: eqx.nn.Linear
    start: jax.Array

    def __init__(self, key):
        self.cell = eqx.nn.GRUCell(FEATURES, WIDTH, key=key)
        self.out = eqx.nn.Linear(WIDTH, 1, key=key)
        self.start = jnp.zeros(WIDTH)

    def __call__(self, x, key):
        drop, _ = jax.random.split(key)  # fails without a key
        h = jax.lax.scan(lambda h, x: (self.cell(x, h), None), self.start, x)[0]
        return self.out(eqx.nn.Dropout(0.5, inference=True)(h, key=drop))


def test_equinox():
    x, y = sequences()
    model = cw.wrap(EqxGRU(jax.random.key(0)), x, y, likelihood="gaussian")
    key = jax.random.key(3)
    check_by_hand(model, x, y, lambda net, x: jax.vmap(lambda row: net(row, key))(x))


def haiku_rnn(core, random):
    """A recurrent network whose initial state is zeros, normal or without a key."""

    def net(x):
        cell = core(WIDTH)
        state = cell.initial_state(len(x))
        if random is not None:
            noise = jax.tree.map(lambda s: jax.random.normal(hk.next_rng_key(), s.shape), state)
            state = jax.tree.map(lambda s: random * s, noise)
        return hk.Linear(1)(last(hk.dynamic_unroll(cell, x, state, time_major=False)[0]))

    return hk.transform(net)


@pytest.mark.parametrize("random", [None, 0.0])
@pytest.mark.parametrize("core", [hk.LSTM, hk.GRU])
def test_haiku(core, random):
    x, y = sequences()
    net = haiku_rnn(core, random)
    model = cw.wrap(net, x, y, likelihood="gaussian")
    check_by_hand(model, x, y, lambda params, x: net.apply(params, jax.random.key(3), x))


def noise_in_linen():
    class Noise(nn.Module):
        @nn.compact
        def __call__(self, x):
            noise = jax.random.normal(self.make_rng("noise"), x.shape)
            return nn.Dense(1)(last(x + noise))

    return Noise()


def noise_in_nnx():
    class Noise(nnx.Module):
        def __init__(self, rngs):
            self.rngs, self.out = rngs, nnx.Linear(FEATURES, 1, rngs=rngs)

        def __call__(self, x):
            return self.out(last(x + jax.random.normal(self.rngs.noise(), x.shape)))

    return Noise(nnx.Rngs(0, noise=1))


@pytest.mark.parametrize(
    "network",
    [noise_in_nnx(), noise_in_linen(), haiku_rnn(hk.GRU, 1.0)],
    ids=["nnx", "linen", "haiku"],
)
def test_random_numbers_with_an_effect_are_refused_or_fixed(network):
    x, y = sequences()
    with pytest.raises(ValueError, match="random numbers that change its outputs.*`dropout=key`"):
        cw.wrap(network, x, y, likelihood="gaussian")
    values = []
    for key in (0, 1):
        model = cw.wrap(network, x, y, likelihood="gaussian", dropout=key)
        density = jax.jit(model.log_density)
        values.append(float(density(model.test_point)))
        assert values[-1] == float(density(model.test_point))
    assert abs(values[0] - values[1]) > 0.01


def test_a_key_that_is_not_needed_is_left_out():
    x, y = sequences()
    with pytest.raises(ValueError, match="outputs do not depend on that key. Leave it out"):
        cw.wrap(NNX["lstm"](), x, y, likelihood="gaussian", dropout=0)
