"""A log density as a flat list of operations, to see from its trace what it does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Jaxpr, JaxprEqn

from crewel.checks.lines import Line, is_library, of_equation
from crewel.core.jaxprs import Body, Rule, bind, bodies, called, interpret
from crewel.core.jaxprs import equations as inside


class Op(NamedTuple):
    """One primitive operation; values are numbered.

    Attributes:
        eqn: its equation.
        inputs: numbers of the values it reads.
        outputs: numbers of its results.
        sources: the equations that may know its line, the innermost last.
    """

    eqn: JaxprEqn
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    sources: tuple[JaxprEqn, ...]

    @property
    def name(self) -> str:
        """The primitive's name."""
        return self.eqn.primitive.name

    def line(self) -> Line | None:
        """The user's line."""
        lines = map(of_equation, reversed(self.sources))
        return next((line for line in lines if line is not None), None)


class Flat(NamedTuple):
    """A trace in which calls are inlined and loops and branches stay whole.

    Attributes:
        inputs: numbers of the arguments' leaves, in flattening order.
        constants: values by number: literals and captured arrays.
        ops: in order.
        outputs: numbers of the results.
        avals: the abstract value (shape, dtype) of each number.
        out: shapes and dtypes of the result, as a pytree.
    """

    inputs: tuple[int, ...]
    constants: dict[int, Any]
    ops: list[Op]
    outputs: tuple[int, ...]
    avals: list[Any]
    out: Any

    def shape(self, number: int) -> tuple[int, ...]:
        """The shape of a value."""
        return tuple(self.avals[number].shape)


def flatten(fn: Callable[..., Any], *args: Any) -> Flat:
    """Trace `fn(*args)` and inline every call in it."""
    closed, out = jax.make_jaxpr(fn, return_shape=True)(*args)
    flat = Flat((), {}, [], (), [], out)

    def new(aval: Any) -> int:
        flat.avals.append(aval)
        return len(flat.avals) - 1

    def constant(value: Any, aval: Any) -> int:
        number = new(aval)
        flat.constants[number] = value
        return number

    def rule_within(sources: tuple[JaxprEqn, ...], stale: bool) -> Rule[int]:
        def rule(eqn: JaxprEqn, numbers: list[int]) -> list[int]:
            chain = sources if stale else (*sources, eqn)
            body = called(eqn)
            if body is not None:
                inner = rule_within(chain, stale or _of_library(body.jaxpr))
                return interpret(body, numbers, inner, enter=None, constant=constant)
            made = tuple(new(var.aval) for var in eqn.outvars)
            flat.ops.append(Op(eqn, tuple(numbers), made, chain))
            return list(made)

        return rule

    inputs = tuple(new(var.aval) for var in closed.jaxpr.invars)
    outputs = interpret(closed, inputs, rule_within((), False), enter=None, constant=constant)
    return flat._replace(inputs=inputs, outputs=tuple(outputs))


def _of_library(jaxpr: Jaxpr) -> bool:
    # JAX caches the traces of its own small functions (`jnp.where`), with the lines of whoever
    # called them first, so only the line of the call itself can be trusted there.
    info = getattr(getattr(jaxpr, "debug_info", None), "func_src_info", None)
    return info is None or is_library(str(info).partition(" at ")[2])


def used_inputs(flat: Flat) -> list[bool]:
    """For each leaf of the arguments, whether the results depend on it."""
    needed = set(flat.outputs)
    for op in reversed(flat.ops):
        if needed.intersection(op.outputs):
            needed.update(op.inputs)
    return [number in needed for number in flat.inputs]


def equations(flat: Flat) -> Iterator[JaxprEqn]:
    """All equations of a trace, each followed by those of the loops and branches inside it."""

    def within(eqn: JaxprEqn) -> list[Body]:
        return [*bodies(eqn), *(Body(branch.jaxpr) for branch in eqn.params.get("branches", ()))]

    for op in flat.ops:
        yield op.eqn
        for body in within(op.eqn):
            yield from inside(body, within)


def narrowest(flat: Flat) -> np.dtype | None:
    """The float type of fewer than 32 bits in which a part of a trace computes, if there is one."""
    avals: list[Any] = [var.aval for eqn in equations(flat) for var in eqn.outvars]
    kinds = {aval.dtype for aval in avals if hasattr(aval, "dtype")}
    half = [k for k in kinds if jnp.issubdtype(k, jnp.floating) and k.itemsize < 4]
    return max(half, key=lambda kind: float(jnp.finfo(kind).eps), default=None)


class Origin(NamedTuple):
    """Where a value first stops being finite.

    Attributes:
        primitive: the operation's name, or `None` if a captured array or an argument is to blame.
        kind: `"NaN"` or `"infinite"`: what the value became.
        line: the user's line.
    """

    primitive: str | None
    kind: str
    line: Line | None

    def __str__(self) -> str:
        """`log` made it NaN, at model.py:12: `...`."""
        if self.primitive is None:
            return f"an argument, or an array that the function captures, is {self.kind} somewhere"
        return f"`{self.primitive}` first made it {self.kind}" + (
            f", at {self.line}" if self.line else ""
        )


def origin(fn: Callable[..., Any], *args: Any) -> Origin | None:
    """Find the operation that made a result of `fn(*args)` NaN or infinite.

    It searches backwards from the result, so a NaN that `jnp.where` discards is not blamed.

    Returns:
        The operation, or `None` if all results are finite.
    """
    flat = flatten(fn, *args)
    values = dict(zip(flat.inputs, jax.tree.leaves(args), strict=True)) | flat.constants
    kinds = jax.jit(lambda given: _kinds(flat, given))(values)
    kinds = {number: int(kind) for number, kind in kinds.items()}
    maker = {number: op for op in flat.ops for number in op.outputs}
    bad = next((n for n in flat.outputs if kinds[n]), None)
    if bad is None:
        return None
    while bad in maker:
        before = [n for n in maker[bad].inputs if kinds[n] and n not in flat.constants]
        if not before:
            op = maker[bad]
            return Origin(op.name, _KINDS[kinds[bad]], op.line())
        bad = max(before, key=lambda n: kinds[n])  # a NaN rather than an infinity
    return Origin(None, _KINDS[kinds[bad]], None)


_KINDS = {1: "infinite", 2: "NaN"}


def _kinds(flat: Flat, values: dict[int, Any]) -> dict[int, Any]:
    """For each value: 0 if it is finite, 1 if infinite, 2 if NaN."""
    env = dict(values)
    for op in flat.ops:
        made = bind(op.eqn, [env[n] for n in op.inputs])
        env.update(zip(op.outputs, made, strict=True))
    return {number: _kind(value) for number, value in env.items()}


def _kind(value: Any) -> Any:
    dtype = value.dtype if hasattr(value, "dtype") else np.result_type(value)  # keys: no NumPy type
    if not jax.numpy.issubdtype(dtype, jax.numpy.inexact):
        return 0
    nan, infinite = jax.numpy.isnan(value).any(), jax.numpy.isinf(value).any()
    return jax.numpy.where(nan, 2, jax.numpy.where(infinite, 1, 0))
