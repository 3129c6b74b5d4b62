"""Positions as vectors, for engines that do not take pytrees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
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


@jax.tree_util.register_static
@dataclass(frozen=True)
class Layout:
    """Where the entries of a position are in a vector; a pytree without leaves, so it is code.

    Attributes:
        structure: the position's structure.
        shapes: of its leaves.
        dtypes: of its leaves.
    """

    structure: Any
    shapes: tuple[tuple[int, ...], ...]
    dtypes: tuple[Any, ...]

    @classmethod
    def of(cls, position: Position) -> Layout:
        """The layout of a position.

        Examples:
            >>> layout = Layout.of({"a": jnp.zeros((2, 3)), "b": jnp.ones(())})
            >>> layout.position(jnp.arange(7.0))["b"].item()
            6.0
        """
        leaves, structure = jax.tree.flatten(position)
        leaves = [jnp.asarray(leaf) for leaf in leaves]
        return cls(structure, tuple(x.shape for x in leaves), tuple(x.dtype for x in leaves))

    def vector(self, position: Position) -> jax.Array:
        """A position as a vector `(d,)`."""
        return jnp.concatenate([jnp.ravel(leaf) for leaf in jax.tree.leaves(position)])

    def position(self, vector: jax.Array) -> Position:
        """A vector `(d,)` as a position."""
        leaves, begin = [], 0
        for shape, dtype in zip(self.shapes, self.dtypes, strict=True):
            end = begin + int(np.prod(shape))
            leaves.append(vector[begin:end].reshape(shape).astype(dtype))
            begin = end
        return jax.tree.unflatten(self.structure, leaves)

    def value_and_gradient(self, target: Target, vector: jax.Array) -> tuple[jax.Array, jax.Array]:
        """The log density of a vector, and its gradient as a vector.

        The gradient is taken by the leaves and then joined: with respect to the vector, it would
        be a sum of as many padded vectors as there are leaves.
        """
        value, gradient = jax.value_and_grad(target.log_density)(self.position(vector))
        return value, self.vector(gradient)
