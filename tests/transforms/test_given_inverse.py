"""Inverses and log-determinants that the user gives."""

import jax.numpy as jnp
import numpy as np
import pytest
from support.transforms import U, assert_sound

from crewel.transforms.transform import build


def _ordered(u):
    return {"x": jnp.cumsum(jnp.exp(u["x"]))}


def _ordered_inverse(params):
    return {"x": jnp.log(jnp.diff(params["x"], prepend=0.0))}


ORDERED = {"x": jnp.array([0.5, 1.0, 3.0])}


@pytest.mark.parametrize(
    "ildj",
    [
        lambda p: -jnp.sum(_ordered_inverse(p)["x"]),
        lambda p: {"x": -_ordered_inverse(p)["x"]},
        lambda p: [-_ordered_inverse(p)["x"][:1], -_ordered_inverse(p)["x"][1:]],
    ],
    ids=["scalar", "tree", "ragged"],
)
def test_given_inverse_and_log_det_are_used(ildj):
    transform = build(
        _ordered, ORDERED, inverse_transform_fn=_ordered_inverse, inverse_log_det_jacobian=ildj
    )
    assert_sound(transform, ORDERED)


def test_given_inverse_may_change_the_shape_and_the_log_det_is_found():
    fn = lambda u: {"x": jnp.exp(u).reshape(2, 2)}  # noqa: E731
    params = {"x": jnp.array([[1.0, 2.0], [3.0, 4.0]])}
    transform = build(fn, params, inverse_transform_fn=lambda p: jnp.log(p["x"]).ravel())
    assert assert_sound(transform, params).shape == (4,)


def test_given_log_det_alone_is_used_with_the_inverse_found():
    transform = build(jnp.exp, U**2, inverse_log_det_jacobian=lambda p: 7 - jnp.log(p))
    np.testing.assert_allclose(transform.inverse(U**2), jnp.log(U**2), rtol=1e-6)
    np.testing.assert_allclose(transform.log_det(U), jnp.sum(U) - 21, rtol=1e-6)


def test_given_inverse_without_a_log_det_asks_for_the_log_det_alone():
    with pytest.raises(ValueError, match=r"`x`: `cumsum` .*Pass `inverse_log_det") as error:
        build(_ordered, ORDERED, inverse_transform_fn=_ordered_inverse)
    assert "inverse_transform_fn" not in str(error.value)
