"""Transforms that differ in numbers alone share compiled code."""

import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
import pytest
from numpyro.distributions import constraints
from support.transforms import SIMPLEX, U

from crewel.transforms.transform import build


def test_other_bounds_share_compiled_code():
    traces = []

    @jax.jit
    def both(transform, u):
        traces.append(1)
        return transform.forward(u), transform.log_det(u)

    bounds = [(0, 1), (-1.0, 4.0), (0.5, 2)]
    for low, high in bounds:
        transform = build(constraints.interval(low, high), jnp.array([0.6, 0.9]))
        y, log_det = both(transform, jnp.zeros(2))
        np.testing.assert_allclose(y, (low + high) / 2, rtol=1e-6)
        np.testing.assert_allclose(log_det, 2 * np.log((high - low) / 4), rtol=1e-6)
    assert len(traces) == 1
    arrays = build(constraints.interval(jnp.zeros(2), jnp.array([1.0, 3.0])), jnp.array([0.6, 0.9]))
    np.testing.assert_allclose(both(arrays, jnp.zeros(2))[0], [0.5, 1.5], rtol=1e-6)


BUILDS = {
    "identity": None,
    "numpyro": constraints.simplex,
    "function": lambda u: {"x": jnp.exp(u["x"]) * jnp.array([1.0, 2.0, 0.5])},
}


@pytest.mark.parametrize("name", BUILDS)
def test_vmap_equals_a_loop_and_two_builds_share_compiled_code(name):
    traces = []

    @jax.jit
    def batch(transform, u):
        traces.append(1)
        return jax.vmap(transform.forward)(u), jax.vmap(transform.log_det)(u)

    params = {"x": SIMPLEX[0]}
    first, second = build(BUILDS[name], params), build(BUILDS[name], params)
    assert jax.tree.structure(first) == jax.tree.structure(second)
    one = first.inverse(params)
    u = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf + 1, -leaf]), one)
    batch(second, u)
    y, log_det = batch(first, u)
    assert len(traces) == 1
    for i in range(3):
        row = {"x": u["x"][i]}
        np.testing.assert_allclose(y["x"][i], first.forward(row)["x"], rtol=1e-5)
        np.testing.assert_allclose(log_det[i], first.log_det(row), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(jax.vmap(first.inverse)(y)["x"], u["x"], rtol=1e-4, atol=1e-5)


def test_functions_that_differ_in_numbers_alone_share_compiled_code():
    def fn(a, u):
        return a * jnp.exp(u)

    closures = [build(lambda u, a=a: fn(a, u), U**2) for a in (1.0, 2.0)]
    partials = [build(jax.tree_util.Partial(fn, jnp.float32(a)), U**2) for a in (1.0, 2.0)]
    assert jax.tree.structure(partials[0]) == jax.tree.structure(partials[1])
    assert len({jax.tree.structure(t.log_det) for t in closures + partials}) == 1
    for one, two in (closures, partials):
        np.testing.assert_allclose(two.log_det(U) - one.log_det(U), 3 * np.log(2), rtol=1e-5)
