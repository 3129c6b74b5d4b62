"""Distributions whose numbers come in the same order in every process.

NumPyro flattens a distribution in the order of a set of names, which changes from one process to
the next. Compiled programs would then differ between processes, and a cache of them on disk would
miss half of the time.
"""

from __future__ import annotations

from typing import Any

import jax
import numpyro.distributions as dist


@jax.tree_util.register_pytree_node_class
class Ordered:
    """A distribution as a pytree whose leaves are in the order of their names.

    Attributes:
        distribution: the NumPyro distribution.
    """

    def __init__(self, distribution: dist.Distribution):
        """Hold a distribution that NumPyro flattens by name."""
        self.distribution = distribution

    def tree_flatten(self) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """The fields that hold arrays, by name, and the class with all that is code."""
        cls = type(self.distribution)
        fields = sorted(cls.gather_pytree_data_fields())
        values = (ordered(self.distribution.__dict__.get(field)) for field in fields)
        return tuple(values), (cls, self.distribution.tree_flatten()[1])

    @classmethod
    def tree_unflatten(cls, aux: tuple[Any, ...], children: tuple[Any, ...]) -> Ordered:
        """Hand the fields to NumPyro in the order of this process."""
        kind, code = aux
        fields = kind.gather_pytree_data_fields()
        values = dict(zip(sorted(fields), map(unordered, children), strict=True))
        return cls(kind.tree_unflatten(code, tuple(values[field] for field in fields)))


def _is_distribution(value: Any) -> bool:
    own = dist.Distribution.tree_flatten
    return isinstance(value, dist.Distribution) and type(value).tree_flatten is own


def ordered(tree: Any) -> Any:
    """The pytree with each distribution in it as `Ordered`.

    Examples:
        >>> import jax
        >>> jax.tree.leaves(ordered({"w": dist.Normal(1.0, 2.0)}))
        [1.0, 2.0]
    """
    return jax.tree.map(
        lambda leaf: Ordered(leaf) if _is_distribution(leaf) else leaf,
        tree,
        is_leaf=_is_distribution,
    )


def unordered(tree: Any) -> Any:
    """Undo `ordered`."""
    return jax.tree.map(
        lambda leaf: leaf.distribution if isinstance(leaf, Ordered) else leaf,
        tree,
        is_leaf=lambda leaf: isinstance(leaf, Ordered),
    )
