"""Checks of the rows of data: summed, independent of each other, minibatches unbiased."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from crewel.checks import scaled, trace
from crewel.checks.context import Context
from crewel.checks.evaluate import parts, row_values, take
from crewel.checks.float64 import widen
from crewel.checks.lines import explain
from crewel.checks.quick import quick
from crewel.checks.report import Check, failed, passed, skipped, warned
from crewel.core.inputs import joint
from crewel.core.precision import precision
from crewel.core.protocol import Data, Position, Target
from crewel.core.text import names, number
from crewel.core.together import are_together
from crewel.core.trees import named_leaves

BATCH = 32  # rows per minibatch
BATCHES = 8  # minibatches per epoch of the check
_NO_SPLIT = "The model does not define `log_prior` and `log_likelihood` separately."


def _tolerance(context: Context) -> float:
    """Relative: below it, two densities are equal."""
    return max(1e-3, 4 * context.eps)


@quick
def _likelihood(target: Target, position: Position) -> jax.Array:
    return row_values(target, target.constrain(position), target.data)


def independent(context: Context) -> Check:
    """The log likelihood of a row does not depend on the other rows of the batch."""
    if context.target.log_likelihood is None or not context.num_data:
        return skipped("The model has no pointwise `log_likelihood`.")
    if context.num_data < 2:
        return skipped("There is only one row.")
    if _chosen(context):
        return skipped(_chosen(context))
    target, position = context.small, context.generic_position
    rows, batches = target.num_rows, _batches(context)
    size = batches.shape[1]
    whole = np.asarray(parts(target, position)["likelihood"], np.float64)
    captured = (
        f"The log likelihood ignores the batch that it is given: for {size} of {rows} rows it "
        "{}. It uses data from outside, perhaps in a closure or a global variable. Take the data "
        "from its argument, `batch`, or every minibatch would count as all the data."
    )
    for chosen in batches:
        part = target.exactly(take(target.data, chosen))
        try:
            alone = np.asarray(_likelihood(part, position), np.float64)
        except (TypeError, ValueError) as error:
            return failed(captured.format(f"raises {explain(error, context.functions)}"))
        if alone.shape != (size,):
            text = captured.format(f"has shape {alone.shape}, not ({size},)")
            return failed(text, shape=alone.shape)
        off = np.abs(whole[chosen] - alone)
        if (off > _tolerance(context) * np.abs(whole).max(initial=1e-6)).any():
            row = int(off.argmax())
            return failed(
                f"The log likelihood of one row is {number(whole[chosen][row])} in a batch of "
                f"{rows} rows, but {number(alone[row])} in a batch of {size}. "
                f"{_dependence(part, position, alone)}",
                together=whole[chosen],
                alone=alone,
                rows=chosen,
            )
    return passed(
        f"A row's log likelihood is the same among all {rows} rows and in batches of {size} "
        "random ones."
    )


def _dependence(part: Target, position: Position, alone: np.ndarray) -> str:
    """Why the likelihoods of rows depend on their batch, from those of a batch repeated twice."""
    twice = np.asarray(_likelihood(_repeat(part, 2), position), np.float64)[: len(alone)]
    if np.allclose(twice, alone / 2, rtol=1e-3):
        return (
            "It is divided by the number of rows, so all the data would count as one row. "
            "Return one unscaled value per row, not a mean."
        )
    if np.allclose(twice, alone * 2, rtol=1e-3):
        return (
            "It grows with the number of rows: arrays of shapes `(N, 1)` and `(N,)` are "
            "broadcast against each other, or it is already scaled by N."
        )
    return (
        "It depends on the other rows or on their order, as with batch normalization, a "
        "mean or scale of the batch, `cumsum`, `jnp.dot` over the rows, or `x[0]` in place "
        "of each row. Compute statistics of the data once, outside the model."
    )


def divided(context: Context) -> Check:
    """The log likelihood is not divided by the number of rows."""
    target, params = context.target, context.model.test_point
    if not context.num_data:
        return skipped("The model does not hold its data.")
    if context.num_data < 5:
        return skipped("There are too few rows to recognize their number.")
    fns = [target.log_joint, *([target.log_likelihood] if target.log_likelihood else [])]
    for fn in fns:
        op = scaled.by_inverse(trace.flatten(fn, params, target.data), context.num_data)
        if op is not None:
            line = op.line()
            return warned(
                f"The log likelihood is divided by {context.num_data:,}, the number of rows"
                f"{f', at {line}' if line else ''}: all the data then count as one row, and the "
                "posterior is close to the prior. A mean is right for a loss; a log density needs "
                "the sum.",
            )
    return passed(f"No term is divided by {context.num_data:,}, the number of rows.")


def _chosen(context: Context) -> str:
    """Why rows that depend on each other are no mistake; empty if the user did not ask for it."""
    if are_together(context.model.data):
        return (
            "The rows belong together, as you chose with `rows='together'`: every step sees all of "
            "them."
        )
    together = getattr(context.model.predictive, "together", "")
    return together and (
        f"With {together}, the rows of a batch depend on each other, as you chose: minibatches are "
        "an approximation, while algorithms that see all rows sample the exact posterior."
    )


def _batches(context: Context) -> np.ndarray:
    """Random batches of the rows of `small`, `(batch, row)`; the first is not led by row 0."""
    rows = context.small.num_rows
    size = min(BATCH, rows // 2)
    order = context.rng(6).permutation(rows)
    order = np.roll(order, -1) if order[0] == 0 else order
    count = min(BATCHES, rows // size)
    return order[: count * size].reshape(count, size)


@quick
def _joint(target: Target, position: Position) -> jax.Array:
    return target.log_joint(target.constrain(position), target.data)


def _repeat(target: Target, times: int) -> Target:
    return target.exactly(take(target.data, np.tile(np.arange(target.num_rows), times)))


def summed(context: Context) -> Check:
    """Rows are summed: data repeated two or three times count two or three times."""
    if not context.num_data:
        return skipped("The model does not hold its data.")
    if context.target.log_likelihood is not None:
        return skipped("The log likelihood is pointwise; see `rows independent`.")
    target = context.on_rows(BATCH * BATCHES)
    values, resolution = [], 1e-9
    try:
        with precision(double=True):
            wide, position = widen((target, context.generic_position))
            values = [float(_joint(_repeat(wide, times), position)) for times in (1, 2, 3)]
    except Exception:  # some models need single precision, or their own number of rows
        resolution = 1e-6
        try:
            place = context.generic_position
            values = [float(_joint(_repeat(target, times), place)) for times in (1, 2, 3)]
        except Exception:
            return skipped("The log density does not run on a different number of rows.")
    first, second = values[1] - values[0], values[2] - values[1]
    size = max(map(abs, values))
    if abs(first - second) <= 1e-3 * max(abs(first), abs(second)) + resolution * size:
        if max(abs(first), abs(second)) > resolution * size:
            return passed("Rows that are repeated count each time.", values=values)
        return failed(
            "The log density does not change when all rows are repeated two or three times "
            f"({number(values[0])}): the rows are averaged, not summed, so {context.num_data:,} of "
            "them count as one. Use `.sum()` instead of `.mean()`.",
            values=values,
        )
    text = (
        "Rows that are repeated do not count each time: the log density of the data repeated one, "
        f"two and three times is {', '.join(map(number, values))}, and should change by equal "
        "steps."
    )
    if np.isclose(second / first if first else np.inf, 5 / 3, rtol=0.05):
        why = "Probably each row is compared with all rows, as in `(N, 1)` against `(N,)`."
        return failed(f"{text} {why}", values=values)
    return warned(
        f"{text} The contribution of a row depends on the others. Ignore this if it should, as in "
        "a Gaussian process or a partial likelihood.",
        values=values,
    )


@partial(quick, static_argnums=(2,))
def _epoch(
    target: Target, position: Position, size: int
) -> tuple[jax.Array, Position, jax.Array, Position]:
    """Density and gradient on all rows, the density of each batch, the mean gradient of batches."""
    full, wanted = jax.value_and_grad(lambda z: target.log_joint(target.constrain(z), target.data))(
        position
    )
    count = target.num_data // size

    def one(batch: Data) -> tuple[jax.Array, Position]:
        seen = target.on(batch)
        return jax.value_and_grad(lambda z: seen.log_joint(seen.constrain(z), batch))(position)

    batches = jax.tree.map(lambda leaf: leaf.reshape(count, size, *leaf.shape[1:]), target.data)

    def add(total: Position, batch: Data) -> tuple[Position, jax.Array]:
        value, found = one(batch)
        return jax.tree.map(jnp.add, total, found), value

    total, values = jax.lax.scan(add, jax.tree.map(jnp.zeros_like, position), batches)
    return full, wanted, values, jax.tree.map(lambda leaf: leaf / count, total)


def unbiased(context: Context) -> Check:
    """Averaged over an epoch, the minibatch density and its gradient are those of all rows."""
    target = context.target
    if target.log_prior is None or target.log_likelihood is None or not context.num_data:
        return skipped(_NO_SPLIT)
    if context.num_data < 4:
        return skipped("There are too few rows for minibatches.")
    if _chosen(context):
        return skipped(_chosen(context))
    if getattr(target.log_joint, "func", None) is joint:
        return passed(
            "The density is the prior plus the sum over rows, and a row's log likelihood is the "
            "same in any batch."
        )
    batches = _batches(context)
    count, size = batches.shape
    target = context.small.exactly(take(context.small.data, batches.ravel()))
    found = _epoch(target, context.generic_position, size)
    full, wanted, values, mean = jax.tree.map(np.asarray, found)
    values = values.astype(np.float64)
    numbers = {"full": float(full), "batches": values}
    tolerance = _tolerance(context)
    if not abs(values.mean() - full) <= tolerance * np.abs(values).max():
        return failed(
            f"Averaged over an epoch of {count} batches of {size} rows, the minibatch density is "
            f"{number(values.mean())}, but on all rows it is {number(full)}: stochastic gradients "
            "would sample a different posterior. `log_density` must be `log_prior` plus the sum of "
            "`log_likelihood`, which returns one unscaled value per row.",
            **numbers,
        )
    off = {}
    for path, leaf in named_leaves(wanted).items():
        leaf, found = leaf.astype(np.float64), named_leaves(mean)[path].astype(np.float64)
        size_of = max(float(np.linalg.norm(leaf)), float(np.linalg.norm(found)))
        if np.linalg.norm(leaf - found) > 10 * tolerance * size_of + 1e-6:
            off[path] = float(np.linalg.norm(leaf - found) / size_of)
    if off:
        return failed(
            f"Averaged over an epoch, the minibatch gradient with respect to {names(off)} differs "
            f"from the gradient on all rows by {number(max(off.values()))} of its norm.",
            leaves=off,
            **numbers,
        )
    return passed(
        f"Averaged over {count} batches of {size} rows, density and gradient equal the full ones.",
        **numbers,
    )
