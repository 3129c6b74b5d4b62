"""Minibatches: which rows a step sees, a function of seed and step alone.

Rows come in epochs without replacement: each epoch has an order of its own, and its batches are
slices of it. Where the batch size does not divide the rows, the last few of the order are left
out; they are others in each epoch, so that every batch is a uniform draw of rows and the
estimate of the density is unbiased. Nothing is stored but the order of the current epoch, so a
run in pieces sees the rows that a run in one sees.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from crewel.protocol import Target

DEFAULT = 128  # rows a batch of an sgmcmc run, where the data have more
EXAMPLE = 1024  # rows at which starting points are checked
_ORDER = 2**31 - 1  # folded into a chain's key for its order of rows; steps stay below


@dataclass(frozen=True)
class Batches:
    """How the rows of a run's batches are drawn.

    Attributes:
        size: rows a batch.
        rows: rows of data, N.
        replacement: whether the rows of a batch are drawn independently of each other.
        host: whether the batches are handed in from the host, one a step.
    """

    size: int
    rows: int
    replacement: bool = False
    host: bool = False

    @property
    def per_epoch(self) -> int:
        """Batches an epoch."""
        return self.rows // self.size


def order(key: Any, epoch: Any, rows: int) -> jax.Array:
    """The order of rows in an epoch, `(rows,)`: a random permutation.

    Args:
        key: the chain's PRNG key (`post.keys` holds those of the draws).
        epoch: 0, 1, ...
        rows: rows of data.

    Examples:
        >>> import jax
        >>> sorted(order(jax.random.key(0), 0, 5).tolist())
        [0, 1, 2, 3, 4]
    """
    key = jax.random.fold_in(jax.random.fold_in(key, _ORDER), epoch)
    # Two equal numbers of 32 bits come in the order of the rows: once in some epochs of 60,000.
    return jnp.argsort(jax.random.bits(key, (rows,)))


def plan(target: Target, words: dict[str, Any], *, family: str) -> Batches | None:
    """How a call's batches are drawn; `None` where every step sees all rows.

    Raises:
        ValueError: no prior and likelihood apart, or `batch_size` larger than the data.
    """
    size = words.get("batch_size")
    if size is None and (family != "sgmcmc" or target.data is None):
        return None
    for need in ("data", "log_prior", "log_likelihood"):
        if getattr(target, need) is None:
            raise ValueError(
                f"`batch_size` needs a model with `{need}`. Give `Model(..., {need}=...)`, or use "
                "`crewel.wrap`, whose models have it."
            )
    rows = target.num_data
    if size is None:
        size = min(DEFAULT, rows)
    if size > rows:
        raise ValueError(
            f"`batch_size` is {size} and the data have {rows} rows. Take at most {rows}, or give "
            "more data."
        )
    return Batches(int(size), rows, bool(words.get("replacement", False)))


def begin(batches: Batches | None, key: Any, step: Any) -> Any:
    """What a loop that starts at `step` carries: the order of the epoch, or that first step."""
    if batches is None or batches.replacement:
        return ()
    if batches.host:
        return step
    return order(key, step // batches.per_epoch, batches.rows)


def turn(batches: Batches | None, key: Any, step: Any, carried: Any) -> Any:
    """What is carried to a step: at the first of an epoch a new order of rows."""
    if batches is None or batches.host or batches.replacement:
        return carried
    # The predicate is the same for all chains, so that `vmap` keeps the branch a branch.
    return jax.lax.cond(
        step % batches.per_epoch == 0,
        lambda: order(key, step // batches.per_epoch, batches.rows),
        lambda: carried,
    )


def until(batches: Batches | None, step: Any, end: Any) -> Any:
    """The step at which `turn` is due again, at most `end`."""
    if batches is None or batches.host or batches.replacement:
        return end
    return jnp.minimum(end, (step // batches.per_epoch + 1) * batches.per_epoch)


def at(
    batches: Batches | None, target: Target, stream: Any, key: Any, step: Any, carried: Any
) -> Target:
    """The density on the batch of a step.

    Args:
        batches: how rows are drawn.
        target: the density on all rows.
        stream: batches from the host, leaves `(steps, size, ...)`.
        key: the chain's PRNG key.
        step: counts from 0, one a batch.
        carried: of `turn`.
    """
    if batches is None:
        return target
    if batches.host:
        return target.on(jax.tree.map(lambda leaf: leaf[step - carried], stream))
    if batches.replacement:
        key = jax.random.fold_in(jax.random.fold_in(key, _ORDER), step)
        rows = jax.random.randint(key, (batches.size,), 0, batches.rows)
    else:
        slot = step % batches.per_epoch
        rows = jax.lax.dynamic_slice_in_dim(carried, slot * batches.size, batches.size)
    return target.on(take(target.data, rows))


def take(data: Any, rows: Any) -> Any:
    """Some rows, each leaf in its own dtype."""
    return jax.tree.map(lambda leaf: leaf.at[rows].get(mode="promise_in_bounds"), data)


def example(target: Target) -> Target:
    """The estimate of the density on some rows, evenly spaced: where all would take long."""
    size = max(EXAMPLE, target.batch_size or target.num_data)
    if target.rows is not None or size >= target.num_data:
        return target
    rows = np.linspace(0, target.num_data - 1, size).round().astype(int)
    return target.on(take(target.data, rows))


def random_batch(target: Target, key: Any) -> Target:
    """The density on a batch of the run's size, its rows drawn without replacement."""
    size = target.batch_size
    if size is None or size == target.num_data:
        return target
    chosen = order(key, 0, target.num_data)[:size]
    return target.on(take(target.data, chosen))
