"""Find a constant factor of a log density in its trace."""

from __future__ import annotations

from typing import Any

import numpy as np

from crewel.checks.trace import Flat, Op

# A factor of an operand of these is a factor of a term of the result.
_PASS = {
    *("add", "add_any", "sub", "neg", "reduce_sum", "convert_element_type", "copy"),
    *("reshape", "squeeze", "broadcast_in_dim", "transpose", "expand_dims"),
}


def by_inverse(flat: Flat, number: int) -> Op | None:
    """The operation that divides a term of the result by `number`, if there is one.

    Args:
        flat: the trace of a log density.
        number: an integer above one.
    """
    maker = {n: op for op in flat.ops for n in op.outputs}
    todo, seen = list(flat.outputs), set()
    while todo:
        value = todo.pop()
        op = maker.get(value)
        if op is None or value in seen:
            continue
        seen.add(value)
        if op.name == "div" and _is(flat, op.inputs[1], float(number)):
            return op
        if op.name == "mul":
            if any(_is(flat, n, 1 / number) for n in op.inputs):
                return op
            factors = [n for n in op.inputs if _constant(flat, n) is not None]
            todo += [n for n in op.inputs if n not in factors] if factors else []
        if op.name in _PASS:
            todo += op.inputs
        if op.name == "div" and _constant(flat, op.inputs[1]) is not None:
            todo.append(op.inputs[0])
    return None


def _constant(flat: Flat, number: int) -> Any:
    """A scalar constant's value, or `None`."""
    value = flat.constants.get(number)
    return None if value is None or np.ndim(value) else float(value)


def _is(flat: Flat, number: int, wanted: float) -> bool:
    value = _constant(flat, number)
    return value is not None and abs(value - wanted) <= 1e-5 * abs(wanted)
