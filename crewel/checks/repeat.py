"""The log density is a function: the same parameters and data give the same value twice."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from crewel.checks import trace
from crewel.checks.context import Context
from crewel.checks.report import Check, failed, passed, skipped, warned

_WHY = (
    "Look for random numbers without a fixed key (`np.random`, a new seed in each call), a counter "
    "that a call changes, or the time. Every compiled program would keep the values of the moment "
    "in which it was traced, so two runs would sample two different posteriors."
)


def twice(context: Context) -> Check:
    """The log density is a function of its inputs: evaluated twice, it gives the same value."""
    target, params = context.target, context.model.test_point
    args = (params,) if target.data is None else (params, target.data)

    def traced() -> trace.Flat:  # a new function each time, or JAX would reuse the first trace
        return trace.flatten(lambda *given: target.log_joint(*given), *args)

    try:
        first, second = traced(), traced()
    except Exception:
        return skipped("The log density could not be evaluated; see `log density shape`.")
    ops = _changed(first, second)
    if ops is None:
        return _noise(context, first)
    op = ops[0] if ops else None
    line = op.line() if op is not None else None
    what = f": `{op.name}` has another operand the second time" if op is not None else ""
    return failed(
        f"The log density is not a function of its inputs{what}{f', at {line}' if line else ''}. "
        f"{_WHY}"
    )


def _noise(context: Context, flat: trace.Flat) -> Check:
    """Whether the density draws random numbers, which its fixed key makes the same each time."""
    same = "Evaluated twice, the log density does the same."
    op = next((op for op in flat.ops if _draws(op, flat)), None)
    if op is None:
        return passed(same)
    if "dropout" in getattr(context.model.predictive, "together", ""):
        return passed(f"{same} It drops the same units each time, as you chose.")
    line = op.line()
    return warned(
        f"The log density draws random numbers{f', at {line}' if line else ''}. Its key is the "
        "same at every evaluation, and so are the numbers: the posterior is that for this one "
        "array of noise. Noise of the model is a parameter with a prior of its own, or is "
        "integrated out in the likelihood. Ignore this if one fixed array is meant, as in random "
        "features."
    )


def _draws(op: trace.Op, flat: trace.Flat) -> bool:
    """Whether an operation, or a part of the loop or branch that it is, draws random numbers."""
    names = {eqn.primitive.name for eqn in trace.equations(flat._replace(ops=[op]))}
    return bool(names & {"random_bits", "threefry2x32", "rng_bit_generator"})


def _changed(first: trace.Flat, second: trace.Flat) -> list[trace.Op] | None:
    """The operations that differ between two traces; `None` if the traces are the same."""
    if [op.name for op in first.ops] != [op.name for op in second.ops]:
        pairs = zip(first.ops, second.ops, strict=False)
        return [a for a, b in pairs if a.name != b.name][:1]
    if first.constants.keys() != second.constants.keys():
        return []
    changed = {n for n, value in first.constants.items() if not _same(value, second.constants[n])}
    found = [op for op in first.ops if changed.intersection(op.inputs)]
    return found if found or changed else None


def _same(one: Any, other: Any) -> bool:
    if one is other:
        return True
    if np.shape(one) != np.shape(other):
        return False
    if hasattr(one, "dtype") and jnp.issubdtype(one.dtype, jax.dtypes.prng_key):
        one, other = jax.random.key_data(one), jax.random.key_data(other)
    return bool(np.array_equal(np.asarray(one), np.asarray(other), equal_nan=True))
