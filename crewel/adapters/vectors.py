"""Positions as vectors on the host, for engines that do not take pytrees."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
from jax.flatten_util import ravel_pytree

from crewel.core.protocol import Position, Target


def stacked(positions: Position) -> np.ndarray:
    """Join leaves `(chain, *event)` into one array `(chain, dim)`.

    Examples:
        >>> stacked({"a": np.zeros((4, 2, 3)), "b": np.ones(4)}).shape
        (4, 7)
    """
    leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(positions)]
    return np.concatenate([leaf.reshape(len(leaf), -1) for leaf in leaves], axis=1)


def split(vectors: Any, positions: Position) -> Position:
    """Split `(chain, draw, dim)` into leaves `(chain, draw, *event)`, structured as `positions`.

    Examples:
        >>> split(np.zeros((4, 10, 7)), {"a": np.zeros((4, 2, 3)), "b": np.ones(4)})["a"].shape
        (4, 10, 2, 3)
    """
    leaves, structure = jax.tree.flatten(positions)
    sizes = [int(np.prod(leaf.shape[1:])) for leaf in leaves]
    parts = np.split(np.asarray(vectors), np.cumsum(sizes)[:-1], axis=-1)
    return jax.tree.unflatten(
        structure,
        [
            part.reshape(*part.shape[:2], *leaf.shape[1:]).astype(leaf.dtype)
            for part, leaf in zip(parts, leaves, strict=True)
        ],
    )


def density(target: Target, like: Position, vector: jax.Array) -> jax.Array:
    """Log density of a vector; `like` is any position, for its structure."""
    return target.log_density(ravel_pytree(like)[1](vector))
