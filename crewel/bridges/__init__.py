"""From a network of any library to `Network`: example parameters, `apply`, `init`.

A bridge is one file with `bridge(network, x, *, example, seed) -> Network`. Which one a network
belongs to is told by the names of the modules of its class and the classes above it, so that no
library is imported to look.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, NamedTuple


class Network(NamedTuple):
    """A network as pure functions; both are `jax.tree_util.Partial`.

    Attributes:
        params: example parameters, a pytree of floats.
        apply: `(params, x) -> outputs`.
        init: `key -> params`, or `None` where there is only the example.
    """

    params: Any
    apply: Callable[..., Any]
    init: Callable[..., Any] | None


BRIDGES = {"flax.linen": "linen"}
PLAIN = "function"


def bridge(network: Any, x: Any, *, example: Any = None, seed: int = 0) -> Network:
    """The pure functions of `network`.

    Args:
        network: a module of a known library, or a function `apply(params, x)`.
        x: inputs, leading axis of rows.
        example: parameters: needed for a plain function, else instead of initialised ones.
        seed: for the initialisation.

    Raises:
        TypeError: no bridge knows the object.
    """
    modules = [cls.__module__ for cls in type(network).__mro__]
    known = [
        name
        for prefix, name in BRIDGES.items()
        if any(module == prefix or module.startswith(prefix + ".") for module in modules)
    ]
    if not known:
        if not callable(network):
            raise TypeError(
                f"Cannot wrap a {type(network).__module__}.{type(network).__qualname__}. Wrap a "
                f"module of {', '.join(BRIDGES)}, or a function `apply(params, x) -> outputs` "
                "with `example=params`."
            )
    found = importlib.import_module(f"crewel.bridges.{known[0] if known else PLAIN}")
    return found.bridge(network, x, example=example, seed=seed)
