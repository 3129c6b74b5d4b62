"""Flax linen modules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
from jax.tree_util import Partial

from crewel.bridges import Network
from crewel.trees import Static


@dataclass(frozen=True)
class _Apply:
    module: Static

    def __call__(self, params: Any, x: Any) -> Any:
        return self.module.value.apply({"params": params}, x)


@dataclass(frozen=True)
class _Init:
    module: Static

    def __call__(self, row: Any, key: Any) -> Any:
        return self.module.value.init(key, row)["params"]


def bridge(network: Any, x: Any, *, example: Any, seed: int) -> Network:
    """A linen module: parameters of the collection `params`, names as Flax gives them."""
    row = jax.tree.map(lambda leaf: leaf[:1], x)
    variables = jax.eval_shape(lambda key: network.init(key, row), jax.random.key(seed))
    others = sorted(set(variables) - {"params"})
    if others:
        raise ValueError(
            f"`{type(network).__name__}` has the collections {others} beside `params`. A log "
            "density must not change state: build the module without them (for instance "
            "`use_running_average=True` needs statistics), or wrap a function "
            "`lambda params, x: module.apply({'params': params, **state}, x)` with `example=`."
        )
    init = _Init(Static(network))
    params = jax.jit(init)(row, jax.random.key(seed)) if example is None else example
    return Network(params, Partial(_Apply(Static(network))), Partial(init, row))
