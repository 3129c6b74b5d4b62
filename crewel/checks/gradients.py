"""Checks of the gradient of each leaf: finite, not exactly zero, of similar size."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from crewel.checks import trace
from crewel.checks.blame import blame_gradient
from crewel.checks.context import Context, gradient, row_values
from crewel.checks.report import Check, failed, passed, skipped, warned
from crewel.core.protocol import Position, Target
from crewel.core.text import count, names, number
from crewel.core.trees import named_leaves

RATIO = 1e6  # largest over smallest gradient norm: above it no step size suits all leaves


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
            return failed(
                f"The gradient with respect to `{path}` is {kinds} of {size} entries at {where}, "
                f"where the density is finite{context.note}.{others}{why} `jnp.where(ok, f(x), 0)` "
                "does not help where `f` has no derivative: make its input safe instead, "
                "`f(jnp.where(ok, x, 1))`.",
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
        return failed(
            f"The gradient with respect to {names(zero)} is exactly zero at every initial state"
            f"{context.note}, although the density uses it. Look for a `stop_gradient`, rounding, "
            "or units that are inactive for all data.",
            leaves=zero,
        )
    return passed(f"{count(len(paths), 'leaf')} in use.")


@jax.jit
def _likelihood_gradient(target: Target, position: Position) -> Position:
    def total(position: Position):
        return jnp.sum(row_values(target, target.constrain(position), target.data))

    return jax.grad(total)(position)


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

    uses = trace.used_inputs(trace.flatten(likelihood, context.position))
    unused = [path for path, is_used in zip(found, uses, strict=True) if not is_used]
    if unused:
        return warned(
            f"The likelihood does not use {names(unused)}. That is expected of hyperparameters in "
            "a hierarchical model; for a network's weight it is a mistake, and its posterior is "
            "its prior.",
            leaves=unused,
            zero_share=share,
        )
    if silent:
        return warned(
            f"The likelihood's gradient with respect to {names(silent)} is exactly zero at every "
            f"initial state{context.note}, although the likelihood uses it: units are inactive "
            "(a dead ReLU layer) or saturated for all data, so the data cannot inform it. Scale "
            "the inputs, change the prior or the initial values of the biases, or use another "
            "activation, e.g. `tanh` or `silu`.",
            leaves=silent,
            zero_share=share,
        )
    return passed("The likelihood depends on every leaf.", zero_share=share)


def norms(context: Context) -> Check:
    """The gradient norms of the leaves differ by a factor of at most a million."""
    found = {
        path: float(np.sqrt((np.asarray(leaf, np.float64) ** 2).sum() / len(leaf)))
        for path, leaf in context.start_gradients.items()
        if np.any(leaf)  # `parameters used` reports those that are zero
    }
    if not found:
        return skipped("Every gradient is zero.")
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
