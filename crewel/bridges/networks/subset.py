"""Make part of a network Bayesian: some parameters are sampled, the rest keep their values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax.tree_util import Partial

from crewel.bridges.networks.batch_stats import Network
from crewel.bridges.networks.last_layer import last_layer
from crewel.core.protocol import Key, Params, PyTree
from crewel.priors.patterns import matching

LAST = "last"


@dataclass(frozen=True)
class _Parts:
    """The tree of all parameters, and which of its leaves are sampled."""

    structure: Any
    sampled: tuple[bool, ...]

    def split(self, params: Params) -> tuple[Params, list[Any]]:
        leaves = jax.tree.leaves(params)
        kept = [leaf if s else None for leaf, s in zip(leaves, self.sampled, strict=True)]
        fixed = [leaf for leaf, s in zip(leaves, self.sampled, strict=True) if not s]
        return _pruned(jax.tree.unflatten(self.structure, kept)), fixed

    def join(self, params: Params, fixed: Sequence[Any]) -> Params:
        here, there = iter(jax.tree.leaves(params)), iter(fixed)
        leaves = [next(here) if s else next(there) for s in self.sampled]
        return jax.tree.unflatten(self.structure, leaves)


def _pruned(tree: PyTree) -> PyTree:
    """Remove dict entries that hold no leaf; in other containers `None` stays in place."""
    if not isinstance(tree, dict):
        return tree
    return {key: _pruned(value) for key, value in tree.items() if jax.tree.leaves(value)}


@dataclass(frozen=True)
class _Joined:
    """Turn a function of all parameters into a function of those that are sampled."""

    parts: _Parts

    def __call__(self, function: Any, fixed: Any, params: Params, *args: Any) -> Any:
        return function(self.parts.join(params, fixed), *args)


@dataclass(frozen=True)
class _Init:
    parts: _Parts

    def __call__(self, init: Callable[[Key], PyTree], key: Key) -> PyTree:
        return self.parts.split(init(key))[0]


def select(
    network: Network, bayesian: str | Sequence[str] | None, shapes: dict[str, Any], x: PyTree
) -> Network:
    """The network as a function of the parameters that `bayesian` names.

    Args:
        network: the network.
        bayesian: path patterns, `"last"` for the last layer, or `None` for all.
        shapes: shape by path, in the order of the leaves of `network.params`.
        x: a few rows.

    Raises:
        ValueError: a pattern matches nothing, or no layer is clearly the last.
    """
    if bayesian is None:
        return network
    chosen: set[str] = set()
    for pattern in [bayesian] if isinstance(bayesian, str) else bayesian:
        if pattern == LAST:
            chosen |= last_layer(network.apply, network.params, shapes, x)
        else:
            chosen |= set(matching(pattern, shapes, "pattern in `bayesian`"))
    parts = _Parts(jax.tree.structure(network.params), tuple(path in chosen for path in shapes))
    params, fixed = parts.split(network.params)
    fixed = [jnp.asarray(leaf) for leaf in fixed]
    joined = _Joined(parts)
    apply = Partial(joined, network.apply, fixed)
    same = network.predict is network.apply
    return Network(
        params,
        apply,
        apply if same else Partial(joined, network.predict, fixed),
        Partial(joined, network.rebuild, fixed),
        None if network.init is None else Partial(_Init(parts), network.init),
    )
