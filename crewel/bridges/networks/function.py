"""Plain functions `apply(params, x)`, and pairs `(init, apply)` like those of `stax`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
from jax.tree_util import Partial

from crewel.bridges.networks import Bridged, is_initializer
from crewel.core.protocol import Key, Params, PyTree
from crewel.core.trees import by_value


@dataclass(frozen=True)
class _Run:
    call: tuple[tuple[str, Any], ...]

    def __call__(
        self, apply: Any, key: Key | None, params: Params, state: PyTree, x: PyTree, training: bool
    ) -> tuple[PyTree, PyTree]:
        random = {} if key is None else {"rng": key}
        return apply(params, x, **dict(self.call), **random), state


@dataclass(frozen=True)
class _StaxInit:
    shape: tuple[int, ...]

    def __call__(self, init: Callable[..., tuple[Any, PyTree]], key: Key) -> PyTree:
        return init(key, self.shape)[1]


def _rebuild(params: Params, state: PyTree) -> Any:
    return params


def bridge(
    network: Any,
    x: PyTree,
    *,
    example: PyTree,
    key: Key,
    call: Mapping[str, Any],
    dropout: Key | None,
) -> Bridged:
    """Bridge a function; its parameters remain the pytree that they are.

    The `init` of a pair is `init(key) -> params` or, as in stax, `init(key, input_shape) ->
    (output_shape, params)`. The key of the dropout masks is passed to `apply` as `rng=`.

    Raises:
        TypeError: `init` takes other arguments.
    """
    init, apply = network if isinstance(network, tuple) else (None, network)
    if is_initializer(example):
        init, example = example, None
    if init is not None:
        makes = by_value(init)
        empty = inspect.Parameter.empty
        arguments = inspect.signature(init).parameters.values()
        needed = [a for a in arguments if a.default is empty and a.kind < a.VAR_POSITIONAL]
        if len(needed) not in (1, 2):
            raise TypeError(
                "`init` must be `init(key) -> params` or `init(key, input_shape) -> "
                f"(output_shape, params)`; it takes {[a.name for a in needed]}."
            )
        if len(needed) == 2:
            makes = Partial(_StaxInit((-1, *jax.tree.leaves(x)[0].shape[1:])), makes)
        init = makes
    if example is None:
        assert init is not None
        example = init(key)
    run = Partial(_Run(tuple(call.items())), by_value(apply), dropout)
    return Bridged(example, run, Partial(_rebuild), init)
