"""The broadcast trap in a trace: `(N, 1)` against `(N,)` makes `(N, N)`, which is then summed.

The search tracks, for every value, the axes along which it is only repeated. If an elementwise
operation joins a value that is repeated along one long axis with a value that is repeated along
another axis of the same length, the result is an outer combination. If that is then summed over
both axes, as in a log likelihood, only the wrong number is left to show it.
"""

from __future__ import annotations

from typing import NamedTuple

from crewel.checks.lines import Line
from crewel.checks.trace import Flat, Op

LONG = 5  # shorter axes often have the same length by chance

_ELEMENTWISE = {
    *("add", "sub", "mul", "div", "rem", "pow", "max", "min", "atan2", "nextafter", "add_any"),
    *("neg", "sign", "abs", "exp", "exp2", "expm1", "log", "log1p", "sqrt", "rsqrt", "cbrt"),
    *("sin", "cos", "tan", "tanh", "sinh", "cosh", "asin", "acos", "atan", "asinh", "acosh"),
    *("atanh", "logistic", "erf", "erfc", "erf_inv", "lgamma", "digamma", "polygamma", "igamma"),
    *("igammac", "bessel_i0e", "bessel_i1e", "regularized_incomplete_beta", "integer_pow"),
    *("square", "floor", "ceil", "round", "clamp", "is_finite", "select_n", "stop_gradient"),
    *("eq", "ne", "lt", "le", "gt", "ge", "and", "or", "xor", "not", "copy", "copy_p"),
    *("convert_element_type", "reduce_precision", "real", "imag", "conj", "complex"),
}
_SUMS = {"reduce_sum", "reduce_prod", "reduce_max", "reduce_min"}


class Outer(NamedTuple):
    """An outer combination that is summed over both of its axes.

    Attributes:
        primitive: the operation that joined two values.
        shapes: the shapes of the two, before they were broadcast.
        length: the length of both axes.
        line: the user's line.
    """

    primitive: str
    shapes: tuple[tuple[int, ...], tuple[int, ...]]
    length: int
    line: Line | None


class _Value(NamedTuple):
    """What is known of a value.

    Attributes:
        repeated: the axes along which all entries are the same.
        outers: pairs of the axes that have not been summed yet and the index of the combination.
    """

    repeated: frozenset[int]
    outers: frozenset[tuple[frozenset[int], int]] = frozenset()


def find(flat: Flat) -> list[Outer]:
    """Find the outer combinations in a trace that are summed over both axes, one per line."""
    known: dict[int, _Value] = {}
    found: list[Outer] = []
    summed: list[int] = []

    def value(number: int) -> _Value:
        return known.get(number, _Value(frozenset()))

    for op in flat.ops:
        if len(op.outputs) != 1:
            continue
        out = op.outputs[0]
        if op.name in _ELEMENTWISE:
            known[out] = _join(flat, op, [value(n) for n in op.inputs], found)
        elif op.name in _SUMS:
            known[out] = _reduce(flat, op, value(op.inputs[0]), summed)
        else:
            axes = _axes(op, flat.shape(op.inputs[0]), flat.shape(out)) if op.inputs else None
            if axes is not None:
                known[out] = _move(value(op.inputs[0]), axes, flat, op)
    lines = {str(found[i].line): found[i] for i in reversed(summed)}  # keeps the first per line
    return list(lines.values())


def _axes(op: Op, before: tuple[int, ...], after: tuple[int, ...]) -> dict[int, int] | None:
    """Which axis each axis of the operand becomes; `None` if the operation does more than that."""
    if op.name == "broadcast_in_dim":
        return dict(enumerate(op.eqn.params["broadcast_dimensions"]))
    if op.name == "transpose":
        return {old: new for new, old in enumerate(op.eqn.params["permutation"])}
    if op.name in ("reshape", "squeeze", "expand_dims"):
        old = [i for i, size in enumerate(before) if size != 1]
        new = [i for i, size in enumerate(after) if size != 1]
        if [before[i] for i in old] == [after[i] for i in new]:
            return dict(zip(old, new, strict=True))
    return None


def _move(value: _Value, axes: dict[int, int], flat: Flat, op: Op) -> _Value:
    before, after = flat.shape(op.inputs[0]), flat.shape(op.outputs[0])
    kept = {
        new
        for old, new in axes.items()
        if old not in value.repeated and (before[old] == after[new])
    }
    outers = frozenset(
        (frozenset(axes[a] for a in left), i) for left, i in value.outers if left <= set(axes)
    )
    return _Value(frozenset(range(len(after))) - kept, outers)


def _varies(value: _Value, shape: tuple[int, ...], out: tuple[int, ...]) -> frozenset[int]:
    if len(shape) != len(out):  # a scalar beside arrays
        return frozenset()
    return frozenset(
        a for a in range(len(out)) if a not in value.repeated and shape[a] == out[a] != 1
    )


def _join(flat: Flat, op: Op, values: list[_Value], found: list[Outer]) -> _Value:
    out = flat.shape(op.outputs[0])
    varies = [_varies(v, flat.shape(n), out) for v, n in zip(values, op.inputs, strict=True)]
    outers = set().union(*(v.outers for v in values))
    for first in range(len(values)):
        for second in range(first + 1, len(values)):
            pair = _outer_axes(varies[first], varies[second], out)
            if pair is not None:
                shapes = (_shape(varies[first], out), _shape(varies[second], out))
                found.append(Outer(op.name, shapes, out[min(pair)], op.line()))
                outers.add((pair, len(found) - 1))
    everywhere = frozenset().union(*varies)
    return _Value(frozenset(range(len(out))) - everywhere, frozenset(outers))


def _shape(varies: frozenset[int], out: tuple[int, ...]) -> tuple[int, ...]:
    """The shape before broadcasting, without the leading ones that broadcasting adds."""
    shape = [size if axis in varies else 1 for axis, size in enumerate(out)]
    return tuple(shape[next((i for i, size in enumerate(shape) if size != 1), 0) :])


def _outer_axes(
    one: frozenset[int], other: frozenset[int], shape: tuple[int, ...]
) -> frozenset[int] | None:
    for a in one - other:
        for b in other - one:
            if shape[a] == shape[b] >= LONG:
                return frozenset((a, b))
    return None


def _reduce(flat: Flat, op: Op, value: _Value, summed: list[int]) -> _Value:
    before, gone = flat.shape(op.inputs[0]), set(op.eqn.params["axes"])
    axes = {old: new for new, old in enumerate(a for a in range(len(before)) if a not in gone)}
    outers = set()
    for left, i in value.outers:
        rest = left - gone
        if rest:
            outers.add((frozenset(axes[a] for a in rest), i))
        elif op.name == "reduce_sum":
            summed.append(i)
    repeated = frozenset(axes[a] for a in value.repeated if a in axes)
    return _Value(repeated, frozenset(outers))
