"""Checks of types and shapes: test point, transform, log density."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from crewel.checks.context import Context
from crewel.checks.report import Check, failed, passed, warned
from crewel.core.text import count, names
from crewel.core.trees import named_leaves


def test_point(context: Context) -> Check:
    """All leaves are floats of the same precision."""
    leaves = named_leaves(context.model.test_point)
    dtypes = {path: jnp.result_type(leaf) for path, leaf in leaves.items()}
    wrong = {p: d for p, d in dtypes.items() if not jnp.issubdtype(d, jnp.floating)}
    found = {path: str(dtype) for path, dtype in dtypes.items()}
    if wrong:
        path, dtype = next(iter(wrong.items()))
        return failed(
            f"`{path}` is of type {dtype}, but parameters must be floats to have gradients. Write "
            f"`0.0` instead of `0`, or convert with `.astype(float)`. Affected: {names(wrong)}.",
            dtypes=found,
        )
    python = [path for path in context.model.weak if path in leaves]
    size = sum(leaf.size for leaf in leaves.values())
    if len(set(found.values())) > 1:
        groups = {d: [p for p in found if found[p] == d] for d in sorted(set(found.values()))}
        text = "; ".join(f"{dtype}: {names(paths)}" for dtype, paths in groups.items())
        numbers = f" Python numbers, {names(python)}, take JAX's default type." if python else ""
        return warned(
            f"The leaves have different precisions: {text}.{numbers} The density sees the coarser "
            "ones rounded. Convert all leaves to one type.",
            dtypes=found,
        )
    weak = f"; Python numbers: {names(python)}" if python else ""
    dtype = next(iter(found.values()), "empty")
    if dtype in ("bfloat16", "float16"):
        return warned(
            f"All leaves are {dtype}, which has two or three significant digits. Samplers move in "
            f"{jnp.result_type(float)} and the density sees the parameters rounded, so it jumps. "
            "Keep the parameters in float32 and convert to the smaller type inside the model.",
            dtypes=found,
        )
    sizes = f"{count(size, 'parameter')} in {count(len(leaves), 'leaf')}"
    return passed(f"{sizes}, {dtype}{weak}.", dtypes=found)


def structure(context: Context) -> Check:
    """The transform and its inverse preserve structure, shapes and types."""
    transform, params = context.target.transform, context.model.test_point
    position = jax.eval_shape(transform.inverse, params)
    again = jax.eval_shape(transform.forward, position)
    wanted = jax.tree.structure(params)
    if jax.tree.structure(again) != wanted:
        return failed(
            f"The transform returns {jax.tree.structure(again)}, but the test point is {wanted}. "
            "`transform_fn` must return the structure of `test_point`."
        )
    before, after = named_leaves(params), named_leaves(again)
    for path, leaf in before.items():
        if after[path].shape != leaf.shape:
            return failed(
                f"`{path}` has shape {leaf.shape} in the test point, but {after[path].shape} after "
                "inverse and transform. `transform_fn` must return the shapes of `test_point`."
            )
    changed = {p: after[p].dtype for p, leaf in before.items() if after[p].dtype != leaf.dtype}
    if changed:
        path, dtype = next(iter(changed.items()))
        return failed(
            f"`{path}` is {before[path].dtype} in the test point, but {dtype} after the transform, "
            "so draws would have a different type. Use constants of the leaf's own type in "
            f"`transform_fn`, or return `.astype(u.dtype)`. Affected: {names(changed)}."
        )
    dims = sum(leaf.size for leaf in jax.tree.leaves(position))
    return passed(
        f"Transform and inverse preserve structure, shapes and types; {count(dims, 'dimension')}.",
        unconstrained={path: leaf.shape for path, leaf in named_leaves(position).items()},
    )


def log_density(context: Context) -> Check:
    """The log density returns a real scalar."""
    target, params = context.target, context.model.test_point
    args = (params,) if target.data is None else (params, target.data)
    closed, out = jax.make_jaxpr(target.log_joint, return_shape=True)(*args)
    leaves = jax.tree.leaves(out)
    if len(leaves) != 1:
        return failed(
            f"The log density returns {len(leaves)} values, {jax.tree.structure(out)}; it must "
            "return one scalar, without auxiliary values."
        )
    shape, dtype = tuple(leaves[0].shape), leaves[0].dtype
    if shape != ():
        return failed(
            f"The log density has shape {shape}; it must be a scalar, `()`."
            + _sum_hint(shape, _row_counts(context, closed)),
            shape=shape,
        )
    if not jnp.issubdtype(dtype, jnp.floating):
        return failed(
            f"The log density is of type {dtype}; it must be a float to have gradients.",
            dtype=str(dtype),
        )
    return passed(f"A scalar, {dtype}.", shape=shape, dtype=str(dtype))


def _row_counts(context: Context, closed: Any) -> set[int]:
    """Numbers of rows: of the model's data, or of the arrays that the density captures."""
    if context.num_data:
        return {context.num_data}
    return {const.shape[0] for const in closed.consts if jnp.ndim(const) > 0} - {1}


def _sum_hint(shape: tuple[int, ...], rows: set[int]) -> str:
    long = [size for size in shape if size in rows]
    if len(long) > 1:
        return (
            f" Two axes have the {long[0]} rows of the data: arrays of shapes `({long[0]}, 1)` and "
            f"`({long[0]},)` were broadcast against each other. Give both the same shape, e.g. "
            "`y[:, 0]`, then sum over the rows, `.sum()`."
        )
    if long:
        return (
            f" It has the {long[0]} rows of the data: the sum over rows is missing. Return "
            "`log_likelihood.sum()`."
        )
    if all(size == 1 for size in shape):
        return " It holds one value: return `value[0]` or `value.sum()`."
    return " Return its `.sum()` if the entries are independent."
