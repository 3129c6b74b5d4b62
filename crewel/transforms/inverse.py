"""Find the inverse and log|det J| of a plain function by reading its jaxpr.

It works for functions in which every output leaf is one input leaf that went through a chain of
one-to-one elementwise steps (`crewel.transforms.elementwise`). The walk goes forwards through the
equations and keeps, for every variable, the chain that leads to it. The result is then compared
numerically with the function itself, so a wrong recognition raises an error and never gives a
wrong posterior.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Jaxpr, JaxprEqn

from crewel.core.jaxprs import bind, called, interpret
from crewel.core.protocol import PyTree
from crewel.core.trees import leaf_paths
from crewel.transforms.elementwise import RULES, Consts, Plan, Step
from crewel.transforms.inverse_check import verify

_MOVES = {
    *("reshape", "squeeze", "expand_dims", "broadcast_in_dim", "transpose", "rev"),
    *("slice", "dynamic_slice", "gather", "copy", "copy_p"),
}
# The primitives that `jax.nn.softplus` and `jnp.logaddexp` consist of. `exp` and `log1p` must be
# among them, and nothing else may be.
_LOGADDEXP = {
    *("exp", "log1p", "max", "abs", "neg", "sub", "add", "ne", "eq", "gt", "ge", "lt", "le"),
    *("select_n", "broadcast_in_dim", "convert_element_type", "stop_gradient", "is_finite"),
}


_Steps: TypeAlias = tuple[tuple[Step, jax.Array | None], ...]


class _Chain(NamedTuple):
    leaf: int
    steps: _Steps = ()


class _Stuck(NamedTuple):
    primitive: str
    leaves: frozenset[int]
    repeated: bool = False


def derive(
    fn: Callable[[PyTree], PyTree], u: PyTree, params: PyTree, remedy: str
) -> tuple[Plan, tuple[Consts, ...]]:
    """Read the elementwise chains from the trace of `fn`, and check them numerically.

    Args:
        fn: A `jax.tree_util.Partial` from the unconstrained tree to the parameters.
        u: An unconstrained tree, for its structure, shapes and dtypes.
        params: The parameters that `fn` must return, for their structure and shapes.
        remedy: What the user can pass instead; the last sentence of every error.

    Returns:
        The plan, and its constants (one tuple per output leaf).

    Raises:
        ValueError: `fn` does not return the structure and shapes of `params`; it is not
            elementwise and one-to-one; a leaf of `u` is unused or used twice; or the numerical
            check fails.

    Examples:
        >>> import jax.numpy as jnp
        >>> from jax.tree_util import Partial
        >>> plan, consts = derive(Partial(lambda u: 2 * jnp.exp(u)), jnp.zeros(3), jnp.ones(3), "")
        >>> [step.rule for step in plan.chains[0]]
        ['exp', 'mul']
    """
    closed, out = jax.make_jaxpr(fn, return_shape=True)(u)
    hint = f"`u` is assumed to look like `test_point`. {remedy}"
    check_like(out, params, "`transform_fn(u)`", hint)
    inputs, names = leaf_paths(u), leaf_paths(params)
    found = interpret(closed, [_Chain(i) for i in range(len(inputs))], _rule, enter=None)
    for name, value in zip(names, found, strict=True):
        if not isinstance(value, _Chain):
            raise ValueError(f"`transform_fn` at leaf `{name}`: {_why(value, inputs)}. {remedy}")
    sources = [chain.leaf for chain in found]
    for i, name in enumerate(inputs):
        users = [f"`{n}`" for n, source in zip(names, sources, strict=True) if source == i]
        if len(users) != 1:
            raise ValueError(
                f"`transform_fn` does not use leaf `{name}` of its input. {remedy}"
                if not users
                else f"`transform_fn` computes {' and '.join(users)} from the one leaf `{name}`, "
                f"so its Jacobian has no determinant. {remedy}"
            )
    plan = Plan(
        jax.tree.structure(u),
        jax.tree.structure(params),
        tuple(sources),
        tuple(tuple(step for step, _ in chain.steps) for chain in found),
    )
    consts = tuple(tuple(const for _, const in chain.steps) for chain in found)
    if any(plan.chains):
        verify(fn, plan, consts, u, names, remedy)
    return plan, consts


def check_like(found: PyTree, wanted: PyTree, what: str, hint: str) -> None:
    """Raise a `ValueError` if two trees differ in structure or in the shape of a leaf."""
    if jax.tree.structure(found) != jax.tree.structure(wanted):
        raise ValueError(
            f"{what} has the structure {jax.tree.structure(found)}, and `test_point` has "
            f"{jax.tree.structure(wanted)}. They must be the same. {hint}"
        )
    for name, a, b in zip(
        leaf_paths(wanted), jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True
    ):
        if jnp.shape(a) != jnp.shape(b):
            raise ValueError(
                f"{what} has shape {jnp.shape(a)} at leaf `{name}`, and `test_point` has "
                f"{jnp.shape(b)}. {hint}"
            )


def _why(value: Any, inputs: list[str]) -> str:
    if not isinstance(value, _Stuck):
        return "it does not depend on the input"
    if len(value.leaves) > 1:
        mixed = " and ".join(f"`{inputs[i]}`" for i in sorted(value.leaves))
        return f"`{value.primitive}` mixes the leaves {mixed} of the input"
    if value.repeated:
        return f"`{value.primitive}` uses the input leaf more than once"
    return f"`{value.primitive}` is not an elementwise one-to-one function that can be inverted"


def _rule(eqn: JaxprEqn, values: list[Any]) -> Sequence[Any]:
    """The value of each result: a `_Chain`, a `_Stuck`, or an array that depends on no input."""
    moving = [i for i, value in enumerate(values) if isinstance(value, _Chain | _Stuck)]
    body = called(eqn)
    if body is not None:
        outs = interpret(body, values, _rule, enter=None)
        chain = _softplus(body.jaxpr, eqn, values, moving, outs)
        return outs if chain is None else [chain]
    if not moving:
        return bind(eqn, values)
    first = next((values[i] for i in moving if isinstance(values[i], _Stuck)), None)
    if first is None and len(moving) == 1 and len(eqn.outvars) == 1:
        steps = _steps(eqn, values, moving[0])
        if steps is not None:
            chain = values[moving[0]]
            steps = _fuse((*chain.steps, *steps), _aval(eqn.outvars[0]).dtype)
            return [_Chain(chain.leaf, steps)]
    if first is None:
        leaves = frozenset(values[i].leaf for i in moving)
        first = _Stuck(eqn.primitive.name, leaves, repeated=len(moving) > 1)
    return [first] * len(eqn.outvars)


def _aval(var: Any) -> Any:
    return var.aval  # it has a shape and a dtype, which JAX's type for `aval` does not promise


def _softplus(
    jaxpr: Jaxpr, eqn: JaxprEqn, values: list[Any], moving: list[int], outs: Sequence[Any]
) -> _Chain | None:
    """`logaddexp(x, c)` uses `x` several times, so the primitives in its body identify it."""
    names = {inner.primitive.name for inner in jaxpr.eqns}
    chain = values[moving[0]] if len(moving) == 1 else None
    if not (
        isinstance(chain, _Chain)
        and len(outs) == 1
        and isinstance(outs[0], _Stuck)
        and len(values) <= 2
        and {"exp", "log1p"} <= names <= _LOGADDEXP
        and _aval(eqn.outvars[0]).shape == _aval(eqn.invars[moving[0]]).shape
    ):
        return None
    c = values[1 - moving[0]] if len(values) == 2 else 0.0
    step = Step("logaddexp"), jnp.asarray(c, _aval(eqn.outvars[0]).dtype)
    return _Chain(chain.leaf, (*chain.steps, step))


def _steps(eqn: JaxprEqn, values: list[Any], at: int) -> _Steps | None:
    """The steps of an equation whose operand `at` is the chain; `None` if no rule knows it."""
    name, x, y = eqn.primitive.name, _aval(eqn.invars[at]), _aval(eqn.outvars[0])
    if name in _MOVES and x.size == y.size:
        return _move(eqn, values, at)
    if x.shape != y.shape or not jnp.issubdtype(x.dtype, jnp.floating):
        return None
    if name == "convert_element_type":
        floats = jnp.issubdtype(y.dtype, jnp.floating)
        return ((Step(name, (np.dtype(x.dtype), np.dtype(y.dtype))), None),) if floats else None
    if name == "square":
        return ((Step("integer_pow", 2), None),)
    if len(values) == 1:
        return ((Step(name, eqn.params.get("y")), None),) if name in RULES else None
    name = {"add_any": "add"}.get(name, name)
    rule = name if at == 0 or name in ("add", "mul") else f"r{name}"
    if len(values) != 2 or rule not in RULES:
        return None
    return ((Step(rule), jnp.asarray(values[1 - at], _aval(eqn.invars[1 - at]).dtype)),)


def _move(eqn: JaxprEqn, values: list[Any], at: int) -> _Steps | None:
    """The steps of an equation that moves elements, found by moving their indices with it."""
    before, after = _aval(eqn.invars[at]).shape, _aval(eqn.outvars[0]).shape
    where = np.arange(_aval(eqn.invars[at]).size, dtype=np.int32)
    values = [jnp.asarray(where.reshape(before)) if i == at else v for i, v in enumerate(values)]
    moved = np.ravel(bind(eqn, values)[0])
    if not np.array_equal(np.sort(moved), where):
        return None
    if np.array_equal(moved, where):
        return ((Step("reshape", (before, after)), None),) if before != after else ()
    flat = (where.size,)
    return (
        (Step("reshape", (before, flat)), None),
        (Step("permute"), jnp.asarray(moved)),
        (Step("reshape", (flat, after)), None),
    )


def _fuse(steps: _Steps, dtype: Any) -> _Steps:
    """Replace `log(c + exp(x))` and `log1p(exp(x))` by `logaddexp`, accurate in the tails."""
    match [step.rule for step, _ in steps[-3:]]:
        case [*_, "exp", "log1p"]:
            return (*steps[:-2], (Step("logaddexp"), jnp.zeros((), dtype)))
        case ["exp", "add", "log"]:
            added = jnp.asarray(steps[-2][1])
            return (*steps[:-3], (Step("logaddexp"), jnp.log(added)))
        case _:
            return steps
