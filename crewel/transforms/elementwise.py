"""Chains of one-to-one elementwise steps: run forwards, backwards, or for log|det J|.

`crewel.transforms.inverse` finds these chains in a user's function. The rule of each step knows
its inverse and the *logarithm* of its slope, so the log-determinant stays accurate where the slope
itself underflows (`softplus(-80)` in float32).
"""

import math
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
from jax import lax
from jax.scipy.special import erf, erfinv

from crewel.core.protocol import PyTree


class Rule(NamedTuple):
    """What one step does; `c` is its constant or its static setting, if it has one."""

    forward: Callable[[jax.Array, Any], jax.Array]  # (x, c) -> y
    inverse: Callable[[jax.Array, Any], jax.Array]  # (y, c) -> x
    # (x, y, c) -> log|dy/dx|; None: only moves or casts
    log_slope: Callable[[jax.Array, jax.Array, Any], jax.Array | float] | None


class Step(NamedTuple):
    """A rule's name, and a setting that is static in JAX (a dtype, shapes, an integer power)."""

    rule: str
    static: Hashable = None


Chain: TypeAlias = tuple[Step, ...]
Consts: TypeAlias = tuple[jax.Array | None, ...]  # of a chain's steps


@jax.tree_util.register_static
@dataclass(frozen=True)
class Plan:
    """Output leaf `i` is input leaf `sources[i]` after the steps of `chains[i]`.

    The constants of the steps are kept separately as pytree leaves, `consts[i][k]` for step `k` of
    chain `i`, so two plans are equal whenever they can share compiled code.
    """

    inputs: Any  # the tree structure of u
    outputs: Any  # the tree structure of the parameters
    sources: tuple[int, ...]
    chains: tuple[Chain, ...]


def stages(
    chain: Chain, consts: Consts, x: jax.Array
) -> Iterator[tuple[Rule, Any, jax.Array, jax.Array]]:
    """Yield `(rule, constant, before, after)` for each step of a chain."""
    for step, const in zip(chain, consts, strict=True):
        rule, c = RULES[step.rule], step.static if const is None else const
        y = rule.forward(x, c)
        yield rule, c, x, y
        x = y


def invert(chain: Chain, consts: Consts, y: jax.Array) -> jax.Array:
    """Compute the input of a chain from its output."""
    for step, const in zip(reversed(chain), reversed(consts), strict=True):
        y = RULES[step.rule].inverse(y, step.static if const is None else const)
    return y


def inverse(plan: Plan, consts: tuple[Consts, ...], params: PyTree) -> PyTree:
    """Map parameters to the unconstrained tree."""
    leaves = dict(
        (source, invert(chain, c, jnp.asarray(y)))
        for source, chain, c, y in zip(
            plan.sources, plan.chains, consts, plan.outputs.flatten_up_to(params), strict=True
        )
    )
    return plan.inputs.unflatten([leaves[i] for i in range(len(leaves))])


def log_det(plan: Plan, consts: tuple[Consts, ...], u: PyTree) -> jax.Array:
    """The scalar log|det d params / d u|: a sum of log-slopes, as every chain is elementwise."""
    leaves, dtype = plan.inputs.flatten_up_to(u), float_dtype(u)
    total = jnp.zeros((), dtype)
    for source, chain, c in zip(plan.sources, plan.chains, consts, strict=True):
        for rule, const, x, y in stages(chain, c, jnp.asarray(leaves[source])):
            if rule.log_slope is not None:
                slope = jnp.broadcast_to(rule.log_slope(x, y, const), y.shape)
                total += jnp.sum(slope, dtype=dtype)
    return total


def float_dtype(tree: PyTree) -> jnp.dtype:
    """The dtype in which to sum a tree's leaves: their common dtype, at least float32."""
    return jnp.result_type(jnp.float32, *(jnp.asarray(leaf) for leaf in jax.tree.leaves(tree)))


def _log_cosh(x: jax.Array) -> jax.Array:
    return jnp.abs(x) + jax.nn.softplus(-2 * jnp.abs(x)) - math.log(2)


def _root(y: jax.Array, n: int) -> jax.Array:
    root = jnp.abs(y) ** (1 / n)
    return jnp.sign(y) * root if n % 2 else root


def _logsubexp(y: jax.Array, c: jax.Array) -> jax.Array:
    return y + jnp.log(-jnp.expm1(c - y))


def _zero(x: jax.Array, y: jax.Array, c: Any) -> float:  # the log-slope of a shift or a sign
    return 0.0


# Binary rules are named after the primitive, with the constant on the right. The prefix `r` puts
# it on the left: `sub` is x - c, `rsub` is c - x.
RULES: dict[str, Rule] = {
    "neg": Rule(lambda x, c: -x, lambda y, c: -y, _zero),
    "add": Rule(lambda x, c: x + c, lambda y, c: y - c, _zero),
    "sub": Rule(lambda x, c: x - c, lambda y, c: y + c, _zero),
    "rsub": Rule(lambda x, c: c - x, lambda y, c: c - y, _zero),
    "mul": Rule(lambda x, c: x * c, lambda y, c: y / c, lambda x, y, c: jnp.log(jnp.abs(c))),
    "div": Rule(lambda x, c: x / c, lambda y, c: y * c, lambda x, y, c: -jnp.log(jnp.abs(c))),
    "rdiv": Rule(
        lambda x, c: c / x,
        lambda y, c: c / y,
        lambda x, y, c: jnp.log(jnp.abs(c)) - 2 * jnp.log(jnp.abs(x)),
    ),
    "exp": Rule(lambda x, c: jnp.exp(x), lambda y, c: jnp.log(y), lambda x, y, c: x),
    "exp2": Rule(
        lambda x, c: jnp.exp2(x),
        lambda y, c: jnp.log2(y),
        lambda x, y, c: x * math.log(2) + math.log(math.log(2)),
    ),
    "expm1": Rule(lambda x, c: jnp.expm1(x), lambda y, c: jnp.log1p(y), lambda x, y, c: x),
    "log": Rule(lambda x, c: jnp.log(x), lambda y, c: jnp.exp(y), lambda x, y, c: -y),
    "log1p": Rule(lambda x, c: jnp.log1p(x), lambda y, c: jnp.expm1(y), lambda x, y, c: -y),
    "logaddexp": Rule(jnp.logaddexp, _logsubexp, lambda x, y, c: -jax.nn.softplus(c - x)),
    "logistic": Rule(
        lambda x, c: jax.nn.sigmoid(x),
        lambda y, c: jnp.log(y) - jnp.log1p(-y),
        lambda x, y, c: -jax.nn.softplus(x) - jax.nn.softplus(-x),
    ),
    "tanh": Rule(
        lambda x, c: jnp.tanh(x), lambda y, c: jnp.arctanh(y), lambda x, y, c: -2 * _log_cosh(x)
    ),
    "atanh": Rule(
        lambda x, c: jnp.arctanh(x), lambda y, c: jnp.tanh(y), lambda x, y, c: 2 * _log_cosh(y)
    ),
    "sinh": Rule(
        lambda x, c: jnp.sinh(x), lambda y, c: jnp.arcsinh(y), lambda x, y, c: _log_cosh(x)
    ),
    "asinh": Rule(
        lambda x, c: jnp.arcsinh(x), lambda y, c: jnp.sinh(y), lambda x, y, c: -_log_cosh(y)
    ),
    "atan": Rule(
        lambda x, c: jnp.arctan(x), lambda y, c: jnp.tan(y), lambda x, y, c: -jnp.log1p(x * x)
    ),
    "erf": Rule(
        lambda x, c: erf(x),
        lambda y, c: erfinv(y),
        lambda x, y, c: math.log(2 / math.sqrt(math.pi)) - x * x,
    ),
    "erf_inv": Rule(
        lambda x, c: erfinv(x),
        lambda y, c: erf(y),
        lambda x, y, c: y * y - math.log(2 / math.sqrt(math.pi)),
    ),
    "sqrt": Rule(
        lambda x, c: jnp.sqrt(x), lambda y, c: y * y, lambda x, y, c: -jnp.log(y) - math.log(2)
    ),
    "rsqrt": Rule(
        lambda x, c: lax.rsqrt(x),
        lambda y, c: 1 / (y * y),
        lambda x, y, c: 3 * jnp.log(y) - math.log(2),
    ),
    "cbrt": Rule(
        lambda x, c: jnp.cbrt(x),
        lambda y, c: y * y * y,
        lambda x, y, c: -2 * jnp.log(jnp.abs(y)) - math.log(3),
    ),
    "integer_pow": Rule(
        lambda x, c: lax.integer_pow(x, c),
        _root,
        lambda x, y, c: math.log(abs(c)) + (c - 1) * jnp.log(jnp.abs(x)),
    ),
    "pow": Rule(
        lambda x, c: x**c,
        lambda y, c: y ** (1 / c),
        lambda x, y, c: jnp.log(jnp.abs(c)) + (c - 1) * jnp.log(jnp.abs(x)),
    ),
    "rpow": Rule(
        lambda x, c: c**x,
        lambda y, c: jnp.log(y) / jnp.log(c),
        lambda x, y, c: x * jnp.log(c) + jnp.log(jnp.abs(jnp.log(c))),
    ),
    "convert_element_type": Rule(lambda x, c: x.astype(c[1]), lambda y, c: y.astype(c[0]), None),
    "reshape": Rule(lambda x, c: x.reshape(c[1]), lambda y, c: y.reshape(c[0]), None),
    "permute": Rule(lambda x, c: x[c], lambda y, c: jnp.zeros_like(y).at[c].set(y), None),
}
