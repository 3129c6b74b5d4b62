"""Plain functions `apply(params, x)` with example parameters."""

from __future__ import annotations

from typing import Any

from jax.tree_util import Partial

from crewel.bridges import Network


def bridge(network: Any, x: Any, *, example: Any, seed: int) -> Network:
    """A function of parameters and inputs; it has no initialiser of its own.

    Raises:
        ValueError: no example parameters.
    """
    if example is None:
        raise ValueError(
            "A plain function needs example parameters: `wrap(apply, x, y, example=params, ...)`, "
            "a pytree of float arrays with the shapes that `apply(params, x)` takes."
        )
    return Network(example, Partial(network), None)
