"""Evaluating anything for every draw, in batches that fit in memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from crewel.core.compiling import compile_all, program
from crewel.core.meanings import is_integer
from crewel.core.protocol import Key, Params, PyTree
from crewel.core.trees import eagerly, nbytes, require_concrete

BATCH_BYTES = 64 * 2**20  # of outputs and parameters on the device at a time


def over_draws(
    fn: Callable[..., PyTree],
    predictive: PyTree,
    draws: Params,
    batch: PyTree,
    *,
    key: Key | None = None,
    batch_size: int | None = None,
) -> Any:
    """Evaluate a function for every draw.

    Args:
        fn: a module-level function `(None, predictive, params, keys, batch) -> pytree`, whose
            leaves have an axis of draws.
        predictive: its second argument, how the model predicts.
        draws: parameters, leaves `(chain, draw, ...)`.
        batch: its last argument: inputs, or `{"x": ..., "y": ...}`.
        key: PRNG key, if `y` is drawn.
        batch_size: draws to evaluate at once, chosen by memory if `None`; it does not change the
            result.

    Returns:
        A pytree of host arrays, leaves `(chain, draw, row, ...)`.

    Raises:
        ValueError: `batch_size` is not a positive integer.
    """
    if batch_size is not None and not (is_integer(batch_size) and batch_size >= 1):
        raise ValueError(
            f"`batch_size` must be an integer of at least 1, the draws to evaluate at once, got "
            f"{batch_size!r}."
        )
    require_concrete((predictive, draws, batch, key), "Predictions")
    with eagerly():  # may be called while tracing, on arrays not traced
        return _over_draws(fn, predictive, draws, batch, key, batch_size)


def _over_draws(
    fn: Callable[..., PyTree],
    predictive: PyTree,
    draws: Params,
    batch: PyTree,
    key: Key | None,
    batch_size: int | None,
) -> Any:
    chains, number = jax.tree.leaves(draws)[0].shape[:2]
    total = chains * number
    flat = jax.tree.map(lambda leaf: np.asarray(leaf).reshape(total, *leaf.shape[2:]), draws)
    batch = jax.tree.map(jnp.asarray, batch)
    keys = jax.random.split(jax.random.key(0) if key is None else key, total)
    first = jax.tree.map(lambda leaf: leaf[:1], flat)
    if batch_size is None:
        one = jax.eval_shape(lambda p, k, b: fn(None, predictive, p, k, b), first, keys[:1], batch)
        batch_size = max(1, BATCH_BYTES // (4 * nbytes(one) + nbytes(first)))
    size = min(batch_size, total)
    take = np.minimum(np.arange(-(-total // size) * size), total - 1).reshape(-1, size)

    def arguments(rows: np.ndarray) -> tuple[PyTree, Params, Key]:
        return predictive, jax.tree.map(lambda leaf: jnp.asarray(leaf[rows]), flat), keys[rows]

    run = program(fn, None, *arguments(take[0]), batch)
    compile_all(run)
    out = jax.tree.map(lambda leaf: np.empty((total, *leaf.shape[1:]), leaf.dtype), run.out_info)
    for rows in take:
        made = run(*arguments(rows), batch)

        def copy(buffer: np.ndarray, leaf: jax.Array, rows: np.ndarray = rows) -> None:
            buffer[rows] = np.asarray(leaf)

        jax.tree.map(copy, out, made)
    return jax.tree.map(lambda leaf: leaf.reshape(chains, number, *leaf.shape[1:]), out)
