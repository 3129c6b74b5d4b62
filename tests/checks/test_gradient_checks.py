"""Checks of gradients: finite, in use, equal to differences."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from support.checks import GOOD, W, X, Y, check, network, normal

import crewel as cw


def test_gradient_that_where_does_not_save():
    def density(p):
        return -jnp.where(p["w"] > 0, jnp.sqrt(p["w"]), 0.0).sum() + normal(p)

    model = cw.Model(density, W, initial_state={"w": jnp.array([0.0, 1.0, 2.0])})
    found = check("gradient finite", model)
    assert found.status == "failed"
    assert "`w` is NaN in 1 of 3 entries at the initial state of chain 0" in found.message
    assert 'jnp.sqrt(p["w"])' in found.message
    assert "make its input safe" in found.message
    assert check("gradient finite", GOOD).status == "passed"


def test_infinite_gradient_is_told_from_nan():
    def density(p):
        return jnp.sqrt(p["w"]).sum() + normal(p)

    found = check("gradient finite", cw.Model(density, {"w": jnp.zeros(3)}))
    assert "`w` is infinite in 3 of 3 entries at the test point" in found.message


def test_unused_and_motionless_parameters():
    two = {"w": jnp.ones(3), "v": jnp.ones(2)}
    unused = check("parameters used", cw.Model(lambda p: normal(p["w"]), two))
    assert unused.status == "failed" and "does not use `v`" in unused.message
    still = check(
        "parameters used",
        cw.Model(lambda p: normal(p["w"]) - jnp.sum(jnp.round(p["v"]) ** 2), two),
    )
    assert still.status == "failed"
    assert "`v` is exactly zero at every initial state" in still.message
    assert check("parameters used", cw.Model(normal, two)).status == "passed"


def test_dead_relu_layer_and_unused_latent():
    def apply(params, x):
        hidden = jax.nn.relu(x @ params["a"] - 100.0)
        return hidden @ params["b"]

    example = {"a": jnp.ones((3, 4)), "b": jnp.ones(4)}
    dead = cw.wrap(apply, X, Y, likelihood="gaussian", example=example)
    found = check("parameters informed", dead)
    assert found.status == "warned"
    assert "`a`, `b` is exactly zero at every initial state" in found.message
    spare = cw.wrap(
        lambda p, x: x @ p["w"],
        X,
        Y,
        likelihood="gaussian",
        example=W,
        latents={"tau": dist.HalfNormal(1.0)},
    )
    found = check("parameters informed", spare)
    assert found.status == "warned" and "The likelihood does not use `tau`" in found.message
    assert check("parameters informed", network()).status == "passed"


def test_gradient_norms_that_differ_much():
    two = {"a": jnp.ones(()), "b": jnp.ones(())}
    found = check(
        "gradient norms", cw.Model(lambda p: -1e8 * p["a"] ** 2 - 1e-2 * p["b"] ** 2, two)
    )
    assert found.status == "warned" and "`a`" in found.message and "`b`" in found.message
    norms = found.details["norms"]
    assert norms["a"] / norms["b"] > 1e6
    assert check("gradient norms", cw.Model(normal, two)).status == "passed"


@jax.custom_vjp
def wrong_sign(x):
    return jnp.sin(x)


wrong_sign.defvjp(lambda x: (jnp.sin(x), x), lambda x, g: (-g * jnp.cos(x),))


@pytest.mark.parametrize(
    "density",
    [
        lambda p: normal(p) + wrong_sign(p["v"]).sum(),
        lambda p: normal(p) - (jax.lax.stop_gradient(p["v"]) * p["v"]).sum(),
    ],
)
def test_gradient_against_differences(density):
    point = {"w": jnp.ones(3), "v": jnp.ones(2)}
    found = check("gradient and differences", cw.Model(density, point))
    assert found.status == "failed"
    assert "with respect to `v` is not the derivative" in found.message
    assert "(float64)" in found.message
    right = check("gradient and differences", cw.Model(normal, point))
    assert right.status == "passed"
    np.testing.assert_allclose(right.details["slopes"], right.details["differences"], rtol=1e-6)


def test_differences_in_single_precision_where_float64_does_not_run():
    def bound(p):
        carry, _ = jax.lax.scan(lambda c, x: (c - x**2, None), jnp.float32(0), p["w"])
        return carry

    found = check("gradient and differences", cw.Model(bound, W))
    assert found.status == "passed"
    assert "(float32)" in found.message and "The model does not run in float64" in found.message


def test_differences_that_do_not_settle():
    def jumps(p):
        return normal(p) + jnp.sum(jnp.floor(1e7 * p["w"]) % 7)

    found = check("gradient and differences", cw.Model(jumps, W))
    assert found.status == "warned" and "do not converge" in found.message


def test_single_precision_inside_is_not_mistaken_for_a_wrong_gradient():
    def rounded(p):
        return -0.5 * jnp.sum((Y - X @ p["w"].astype(jnp.float32)) ** 2) - 100.0

    assert check("gradient and differences", cw.Model(rounded, W)).status == "passed"
