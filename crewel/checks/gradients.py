"""Checks of the gradient of each leaf: finite, not exactly zero, of similar size."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from crewel.checks import blocked, trace
from crewel.checks.blame import blame_gradient
from crewel.checks.context import Context
from crewel.checks.evaluate import gradient, row_values
from crewel.checks.quick import quick
from crewel.checks.report import Check, failed, passed, skipped, warned
from crewel.core.protocol import Position, Target
from crewel.core.text import count, names, number
from crewel.core.trees import named_leaves
from crewel.posterior.predict import NetworkPredictive

ROWS = 64  # rows on which the operations on the inputs are evaluated
FAINT = 1e-5  # of the largest gradient: a smaller one may be rounding
RATIO = 1e6  # largest over smallest gradient norm: above it no step size suits all leaves


_WHERE = (
    "`jnp.where(ok, f(x), 0)` does not help where `f` has no derivative: make its input safe "
    "instead, `f(jnp.where(ok, x, 1))`."
)
_OVERFLOW = (
    "float16 holds no number above 65,504, and gradients of a sum over rows are larger: compute in "
    "bfloat16, which has the range of float32, or in float32."
)


def finite(context: Context) -> Check:
    """The gradient is finite at the test point and at the initial state of every chain."""
    places = [("the test point", context.position, context.test_gradient)]
    for chain in range(context.checked_chains):
        position = context.started(chain)
        there = {path: leaf[chain] for path, leaf in context.start_gradients.items()}
        places.append((f"the initial state of chain {chain}", position, there))
    for where, position, found in places:
        bad = {path: leaf for path, leaf in found.items() if not np.isfinite(leaf).all()}
        if bad:
            path, leaf = next(iter(bad.items()))
            nan, size = int(np.isnan(leaf).sum()), leaf.size
            kinds = f"NaN in {nan}" if nan else f"infinite in {int(np.isinf(leaf).sum())}"
            why, numbers = blame_gradient(context.small, position)
            others = f" The same holds for {names(list(bad)[1:])}." if len(bad) > 1 else ""
            fix = _WHERE if context.half != jnp.float16 else _OVERFLOW
            return failed(
                f"The gradient with respect to `{path}` is {kinds} of {size} entries at {where}, "
                f"where the density is finite{context.note}.{others}{why} {fix}",
                leaves={p: int((~np.isfinite(leaf)).sum()) for p, leaf in bad.items()},
                **numbers,
            )
    starts = count(len(places) - 1, "initial state")
    return passed(f"Finite at the test point and {starts}{context.note}.")


def used(context: Context) -> Check:
    """The log density uses every leaf, and no gradient is exactly zero."""
    target, position = context.small, context.position
    uses = trace.used_inputs(trace.flatten(target.log_density, position))
    paths = list(named_leaves(position))
    unused = [path for path, is_used in zip(paths, uses, strict=True) if not is_used]
    if unused:
        return failed(
            f"The log density does not use {names(unused)}, so nothing constrains it and the "
            "sampler lets it drift without limit. Use it, give it a prior, or remove it from "
            "`test_point`.",
            leaves=unused,
        )
    zero = [path for path, leaf in context.start_gradients.items() if not np.any(leaf)]
    if zero:  # networks start at the mode of the prior, where its gradient is zero
        there = named_leaves(gradient(target, context.generic_position)[1])
        zero = [path for path in zero if not np.any(np.asarray(there[path]))]
    if zero:
        stops = _stops(trace.flatten(target.log_density, position), zero, paths)
        why = stops or (
            " Look for a `stop_gradient`, rounding, or units that are inactive for all data."
        )
        return failed(
            f"The gradient with respect to {names(zero)} is exactly zero at every initial state"
            f"{context.note}, although the density uses it.{why}",
            leaves=zero,
        )
    return passed(f"{count(len(paths), 'leaf')} in use.")


def _stops(flat: trace.Flat, leaves: list[str], paths: list[str]) -> str:
    """The operation at which the gradients of leaves end, in a sentence; empty if there is none."""
    ends = [op for path in leaves for op in blocked.gradient_stops(flat, paths.index(path))]
    if not ends:
        return ""
    return (
        f" The derivative of {blocked.named(ends)}, is zero. Use a smooth function instead, e.g. "
        "probabilities instead of `argmax`, or keep this parameter out of the sampled ones."
    )


def _emptied(context: Context) -> str:
    """The operation that makes the network's inputs zero, in a sentence; empty if none does."""
    predictive, data = context.model.predictive, context.model.data
    if not isinstance(predictive, NetworkPredictive) or not isinstance(data, dict):
        return ""
    x = jax.tree.map(lambda leaf: leaf[:ROWS], data["x"])
    flat = trace.flatten(predictive.apply, context.model.test_point, x)
    leaves = jax.tree.leaves(x)
    op = blocked.made_zero(flat, dict(zip(flat.inputs[-len(leaves) :], leaves, strict=True)))
    if op is None:
        return ""
    return (
        f" The inputs are zero for all rows after {blocked.named([op])}. Division of integers "
        "rounds: convert to floats first and use `/`."
    )


@quick
def _likelihood_gradient(target: Target, position: Position) -> Position:
    def total(position: Position):
        return jnp.sum(row_values(target, target.constrain(position), target.data))

    return jax.grad(total)(position)


@quick
def _prior_gradient(target: Target, position: Position) -> Position:
    def log_prior(position: Position) -> jax.Array:
        assert target.log_prior is not None
        return target.log_prior(target.constrain(position))

    return jax.grad(log_prior)(position)


def _hyperparameters(context: Context, paths: list[str]) -> list[str]:
    """The leaves on which the priors of others depend: their gradients vary with the others."""
    if not paths or context.small.log_prior is None:
        return []
    position = context.generic_position
    moved = jax.tree.map(
        lambda z, d: z + (0.1 * d).astype(z.dtype), position, context.normal(13, position)
    )
    leaves, structure = jax.tree.flatten(moved)
    kept = [path in paths for path in named_leaves(position)]
    own = jax.tree.leaves(position)
    mixed = structure.unflatten([o if k else m for o, m, k in zip(own, leaves, kept, strict=True)])
    before, after = (
        named_leaves(_prior_gradient(context.small, place)) for place in (position, mixed)
    )
    return [path for path in paths if np.any(np.asarray(before[path]) != np.asarray(after[path]))]


def informed(context: Context) -> Check:
    """The data inform every leaf: no gradient of the likelihood is exactly zero."""
    target = context.small
    if target.log_likelihood is None or target.data is None:
        return skipped("The model does not define `log_likelihood` separately from its prior.")
    each = [named_leaves(_likelihood_gradient(target, z)) for z in context.probe_positions]
    found = {path: np.stack([np.asarray(one[path]) for one in each]) for path in each[0]}
    silent = [path for path, leaf in found.items() if not np.any(leaf)]
    share = {path: float(np.mean(leaf == 0)) for path, leaf in found.items()}

    def likelihood(position: Position):
        return row_values(target, target.constrain(position), target.data)

    flat = trace.flatten(likelihood, context.position)
    uses = trace.used_inputs(flat)
    unused = [path for path, is_used in zip(found, uses, strict=True) if not is_used]
    hyper = _hyperparameters(context, unused)
    idle = [path for path in unused if path not in hyper]
    if idle:
        return warned(
            f"The likelihood does not use {names(idle)}, nor does the prior of another parameter: "
            f"the posterior is the prior. Use {'it' if len(idle) == 1 else 'them'}, or remove "
            f"{'it' if len(idle) == 1 else 'them'}.",
            leaves=idle,
            zero_share=share,
        )
    silent = [path for path in silent if path not in hyper]
    if silent:
        why = _stops(flat, silent, list(found)) or _emptied(context)
        if not why and _normalized(context) and _invariant(context, silent):
            why = _NO_EFFECT
        why = why or (
            " Units are inactive (a dead ReLU layer) or saturated for all data, so the data cannot "
            "inform it. Scale the inputs, change the prior or the initial values of the biases, or "
            "use another activation, e.g. `tanh` or `silu`."
        )
        return warned(
            f"The likelihood's gradient with respect to {names(silent)} is exactly zero at every "
            f"initial state{context.note}, although the likelihood uses it.{why}",
            leaves=silent,
            zero_share=share,
        )
    text = "The likelihood depends on every leaf."
    if hyper:
        text = f"The likelihood depends on every leaf but {names(hyper)}; the priors of others do."
    faint = [path for path in _faint(found) if path not in hyper and _invariant(context, [path])]
    if faint:
        text = f"The likelihood depends on every leaf but {names(faint)}.{_NO_EFFECT}"
        if _normalized(context):
            return warned(text, leaves=faint, zero_share=share)
    return passed(text, zero_share=share)


_NO_EFFECT = (
    " Any shift of it leaves the likelihood the same, so its posterior is its prior. That is "
    "harmless, but it slows some samplers. It is expected of a bias before a normalization, which "
    "subtracts it again (use `use_bias=False` there), and of the key bias of attention."
)


def _normalized(context: Context) -> bool:
    """Whether the network computes the statistics of each batch."""
    return "batch_stats" in getattr(context.model.predictive, "together", "")


def _faint(found: dict[str, np.ndarray]) -> list[str]:
    """The leaves whose gradients could be nothing but rounding, next to those of the others."""
    sizes = {p: float(np.abs(leaf.astype(np.float64)).max(initial=0)) for p, leaf in found.items()}
    largest = max(sizes.values(), default=0.0)
    return [path for path, size in sizes.items() if size < FAINT * largest]


@quick
def _shifted(target: Target, position: Position, shift: Position, size: jax.Array) -> jax.Array:
    moved = jax.tree.map(lambda z, d: z + (size * d).astype(z.dtype), position, shift)
    return row_values(target, target.constrain(moved), target.data)


def _invariant(context: Context, paths: list[str]) -> bool:
    """Whether a random shift of these leaves leaves the likelihood of every row as it is."""
    position = context.generic_position
    normal = context.normal(7, position)
    kept = [path in paths for path in named_leaves(position)]
    leaves, structure = jax.tree.flatten(normal)
    shift = structure.unflatten([d if k else 0 * d for d, k in zip(leaves, kept, strict=True)])
    before, *after = (
        np.asarray(_shifted(context.small, position, shift, np.float32(size)), np.float64)
        for size in (0.0, 1.0, -10.0)
    )
    tolerance = 1e-4 * np.abs(before).max(initial=1e-6)
    return all(bool((np.abs(one - before) < tolerance).all()) for one in after)


def norms(context: Context) -> Check:
    """The gradient norms of the leaves differ by a factor of at most a million."""
    found = {
        path: float(np.sqrt((np.asarray(leaf, np.float64) ** 2).sum() / len(leaf)))
        for path, leaf in context.start_gradients.items()
        if np.any(leaf)  # `parameters used` reports those that are zero
    }
    if not found:
        return skipped("Every gradient is zero.")
    if max(found.values()) > RATIO * min(found.values()):
        # Chains of networks start at the mode of the prior. There, only rounding is left of the
        # gradient of a leaf without effect on the likelihood, such as the key bias of attention.
        there = named_leaves(gradient(context.small, context.generic_position)[1])
        for path, size in found.items():
            found[path] = max(size, float(np.linalg.norm(np.asarray(there[path], np.float64))))
    large, small = max(found, key=found.__getitem__), min(found, key=found.__getitem__)
    ratio = found[large] / found[small]
    text = (
        f"`{large}` {number(found[large])}"
        + (f", `{small}` {number(found[small])}, ratio {number(ratio)}" if len(found) > 1 else "")
        + context.note
    )
    if ratio > RATIO:
        return warned(
            f"The gradient norms differ widely: {text}. The stiffest direction sets the step "
            "size for all. Standardize the data, or choose units in which the parameters are "
            "about one.",
            norms=found,
        )
    return passed(f"{text}.", norms=found)
