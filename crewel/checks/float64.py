"""Double precision for a check, whatever the precision of the session."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from crewel.core.protocol import PyTree, Target
from crewel.transforms.widen import as_given


def double_precision() -> AbstractContextManager[Any]:
    """A context in which JAX uses float64, in this thread only."""
    if hasattr(jax, "enable_x64"):
        return jax.enable_x64(True)
    from jax.experimental import enable_x64  # type: ignore[attr-defined]  # JAX 0.5

    return enable_x64()


def widen(tree: PyTree) -> PyTree:
    """Convert the floats of a tree to float64; call it within `double_precision`.

    A target then computes in the types that it is given, whatever the model's own are.
    """

    def is_target(node: Any) -> bool:
        return isinstance(node, Target)

    tree = jax.tree.map(lambda n: as_given(n) if is_target(n) else n, tree, is_leaf=is_target)

    def one(leaf: jax.Array) -> Any:
        if jnp.issubdtype(jnp.result_type(leaf), jnp.floating):
            return jnp.asarray(np.asarray(leaf, np.float64))
        return leaf

    return jax.tree.map(one, tree)
