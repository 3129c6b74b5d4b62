"""Double precision for a check, whatever the precision of the session."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from crewel.core.protocol import PyTree, Target
from crewel.transforms.widen import as_given


def widen(tree: PyTree) -> PyTree:
    """Convert the floats of a tree to float64; call it within `precision(double=True)`.

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
