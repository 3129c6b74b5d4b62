"""Runs and models within `jax.jit`, `jax.vmap` and `jax.grad`, and models without parameters."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest

import crewel as cw

RUN = {"num_chains": 2, "num_warmup": 3, "num_draws": 3, "progress": False}
ROWS = jnp.arange(4.0)
MESSAGE = "A run cannot be traced, and this is within `jax.jit`, `jax.vmap` or `jax.grad`"


def density(params, rows):
    return -jnp.sum((rows - params["a"]) ** 2)


def model(rows=ROWS, transform=None):
    return cw.Model(density, {"a": 1.0}, transform, data=rows)


def mean(made, **call):
    return (
        made.mcmc.blackjax_hmc(**{"seed": 0, "num_integration_steps": 2} | RUN | call)
        .draws["a"]
        .mean()
    )


@pytest.mark.parametrize(
    ("transformed", "argument"),
    [
        (jax.jit(lambda rows: mean(model(rows))), ROWS),
        (jax.vmap(lambda rows: mean(model(rows))), ROWS[None]),
        (jax.grad(lambda rows: mean(model(rows))), ROWS),
        (jax.jit(lambda key: mean(model(), seed=key)), jax.random.key(0)),
        (jax.jit(lambda seed: mean(model(), seed=seed)), 0),
        (jax.vmap(lambda a: mean(model(), init={"a": a})), jnp.ones(2)),
        (jax.grad(lambda size: mean(model(), initial_step_size=size)), 0.1),
        (jax.jit(lambda x: x + mean(model())), 1.0),  # nothing of the run is an argument
    ],
    ids=["jit", "vmap", "grad", "key", "seed", "init", "option", "constants"],
)
def test_a_run_cannot_be_traced(transformed, argument):
    with pytest.raises(TypeError, match=MESSAGE):
        transformed(argument)


def test_an_extension_cannot_be_traced():
    post = model().mcmc.blackjax_hmc(seed=0, num_integration_steps=2, **RUN)
    with pytest.raises(TypeError, match=MESSAGE):
        jax.jit(lambda x: x + post.extend(3, progress=False).draws["a"].mean())(1.0)


@pytest.mark.parametrize(
    "transform",
    [
        None,
        {"a": dist.constraints.positive},
        lambda u: {"a": jnp.exp(u["a"])},
    ],
    ids=["none", "constraint", "function"],
)
def test_a_model_may_be_made_within_a_traced_function(transform):
    """For its density: under `jit`, `vmap` and `grad` it is what it is outside."""

    def log_density(rows):
        return model(rows, transform).log_density({"a": 2.0})

    wanted = -float(jnp.sum((ROWS - 2.0) ** 2))
    assert float(log_density(ROWS)) == wanted
    assert float(jax.jit(log_density)(ROWS)) == wanted
    assert jax.vmap(log_density)(jnp.stack([ROWS, ROWS])).tolist() == [wanted] * 2
    np.testing.assert_array_equal(jax.grad(log_density)(ROWS), -2 * (ROWS - 2.0))


def test_bounds_may_be_traced():
    """A constraint whose numbers are not known: there is nothing to check, and nothing fails."""

    def log_density(upper):
        made = model(ROWS, {"a": dist.constraints.interval(0.0, upper)})
        return made.target().log_density({"a": jnp.zeros(())})

    # At u = 0 the parameter is half the bound, and its derivative a quarter of it.
    wanted = -float(jnp.sum((ROWS - 1.0) ** 2)) + np.log(0.5)
    np.testing.assert_allclose(jax.jit(log_density)(2.0), wanted, rtol=1e-6)


def test_the_test_point_cannot_be_traced():
    with pytest.raises(TypeError, match="`test_point` cannot be traced"):
        jax.jit(lambda a: cw.Model(density, {"a": a}, data=ROWS).log_density({"a": a}))(1.0)


@pytest.mark.parametrize("point", [{}, (), {"a": jnp.zeros((0, 3))}])
def test_a_model_needs_parameters(point):
    with pytest.raises(ValueError, match="`test_point` has no parameters"):
        cw.Model(lambda p: jnp.zeros(()), point)
