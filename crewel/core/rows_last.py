"""Evaluate a function of rows with the rows as the last axis of every value.

On a CPU, XLA reads and writes activations `(N, k)` with small k in strides; `(k, N)` is contiguous,
and the gradient of a small network takes about half the time. The function is traced on one row,
and the trace is evaluated for all rows at once by the rules of `crewel.core.rows_last_rules`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.tree_util import Partial

from crewel.core.protocol import Params, PyTree
from crewel.core.rows_last_rules import Value, last, walk
from crewel.core.trees import as_partial

FEWEST = 128  # rows: with fewer, rows first are as fast


def trace(fn: Callable[..., PyTree], params: Params, rows: PyTree) -> tuple[Any, PyTree]:
    """The program of `fn(params, one row)`, and the shapes of its results.

    Args:
        fn: `(params, rows) -> pytree of arrays`, all with a leading axis of rows.
        params: its parameters.
        rows: pytree of arrays with a leading axis of rows.

    Raises:
        ValueError: `fn` does not return one row for one row.
    """
    one = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((1, *leaf.shape[1:]), leaf.dtype), rows)
    closed, shapes = jax.make_jaxpr(fn, return_shape=True)(params, one)
    if any(leaf.shape[:1] != (1,) for leaf in jax.tree.leaves(shapes)):
        raise ValueError("The function does not return one row for one row.")
    return closed, shapes


def evaluate(
    fn: Callable[..., PyTree], params: Params, rows: PyTree, *, mapped: list[str] | None = None
) -> PyTree:
    """`fn(params, rows)`, computed with the rows as the last axis of every value.

    Args:
        fn: `(params, rows) -> pytree of arrays`, all with a leading axis of rows. What it returns
            for a row must not depend on the others.
        params: its parameters.
        rows: pytree of arrays with a leading axis of rows.
        mapped: gets the names of the operations on rows that have no form with rows last, and so
            are mapped.

    Raises:
        ValueError: `fn` does not return one row for one row.

    Examples:
        >>> import jax.numpy as jnp
        >>> evaluate(lambda w, x: jnp.tanh(x @ w), jnp.ones((3, 2)), jnp.zeros((5, 3))).shape
        (5, 2)
    """
    closed, shapes = trace(fn, params, rows)
    leaves = jax.tree.leaves(rows)
    number = leaves[0].shape[0]
    # Without the barrier, XLA would merge the transposition into what reads the rows, at each step.
    turned = lax.optimization_barrier([jnp.moveaxis(leaf, 0, -1) for leaf in leaves])
    values = [
        *(Value(leaf, False) for leaf in jax.tree.leaves(params)),
        *(Value(leaf[None], True) for leaf in turned),
    ]
    made = walk(closed, values, number, mapped)
    outs, structure = jax.tree.flatten(shapes)
    arrays = [
        jnp.moveaxis(last(value, out.shape, number)[0], -1, 0)
        for value, out in zip(made, outs, strict=True)
    ]
    return structure.unflatten(arrays)


def is_faster(fn: Callable[..., PyTree], params: Params, rows: PyTree) -> bool:
    """Whether `evaluate` is the faster way on a CPU: no operation on rows is mapped.

    Convolutions, loops, attention and embeddings are mapped, and none is faster with rows last.

    Args:
        fn: as in `evaluate`.
        params: its parameters.
        rows: pytree of arrays with a leading axis of rows.
    """
    mapped: list[str] = []
    jax.eval_shape(partial(evaluate, fn, mapped=mapped), params, rows)
    return not mapped


@dataclass(frozen=True)
class RowsLast:
    """A function of parameters and rows that is evaluated with rows last.

    Attributes:
        rows_first: `(*first arguments, params, rows) -> pytree of arrays`, as it was written.
        fewest: rows from which on they are last; `rows_first` evaluates fewer.
    """

    rows_first: Callable[..., PyTree]
    fewest: int = FEWEST

    def __call__(self, *args: Any) -> PyTree:
        """`rows_first(*args)`, up to rounding."""
        *first, params, rows = args
        if jax.tree.leaves(rows)[0].shape[0] < self.fewest:
            return self.rows_first(*args)
        return evaluate(partial(self.rows_first, *first), params, rows)


def rows_last(fn: Callable[..., PyTree], fewest: int = FEWEST) -> Partial:
    """A function of parameters and rows, evaluated with rows last, see `RowsLast`.

    Args:
        fn: a function whose last two arguments are parameters and rows; the first may be bound by
            a `Partial`.
        fewest: rows from which on they are last.
    """
    found = as_partial(fn)
    return Partial(RowsLast(found.func, fewest), *found.args)


def rows_first(tree: PyTree) -> PyTree:
    """The functions of a pytree as they were written, where rows are last in them.

    Whoever reads a trace of them finds the user's own lines in it.

    Examples:
        >>> rows_first(Partial(RowsLast(abs)))
        Partial(<built-in function abs>)
    """

    def is_turned(part: Any) -> bool:
        return isinstance(part, Partial) and isinstance(part.func, RowsLast)

    def back(part: Any) -> Any:
        return Partial(part.func.rows_first, *part.args) if is_turned(part) else part

    return jax.tree.map(back, tree, is_leaf=is_turned)
