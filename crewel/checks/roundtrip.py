"""Checks of transforms: the round trip, the log-determinant, and batches of chains."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from crewel.checks import trace
from crewel.checks.context import TOO_SLOW, Context
from crewel.checks.evaluate import parts
from crewel.checks.quick import quick
from crewel.checks.report import Check, failed, passed, skipped
from crewel.core.protocol import Position, Target
from crewel.core.text import number
from crewel.core.trees import named_leaves
from crewel.transforms.widen import as_given

FULL = 256  # dimensions up to which the full Jacobian is computed


@quick
def _round_trip(target: Target, position: Position) -> tuple[Any, Any, Any, Any]:
    transform = as_given(target).transform  # at the precision of the position
    params = transform.forward(position)
    back = transform.inverse(params)
    return position, back, params, transform.forward(back)


def round_trip(context: Context) -> Check:
    """The transform and its inverse undo each other at the initial states."""
    worst, where = 0.0, ""
    for chain in range(min(4, context.checked_chains)):
        position = context.started(chain)
        z, back, params, again = _round_trip(context.target, position)
        for what, one, other in (
            ("inverse(transform(u))", z, back),
            ("transform(inverse(params))", params, again),
        ):
            for path, leaf in named_leaves(one).items():
                a = np.asarray(leaf, np.float64)
                b = np.asarray(named_leaves(other)[path], np.float64)
                off = np.abs(a - b).max(initial=0.0) / max(1.0, np.abs(a).max(initial=0.0))
                tolerance = np.sqrt(float(jnp.finfo(leaf.dtype).eps))
                if not off <= 10 * tolerance:
                    return failed(
                        f"`{what}` has a relative error of {number(off)} in leaf `{path}`, at the "
                        f"initial state of chain {chain}: `inverse_transform_fn` is not the "
                        "inverse of `transform_fn`. Chains would not start from the points given "
                        "as `init=`.",
                        leaf=path,
                        error=float(off),
                    )
                if off >= worst:
                    worst, where = float(off), path
    text = f"accurate to {worst:.0e} (`{where}`)" if worst else "exact"
    return passed(f"The round trip is {text}.", error=worst)


@quick
def _diagonal(target: Target, position: Position, probe: Position) -> tuple[Any, Any, Any, Any]:
    """`log_det`, the Jacobian times ones, the Jacobian times `probe`, and `probe`."""
    transform = as_given(target).transform
    forward = transform.forward
    ones = jax.tree.map(jnp.ones_like, position)
    _, diagonal = jax.jvp(forward, (position,), (ones,))
    _, probed = jax.jvp(forward, (position,), (probe,))
    return transform.log_det(position), diagonal, probed, probe


@quick
def _full(target: Target, position: Position) -> jax.Array:
    flat, unravel = ravel_pytree(position)
    forward = as_given(target).transform.forward
    return jax.jacfwd(lambda z: ravel_pytree(forward(unravel(z)))[0])(flat)


def log_determinant(context: Context) -> Check:
    """The log-determinant of the transform agrees with automatic differentiation."""
    if not context.target.jacobian:
        return skipped("Optimizers find the mode in the parameters' own space, without a Jacobian.")
    worst = 0.0
    for chain in range(min(4, context.checked_chains)):
        position = context.started(chain)
        compared = _compare(context, position)
        if isinstance(compared, str):
            return skipped(compared)
        claimed, wanted, size = compared
        if not abs(claimed - wanted) <= 1e-3 * max(1.0, size):
            if np.isclose(claimed, -wanted, rtol=1e-3):
                why = "It has the wrong sign"
            elif claimed == 0:
                why = "It is missing"
            else:
                why = "It belongs to a different function"
            return failed(
                f"The log-determinant is {number(claimed)}, but automatic differentiation of the "
                f"transform gives {number(wanted)}, at the initial state of chain {chain}. {why}: "
                "draws would come from a different density. `inverse_log_det_jacobian` must return "
                "log|det du/dparams| at the parameters, the negative of the transform's own; leave "
                "it out if it can be derived automatically.",
                claimed=claimed,
                wanted=wanted,
            )
        worst = max(worst, abs(claimed - wanted) / max(1.0, size))
    text = f"to {worst:.0e}" if worst else "exactly"
    return passed(f"Agrees with automatic differentiation {text}.", error=worst)


def _compare(context: Context, position: Position) -> tuple[float, float, float] | str:
    """The log-determinant claimed, the one found, the size of its terms; or why it is skipped."""
    rng = np.random.default_rng(0)
    leaves, structure = jax.tree.flatten(position)
    probe = structure.unflatten(
        [jnp.asarray(rng.uniform(0.5, 1.5, leaf.shape), leaf.dtype) for leaf in leaves]
    )
    claimed, *rest = jax.tree.map(np.asarray, _diagonal(context.target, position, probe))
    claimed = float(claimed)
    diagonal, probed, probes = (jax.tree.leaves(tree) for tree in rest)
    if [leaf.shape for leaf in diagonal] == [leaf.shape for leaf in leaves] and all(
        np.allclose(d * v, p, rtol=1e-4, atol=1e-6 * np.abs(p).max(initial=0.0))
        for d, p, v in zip(diagonal, probed, probes, strict=True)
    ):
        with np.errstate(divide="ignore"):
            terms = [np.log(np.abs(leaf.astype(np.float64))) for leaf in diagonal]
        return claimed, float(sum(t.sum() for t in terms)), float(sum(abs(t).sum() for t in terms))
    dimensions = sum(leaf.size for leaf in leaves)
    if dimensions > FULL:
        return f"The transform mixes elements, in more than {FULL} dimensions: {dimensions:,}."
    jacobian = np.asarray(_full(context.target, position), np.float64)
    if jacobian.shape[0] != jacobian.shape[1]:
        return (
            "Parameters have more entries than dimensions (e.g. a simplex), so their "
            "log-determinant is a convention."
        )
    sizes = np.abs(np.log(np.maximum(np.linalg.svd(jacobian, compute_uv=False), 1e-300)))
    return claimed, float(np.linalg.slogdet(jacobian)[1]), float(sizes.sum())


@quick
def _batched(target: Target, positions: Position) -> tuple[Any, Any]:
    return jax.vmap(target.transform.forward)(positions), jax.vmap(target.log_density)(positions)


def batches(context: Context) -> Check:
    """A batch of chains gives the same parameters and log densities as each chain alone."""
    chains = min(3, context.checked_chains)
    if chains == 1:
        return skipped("Only one chain is checked.")
    if context.affordable(2 * chains) < 2 * chains:
        return skipped(TOO_SLOW)
    flat = trace.flatten(context.small.log_density, context.position)
    used = " ".join(eqn.primitive.name for eqn in trace.equations(flat))
    if not any(word in used for word in ("callback", "custom_vmap", "ffi")):
        return passed("Every operation is one that `jax.vmap` maps exactly.")
    positions = jax.tree.map(lambda leaf: leaf[:chains], context.start.positions)
    together, densities = jax.tree.map(np.asarray, _batched(context.small, positions))
    for chain in range(chains):
        found = jax.tree.map(np.asarray, parts(context.small, context.started(chain)))
        alone, density = found["params"], found["total"]
        for path, leaf in named_leaves(alone).items():
            if not np.allclose(named_leaves(together)[path][chain], leaf, rtol=1e-3, atol=1e-5):
                return failed(
                    f"The transform gives a different `{path}` for chain {chain} in a batch than "
                    "alone. `transform_fn` takes one sample and must not mix samples under "
                    "`jax.vmap`: look for a `pure_callback` or `custom_vmap` that does.",
                    leaf=path,
                )
        if not np.isclose(densities[chain], density, rtol=1e-3, atol=1e-2):
            return failed(
                f"The log density of chain {chain} is {number(densities[chain])} in a batch of "
                f"{chains} chains under `jax.vmap`, but {number(density)} alone{context.note}. "
                "Look for a `pure_callback` or `custom_vmap` that mixes samples.",
                batch=densities,
            )
    return passed(
        f"A batch of {chains} chains gives the same results as each chain alone{context.note}."
    )
