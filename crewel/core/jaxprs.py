"""The one walker of jaxprs, the programs that JAX makes when it traces a function.

A rule says what to do with one equation, on whatever values the caller tracks: arrays, tracers,
numbers of values, sets of names. `interpret` reads the operands of each equation, asks the rule
for its results and stores them. Calls (`jit`, custom derivatives, remat) are walked as if their
equations stood in the caller; `enter` decides which. For equations that need no special treatment
a rule returns `bind(eqn, values)`, which runs them as they are.

It runs on JAX from 0.5 to 0.12. In 0.5 a jaxpr without its constants, `Jaxpr`, and one with them,
`ClosedJaxpr`, are two types; in 0.12 they are one. `Body` hides the difference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn, Literal

_CALLS = {
    *("jit", "pjit", "closed_call", "core_call", "remat", "remat2", "checkpoint"),
    *("custom_jvp_call", "custom_vjp_call", "custom_vjp_call_jaxpr"),
}
# Once Oryx is imported, it wraps functions such as softplus in calls that bear their names.
_OF_ORYX = {"jaxpr", "in_tree", "out_tree", "num_consts"}


class Body(NamedTuple):
    """The program inside an equation.

    Attributes:
        jaxpr: its equations.
        consts: values of `jaxpr.constvars`; empty if these are the first operands of the equation.
    """

    jaxpr: Jaxpr
    consts: Sequence[Any] = ()


V = TypeVar("V")
Rule = Callable[[JaxprEqn, list[V]], Sequence[V]]
Enter = Callable[[JaxprEqn], Body | None]


def called(eqn: JaxprEqn) -> Body | None:
    """The program that an equation calls; `None` if the equation is not a call.

    A call runs its program once, on the operands of the equation. Loops and branches are not calls.

    Examples:
        >>> import jax
        >>> (eqn,) = jax.make_jaxpr(jax.jit(lambda x: 2 * x + 1))(3.0).eqns
        >>> [inner.primitive.name for inner in called(eqn).jaxpr.eqns]
        ['mul', 'add']
    """
    if eqn.primitive.name in _CALLS or eqn.params.keys() >= _OF_ORYX:
        for name in ("jaxpr", "call_jaxpr", "fun_jaxpr"):
            if name in eqn.params:
                return _body(eqn.params[name])
    return None


def bodies(eqn: JaxprEqn) -> list[Body]:
    """The programs that are parameters of an equation: what it calls, or the parts of a loop.

    The branches of `cond` are not among them: JAX keeps these in one parameter, a tuple.

    Examples:
        >>> import jax
        >>> loop = jax.make_jaxpr(lambda x: jax.lax.while_loop(lambda x: x < 9, lambda x: 2 * x, x))
        >>> sorted(body.jaxpr.eqns[0].primitive.name for body in bodies(loop(1.0).eqns[0]))
        ['lt', 'mul']
    """
    return [_body(v) for v in eqn.params.values() if isinstance(v, ClosedJaxpr | Jaxpr)]


def _body(found: Any) -> Body:
    return Body(getattr(found, "jaxpr", found), getattr(found, "consts", ()))


def bind(eqn: JaxprEqn, values: Sequence[Any]) -> list[Any]:
    """Run one equation on arrays or tracers; a call keeps its custom derivatives.

    Args:
        eqn: the equation.
        values: one per operand.

    Returns:
        One value per result.
    """
    primitive: Any = eqn.primitive
    params: Any = primitive.get_bind_params(eqn.params)
    functions: Sequence[Any] = ()
    if not isinstance(params, dict):  # JAX 0.5 passes the functions inside a call as operands
        functions, params = params
    made: Any = primitive.bind(*functions, *values, **params)
    return list(made) if primitive.multiple_results else [made]


def _as_it_is(value: Any, aval: Any) -> Any:
    return value


def interpret(
    program: ClosedJaxpr | Body,
    args: Sequence[V],
    rule: Rule[V] = bind,
    *,
    enter: Enter | None = called,
    constant: Callable[[Any, Any], V] = _as_it_is,
) -> list[V]:
    """Walk a program, equation by equation, on the caller's own kind of values.

    Args:
        program: what `jax.make_jaxpr` returns, or the body of an equation.
        args: one value per leaf of the arguments.
        rule: `(eqn, values) -> results`, for each equation that is not entered.
        enter: `eqn -> Body | None`: the program to walk in place of an equation, or `None` to leave
            the equation to the rule. The default enters every call, so custom derivatives are lost
            if the values are arrays or tracers. `enter=None` leaves calls to the rule.
        constant: `(array, aval) -> value`, for literals and captured arrays.

    Returns:
        One value per leaf of the result.

    Raises:
        ValueError: a program or an equation gets, or a rule returns, the wrong number of values.

    Examples:
        Count the operations on the longest path from the argument:

        >>> import jax
        >>> def rule(eqn, depths):
        ...     return [1 + max(depths)] * len(eqn.outvars)
        >>> closed = jax.make_jaxpr(jax.jit(lambda x: (x + 1) * (2 * x - 3)))(1.0)
        >>> interpret(closed, [0], rule, constant=lambda array, aval: 0)
        [3]
    """
    jaxpr = program.jaxpr
    consts = zip(program.consts, jaxpr.constvars, strict=False)
    given = [*(constant(value, var.aval) for value, var in consts), *args]
    env = dict(zip([*jaxpr.constvars, *jaxpr.invars], given, strict=True))

    def read(var: Any) -> V:
        return constant(var.val, var.aval) if isinstance(var, Literal) else env[var]

    for eqn in jaxpr.eqns:
        values = [read(var) for var in eqn.invars]
        body = None if enter is None else enter(eqn)
        if body is None:
            made = rule(eqn, values)
        else:
            made = interpret(body, values, rule, enter=enter, constant=constant)
        env.update(zip(eqn.outvars, made, strict=True))
    return [read(var) for var in jaxpr.outvars]


def equations(
    program: ClosedJaxpr | Body, within: Callable[[JaxprEqn], Iterable[Body]] = bodies
) -> Iterator[JaxprEqn]:
    """All equations of a program, each followed by those inside it.

    Args:
        program: what `jax.make_jaxpr` returns, or the body of an equation.
        within: the programs to look into, for an equation.
    """
    for eqn in program.jaxpr.eqns:
        yield eqn
        for body in within(eqn):
            yield from equations(body, within)
