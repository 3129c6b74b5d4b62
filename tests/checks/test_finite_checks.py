"""Checks for finite values, at the test point and at initial states, and who is to blame."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from support.checks import GOOD, W, X, Y, check, log_likelihood, normal, positive, regression

import crewel as cw
from crewel.priors.table import PriorTable


def test_test_point_blames_prior_leaf_datum_and_jacobian():
    y = np.array([1.0, 2.0, -3.0, 4.0], np.float32)

    def rows(p, batch):
        return jnp.log(batch["y"]) * p["a"] - p["a"]

    model = cw.Model(
        None,
        {"a": jnp.ones(()), "b": -jnp.ones(2)},
        data={"y": y},
        log_prior=lambda p: normal(p["a"]) + jnp.log(p["b"]).sum(),
        log_likelihood=rows,
        priors=PriorTable(
            {"a": dist.Normal(0.0, 1.0), "b": dist.Gamma(2.0, 1.0)}, {"a": (), "b": (2,)}
        ),
    )
    found = check("log density at test point", model)
    assert found.status == "failed"
    assert "The log density at the test point is NaN" in found.message
    assert "The log prior of `b`, Gamma, is " in found.message and "`b[0]` = -1" in found.message
    assert "not finite in 1 of 4 rows: row 2 (`y` = -3) is NaN" in found.message
    assert "`log` first made it NaN" in found.message
    np.testing.assert_array_equal(found.details["rows"], [2])

    jacobian = cw.Model(
        normal,
        {"a": jnp.ones(())},
        lambda u: {"a": u["a"] + 0 * jnp.log(u["a"])},
        inverse_transform_fn=lambda p: p,
        inverse_log_det_jacobian=lambda p: 0 * p["a"],
    )
    jacobian._target = type(jacobian._target)(
        **{
            **jacobian._target.__dict__,
            "transform": jacobian._target.transform._replace(
                log_det=jax.tree_util.Partial(lambda u: jnp.log(u["a"] - 1))
            ),
        }
    )
    found = check("log density at test point", jacobian)
    assert "at the test point is -inf" in found.message
    assert "log-determinant of the transform is -inf" in found.message


@pytest.mark.parametrize(
    ("density", "kind", "primitive", "switch"),
    [
        (lambda p: jnp.log(p["w"] - 2).sum(), "NaN", "log", "debug_nans"),
        (lambda p: jnp.log(p["w"] - 1).sum(), "-inf", "log", "debug_infs"),
        (lambda p: jnp.exp(p["w"] * 1000).sum(), "inf", "exp", "debug_infs"),
    ],
)
def test_each_kind_of_broken_value_is_told_and_its_primitive(density, kind, primitive, switch):
    found = check("log density at test point", cw.Model(density, W))
    assert found.status == "failed"
    assert f"at the test point is {kind}." in found.message
    assert found.details["primitive"] == primitive
    assert "test_finite_checks.py:" in found.message
    nans = "`jax.debug_nans` would stop there" in found.message
    assert nans == (switch == "debug_nans")
    with getattr(jax, switch)(True), pytest.raises(FloatingPointError):
        jax.block_until_ready(jax.jit(density)(W))
    if not nans:
        with jax.debug_nans(True):
            jax.block_until_ready(jax.jit(lambda p: density(p))(W))


def test_masked_nan_is_not_blamed():
    def density(p):
        safe = jnp.where(p["w"] > 2, jnp.log(p["w"] - 2), 0.0).sum()  # NaN inside, dropped
        return safe + jnp.log(p["w"][0] - 1)

    found = check("log density at test point", cw.Model(density, W))
    assert "at the test point is -inf" in found.message
    assert 'jnp.log(p["w"][0] - 1)' in found.message


def test_finite_test_point_shows_the_split():
    found = check("log density at test point", regression())
    value = normal(W) + log_likelihood(W, {"x": X, "y": Y}).sum()
    assert found.status == "passed"
    np.testing.assert_allclose(found.details["value"], value, rtol=1e-6)
    np.testing.assert_allclose(found.details["log_prior"], -1.5, rtol=1e-6)


def test_initial_states_without_density():
    def density(p):
        return normal(p) + jnp.where(p["w"][0] > 1.5, jnp.nan, 0.0)

    start = {"w": jnp.array([[1.0, 0.0, 0.0], [2.0, 0.0, 0.0], [1.0, 1.0, 0.0]])}
    model = cw.Model(density, W)
    found = check("log density at starts", model, "numpyro_nuts", init=start, num_chains=3)
    assert found.status == "failed"
    assert "is NaN at the start of chain 1." in found.message
    np.testing.assert_array_equal(found.details["chains"], [1])
    assert check("log density at starts", GOOD).status == "passed"


def test_states_outside_the_support():
    model = cw.Model(normal, W, {"w": positive})
    start = {"w": jnp.array([1.0, 2.0, -3.0])}
    found = check("support of initial states", model, "numpyro_nuts", init=start)
    assert found.status == "failed"
    assert "`w` is outside the support" in found.message and "between -3 and 2" in found.message
    inside = check("support of initial states", model, "numpyro_nuts", init=W)
    assert inside.status == "passed"
    assert check("support of initial states", model).status == "passed"


def test_states_that_the_inverse_clips():
    model = cw.Model(
        normal,
        W,
        lambda u: {"w": jnp.clip(u["w"], 0.0, 10.0)},
        inverse_transform_fn=lambda p: {"w": jnp.clip(p["w"], 0.0, 10.0)},
        inverse_log_det_jacobian=lambda p: 0.0,
        initial_state={"w": jnp.array([1.0, 12.0, 3.0])},
    )
    found = check("support of initial states", model)
    assert found.status == "failed" and "12 in chain 0" in found.message


def test_equal_and_close_starts():
    same = check("spread of initial states", GOOD, "numpyro_nuts", init=W)
    assert same.status == "warned" and "of all chains are the same" in same.message
    two = {"w": jnp.array([[0.0, 1.0, 2.0], [1.0, 1.0, 1.0], [0.0, 1.0, 2.0]])}
    pair = check("spread of initial states", GOOD, "numpyro_nuts", init=two, num_chains=3)
    assert "of chains 0 and 2 are the same" in pair.message
    near = {"w": 5 + 1e-4 * jnp.arange(6.0).reshape(2, 3)}
    close = check("spread of initial states", GOOD, "numpyro_nuts", init=near, num_chains=2)
    assert close.status == "warned" and "agree before they have mixed" in close.message
    assert check("spread of initial states", GOOD).status == "passed"
    assert check("spread of initial states", GOOD, "numpyro_nuts", num_chains=1).status == "skipped"


def test_initial_states_that_cannot_be_made():
    with pytest.raises(ValueError, match="not among this model's ways to start"):
        check("initial states", GOOD, "numpyro_nuts", init="prior")
    found = check("initial states", GOOD, "optax_adam", num_particles=3)
    assert found.message == "3 particles from `init='uniform'`."
    assert found.details["shapes"] == {"w": (3, 3)}
