"""Checks of a network under its prior: valid likelihoods, outputs that follow the inputs."""

from __future__ import annotations

import jax
import numpy as np

from crewel.checks import blocked, trace
from crewel.checks.context import Context
from crewel.checks.report import Check, failed, passed, skipped, warned
from crewel.core.text import names, number
from crewel.likelihoods import COUNTS
from crewel.posterior.predict import NetworkPredictive

LARGE = 100.0  # predictions over targets, above which a prior has nothing to do with the targets
SMALL = 1e-3  # the same, below which it rules them out
RARE = 0.02  # share of draws that may be invalid, by overflow or underflow
BEYOND = 0.1  # mean distance of the targets from what can be predicted, over their spread
SURE = 0.9  # share of predictions that are certain, above which a prior is saturated
_RANGES = {"tanh": (-1.0, 1.0), "logistic": (0.0, 1.0), "erf": (-1.0, 1.0)}
_SHAPING = {"reshape", "squeeze", "slice", "transpose", "broadcast_in_dim", "convert_element_type"}
_NO_NETWORK = "The model does not predict `y` from rows of `x`, or its prior cannot be drawn from."


def inputs(context: Context) -> Check:
    """The outputs depend on `x`, and no arithmetic on small integers overflows."""
    predictive, data = context.model.predictive, context.model.data
    if not isinstance(predictive, NetworkPredictive) or not isinstance(data, dict):
        return skipped(_NO_NETWORK)
    x = context.few_rows["x"]
    flat = trace.flatten(predictive.apply, context.model.test_point, x)
    leaves = jax.tree.leaves(x)
    places = flat.inputs[-len(leaves) :]
    if not any(trace.used_inputs(flat)[-len(leaves) :]):
        return warned(
            "The network's outputs do not depend on `x`: every row gets the same prediction. Use "
            "the argument `x` in the network, not an array from outside."
        )
    op = blocked.wraps(flat, dict(zip(places, leaves, strict=True)))
    if op is not None:
        kind = np.dtype(flat.avals[op.outputs[0]].dtype).name
        return failed(
            f"Arithmetic on the inputs overflows: the result of {blocked.named([op])}, does not "
            f"fit in {kind} and wraps round. Convert the inputs first, `x.astype(float)`.",
            dtype=kind,
        )
    kinds = ", ".join(sorted({str(leaf.dtype) for leaf in leaves}))
    return passed(f"The outputs depend on `x` ({kinds}); no integers overflow.")


def parameters(context: Context) -> Check:
    """The likelihood's parameters are valid under draws from the prior, and used as meant."""
    found = context.implied
    if found is None:
        return skipped(_NO_NETWORK)
    shares = {text: float(np.mean(bad)) for text, bad in found["invalid"].items()}
    wrong = {name: share for name, share in shares.items() if share > RARE}
    if wrong:
        text, share = max(wrong.items(), key=lambda item: item[1])
        name, _, constraint = text.partition(": ")
        return failed(
            f"Under {share:.0%} of draws from the prior, the likelihood's parameter `{name}` "
            f"violates its constraint, `{constraint}`: the density there is NaN or meaningless. "
            "Choose a prior on the allowed values, e.g. `HalfNormal` or `LogNormal` for a scale, "
            "or transform the output: `jax.nn.softplus`, or `logits=` instead of `probs=`.",
            invalid=shares,
        )
    twice = _link(found.get("logits"))
    if twice:
        return warned(twice, invalid=shares)
    if shares:
        checked = [text.partition(": ")[0] for text in shares]
        return passed(f"{names(checked)}: valid under the prior.", invalid=shares)
    return passed("There is nothing to check.")


def _link(logits: np.ndarray | None) -> str:
    """What is wrong if logits are probabilities already; empty if they are not."""
    if logits is None or not np.isfinite(logits).all() or logits.size < 100:
        return ""
    inside = bool((logits >= 0).all() and (logits <= 1).all() and np.ptp(logits) > 0)
    if inside and logits.ndim > 2 and np.allclose(logits.sum(-1), 1, atol=1e-3):
        return (
            "The network's outputs are positive and sum to one for every row and every draw from "
            "the prior: a softmax was applied, and the likelihood, which takes logits, applies it "
            "again. No class could then be more than e times as probable as another. Return the "
            "logits, without `softmax`."
        )
    if inside:
        return (
            "The network's outputs lie between 0 and 1 for every row and every draw from the "
            "prior, but the likelihood takes logits and applies a sigmoid again: no probability "
            "could be below 0.5 or above 0.73. Return the logits, without `sigmoid`."
        )
    return ""


def scale(context: Context) -> Check:
    """Under the prior, predictions differ between rows, and are of the targets' size."""
    found = context.implied
    if found is None:
        return skipped(_NO_NETWORK)
    outputs = [np.asarray(leaf, np.float64) for leaf in jax.tree.leaves(found["outputs"])]
    outputs = [leaf for leaf in outputs if leaf.ndim > 1]
    x = [np.asarray(leaf) for leaf in jax.tree.leaves(context.few_rows["x"])]
    varied = any((leaf != leaf[:1]).any() for leaf in x)
    if varied and outputs and all(map(_alike, outputs)):
        return warned(
            "Under every draw from the prior, the network's outputs are the same for all rows, "
            f"although `x` differs: its units are saturated or inactive.{_inputs(x)}"
        )
    advice = 'Use a narrower prior for kernels as well as biases, such as `prior="fan_in"`, and '
    if "probabilities" in found:
        share = float(np.mean(np.asarray(found["probabilities"]).max(-1) == 1))
        if share > SURE:
            return warned(
                f"Under the prior, {share:.0%} of the predictions give one class a probability of "
                f"exactly one: the outputs are so large that gradients vanish. {advice}"
                f"standardize `x`.{_inputs(x)}",
                certain=share,
            )
        return passed(
            f"Under the prior, {share:.0%} of the predictions are certain.", certain=share
        )
    mean = np.asarray(found["mean"], np.float64)
    y = np.asarray(context.model.data["y"], np.float64)
    beyond = _beyond(context, mean, y)
    if beyond:
        return warned(beyond, lowest=mean.min(), highest=mean.max())
    size = float(np.sqrt(np.mean(y**2)))
    counts = getattr(context.model.predictive, "kind", "") == COUNTS
    spread = np.abs(mean) if counts else np.sqrt((mean**2).reshape(len(mean), -1).mean(1))
    typical = float(np.median(spread))
    numbers = {"typical": typical, "targets": size}
    if not np.isfinite(typical) or (size > 0 and typical > LARGE * size):
        return warned(
            f"Under the prior, predictions are typically {number(typical)}, but the targets are "
            f"about {number(size)}: the prior says almost nothing about functions of that size. "
            f"{advice}standardize `x` and `y`.{_inputs(x)}",
            **numbers,
        )
    if 0 < typical < SMALL * size:
        return warned(
            f"Under the prior, predictions are typically {number(typical)}, but the targets are "
            f"about {number(size)}: the prior rules the targets out. Standardize `y`, or use a "
            "wider prior for the last layer.",
            **numbers,
        )
    return passed(
        f"Under the prior, predictions are typically {number(typical)}, the targets "
        f"{number(size)}.",
        **numbers,
    )


def _beyond(context: Context, mean: np.ndarray, y: np.ndarray) -> str:
    """What is wrong if no parameters could predict some of the targets; empty if nothing is.

    Args:
        context: the model.
        mean: predictions under the prior.
        y: the targets.
    """
    low, high, name = _bounds(context)
    if not ((mean >= low) & (mean <= high)).all():
        low, high, name = -np.inf, np.inf, ""
    if (mean >= 0).all():
        low = max(low, 0.0)
    elif (mean <= 0).all():
        high = min(high, 0.0)
    off = np.maximum(low - y, 0) + np.maximum(y - high, 0)
    if not off.mean() > BEYOND * y.std():
        return ""
    if name:
        range_, are = f"between {number(low)} and {number(high)}", "are not"
    else:
        range_, are = f"never {'negative' if low == 0 else 'positive'}", "are"
    made = f" `{name}`" if name else ""
    return (
        f"Under every draw from the prior, predictions are {range_}, but {np.mean(off > 0):.0%} of "
        f"the targets {are}: the network ends in an activation{made} that cannot reach them. Let "
        "it end in a linear layer, or scale the targets into that range."
    )


def _bounds(context: Context) -> tuple[float, float, str]:
    """The range of the function in which the network ends, and its name; empty if unbounded."""
    predictive, x = context.model.predictive, context.few_rows["x"]
    assert isinstance(predictive, NetworkPredictive)
    flat = trace.flatten(predictive.apply, context.model.test_point, x)
    maker = {n: op for op in flat.ops for n in op.outputs}
    place = flat.outputs[0]
    while place in maker and maker[place].name in _SHAPING:
        place = maker[place].inputs[0]
    name = maker[place].name if place in maker else ""
    low, high = _RANGES.get(name, (-np.inf, np.inf))
    return low, high, name if name in _RANGES else ""


def _alike(outputs: np.ndarray) -> bool:
    """Whether outputs `(draw, row, ...)` are the same in all rows but for rounding."""
    return bool((np.ptp(outputs, axis=1) <= 1e-5 * np.abs(outputs).max(1)).all())


def _inputs(x: list[np.ndarray]) -> str:
    """The size of the inputs, in a sentence, if it is large."""
    sizes = [float(np.sqrt(np.mean(leaf.astype(np.float64) ** 2))) for leaf in x if leaf.size]
    largest = max(sizes, default=0.0)
    return f" `x` is about {number(largest)}: standardize it." if largest > 10 else ""
