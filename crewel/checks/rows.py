"""Rows of data: that they are summed, that each counts for itself, that batches are unbiased."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from crewel.checks.context import Context, row_values
from crewel.checks.precision import double_precision, widen
from crewel.checks.report import Check, failed, passed, skipped
from crewel.core.protocol import Target
from crewel.core.text import names, number
from crewel.core.trees import named_leaves

BATCH = 32  # rows
BATCHES = 8  # an epoch of the check
_NO_SPLIT = "The model has no `log_prior` and `log_likelihood` apart."


def _rows(context: Context, count: int) -> Target:
    return context.target if count >= context.num_data else context.subset(count)


def _take(data: Any, first: int, last: int) -> Any:
    return jax.tree.map(lambda leaf: leaf[first:last], data)


@jax.jit
def _likelihood(target: Target, position: Any) -> jax.Array:
    return row_values(target, target.constrain(position), target.data)


def independent(context: Context) -> Check:
    """A row's log likelihood is the same whichever other rows are in the batch."""
    if context.target.log_likelihood is None or not context.num_data:
        return skipped("The model has no `log_likelihood` a row.")
    if context.num_data < 2:
        return skipped("There is one row.")
    target = _rows(context, BATCH * BATCHES)
    rows = target.num_data
    half = rows // 2
    together = np.asarray(_likelihood(target, context.place), np.float64)
    part = target.exactly(_take(target.data, 0, half))
    alone = np.asarray(_likelihood(part, context.place), np.float64)
    scale = np.abs(together).max(initial=1e-6)
    off = np.abs(together[:half] - alone)
    if (off > 1e-3 * scale).any():
        row = int(off.argmax())
        twice = np.asarray(_likelihood(_repeat(part, 2), context.place), np.float64)[:half]
        if np.allclose(twice, alone / 2, rtol=1e-3):
            why = (
                "It is divided by the number of rows: return one unscaled value a row, not a "
                "mean. The posterior would be that of one datum."
            )
        elif np.allclose(twice, alone * 2, rtol=1e-3):
            why = (
                "It grows with the number of rows: arrays of shapes `(N, 1)` and `(N,)` are "
                "broadcast against each other, or it is scaled by N already."
            )
        else:
            why = (
                "It depends on what the other rows are: batch normalisation, a mean or a scale of "
                "the batch. Compute such numbers once, outside the model."
            )
        return failed(
            f"The log likelihood of one row is {number(together[row])} among {rows} rows and "
            f"{number(alone[row])} among {half}. {why}",
            together=together[:half],
            alone=alone,
        )
    return passed(f"A row's value is the same among {rows} rows and among {half}.")


@jax.jit
def _joint(target: Target, position: Any) -> jax.Array:
    return target.log_joint(target.constrain(position), target.data)


def _repeat(target: Target, times: int) -> Target:
    data = jax.tree.map(lambda leaf: jnp.concatenate([leaf] * times), target.data)
    return target.exactly(data)


def summed(context: Context) -> Check:
    """Data given twice and three times count twice and three times: rows are summed."""
    if not context.num_data:
        return skipped("The model has no data of its own.")
    if context.target.log_likelihood is not None:
        return skipped("The rows have values of their own; see `rows independent`.")
    target = _rows(context, BATCH * BATCHES)
    values, resolution = [], 1e-9
    try:
        with double_precision():
            wide, position = widen((target, context.place))
            values = [float(_joint(_repeat(wide, times), position)) for times in (1, 2, 3)]
    except Exception:  # a model may be bound to single precision, or to its number of rows
        resolution = 1e-6
        try:
            values = [float(_joint(_repeat(target, n), context.place)) for n in (1, 2, 3)]
        except Exception:
            return skipped("The log density does not run on another number of rows.")
    first, second = values[1] - values[0], values[2] - values[1]
    size = max(map(abs, values))
    if abs(first - second) <= 1e-3 * max(abs(first), abs(second)) + resolution * size:
        if max(abs(first), abs(second)) > resolution * size:
            return passed("Rows that are given twice count twice.", values=values)
        return failed(
            f"The log density does not change when all rows are given twice, or three times "
            f"({number(values[0])}): the rows are averaged, not summed, and {context.num_data:,} "
            "of them say as much as one. Use `.sum()` for `.mean()`.",
            values=values,
        )
    ratio = second / first if first else np.inf
    why = (
        "each row is compared with all rows, as `(N, 1)` against `(N,)` does"
        if np.isclose(ratio, 5 / 3, rtol=0.05)
        else "a row's part depends on how many there are"
    )
    return failed(
        f"Rows that are given twice do not count twice: the log density of the data once, twice "
        f"and three times is {', '.join(map(number, values))}, and should rise by equal steps. "
        f"Probably {why}.",
        values=values,
    )


@partial(jax.jit, static_argnums=2)
def _epoch(target: Target, position: Any, size: int) -> tuple[Any, Any, Any, Any]:
    """Density and gradient on all rows; those of each batch, and their mean gradient."""
    full, wanted = jax.value_and_grad(lambda z: target.log_joint(target.constrain(z), target.data))(
        position
    )
    count = target.num_data // size

    def one(batch):
        seen = target.on(batch)
        return jax.value_and_grad(lambda z: seen.log_joint(seen.constrain(z), batch))(position)

    batches = jax.tree.map(lambda leaf: leaf.reshape(count, size, *leaf.shape[1:]), target.data)

    def add(total, batch):
        value, found = one(batch)
        return jax.tree.map(jnp.add, total, found), value

    total, values = jax.lax.scan(add, jax.tree.map(jnp.zeros_like, position), batches)
    return full, wanted, values, jax.tree.map(lambda leaf: leaf / count, total)


def unbiased(context: Context) -> Check:
    """The mean over an epoch of the minibatch density, and of its gradient, is the full one."""
    target = context.target
    if target.log_prior is None or target.log_likelihood is None or not context.num_data:
        return skipped(_NO_SPLIT)
    if context.num_data < 4:
        return skipped("There are too few rows for batches.")
    size = min(BATCH, context.num_data // 2)
    target = _rows(context, size * min(BATCHES, context.num_data // size))
    count = target.num_data // size
    target = target.exactly(_take(target.data, 0, count * size))
    full, wanted, values, mean = jax.tree.map(np.asarray, _epoch(target, context.place, size))
    values = values.astype(np.float64)
    numbers = {"full": float(full), "batches": values}
    if not abs(values.mean() - full) <= 1e-3 * np.abs(values).max():
        return failed(
            f"Over an epoch of {count} batches of {size} rows the minibatch density is "
            f"{number(values.mean())} on average and the full one is {number(full)}: stochastic "
            "gradients would sample another posterior. `log_density` must be `log_prior` plus the "
            "sum of `log_likelihood`, of one unscaled value a row.",
            **numbers,
        )
    off = {}
    for path, leaf in named_leaves(wanted).items():
        leaf, found = leaf.astype(np.float64), named_leaves(mean)[path].astype(np.float64)
        size_of = max(float(np.linalg.norm(leaf)), float(np.linalg.norm(found)))
        if np.linalg.norm(leaf - found) > 1e-2 * size_of + 1e-6:
            off[path] = float(np.linalg.norm(leaf - found) / size_of)
    if off:
        return failed(
            f"Over an epoch the minibatch gradient with respect to {names(off)} is not the full "
            f"one on average: off by {number(max(off.values()))} of its size.",
            leaves=off,
            **numbers,
        )
    return passed(
        f"Over {count} batches of {size} rows, density and gradient are the full ones on average.",
        **numbers,
    )
