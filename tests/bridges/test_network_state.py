"""State beside the parameters: what is the same in training and in prediction needs no choice."""

from __future__ import annotations

import equinox as eqx
import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from flax import nnx
from support.networks import (
    HIDDEN,
    INPUTS,
    check_by_hand,
    check_density_of_classes,
    data,
    outputs,
    posterior_of,
)
from support.norms import wrap_linen

import crewel as cw


def features(x):
    """Random features that are state; they are drawn once."""
    b = hk.get_state("b", (INPUTS, HIDDEN), init=hk.initializers.RandomNormal())
    return hk.Linear(1)(jnp.sin(x @ b))


def counted(x):
    count = hk.get_state("count", (), init=jnp.zeros)
    hk.set_state("count", count + 1)
    return hk.Linear(1)(x)


def spectral(x):
    w = hk.get_parameter("w", (INPUTS, HIDDEN), init=hk.initializers.RandomNormal())
    return hk.Linear(1)(jnp.tanh(x @ hk.SpectralNorm()(w)))


class LinenFeatures(nn.Module):
    @nn.compact
    def __call__(self, x):
        shape = INPUTS, HIDDEN
        b = self.variable("fixed", "b", lambda: jax.random.normal(self.make_rng("params"), shape))
        h = jnp.sin(x @ b.value)
        self.sow("losses", "size", h)
        return nn.Dense(1)(h)


class LinenSpectral(nn.Module):
    @nn.compact
    def __call__(self, x, train):
        h = nn.SpectralNorm(nn.Dense(HIDDEN))(x, update_stats=train)
        return nn.Dense(1)(nn.tanh(h))


class NnxSpectral(nnx.Module):
    def __init__(self, rngs):
        self.hidden = nnx.SpectralNorm(nnx.Linear(INPUTS, HIDDEN, rngs=rngs), rngs=rngs)
        self.out = nnx.Linear(HIDDEN, 1, rngs=rngs)

    def __call__(self, x):
        return self.out(nnx.tanh(self.hidden(x)))


class EqxSpectral(eqx.Module):
    hidden: eqx.nn.SpectralNorm
    count: eqx.nn.StateIndex
    out: eqx.nn.Linear

    def __init__(self, key):
        layer = eqx.nn.Linear(INPUTS, HIDDEN, key=key)
        self.hidden = eqx.nn.SpectralNorm(layer, "weight", key=key)
        self.count = eqx.nn.StateIndex(jnp.array(0))
        self.out = eqx.nn.Linear(HIDDEN, 1, key=key)

    def __call__(self, x, state):
        h, state = self.hidden(x, state)
        state = state.set(self.count, state.get(self.count) + 1)
        return self.out(jnp.tanh(h)), state


def of_haiku(fn):
    net = hk.transform_with_state(fn)
    return net, None, lambda own, x: net.apply(*own, None, x)[0]


def of_linen(net, **call):
    return net, call, lambda own, x: net.apply(own, x, **call, mutable=["batch_stats"])[0]


def of_equinox():
    def predict(own, x):
        module, state = own
        return jax.vmap(lambda row: eqx.nn.inference_mode(module)(row, state)[0])(x)

    return eqx.nn.make_with_state(EqxSpectral)(jax.random.key(0)), None, predict


CONSTANT = {
    "haiku_features": lambda: of_haiku(features),
    "haiku_counter": lambda: of_haiku(counted),
    "haiku_spectral": lambda: of_haiku(spectral),
    "linen_features": lambda: of_linen(LinenFeatures()),
    "linen_spectral": lambda: of_linen(LinenSpectral(), train=False),
    "linen_spectral_updated": lambda: of_linen(LinenSpectral(), train=True),
    "nnx_spectral": lambda: (NnxSpectral(nnx.Rngs(0)), None, lambda own, x: own(x)),
    "equinox_spectral": of_equinox,
}


@pytest.mark.parametrize("name", CONSTANT)
def test_state_that_is_not_of_the_rows_needs_no_choice(name):
    x, y = data()
    network, call, predict = CONSTANT[name]()
    model = cw.wrap(network, x, y, likelihood="gaussian", call=call)
    found = check_by_hand(model, x, y, predict)
    alone = outputs(posterior_of(model), x[3:4])[1, 2].reshape(-1)
    np.testing.assert_allclose(alone, found[3:4], rtol=1e-4, atol=1e-5)
    frozen = cw.wrap(network, x, y, likelihood="gaussian", call=call, batch_stats="frozen")
    point = model.test_point
    assert float(frozen.log_density(point)) == float(model.log_density(point))
    with pytest.raises(ValueError, match="the outputs in training are the same.*Leave"):
        cw.wrap(network, x, y, likelihood="gaussian", call=call, batch_stats="per_draw")


class Mixed(nnx.Module):
    """Spectral normalization, whose vectors move in training, beside BatchNorm."""

    def __init__(self, rngs):
        self.hidden = nnx.SpectralNorm(nnx.Linear(INPUTS, HIDDEN, rngs=rngs), rngs=rngs)
        self.norm = nnx.BatchNorm(HIDDEN, rngs=rngs)
        self.out = nnx.Linear(HIDDEN, 1, rngs=rngs)

    def __call__(self, x):
        return self.out(nnx.tanh(self.norm(self.hidden(x)) + self.hidden(x)))


def test_statistics_per_draw_must_give_the_training_outputs_again():
    with pytest.raises(ValueError, match="does not give the same outputs again.*'frozen'"):
        wrap_linen(Mixed(nnx.Rngs(0)), batch_stats="per_draw")
    x, y = data()
    module = Mixed(nnx.Rngs(0))
    module.norm.mean[...], module.norm.var[...] = jnp.arange(5.0), 1 + jnp.arange(5.0)
    model = cw.wrap(module, x, y, likelihood="gaussian", batch_stats="frozen")

    def predict(own, x):
        own.norm.use_running_average = True
        return own(x)

    check_by_hand(model, x, y, predict)


def test_outputs_that_are_constant_do_not_hide_batch_statistics():
    module = nnx.Sequential(
        nnx.Linear(INPUTS, HIDDEN, rngs=nnx.Rngs(0)),
        nnx.BatchNorm(HIDDEN, rngs=nnx.Rngs(0)),
        lambda h: jnp.minimum(nnx.relu(h).sum(1) - 1e6, -1e6),
    )
    with pytest.raises(ValueError, match="Choose: `batch_stats='frozen'`"):
        wrap_linen(module)


class TwoAxes(eqx.Module):
    norms: list[eqx.nn.BatchNorm]

    def __init__(self):
        self.norms = [eqx.nn.BatchNorm(INPUTS, axis, mode="batch") for axis in ("batch", "rows")]

    def __call__(self, x, state):
        for norm in self.norms:
            x, state = norm(x, state)
        return x[:1], state


def test_equinox_layers_that_name_several_axes():
    with pytest.raises(ValueError, match=r"several axes, \['batch', 'rows'\].*same `axis_name`"):
        wrap_linen(eqx.nn.make_with_state(TwoAxes)(), batch_stats="per_draw")


def images():
    rng = np.random.default_rng(0)
    return rng.normal(size=(6, 8, 8, 3)).astype(np.float32), rng.integers(0, 3, 6)


def mobile_net(x, is_training):
    net = hk.nets.MobileNetV1(strides=(1,), channels=(4,), num_classes=3)
    return net(x, is_training)


def res_net(x, is_training):
    net = hk.nets.ResNet(
        [1, 1, 1, 1], 3, channels_per_group=(4, 4, 8, 8), bottleneck=False, resnet_v2=True
    )
    return net(x, is_training)


@pytest.mark.parametrize("fn", [mobile_net, pytest.param(res_net, marks=pytest.mark.slow)])
def test_haiku_image_networks_with_frozen_statistics(fn):
    x, y = images()
    net = hk.transform_with_state(fn)
    params, state = jax.jit(lambda key: net.init(key, x, True))(jax.random.key(0))
    state = jax.jit(lambda p, s: net.apply(p, s, None, x + 0.5, True)[1])(params, state)
    kwargs = {"likelihood": "categorical", "call": {"is_training": False}}
    model = cw.wrap(net, x, y, batch_stats="frozen", example=(params, state), **kwargs)
    check_density_of_classes(model, params, net.apply(params, state, None, x, False)[0], y)


def test_haiku_statistics_per_draw_of_a_network_that_is_told_not_to_train():
    x, y = images()
    net = hk.transform_with_state(mobile_net)
    kwargs = {"likelihood": "categorical", "call": {"is_training": False}}
    with pytest.raises(ValueError, match="Choose: `batch_stats='frozen'`"):
        cw.wrap(net, x, y, **kwargs)
    with pytest.raises(ValueError, match="needs statistics to freeze.*`example=`"):
        cw.wrap(net, x, y, batch_stats="frozen", **kwargs)
    model = cw.wrap(net, x, y, batch_stats="per_draw", **kwargs)
    params = model.test_point
    state = jax.jit(lambda key: net.init(key, x, True))(jax.random.key(0))[1]
    check_density_of_classes(model, params, net.apply(params, state, None, x, True)[0], y)
