"""Pytrees of TFP bijectors as `transform_fn`: dicts, TFP's own tuples, `None` for the identity."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from jax.flatten_util import ravel_pytree

import crewel as cw
from crewel.transforms.transform import build

tfb = pytest.importorskip("tensorflow_probability.substrates.jax.bijectors")


class Pair(NamedTuple):
    rate: object
    rest: object


POINT = {"loc": jnp.array([0.3, -1.0]), "rate": jnp.array(2.0), "share": jnp.array([0.2, 0.5, 0.3])}
NESTS = {
    "dict": lambda: (
        {"loc": None, "rate": tfb.Exp(), "share": tfb.SoftmaxCentered()},
        POINT,
    ),
    "namedtuple": lambda: (
        Pair(tfb.Softplus(), {"a": tfb.Shift(1.0)(tfb.Exp()), "b": None}),
        Pair(jnp.array([1.0, 2.0]), {"a": jnp.array(3.0), "b": jnp.zeros(2)}),
    ),
    "with NumPyro's": lambda: (
        {"loc": dist.constraints.interval(-2.0, 2.0), "rate": tfb.Exp(), "share": None},
        POINT,
    ),
    "higher up": lambda: (
        {"both": tfb.Exp(), "joint": tfb.JointMap([tfb.Exp(), tfb.Sigmoid()])},
        {
            "both": {"a": jnp.array(2.0), "b": jnp.array([1.0, 3.0])},
            "joint": [jnp.array(2.0), jnp.array([0.5, 0.25])],
        },
    ),
}


def jacobian(transform, u):
    """log|det| by automatic differentiation; of a simplex, in its first coordinates."""
    flat, back = ravel_pytree(u)

    def forward(z):
        params = transform.forward(back(z))
        if isinstance(params, dict) and "share" in params:
            params = params | {"share": params["share"][: u["share"].shape[0]]}
        return ravel_pytree(params)[0]

    return jnp.linalg.slogdet(jax.jacfwd(forward)(flat))[1]


@pytest.mark.parametrize("name", NESTS)
def test_nest_of_bijectors(name):
    nest, point = NESTS[name]()
    transform = build(nest, point)
    u = transform.inverse(point)
    again = transform.forward(u)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), again, point)
    assert jax.tree.structure(again) == jax.tree.structure(point)
    log_det = transform.log_det(u)
    assert log_det.shape == ()
    if name == "dict":  # TFP measures a simplex by the volume of its own surface
        volume = jnp.log(jnp.sqrt(3.0))
        np.testing.assert_allclose(log_det, jacobian(transform, u) + volume, rtol=1e-5)
    else:
        np.testing.assert_allclose(log_det, jacobian(transform, u), rtol=1e-5)


def test_struct_tuple_of_bijectors():
    """TFP's `StructTuple`, the structure of its joint distributions, is not a bijector."""
    from tensorflow_probability.substrates.jax import distributions as tfd

    def parts():
        yield tfd.Gamma(3.0, 2.0, name="rate")
        yield tfd.Normal(0.0, 1.0, name="loc")

    Both = type(tfd.JointDistributionCoroutineAutoBatched(parts).sample(seed=jax.random.key(0)))
    assert Both.__module__.startswith("tensorflow_probability")
    model = cw.Model(
        lambda p: dist.Gamma(3.0, 2.0).log_prob(p.rate) - 0.5 * p.loc**2,
        Both(rate=1.0, loc=0.0),
        Both(rate=tfb.Exp(), loc=None),
    )
    target = model.target()
    position = Both(rate=jnp.array(0.5), loc=jnp.array(0.7))
    wanted = dist.Gamma(3.0, 2.0).log_prob(jnp.exp(0.5)) - 0.5 * 0.7**2 + 0.5
    np.testing.assert_allclose(target.log_density(position), wanted, rtol=1e-6)
    post = model.optimize.optax_adam(
        seed=0, num_particles=2, num_steps=400, learning_rate=0.1, progress=False
    )
    np.testing.assert_allclose(post.draws.rate, 1.0, atol=1e-3)  # the mode, (3 - 1) / 2
    np.testing.assert_allclose(post.draws.loc, 0.0, atol=1e-3)


def test_nest_that_does_not_fit():
    with pytest.raises(ValueError, match="does not fit `test_point`"):
        cw.Model(lambda p: -(p["a"] ** 2), {"a": 1.0}, {"a": tfb.Exp(), "b": None})
