"""Parameters narrower than the session's floats: wide positions, the model's own types in draws."""

from __future__ import annotations

from contextlib import nullcontext

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
import support

import crewel as cw
from crewel.core.precision import precision
from crewel.transforms.widen import as_given, widened

Y = np.array(
    [[0.5, -1.0], [1.5, -2.0], [1.0, 0.0]]
)  # three rows: each posterior is N(sum / 4, 1/4)
MEAN, SD = Y.sum(0) / 4, np.full(2, 0.5)
CONTEXTS = {"float32": lambda: precision(double=True), "bfloat16": nullcontext}
DRAWS = {"num_draws": 500, "num_warmup": 300, "progress": False}
# Row, call, and the bias of the method itself in standard deviations: of a step size, or of a fit.
ROWS = [
    ("numpyro_nuts", DRAWS, 0.0),
    ("blackjax_nuts", DRAWS, 0.0),
    ("blackjax_mclmc", DRAWS | {"num_draws": 1000}, 0.05),
    ("blackjax_sgld", DRAWS | {"num_draws": 2000, "step_size": 0.05}, 0.05),
    ("blackjax_meanfield_vi", {"num_draws": 500, "progress": False}, 0.2),
]


def log_prior(params):
    return -0.5 * jnp.sum(params["w"] ** 2)


def log_likelihood(params, rows):
    return -0.5 * jnp.sum((rows - params["w"]) ** 2, -1)


def model(dtype):
    return cw.Model(
        None,
        {"w": jnp.zeros(2, dtype)},
        data=jnp.asarray(Y, dtype),
        log_prior=log_prior,
        log_likelihood=log_likelihood,
    )


BY_NAME = {row.name: row for row in cw.ALGORITHMS}
SLOW = ("blackjax_nuts", "blackjax_mclmc")  # in both types
CASES = [
    pytest.param(
        dtype,
        BY_NAME[name],
        *rest,
        id=f"{name}-{dtype}",
        marks=[pytest.mark.slow] * (dtype == "bfloat16" and name in SLOW),
    )
    for name, *rest in ROWS
    for dtype in CONTEXTS
]


@pytest.mark.parametrize(("dtype", "row", "call", "bias"), CASES)
def test_moments_and_types_of_a_narrow_model(dtype, row, call, bias):
    """NUTS, MCLMC, SGLD and a fit on float32 leaves under x64, and on bfloat16 leaves."""
    with CONTEXTS[dtype]():
        post = getattr(model(dtype), row.family.name)(row)(seed=0, **call)
        extended = post.extend(3, progress=False)
    assert post.draws["w"].dtype == extended.draws["w"].dtype == jnp.dtype(dtype)
    draws = np.asarray(post.draws["w"], np.float64)
    of_mean, of_sd = support.errors(draws, MEAN, SD)
    spread = draws.std((0, 1)) / SD
    # The error of the estimate, the method's own, and half a unit in the type's last place.
    rounded = float(jnp.finfo(dtype).eps) / 2 / SD
    off = np.abs(draws.mean((0, 1)) - MEAN) / SD
    assert (off <= 5 * off / np.abs(of_mean) + bias + rounded).all(), (off, of_mean)
    off = np.abs(spread**2 - 1)
    assert (off <= 5 * off / np.abs(of_sd) + 2 * bias + 2 * rounded).all(), (off, of_sd)


@pytest.mark.parametrize("dtype", CONTEXTS)
def test_modes_of_a_narrow_model(dtype):
    with CONTEXTS[dtype]():
        ensemble = model(dtype).optimize.optax_adam(
            seed=0, num_particles=2, num_steps=1500, learning_rate=0.01, progress=False
        )
    assert ensemble.draws["w"].dtype == jnp.dtype(dtype)
    found = np.asarray(ensemble.draws["w"], np.float64)[:, 0]
    # Gradients of the rounded density are rounded too, to the type's own resolution.
    np.testing.assert_allclose(found, [MEAN] * 2, atol=0.01 + float(jnp.finfo(dtype).eps))


def test_positions_are_wide_and_parameters_are_not():
    point = {"scale": jnp.ones((), jnp.float16), "w": jnp.zeros(2)}
    seen = []

    def density(params):
        seen.append({name: leaf.dtype.name for name, leaf in params.items()})
        return dist.Gamma(3.0, 2.0).log_prob(params["scale"]) - jnp.sum(params["w"] ** 2)

    made = cw.Model(density, point, {"scale": dist.constraints.positive, "w": None})
    target = made.target()
    position = target.transform.inverse(point)
    assert {leaf.dtype.name for leaf in jax.tree.leaves(position)} == {"float32"}
    value, gradient = jax.value_and_grad(target.log_density)(position)
    assert value.dtype == gradient["scale"].dtype == jnp.float32
    assert seen[-1] == {"scale": "float16", "w": "float32"}
    # At u = 0: log Gamma(1 | 3, 2) + log 1, with the derivative (3 - 1) - 2 + 1.
    np.testing.assert_allclose(value, dist.Gamma(3.0, 2.0).log_prob(1.0), rtol=1e-3)
    np.testing.assert_allclose(gradient["scale"], 1.0, rtol=1e-3)


def test_log_density_has_the_sessions_type():
    """A density that is summed in half precision, on parameters that are not."""
    low = cw.Model(lambda p: -jnp.sum(p.astype(jnp.float16) ** 2), jnp.zeros(2))
    assert low.target().log_density(jnp.ones(2)).dtype == jnp.float32


def test_ordinary_models_are_left_alone():
    """The same functions, so the same programs and the same bits."""
    target = cw.Model(lambda p: -(p**2), 1.0, dist.constraints.positive).target()
    assert widened(target, jnp.ones(())) is target
    again = as_given(target)
    assert jax.tree.structure(again) == jax.tree.structure(target)
    with precision(double=True):
        wide = cw.Model(lambda p: -(p**2), 1.0).target()
        assert widened(wide, jnp.ones(())) is wide


@pytest.mark.parametrize("dtype", CONTEXTS)
def test_checks_of_a_narrow_model_pass(dtype):
    with CONTEXTS[dtype]():
        made = cw.Model(
            None,
            {"rate": jnp.ones((), dtype)},
            {"rate": dist.constraints.positive},
            data=jnp.asarray([1.0, 2.0, 0.0, 1.0], dtype),
            log_prior=lambda p: dist.Gamma(3.0, 2.0).log_prob(p["rate"]),
            log_likelihood=lambda p, y: y * jnp.log(p["rate"]) - p["rate"],
        )
        report = made.debug(seed=0)
    failed = [check.name for check in report.checks if check.status == "failed"]
    assert failed == []
