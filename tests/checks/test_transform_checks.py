"""Checks of transforms: the inverse, the log-determinant, batches."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from jax.flatten_util import ravel_pytree
from support.checks import GOOD, W, check, exp, normal

import crewel as cw


def test_inverse_that_is_none():
    right = cw.Model(normal, W, exp)
    assert check("transform and inverse", right).status == "passed"
    wrong = cw.Model(
        normal,
        W,
        lambda u: {"w": jnp.exp(u["w"])},
        inverse_transform_fn=lambda p: {"w": p["w"] - 1.0},  # right at the test point only
        inverse_log_det_jacobian=lambda p: -jnp.log(p["w"]).sum(),
    )
    found = check("transform and inverse", wrong)
    assert found.status == "failed" and "`inverse_transform_fn` is not the inverse" in found.message
    assert found.details["leaf"] == "w"


@pytest.mark.parametrize(
    ("ildj", "message"),
    [
        (lambda p: jnp.log(p["w"]).sum(), "It has the wrong sign"),
        (lambda p: jnp.zeros(()), "It is missing"),
        (lambda p: -jnp.log(p["w"]).mean(), "It belongs to a different function"),
    ],
)
def test_wrong_log_determinant(ildj, message):
    def model(ildj):
        return cw.Model(
            normal,
            W,
            lambda u: {"w": jnp.exp(u["w"])},
            inverse_transform_fn=lambda p: {"w": jnp.log(p["w"])},
            inverse_log_det_jacobian=ildj,
        )

    found = check("log-determinant", model(ildj))
    assert found.status == "failed"
    assert message in found.message
    right = check("log-determinant", model(lambda p: -jnp.log(p["w"]).sum()))
    assert right.status == "passed"


def test_log_determinant_of_a_transform_that_mixes():
    matrix = jnp.array([[1.0, 0.5, 0.0], [0.0, 2.0, 0.3], [0.0, 0.0, 3.0]])
    back = jnp.linalg.inv(matrix)

    def model(value):
        return cw.Model(
            normal,
            W,
            lambda u: {"w": matrix @ u["w"]},
            inverse_transform_fn=lambda p: {"w": back @ p["w"]},
            inverse_log_det_jacobian=lambda p: jnp.asarray(-value),
        )

    assert check("log-determinant", model(np.log(6.0))).status == "passed"
    wrong = check("log-determinant", model(np.log(5.0)))
    assert wrong.status == "failed"
    np.testing.assert_allclose(wrong.details["wanted"], np.log(6.0), rtol=1e-5)


def test_log_determinant_is_not_compared_where_it_is_a_convention():
    model = cw.Model(normal, {"w": jnp.full(3, 1 / 3)}, dist.constraints.simplex)
    assert "a simplex" in check("log-determinant", model).message
    assert check("log-determinant", model, "optax_adam").status == "skipped"


def test_batches_of_chains_that_are_mixed():
    def host(w):  # norms over all that it is given, and so over all chains
        return -0.5 * np.full(w.shape[:-1], np.sum(np.asarray(w) ** 2), np.float32)

    @jax.custom_jvp
    def density(w):
        shape = jax.ShapeDtypeStruct((), jnp.float32)
        return jax.pure_callback(host, shape, w, vmap_method="broadcast_all")

    @density.defjvp
    def _(primals, tangents):
        return density(*primals), -primals[0] @ tangents[0]

    found = check("batches of chains", cw.Model(lambda p: density(p["w"]), W))
    assert found.status == "failed"
    assert "in a batch of 3 chains under `jax.vmap`" in found.message
    assert check("batches of chains", GOOD).status == "passed"


def test_transforms_that_mix_a_batch():
    def host(w):
        return np.asarray(w) - np.asarray(w).mean() + np.float32(1)

    @jax.custom_jvp
    def mixed(w):
        shape = jax.ShapeDtypeStruct((3,), jnp.float32)
        return jax.pure_callback(host, shape, w, vmap_method="broadcast_all")

    mixed.defjvp(lambda primals, tangents: (mixed(*primals), tangents[0]))

    def forward(u):
        return {"w": mixed(u["w"])}

    model = cw.Model(
        normal,
        {"w": jnp.full(3, 1.0)},
        forward,
        inverse_transform_fn=lambda p: p,
        inverse_log_det_jacobian=lambda p: jnp.zeros(()),
        initial_state={"w": jnp.arange(12.0).reshape(4, 3)},
    )
    found = check("batches of chains", model)
    assert found.status == "failed" and "a different `w` for chain" in found.message


def test_dimension_of_the_unconstrained_space():
    model = cw.Model(normal, {"w": jnp.full(3, 1 / 3)}, dist.constraints.simplex)
    flat, _ = ravel_pytree(model.target().transform.inverse(model.test_point))
    assert flat.size == 2
    assert "2 dimensions" in check("structure", model).message
