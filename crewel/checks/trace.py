"""A log density as a flat list of operations: what its trace says without running it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.extend.core import Literal

from crewel.checks.lines import Line, is_library, of_equation

_CALLS = {
    *("jit", "pjit", "closed_call", "core_call", "remat", "remat2", "checkpoint"),
    *("custom_jvp_call", "custom_vjp_call", "custom_vjp_call_jaxpr"),
}


class Op(NamedTuple):
    """One primitive operation; values are numbered.

    Attributes:
        eqn: its equation.
        inputs: numbers of the values it reads.
        outputs: numbers of the values it makes.
        sources: the equations that may tell its line, the innermost last.
    """

    eqn: Any
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    sources: tuple[Any, ...]

    @property
    def name(self) -> str:
        """The primitive's name."""
        return self.eqn.primitive.name

    def line(self) -> Line | None:
        """The user's line."""
        lines = map(of_equation, reversed(self.sources))
        return next((line for line in lines if line is not None), None)


class Flat(NamedTuple):
    """A trace in which calls are inlined; loops and branches stay whole.

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

    def walk(jaxpr: Any, env: dict[Any, int], sources: tuple[Any, ...], stale: bool) -> list[int]:
        def read(var: Any) -> int:
            return constant(var.val, var.aval) if isinstance(var, Literal) else env[var]

        for eqn in jaxpr.eqns:
            numbers = tuple(read(var) for var in eqn.invars)
            chain = sources if stale else (*sources, eqn)
            body = _body(eqn)
            if body is None:
                made = tuple(new(var.aval) for var in eqn.outvars)
                flat.ops.append(Op(eqn, numbers, made, chain))
            else:
                inner, consts = body
                names = dict(zip(inner.invars, numbers, strict=True))
                for var, value in zip(inner.constvars, consts, strict=True):
                    names[var] = constant(value, var.aval)
                made = walk(inner, names, chain, stale or _of_library(inner))
            env.update(zip(eqn.outvars, made, strict=True))
        return [read(var) for var in jaxpr.outvars]

    env = {var: new(var.aval) for var in closed.jaxpr.invars}
    inputs = tuple(env[var] for var in closed.jaxpr.invars)
    for var, value in zip(closed.jaxpr.constvars, closed.consts, strict=True):
        env[var] = constant(value, var.aval)
    outputs = tuple(walk(closed.jaxpr, env, (), False))
    return flat._replace(inputs=inputs, outputs=outputs)


def _body(eqn: Any) -> tuple[Any, Any] | None:
    """The program that an equation only calls, with its constants."""
    if eqn.primitive.name not in _CALLS:
        return None
    for name in ("jaxpr", "call_jaxpr", "fun_jaxpr"):
        if name in eqn.params:
            found = eqn.params[name]
            return getattr(found, "jaxpr", found), getattr(found, "consts", ())
    return None


def _of_library(jaxpr: Any) -> bool:
    # JAX keeps the traces of its own small functions (`jnp.where`), with the lines of whoever
    # called them first: only the lines of the caller are to be trusted there.
    info = getattr(getattr(jaxpr, "debug_info", None), "func_src_info", None)
    return info is None or is_library(str(info).partition(" at ")[2])


def used_inputs(flat: Flat) -> list[bool]:
    """For each leaf of the arguments: whether the results depend on it at all."""
    needed = set(flat.outputs)
    for op in reversed(flat.ops):
        if needed.intersection(op.outputs):
            needed.update(op.inputs)
    return [number in needed for number in flat.inputs]


class Origin(NamedTuple):
    """Where a value first stops being finite.

    Attributes:
        primitive: the operation's name, or `None` where a captured array or argument is to blame.
        kind: `"NaN"` or `"infinite"`: what it made.
        line: the user's line.
    """

    primitive: str | None
    kind: str
    line: Line | None

    def __str__(self) -> str:
        """`log` made it NaN, at model.py:12: `...`."""
        if self.primitive is None:
            return f"an array that the function is given or captures is {self.kind} somewhere"
        return f"`{self.primitive}` first made it {self.kind}" + (
            f", at {self.line}" if self.line else ""
        )


def origin(fn: Callable[..., Any], *args: Any) -> Origin | None:
    """Find the operation that made a result of `fn(*args)` NaN or infinite; `None` if none is.

    It goes back from the result, so that a NaN that `jnp.where` drops is not blamed.
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
    """0 finite, 1 infinite, 2 NaN, for each value."""
    env = dict(values)
    for op in flat.ops:
        made = op.eqn.primitive.bind(*(env[n] for n in op.inputs), **op.eqn.params)
        made = made if op.eqn.primitive.multiple_results else [made]
        env.update(zip(op.outputs, made, strict=True))
    return {number: _kind(value) for number, value in env.items()}


def _kind(value: Any) -> Any:
    dtype = getattr(value, "dtype", np.result_type(value))
    if not jax.numpy.issubdtype(dtype, jax.numpy.inexact):
        return 0
    nan, infinite = jax.numpy.isnan(value).any(), jax.numpy.isinf(value).any()
    return jax.numpy.where(nan, 2, jax.numpy.where(infinite, 1, 0))
