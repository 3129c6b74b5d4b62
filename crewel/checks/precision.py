"""Float64 for a check, whatever the session computes in."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from crewel.core.protocol import Target
from crewel.transforms.precision import as_given


def double_precision() -> AbstractContextManager[Any]:
    """JAX with float64, for a `with` block in this thread."""
    if hasattr(jax, "enable_x64"):
        return jax.enable_x64(True)
    from jax.experimental import enable_x64  # type: ignore[attr-defined]  # JAX 0.5

    return enable_x64()


def widen(tree: Any) -> Any:
    """The same tree with its floats in float64; to be called within `double_precision`.

    A target computes in the types that it is given then, whatever the model's own are.
    """

    def is_target(node: Any) -> bool:
        return isinstance(node, Target)

    tree = jax.tree.map(lambda n: as_given(n) if is_target(n) else n, tree, is_leaf=is_target)

    def one(leaf: Any) -> Any:
        if jnp.issubdtype(jnp.result_type(leaf), jnp.floating):
            return jnp.asarray(np.asarray(leaf, np.float64))
        return leaf

    return jax.tree.map(one, tree)
