"""Inverses that are found: elementwise functions, their tails, containers."""

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
import pytest
from numpyro.distributions import constraints
from support.transforms import U, assert_sound

from crewel.core.precision import precision
from crewel.transforms.transform import build


@jax.custom_vjp
def doubled_exp(x):
    """A function with derivatives of its own."""
    return 2 * jnp.exp(x)


doubled_exp.defvjp(lambda x: (2 * jnp.exp(x), x), lambda x, ct: (2 * jnp.exp(x) * ct,))


ELEMENTWISE = {
    "softplus": {
        "softplus": lambda x: jax.nn.softplus(x) + 1e-3,
        "log1p_exp": lambda x: jnp.log1p(jnp.exp(x)),
        "log_1_plus_exp": lambda x: jnp.log(1 + jnp.exp(x)),
        "logaddexp": lambda x: jnp.logaddexp(jnp.array([1.0, -2.0, 0.5]), x),
        "log_sigmoid": jax.nn.log_sigmoid,
        "jitted": jax.jit(lambda x: 2 * jax.nn.softplus(x)),
    },
    "bounded": {
        "interval": lambda x: 0.1 + 5 * jax.nn.sigmoid(x),
        "by_hand": lambda x: 1 / (1 + jnp.exp(-x)),
        "tanh": lambda x: jnp.tanh(x / 2),
        "atanh": lambda x: jnp.arctanh(0.5 * jnp.tanh(x)),
        "atan": jnp.arctan,
        "erf": jax.scipy.special.erf,
        "erfinv": lambda x: jax.scipy.special.erfinv(jax.nn.sigmoid(x)),
    },
    "powers": {
        "cube": lambda x: x**3,
        "cbrt": jnp.cbrt,
        "pow": lambda x: (jnp.exp(x) ** 2.5) ** -2,
        "square": lambda x: jnp.square(jnp.exp(x)),
        "roots": lambda x: jax.lax.rsqrt(jnp.sqrt(jnp.exp(x))),
        "bases": lambda x: 3.0 ** (-jnp.exp2(x)),
    },
    "rest": {
        "identity": lambda x: x,
        "affine": lambda x: (3 - x) / jnp.array([1.0, -2.0, 4.0]),
        "exp": lambda x: jnp.exp(x) * jnp.array([1.0, 2.0, 0.5]),
        "expm1": lambda x: jnp.log1p(jnp.expm1(x) + 1),
        "sinh": jnp.sinh,
        "asinh": jnp.arcsinh,
        "custom_vjp": lambda x: jax.checkpoint(doubled_exp)(x) - 1,
        "moved": lambda x: jnp.exp(x)[::-1].reshape(1, 3, 1).T.squeeze()[jnp.array([2, 0, 1])] * 2,
    },
}


@pytest.mark.parametrize("group", ELEMENTWISE)
def test_elementwise_functions_are_inverted_automatically(group):
    functions = ELEMENTWISE[group]

    def fn(u):
        return {name: one(u[name]) for name, one in functions.items()}

    params = fn(dict.fromkeys(functions, U))
    u = assert_sound(build(fn, params), params)
    for name in functions:
        np.testing.assert_allclose(u[name], U, rtol=2e-4, atol=1e-5, err_msg=name)


def _log_sigmoid(u):
    return -np.logaddexp(0, -u)


TAILS = {  # log|slope| and its derivative, in float64
    "exp": (jnp.exp, lambda u: u, lambda u: 1.0),
    "softplus": (jax.nn.softplus, _log_sigmoid, lambda u: np.exp(_log_sigmoid(-u))),
    "log1p_exp": (
        ELEMENTWISE["softplus"]["log1p_exp"],
        _log_sigmoid,
        lambda u: np.exp(_log_sigmoid(-u)),
    ),
    "log_1_plus_exp": (
        ELEMENTWISE["softplus"]["log_1_plus_exp"],
        _log_sigmoid,
        lambda u: np.exp(_log_sigmoid(-u)),
    ),
    "interval": (
        ELEMENTWISE["bounded"]["interval"],
        lambda u: np.log(5) + _log_sigmoid(u) + _log_sigmoid(-u),
        lambda u: -np.tanh(u / 2),
    ),
    "steep": (  # saturates at most of the points where it is compared with what was found
        lambda x: jax.nn.sigmoid(50 * x),
        lambda u: np.log(50) + _log_sigmoid(50 * u) + _log_sigmoid(-50 * u),
        lambda u: -50 * np.tanh(25 * u),
    ),
    "tanh": (
        jnp.tanh,
        lambda u: 2 * (np.log(2) - np.logaddexp(u, -u)),
        lambda u: -2 * np.tanh(u),
    ),
    "asinh": (jnp.arcsinh, lambda u: -np.log1p(u * u) / 2, lambda u: -u / (1 + u * u)),
}


@pytest.mark.parametrize("name", TAILS)
def test_log_det_and_its_gradient_are_right_in_the_tails(name):
    fn, log_slope, gradient = TAILS[name]
    log_det = build(fn, fn(jnp.float32(0.1))).log_det
    for u in (-80.0, -30.0, 0.0, 30.0, 80.0):
        found, slope = jax.value_and_grad(log_det)(jnp.float32(u))
        np.testing.assert_allclose(found, log_slope(np.float64(u)), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(slope, gradient(np.float64(u)), rtol=1e-5, atol=1e-6)


class Params(NamedTuple):
    """A test point of three leaves."""

    a: Any
    b: Any
    c: Any


@partial(jax.tree_util.register_dataclass, data_fields=["w", "b"], meta_fields=["name"])
@dataclass
class Layer:
    """A registered dataclass with a field that is not a leaf."""

    w: Any
    b: Any
    name: str


def test_containers_keep_their_type_and_leaves_may_trade_places():
    def fn(u):
        layer = Layer(jnp.exp(u.a.b), u.a.w * 2, u.a.name)
        return Params(layer, [u.c["x"], jax.nn.softplus(u.b[0])], {"x": jnp.tanh(u.b[1])})

    x = jnp.ones(3)
    params = Params(Layer(x, x / 2, "dense"), [jnp.float32(2.0), 0.7], {"x": 0.5})
    u = assert_sound(build(fn, params), params)
    assert isinstance(u.a, Layer) and u.a.name == "dense"
    np.testing.assert_allclose(u.a.b, np.zeros(3), atol=1e-6)  # log of the layer's weights
    np.testing.assert_allclose(u.c["x"], 2.0, rtol=1e-6)


def test_none_is_the_identity_with_log_det_zero():
    params = {"a": jnp.ones((2, 3)), "b": [1.0]}
    transform = build(None, params)
    assert assert_sound(transform, params)["b"] == [1.0]
    assert build(None, {}).log_det({}) == 0.0


@pytest.mark.parametrize(
    "spec",
    [
        constraints.interval(np.float64(0.1), 5.1),
        lambda u: jax.tree.map(lambda x: 0.1 + jnp.exp(jnp.tanh(jax.nn.softplus(x))), u),
    ],
)
def test_float64_is_kept(spec):
    with precision(double=True):
        params = {"x": jnp.array([1.2, 2.1, 2.7], jnp.float64)}
        transform = build(spec, params)
        u = assert_sound(transform, params, rtol=1e-12)
        assert transform.log_det(u).dtype == u["x"].dtype == jnp.float64
