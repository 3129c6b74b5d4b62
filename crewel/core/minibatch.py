"""Minibatches: the rows that a step sees, as a function of seed and step alone.

Rows come in epochs without replacement: each epoch has its own order, and its batches are slices
of that order. If the batch size does not divide the number of rows, the last few rows of the order
are left out. That is a different subset each epoch, so every batch is a uniform draw of rows and
the estimate of the density is unbiased. Nothing is stored, so a run in pieces sees the same rows
as a run in one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from crewel.core.protocol import SEPARATE, Data, Key, Target
from crewel.core.together import are_together, require_alone

DEFAULT = 128  # rows per batch of an sgmcmc run, if the data have more
EXAMPLE = 1024  # rows on which starting points are checked
_ORDER = 2**31 - 1  # folded into a chain's key for its order of rows; steps stay below it
_ROUNDS, _BITS = 8, 8  # of the network that permutes rows


@dataclass(frozen=True)
class Batches:
    """How the rows of a run's batches are drawn.

    Attributes:
        size: number of rows per batch.
        num_data: number of rows of data, N.
        replacement: whether the rows of a batch are drawn independently of each other.
        host: whether the batches come from the host, one per step.
    """

    size: int
    num_data: int
    replacement: bool = False
    host: bool = False

    @property
    def per_epoch(self) -> int:
        """Number of batches per epoch."""
        return self.num_data // self.size


def order(
    key: Key, epoch: int | jax.Array, rows: int, positions: jax.Array | None = None
) -> jax.Array:
    """An epoch's order of rows, or part of it: a permutation that is computed, not stored.

    A Feistel network of eight rounds permutes the numbers below a power of two. A result that is
    not a row is permuted again until it is one (Luby & Rackoff 1988; Black & Rogaway 2002).
    Sorting random numbers would cost more than a small network's gradient.

    Args:
        key: the chain's PRNG key (`post.keys` holds those of the draws).
        epoch: 0, 1, ...
        rows: number of rows of data.
        positions: positions in the order, all of them if `None`.

    Examples:
        >>> import jax
        >>> sorted(order(jax.random.key(0), 0, 5).tolist())
        [0, 1, 2, 3, 4]
    """
    key = jax.random.fold_in(jax.random.fold_in(key, _ORDER), epoch)
    keys = jax.random.bits(key, (_ROUNDS,))
    # Halves with few bits would favor some orders.
    bits = max(_BITS, (rows - 1).bit_length())

    def permuted(number: jax.Array) -> jax.Array:
        high, low = bits - bits // 2, bits // 2
        left, right = number >> low, number & ((1 << low) - 1)
        for i in range(_ROUNDS):
            left, right = right, left ^ (_mixed(right ^ keys[i]) & ((1 << high) - 1))
            high, low = low, high
        return (left << low) | right

    def once_more(number: jax.Array) -> jax.Array:
        return jnp.where(number < rows, number, permuted(number))

    positions = jnp.arange(rows) if positions is None else positions
    found = permuted(positions.astype(jnp.uint32))
    found = jax.lax.while_loop(lambda number: (number >= rows).any(), once_more, found)
    return found.astype(jnp.int32)


def _mixed(number: jax.Array) -> jax.Array:
    """A 32-bit hash: the finalizer of MurmurHash3."""
    number = (number ^ (number >> 16)) * jnp.uint32(0x85EBCA6B)
    number = (number ^ (number >> 13)) * jnp.uint32(0xC2B2AE35)
    return number ^ (number >> 16)


def plan(target: Target, settings: Mapping[str, Any], *, always: bool) -> Batches | None:
    """How a call's batches are drawn; `None` if every step sees all rows.

    Args:
        target: the density on all rows.
        settings: the settings of the call.
        always: whether steps see minibatches even if the call does not give `batch_size`.

    Raises:
        ValueError: the model does not separate prior and likelihood, its rows belong together, or
            `batch_size` is larger than the data.
    """
    size = settings.get("batch_size")
    if size is None and (not always or target.data is None or are_together(target.data)):
        return None
    require_alone(target.data, "batch_size")
    target.require(SEPARATE, "batch_size")
    rows = target.num_data
    if size is None:
        size = min(DEFAULT, rows)
    if size > rows:
        raise ValueError(
            f"`batch_size` is {size} and the data have {rows} rows. Use at most {rows}, or give "
            "more data."
        )
    return Batches(int(size), rows, bool(settings.get("replacement", False)))


def at(
    batches: Batches | None,
    target: Target,
    stream: Data,
    key: Key,
    step: jax.Array,
    place: jax.Array,
) -> Target:
    """The density on the batch of a step.

    Args:
        batches: how rows are drawn.
        target: the density on all rows.
        stream: batches from the host, leaves `(steps, size, ...)`.
        key: the chain's PRNG key.
        step: number of the step from 0, one per batch.
        place: index of the step in `stream`.
    """
    if batches is None:
        return target
    if batches.host:
        return target.on(jax.tree.map(lambda leaf: leaf[place], stream))
    if batches.replacement:
        key = jax.random.fold_in(jax.random.fold_in(key, _ORDER), step)
        rows = jax.random.randint(key, (batches.size,), 0, batches.num_data)
    else:
        first = step % batches.per_epoch * batches.size
        places = first + jnp.arange(batches.size)
        rows = order(key, step // batches.per_epoch, batches.num_data, places)
    return target.on(take(target.data, rows))


def take(data: Data, rows: jax.Array | np.ndarray) -> Data:
    """Some rows, each leaf in its own dtype."""
    return jax.tree.map(lambda leaf: leaf.at[rows].get(mode="promise_in_bounds"), data)


def example(target: Target) -> Target:
    """An estimate of the density on evenly spaced rows, where all rows would take too long."""
    size = max(EXAMPLE, target.batch_size or target.num_data)
    if target.num_rows != target.num_data or size >= target.num_data:
        return target
    rows = np.linspace(0, target.num_data - 1, size).round().astype(int)
    return target.on(take(target.data, rows))


def random_batch(target: Target, key: Key) -> Target:
    """The density on a batch of the run's size, with rows drawn without replacement."""
    size = target.batch_size
    if size is None or size >= target.num_rows:
        return target
    chosen = order(key, 0, target.num_rows, jnp.arange(size))
    return target.on(take(target.data, chosen))
