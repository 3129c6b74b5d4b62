"""How each equation of a trace of one row is evaluated for N rows, as the last axis of values.

A value that depends on the row has the shape `(*shape for one row, N)`. An equation without a rule
is mapped over the rows by `jax.vmap`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.extend.core import JaxprEqn

from crewel.core import jaxprs

_ELEMENTWISE = frozenset(
    "abs acos acosh add and asin asinh atan atan2 atanh bessel_i0e bessel_i1e cbrt ceil clamp "
    "convert_element_type copy copy_p cos cosh digamma div eq erf erf_inv erfc exp exp2 expm1 "
    "floor ge gt igamma igammac imag integer_pow is_finite le lgamma log log1p logistic lt max "
    "min mul ne neg nextafter not or population_count pow real reduce_precision rem round rsqrt "
    "select_n shift_left shift_right_arithmetic shift_right_logical sign sin sinh sqrt square "
    "stop_gradient sub tan tanh xor".split()
)
# Their parameters name axes from the front, so that one more axis at the end changes nothing.
_FROM_THE_FRONT = frozenset(
    "argmax argmin concatenate cumlogsumexp cummax cummin cumprod cumsum reduce_and reduce_max "
    "reduce_min reduce_or reduce_prod reduce_sum reduce_xor rev sort split squeeze stack "
    "unstack".split()
)
_FEW = 64  # values, of which a comparison with all picks one faster than an index does


class Value(NamedTuple):
    """A value of the trace: `(*shape, N)` if it depends on the row, otherwise `shape`."""

    array: Any
    of_row: bool


def _shapes(variables: Sequence[Any]) -> list[tuple[int, ...]]:
    """Their shapes for one row."""
    return [variable.aval.shape for variable in variables]


def last(value: Value, shape: tuple[int, ...], rows: int) -> Any:
    """The value for every row, `(*shape, N)`."""
    array = value.array if value.of_row else jnp.asarray(value.array)[..., None]
    return array if array.shape == (*shape, rows) else jnp.broadcast_to(array, (*shape, rows))


def _elementwise(eqn: JaxprEqn, values: Sequence[Value], rows: int) -> list[Any]:
    shape = _shapes(eqn.outvars)[0]
    return jaxprs.bind(eqn, [last(value, shape, rows) for value in values])


def _from_the_front(eqn: JaxprEqn, values: Sequence[Value], rows: int) -> list[Any]:
    shapes = _shapes(eqn.invars)
    return jaxprs.bind(eqn, [last(v, s, rows) for v, s in zip(values, shapes, strict=True)])


def _broadcast_in_dim(eqn: JaxprEqn, values: Sequence[Value], rows: int) -> list[Any]:
    shape, dims = eqn.params["shape"], eqn.params["broadcast_dimensions"]
    return [lax.broadcast_in_dim(values[0].array, (*shape, rows), (*dims, len(shape)))]


def _reshape(eqn: JaxprEqn, values: Sequence[Value], rows: int) -> list[Any]:
    return [values[0].array.reshape(*_shapes(eqn.outvars)[0], rows)]


def _transpose(eqn: JaxprEqn, values: Sequence[Value], rows: int) -> list[Any]:
    order = eqn.params["permutation"]
    return [lax.transpose(values[0].array, (*order, len(order)))]


def _slice(eqn: JaxprEqn, values: Sequence[Value], rows: int) -> list[Any]:
    params = eqn.params
    steps = params["strides"] or (1,) * len(params["start_indices"])
    ends = (*params["limit_indices"], rows)
    return [lax.slice(values[0].array, (*params["start_indices"], 0), ends, (*steps, 1))]


def _pad(eqn: JaxprEqn, values: Sequence[Value], rows: int) -> list[Any] | None:
    if values[1].of_row:
        return None
    config = (*eqn.params["padding_config"], (0, 0, 0))
    return [lax.pad(values[0].array, values[1].array, config)]


def _dot_general(eqn: JaxprEqn, values: Sequence[Value], rows: int) -> list[Any] | None:
    """The rows are one more free axis of one operand; it becomes the last axis of the result."""
    if all(value.of_row for value in values):
        return None
    contract, batch = eqn.params["dimension_numbers"]
    mine = 0 if values[0].of_row else 1  # the operand that depends on the row
    array, other = values[mine].array, values[1 - mine].array
    # Axes of length one would make XLA move the rows to the front.
    free = [i for i in range(array.ndim - 1) if i not in (*contract[mine], *batch[mine])]
    ones = [i for i in free if array.shape[i] == 1]
    kept = [i for i in range(array.ndim) if i not in ones]
    dims = tuple(
        (pair[1 - mine], tuple(kept.index(i) for i in pair[mine])) for pair in (contract, batch)
    )
    made = lax.dot_general(
        other,
        lax.squeeze(array, ones),
        dims,  # pyright: ignore[reportArgumentType]
        precision=eqn.params["precision"],
        preferred_element_type=eqn.params["preferred_element_type"],
    )
    if mine == 0 and len(free) > len(ones):
        # The free axes of the other operand come first in the result; they belong last.
        start = len(batch[0])
        middle = other.ndim - len(contract[1])
        last = made.ndim - 1
        order = (*range(start), *range(middle, last), *range(start, middle), last)
        made = lax.transpose(made, order)
    return [made.reshape(*_shapes(eqn.outvars)[0], rows)]


def _gather(eqn: JaxprEqn, values: Sequence[Value], rows: int) -> list[Any] | None:
    """One of a few values per row, such as the log probability of a class, without a scatter."""
    operand, index = values
    shape, params = _shapes(eqn.invars)[0], eqn.params
    wide = [axis for axis, size in enumerate(shape) if size > 1]
    one = operand.of_row and index.of_row and math.prod(_shapes(eqn.outvars)[0]) == 1
    if not one or len(wide) != 1 or params["dimension_numbers"].start_index_map != tuple(wide):
        return None
    number = shape[wide[0]]
    mode, clip = params["mode"], lax.GatherScatterMode.CLIP
    if number > _FEW or not jnp.issubdtype(operand.array.dtype, jnp.floating):
        return None
    places = index.array.reshape(rows)
    places = jnp.clip(places, 0, number - 1) if mode == clip else places
    array = operand.array.reshape(number, rows)
    mask = jnp.arange(number, dtype=places.dtype)[:, None] == places
    made = jnp.where(mask, array, 0).sum(0)
    if mode == lax.GatherScatterMode.FILL_OR_DROP:
        fill = params["fill_value"]
        fill = jnp.nan if fill is None else fill
        made = jnp.where((places >= 0) & (places < number), made, fill)
    return [made.reshape(*_shapes(eqn.outvars)[0], rows)]


def _custom_jvp(eqn: JaxprEqn, values: Sequence[Value], rows: int) -> list[Any] | None:
    """A function with a derivative of its own, which is kept: that of ReLU is 0 at 0."""
    found: list[Any] = [var.aval for var in eqn.invars]
    avals = [jax.ShapeDtypeStruct(aval.shape, aval.dtype) for aval in found]
    body = jaxprs.called(eqn)
    if body is None or not all(jnp.issubdtype(aval.dtype, jnp.floating) for aval in avals):
        return None
    of_row = [value.of_row for value in values]
    shapes = _shapes(eqn.outvars)

    def turned(program: Any, arrays: Sequence[Any]) -> list[Any]:
        each = [Value(*pair) for pair in zip(arrays, of_row * 2, strict=False)]
        made = walk(program, each, rows)
        return [last(v, s, rows) for v, s in zip(made, shapes * 2, strict=False)]

    @jax.custom_jvp
    def call(*arrays: Any) -> list[Any]:
        return turned(body, arrays)

    @call.defjvp
    def derivative(primals: Any, tangents: Any) -> Any:
        def of_one(*pair: Any) -> Any:
            half = len(pair) // 2
            return jax.jvp(lambda *args: jaxprs.bind(eqn, args), pair[:half], pair[half:])

        made = turned(jax.make_jaxpr(of_one)(*avals, *avals), [*primals, *tangents])
        return made[: len(shapes)], made[len(shapes) :]

    return call(*(value.array for value in values))


_RULES: dict[str, Callable[[JaxprEqn, Sequence[Value], int], list[Any] | None]] = {
    **dict.fromkeys(_ELEMENTWISE, _elementwise),
    **dict.fromkeys(_FROM_THE_FRONT, _from_the_front),
    "broadcast_in_dim": _broadcast_in_dim,
    "custom_jvp_call": _custom_jvp,
    "dot_general": _dot_general,
    "gather": _gather,
    "pad": _pad,
    "reshape": _reshape,
    "slice": _slice,
    "transpose": _transpose,
}
_KEPT = ("custom_jvp_call", "custom_vjp_call", "custom_vjp_call_jaxpr", "remat", "checkpoint")


def _mapped(eqn: JaxprEqn, values: Sequence[Value]) -> list[Any]:
    axes = tuple(-1 if value.of_row else None for value in values)
    fn = jax.vmap(lambda *args: jaxprs.bind(eqn, args), in_axes=axes, out_axes=-1)
    return fn(*(value.array for value in values))


def _rule(rows: int, mapped: list[str], eqn: JaxprEqn, values: list[Value]) -> list[Value]:
    if not any(value.of_row for value in values):
        return [Value(made, False) for made in jaxprs.bind(eqn, [v.array for v in values])]
    rule = _RULES.get(eqn.primitive.name)
    made = None if rule is None else rule(eqn, values, rows)
    if made is None:
        mapped.append(eqn.primitive.name)
        made = _mapped(eqn, values)
    return [Value(array, True) for array in made]


def _enter(eqn: JaxprEqn) -> jaxprs.Body | None:
    return None if eqn.primitive.name in _KEPT else jaxprs.called(eqn)


def walk(
    program: Any, values: Sequence[Value], rows: int, mapped: list[str] | None = None
) -> list[Value]:
    """Evaluate a trace of one row for N rows.

    Args:
        program: what `jax.make_jaxpr` returns, or the body of an equation.
        values: one per leaf of its arguments.
        rows: N.
        mapped: gets the names of the equations without a rule.
    """
    return jaxprs.interpret(
        program,
        values,
        partial(_rule, rows, [] if mapped is None else mapped),
        enter=_enter,
        constant=lambda array, aval: Value(array, False),
    )
