"""A log density as a flat list of operations."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from crewel.checks.trace import flatten, origin, used_inputs

TABLE = jnp.arange(3.0)


def test_values_are_numbered_through_calls():
    """`x * TABLE + 1` in two nested calls: four values before the operations, then one each."""
    inner = jax.jit(lambda x: x * TABLE)

    def fn(x, unused):
        return jax.checkpoint(lambda x: inner(x) + 1.0)(x)

    flat = flatten(fn, jnp.ones(3), jnp.ones(2))
    mul, add = flat.ops
    assert (mul.name, add.name) == ("mul", "add")
    assert set(mul.inputs) == {flat.inputs[0], *(n for n in flat.constants if flat.shape(n))}
    assert add.inputs[0] == mul.outputs[0] and flat.constants[add.inputs[1]] == 1.0
    assert flat.outputs == add.outputs and flat.shape(flat.outputs[0]) == (3,)
    assert used_inputs(flat) == [True, False]
    # JAX 0.5 does not say where a checkpointed function is defined: there it is the call's line.
    assert any(text in str(mul.line()) for text in ("inner = jax.jit", "jax.checkpoint(lambda"))


def test_a_density_may_use_random_keys():
    """As dropout with a fixed key does: a key has no NumPy type and is always finite."""

    def fn(x):
        keep = jax.random.bernoulli(jax.random.key(0), 0.5, x.shape)
        return jnp.where(keep, jnp.log(x), jnp.log(x)).sum()

    assert origin(fn, jnp.ones(4)) is None
    found = origin(fn, jnp.array([1.0, -1.0]))
    assert found is not None and (found.primitive, found.kind) == ("log", "NaN")
