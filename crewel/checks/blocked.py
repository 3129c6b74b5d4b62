"""Find the operation that stops gradients, or that makes the inputs zero for all rows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from crewel.checks.features import of_data
from crewel.checks.trace import Flat, Op

# Their derivative is zero wherever it exists.
FLAT = {
    *("round", "floor", "ceil", "sign", "argmax", "argmin", "stop_gradient"),
    *("eq", "ne", "lt", "le", "gt", "ge", "is_finite", "shift_right_logical"),
}


def _flat(op: Op, flat: Flat) -> bool:
    """Whether no gradient passes: the derivative is zero, or the result has no derivative."""
    floats = [jnp.issubdtype(flat.avals[n].dtype, jnp.inexact) for n in op.outputs]
    return op.name in FLAT or not any(floats)


def gradient_stops(flat: Flat, leaf: int) -> list[Op]:
    """The operations at which every gradient of an argument ends; empty if one gets through.

    Args:
        flat: the trace of a function with real results.
        leaf: the number of the argument's leaf, in flattening order.
    """
    live, ends = {flat.inputs[leaf]}, []
    for op in flat.ops:
        if not live.intersection(op.inputs):
            continue
        if _flat(op, flat):
            ends.append(op)
        else:
            live.update(op.outputs)
    return [] if live.intersection(flat.outputs) else ends


def named(ops: Iterable[Op]) -> str:
    """Operations with their lines, as the user wrote them where possible.

    Comparisons choose between values; they are named only if nothing else stops the gradient.
    """
    ops = list(ops)
    choices = {"eq", "ne", "lt", "le", "gt", "ge", "is_finite"}
    ops = [op for op in ops if op.name not in choices] or ops
    said = []
    for op in ops:
        line = op.line()
        text = f"`{_spelled(op)}`" + (f", at {line}" if line else "")
        if text not in said:
            said.append(text)
    return " and ".join(said[:2])


def _spelled(op: Op) -> str:
    if op.name == "convert_element_type":
        return f"astype({np.dtype(op.eqn.params['new_dtype']).name})"
    return op.name


def made_zero(flat: Flat, values: dict[int, Any]) -> Op | None:
    """The first operation on the data alone that makes all of it zero, though it was not."""
    for op, given, made in of_data(flat, values):
        floats = [x for x in made if not jnp.issubdtype(jnp.result_type(x), jnp.bool_)]
        if not floats or any(np.any(np.asarray(x)) for x in floats):
            continue
        if op.name in ("div", "floor", "round", "mul", "rem", "convert_element_type") and any(
            np.any(np.asarray(x)) for x in given[:1]
        ):
            return op
    return None


def wraps(flat: Flat, values: dict[int, Any]) -> Op | None:
    """The first sum, difference or product on the data alone that overflows a narrow integer."""
    exact = {"add": np.add, "sub": np.subtract, "mul": np.multiply}
    for op, given, (made, *_) in of_data(flat, values):
        kind = jax.numpy.result_type(made)
        if op.name not in exact or kind.kind != "u" or kind.itemsize > 2 or op.line() is None:
            continue
        wide = exact[op.name](*(np.asarray(x).astype(np.int64) for x in given))
        if (wide != np.asarray(made)).any():
            return op
    return None
