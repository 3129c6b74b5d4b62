"""Rows that belong together: `x` is one object, such as a graph, and a row is a place in it."""

from __future__ import annotations

from dataclasses import dataclass

import jax

from crewel.core.protocol import Data


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Places:
    """Rows of an `x` that is one object, by their positions.

    It stands for `x` in the data of a model whose rows belong together, so whatever takes some rows
    of the data takes some of these, and the network still sees all of `x`.

    Attributes:
        index: positions of the rows, `(n,)`.
    """

    index: jax.Array


def are_together(data: Data) -> bool:
    """Whether the rows of a model's data belong together.

    Examples:
        >>> import jax.numpy as jnp
        >>> are_together({"x": Places(jnp.arange(3)), "y": jnp.zeros(3)}), are_together(None)
        (True, False)
    """
    parts = jax.tree.leaves(data, is_leaf=lambda part: isinstance(part, Places))
    return any(isinstance(part, Places) for part in parts)


def require_alone(data: Data, what: str) -> None:
    """Raise if rows belong together, so that a batch of them is no cheaper than all.

    Args:
        data: the model's data.
        what: the setting or algorithm that needs batches.

    Raises:
        ValueError: they do.
    """
    if are_together(data):
        raise ValueError(
            f"`{what}` needs batches of rows, but this model was wrapped with `rows='together'`: "
            "its network computes all rows at once from all of `x`, so a batch costs as much as "
            "the full data. Leave it out, or use an algorithm that sees all rows."
        )
