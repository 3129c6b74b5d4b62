"""Whether the rows are the first or the last axis of a network's values."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

from crewel.core.compiling import quick_options
from crewel.core.protocol import Data, Params
from crewel.core.rows_last import evaluate, is_faster
from crewel.core.trees import some_rows
from crewel.core.warning import warn

_CHOICES = ("auto", "rows_first", "rows_last")
_FEW = 32  # rows on which both ways are compared


def require_choice(layout: str) -> None:
    """Raise a `ValueError` if `layout` is not one of its values."""
    if layout not in _CHOICES:
        raise ValueError(
            f"`layout` must be one of {', '.join(map(repr, _CHOICES))}, got {layout!r}."
        )


def is_last(
    layout: str, pointwise: Callable[..., jax.Array], params: Params, data: Data, together: str
) -> bool:
    """Whether the rows are the last axis, as chosen or as is faster.

    The choice does not depend on a measurement, so that the same seed gives the same draws in every
    process: on a CPU, rows are last if no operation on them lacks a form with rows last. What is
    computed is compared with what the network computes as it was written.

    Args:
        layout: `"auto"`, `"rows_first"` or `"rows_last"`.
        pointwise: `(params, data) -> (N,)`, the log likelihood.
        params: any parameters of the model.
        data: `{"x": ..., "y": ...}`.
        together: why the rows of a batch depend on each other; empty if they do not.

    Returns:
        Whether they are last. If `"rows_last"` cannot be, there is a warning, and they are not.
    """
    asked = layout == "rows_last"
    if layout == "rows_first" or not (asked or jax.default_backend() == "cpu"):
        return False
    why = f"with {together}, the rows of a batch depend on each other" if together else ""
    why = why or _differs(pointwise, params, data, asked)
    if why and asked:
        warn(f"`layout='rows_last'` was not used: {why}. Rows are first, as the network has them.")
    return not why


def _differs(pointwise: Callable[..., jax.Array], params: Params, data: Data, asked: bool) -> str:
    """Why rows cannot be last, or are not faster so; empty if they can and are."""
    few = some_rows(data, _FEW)
    try:
        if not asked and not is_faster(pointwise, params, few):
            return "an operation of the network is not faster so"

        def both(params: Params, few: Data) -> tuple[jax.Array, jax.Array]:
            return pointwise(params, few), evaluate(pointwise, params, few)

        options = dict(quick_options((params, few))) or None
        one, other = jax.jit(both, compiler_options=options)(params, few)
    except Exception as error:
        return f"the network or its likelihood fails on a single row ({error})"
    bound = jnp.finfo(one.dtype).eps ** 0.5 * jnp.nanmax(jnp.abs(one), initial=1.0)
    if not bool(jnp.allclose(one, other, rtol=0.0, atol=bound, equal_nan=True)):
        return "the log likelihood of a row depends on the other rows, or on its place among them"
    return ""
