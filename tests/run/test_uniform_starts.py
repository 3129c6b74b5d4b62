"""Starts drawn uniformly: one generator for all leaves of a shape, and the same numbers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from crewel.core.compiling import quick_options
from crewel.run.initial import uniform

LIKE = {
    **{f"p{i}": jnp.zeros(()) for i in range(103)},
    "a": jnp.zeros((2, 3)),
    "b": jnp.zeros(3),
    "c": jnp.zeros((2, 3)),
}


@pytest.mark.parametrize("key", [jax.random.key(3), jax.random.PRNGKey(3)], ids=["typed", "raw"])
def test_each_leaf_is_drawn_from_its_own_key(key):
    leaves = jax.tree.leaves(LIKE)
    keys = jax.random.split(key, len(leaves))
    found = jax.tree.leaves(uniform(key, LIKE))
    for one, leaf, own in zip(found, leaves, keys, strict=True):
        wanted = jax.random.uniform(own, leaf.shape, jnp.float32, -2, 2)
        np.testing.assert_array_equal(one, wanted)


def test_a_hundred_scalars_are_one_generator():
    text = str(jax.make_jaxpr(lambda key: uniform(key, LIKE))(jax.random.key(0)))
    assert text.count("random_bits") == 3  # scalars, (3,) and (2, 3)


def test_only_small_programs_compile_without_optimizations():
    assert bool(quick_options([jnp.zeros(10)])) == (jax.default_backend() == "cpu")
    assert quick_options([jax.ShapeDtypeStruct((1000, 1001), jnp.float32)]) == ()
