"""Gradients by leaf: not finite, exactly zero, or of very different sizes."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from crewel.checks import trace
from crewel.checks.blame import blame_gradient
from crewel.checks.context import Context, gradient, row_values
from crewel.checks.report import Check, failed, passed, skipped, warned
from crewel.core.protocol import Target
from crewel.core.text import count, names, number
from crewel.core.trees import named_leaves

RATIO = 1e6  # of gradient norms, above which one step size fits no leaf


def finite(context: Context) -> Check:
    """No gradient is NaN or infinite, at the test point or where chains start."""
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
            others = f" So it is for {names(list(bad)[1:])}." if len(bad) > 1 else ""
            return failed(
                f"The gradient with respect to `{path}` is {kinds} of {size} entries at {where}, "
                f"where the density is finite{context.note}.{others}{why} `jnp.where(ok, f(x), 0)` "
                "does not help where `f` has no derivative: make its input safe, "
                "`f(jnp.where(ok, x, 1))`.",
                leaves={p: int((~np.isfinite(leaf)).sum()) for p, leaf in bad.items()},
                **numbers,
            )
    starts = count(len(places) - 1, "initial state")
    return passed(f"Finite at the test point and {starts}{context.note}.")


def used(context: Context) -> Check:
    """Every leaf changes the log density: it is used, and its gradient is not exactly zero."""
    target, position = context.small, context.position
    uses = trace.used_inputs(trace.flatten(target.log_density, position))
    paths = list(named_leaves(position))
    unused = [path for path, is_used in zip(paths, uses, strict=True) if not is_used]
    if unused:
        return failed(
            f"The log density does not use {names(unused)}: nothing holds it, and the sampler "
            "lets it drift without end. Use it, give it a prior, or take it out of `test_point`.",
            leaves=unused,
        )
    zero = [path for path, leaf in context.start_gradients.items() if not np.any(leaf)]
    if zero:  # a prior's gradient is zero at its mode, where networks start
        there = named_leaves(gradient(target, context.place)[1])
        zero = [path for path in zero if not np.any(np.asarray(there[path]))]
    if zero:
        return failed(
            f"The gradient with respect to {names(zero)} is exactly zero at every initial state"
            f"{context.note}, though the density uses it: a `stop_gradient`, a rounding, or units "
            "that are all off. Nothing moves it.",
            leaves=zero,
        )
    return passed(f"{count(len(paths), 'leaf')}, all in use.")


@jax.jit
def _likelihood_gradient(target: Target, position: Any) -> Any:
    def total(position):
        return jnp.sum(row_values(target, target.constrain(position), target.data))

    return jax.grad(total)(position)


def informed(context: Context) -> Check:
    """The data say something about every leaf: the likelihood's gradient is not exactly zero."""
    target = context.small
    if target.log_likelihood is None or target.data is None:
        return skipped("The model has no `log_likelihood` apart from its prior.")
    each = [named_leaves(_likelihood_gradient(target, position)) for position in context.looked_at]
    found = {path: np.stack([np.asarray(one[path]) for one in each]) for path in each[0]}
    silent = [path for path, leaf in found.items() if not np.any(leaf)]
    share = {path: float(np.mean(leaf == 0)) for path, leaf in found.items()}

    def likelihood(position):
        return row_values(target, target.constrain(position), target.data)

    uses = trace.used_inputs(trace.flatten(likelihood, context.position))
    unused = [path for path, is_used in zip(found, uses, strict=True) if not is_used]
    if unused:
        return warned(
            f"The likelihood does not use {names(unused)}: its posterior is its prior. In a "
            "hierarchy that is as it should be; of a network's weight it is a mistake.",
            leaves=unused,
            zero_share=share,
        )
    if silent:
        return warned(
            f"The likelihood's gradient with respect to {names(silent)} is exactly zero at every "
            f"initial state{context.note}, though it is used: units that are off for all data "
            "(a dead ReLU layer), or saturated. The data cannot move it: scale the inputs, change "
            "the biases' start or prior, or take an activation such as `tanh` or `silu`.",
            leaves=silent,
            zero_share=share,
        )
    return passed("The likelihood depends on every leaf.", zero_share=share)


def norms(context: Context) -> Check:
    """Gradient norms by leaf do not differ by too much."""
    found = {
        path: float(np.sqrt((np.asarray(leaf, np.float64) ** 2).sum() / len(leaf)))
        for path, leaf in context.start_gradients.items()
        if np.any(leaf)  # those that are zero are another check's
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
            f"The gradients' norms differ much: {text}. The stiffest direction sets the step "
            "size for all. Standardise the data, or write the parameters in units in which they "
            "are about one.",
            norms=found,
        )
    return passed(f"{text}.", norms=found)
