"""Reduce draws while a run makes them, so that memory does not grow with their number."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.tree_util import Partial

from crewel.core.protocol import PyTree


class Reducer(NamedTuple):
    """A running summary of a chain's draws, kept on the device.

    Attributes:
        init: `value -> accumulator`, from a value of zeros of the right shapes.
        update: `(accumulator, value) -> accumulator`, once per draw; shapes and dtypes must stay
            the same.
        result: `accumulator -> ` what the chain's single "draw" holds.

    Examples:
        The largest value that a parameter takes:

        >>> import jax, jax.numpy as jnp
        >>> largest = Reducer(lambda v: v - jnp.inf, jnp.maximum, lambda a: a)
    """

    init: Callable[[PyTree], PyTree]
    update: Callable[[PyTree, PyTree], PyTree]
    result: Callable[[PyTree], PyTree]


def _mean_init(value: PyTree) -> tuple[jax.Array, PyTree]:
    wide = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, jnp.result_type(leaf, float)), value)
    return jnp.zeros(()), wide


def _mean_update(carried: tuple[jax.Array, PyTree], value: PyTree) -> tuple[jax.Array, PyTree]:
    count, mean = carried
    count = count + 1
    mean = jax.tree.map(lambda m, v: (m + (v - m) / count).astype(m.dtype), mean, value)
    return count, mean


def _mean_result(carried: tuple[jax.Array, PyTree]) -> PyTree:
    return carried[1]


MEAN = Reducer(_mean_init, _mean_update, _mean_result)


def find(reduce: Any) -> Reducer | None:
    """A `Reducer` of pytrees, from `"mean"`, a `Reducer`, or three functions.

    Raises:
        TypeError: it is none of these.

    Examples:
        >>> find(None) is None
        True
    """
    if reduce is None:
        return None
    if isinstance(reduce, str) and reduce == "mean":
        reduce = MEAN
    if not (isinstance(reduce, tuple) and len(reduce) == 3 and all(map(callable, reduce))):
        raise TypeError(
            "`reduce` must be 'mean', or a `crewel.Reducer(init, update, result)` of three "
            f"functions; got {reduce!r}."
        )
    init, update, result = reduce
    return Reducer(Partial(init), Partial(update), Partial(result))
