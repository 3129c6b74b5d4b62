"""What a network computes from its inputs alone, before a parameter enters: its features."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from crewel.checks.trace import Flat, Op
from crewel.core.jaxprs import bind

MOST = 400  # operations on the data that are evaluated


def of_data(flat: Flat, values: dict[int, Any]) -> list[tuple[Op, list[Any], list[Any]]]:
    """The operations that depend on the data alone, with their operands and results.

    Args:
        flat: the trace of a function of parameters and data.
        values: the data's leaves, by their numbers in the trace.
    """
    env, touched = dict(flat.constants) | values, set(values)
    found: list[tuple[Op, list[Any], list[Any]]] = []
    for op in flat.ops:
        if not all(n in env for n in op.inputs):
            continue
        of_inputs = bool(touched.intersection(op.inputs))
        given = [env[n] for n in op.inputs]
        made = bind(op.eqn, given)
        env.update(zip(op.outputs, made, strict=True))
        if of_inputs:
            touched.update(op.outputs)
            found.append((op, given, list(made)))
        if len(found) == MOST:
            break
    return found


class Feature(NamedTuple):
    """A value that depends on the data alone and meets the parameters.

    Attributes:
        number: its number in the trace.
        value: the array.
        axis: the axis of the rows.
        made: whether an operation made it from the data; otherwise it is a leaf of the data.
    """

    number: int
    value: np.ndarray
    axis: int
    made: bool

    @property
    def columns(self) -> np.ndarray:
        """The values, `(row, column)` in float64: axes between the first and last are rows too."""
        rows_first = np.moveaxis(np.asarray(self.value, np.float64), self.axis, 0)
        return rows_first.reshape(-1, rows_first.shape[-1] if rows_first.ndim > 1 else 1)

    def replaced(self, columns: np.ndarray) -> np.ndarray:
        """The array with other `columns`, in its own shape and type."""
        shape = np.moveaxis(self.value, self.axis, 0).shape
        return np.moveaxis(columns.reshape(shape), 0, self.axis).astype(self.value.dtype)


def features(flat: Flat, values: dict[int, Any], rows: int) -> list[Feature]:
    """The features: floats with an axis of rows that enter an operation with parameters.

    Integers, such as tokens that are looked up in a table of parameters, are not among them.

    Args:
        flat: the trace of a function of parameters and data.
        values: the data's leaves, by their numbers in the trace.
        rows: the number of rows.
    """
    known = dict(values)
    for op, _, made in of_data(flat, values):
        known.update(zip(op.outputs, made, strict=True))
    met = dict.fromkeys(
        n for op in flat.ops if not known.keys() >= set(op.outputs) for n in op.inputs if n in known
    )
    found = []
    for n in met:
        value = np.asarray(known[n])
        axis = next((i for i, size in enumerate(value.shape) if size == rows), None)
        if axis is not None and jnp.issubdtype(value.dtype, jnp.floating):
            found.append(Feature(n, value, axis, n not in values))
    return found


def results(flat: Flat, values: dict[int, Any]) -> list[Any]:
    """Run a trace again.

    Args:
        flat: the trace.
        values: by number: the arguments, and any values that replace what the trace computes.
    """
    env = dict(flat.constants) | values
    for op in flat.ops:
        if not values.keys() >= set(op.outputs):
            made = bind(op.eqn, [env[n] for n in op.inputs])
            env.update({n: v for n, v in zip(op.outputs, made, strict=True) if n not in values})
    return [env[n] for n in flat.outputs]
