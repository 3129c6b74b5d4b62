"""The size of the inputs: a network under its prior must be able to use every column.

What a network computes from `x` alone, its features, may be huge, tiny or far from zero. Whether
that matters depends on the network and the prior. So the network is run under draws from the prior
twice: on the features as they are, and with the unusual columns standardized.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from crewel.checks import trace
from crewel.checks.context import Context
from crewel.checks.features import Feature, features, results
from crewel.checks.quick import quick
from crewel.checks.report import Check, passed, skipped, warned
from crewel.core.frames import names_of
from crewel.core.text import number
from crewel.core.together import are_together
from crewel.posterior.predict import NetworkPredictive

LARGE = 10.0  # typical size of a column, above which it is unusual
SMALL = 1e-2  # the same, below which it is
FAR = 10.0  # distance of a column from zero, in its standard deviations
STEP = 1e-3  # standard deviations by which inputs are moved to see a slope
LITTLE = 0.05  # share of the function's variation, below which it hardly depends on something
WORSE = 5.0  # factor by which standardized inputs must be better
SHOWN = 4  # columns that are named


class _Unusual(NamedTuple):
    """The columns of a feature that are unusual, `(column,)` each."""

    large: np.ndarray  # or far from zero
    tiny: np.ndarray


def sizes(context: Context) -> Check:
    """The columns of `x` are of a size at which the network, under its prior, uses all of them."""
    predictive, data = context.model.predictive, context.model.data
    draws = context.prior_draws
    if not isinstance(predictive, NetworkPredictive) or draws is None:
        return skipped("The model does not predict `y` from rows of `x`, or has no prior to draw.")
    if are_together(data) or context.num_data < 8:
        return skipped("There are too few rows.")
    x = jax.tree.map(lambda leaf: leaf[1:], context.few_rows["x"])  # 63 is seldom another axis
    flat = trace.flatten(predictive.point, context.model.test_point, x)
    leaves = jax.tree.leaves(x)
    places = flat.inputs[-len(leaves) :]
    found = features(flat, dict(zip(places, leaves, strict=True)), len(leaves[0]))
    unusual = [_unusual(feature.columns) for feature in found]
    if not any(one.large.any() or one.tiny.any() for one in unusual):
        return passed(f"Columns are {_range(found)}.")
    outputs = partial(_outputs, flat, draws, leaves, found)
    ratios = _ratios(outputs, context.rng(11), found, unusual)
    for reason, (text, which) in _REASONS.items():
        raw, standardized = ratios.get(reason, (1.0, 1.0))
        chosen = [one.large | one.tiny if not which else getattr(one, which) for one in unusual]
        if any(one.any() for one in chosen) and raw < LITTLE and standardized > WORSE * raw:
            sizes = _listed(predictive, x, found, chosen)
            return warned(
                f"{sizes}: under the prior, {text}. {_advice(found)}, and new rows in the same "
                "way; or give the weights of these columns priors of the inverse size.",
                **{name: np.asarray(pair) for name, pair in ratios.items()},
            )
    return passed(
        f"Columns are {_range(found)}; under the prior, the network uses all of them.",
        **{name: np.asarray(pair) for name, pair in ratios.items()},
    )


_REASONS = {
    "others": ("the network hardly depends on the other columns", "large"),
    "slope": (
        "the network is saturated: it is constant but for jumps, and has no gradients",
        "large",
    ),
    "variation": ("the network's outputs are nearly the same for all rows", ""),
    "tiny": ("the network hardly depends on these columns", "tiny"),
}


def _unusual(columns: np.ndarray) -> _Unusual:
    """Columns that vary and are large, far from zero, or tiny; mostly zeros are never tiny."""
    location, spread = columns.mean(0), columns.std(0)
    size, varies = _sizes(columns), spread > 0
    large = varies & ((size > LARGE) | ((np.abs(location) > FAR * spread) & (size > 1)))
    tiny = varies & (np.abs(columns).max(0) < SMALL) & ((columns != 0).mean(0) > 0.5)
    return _Unusual(large, tiny)


def _ratios(
    outputs_of: Callable[[list[np.ndarray]], np.ndarray],
    rng: np.random.Generator,
    found: list[Feature],
    unusual: list[_Unusual],
) -> dict[str, tuple[float, float]]:
    """How the network under its prior depends on its inputs, as they are and standardized.

    Args:
        outputs_of: from variants of the features, one array `(variant, ...)` for each, to outputs
            `(draw, variant, row, output)`.
        rng: for shuffled rows and small steps.
        found: the features.
        unusual: their unusual columns.

    Returns:
        By name, two numbers relative to the variation of the outputs over rows, medians over draws
        from the prior: `others`, what the usual columns change; `tiny`, what the tiny ones change;
        `slope`, the change per standard deviation; `variation`, the variation itself relative to
        the outputs. Those that cannot be asked are left out.
    """
    order = rng.permutation(found[0].value.shape[found[0].axis])
    usual = [~(one.large | one.tiny) for one in unusual]
    some = {"others": usual, "tiny": [one.tiny for one in unusual]}
    some = {name: chosen for name, chosen in some.items() if any(c.any() for c in chosen)}
    variants: list[list[np.ndarray]] = [[] for _ in range(2 * (2 + len(some)))]
    for i, (feature, one) in enumerate(zip(found, unusual, strict=True)):
        raw = feature.columns
        location, spread = raw.mean(0), np.where(raw.std(0) > 0, raw.std(0), 1.0)
        standardized = np.where(one.large | one.tiny, (raw - location) / spread, raw)
        shape = np.moveaxis(feature.value, feature.axis, 0).shape
        noise = STEP * rng.standard_normal(raw.shape)
        made = []
        for columns in (raw, standardized):
            shuffled = columns.reshape(shape)[order].reshape(raw.shape)
            made += [columns, columns + columns.std(0) * noise]
            made += [np.where(chosen[i], shuffled, columns) for chosen in some.values()]
        for variant, columns in zip(variants, made, strict=True):
            variant.append(feature.replaced(columns))
    stacked = [np.stack(arrays) for arrays in zip(*variants, strict=True)]
    outputs = outputs_of(stacked)
    half = len(variants) // 2
    pairs = [_measured(outputs[:, part], list(some)) for part in (slice(half), slice(half, None))]
    return {name: (pairs[0][name], pairs[1][name]) for name in pairs[0]}


def _outputs(
    flat: trace.Flat, draws: Any, x: list[Any], found: list[Feature], stacked: list[np.ndarray]
) -> np.ndarray:
    """The outputs under each draw from the prior, with the features replaced by each variant."""

    @quick
    def run(draws: Any, x: list[Any], stacked: list[Any]) -> jax.Array:
        def under(params: Any) -> jax.Array:
            given = dict(zip(flat.inputs, [*jax.tree.leaves(params), *x], strict=True))

            def on(arrays: list[Any]) -> jax.Array:
                replaced = {f.number: a for f, a in zip(found, arrays, strict=True)}
                made = [leaf.reshape(leaf.shape[0], -1) for leaf in results(flat, given | replaced)]
                return jnp.concatenate([leaf.astype(jnp.float32) for leaf in made], axis=1)

            return jax.lax.map(on, stacked)

        return jax.lax.map(under, draws)

    return np.asarray(run(draws, x, stacked), np.float64)


def _measured(outputs: np.ndarray, some: list[str]) -> dict[str, float]:
    """The numbers of `_ratios` from outputs `(draw, variant, row, output)` of one half."""

    def rms(values: np.ndarray) -> np.ndarray:
        return np.sqrt((values**2).mean(-1))

    first, moved, *shuffled = np.moveaxis(outputs, 1, 0)
    spread = rms((first - first.mean(1, keepdims=True)).reshape(len(first), -1))
    size = rms(first.reshape(len(first), -1))
    spread = np.maximum(spread, 1e-6 * size + 1e-30)  # below that it is rounding
    found = {
        "variation": np.median(spread / np.maximum(size, 1e-30)),
        "slope": np.median(np.median(rms(moved - first), axis=1) / (STEP * spread)),
    }
    for name, other in zip(some, shuffled, strict=True):
        found[name] = np.median(rms((other - first).reshape(len(first), -1)) / spread)
    return {name: float(value) for name, value in found.items()}


def _names(predictive: NetworkPredictive, x: Any, found: list[Feature]) -> list[list[str]]:
    """What to call each column of each feature: the column of `x` that it is, if it is one."""
    named: list[tuple[np.ndarray, str]] = []
    for i, (leaf, name) in enumerate(zip(jax.tree.leaves(x), names_of(x, "x"), strict=True)):
        values = np.asarray(leaf, np.float64)
        values = values.reshape(-1, values.shape[-1] if values.ndim > 1 else 1)
        columns = predictive.rows.columns[i] if predictive.rows is not None else None
        for j, column in enumerate(values.T):
            single = f"`{name}`" if values.shape[1] == 1 else f"column {j} of `{name}`"
            named.append((column, single if columns is None else f"`{columns[j]}`"))

    def call(values: np.ndarray) -> str:
        alike = [(column, name) for column, name in named if column.shape == values.shape]
        for column, name in alike:
            if np.array_equal(column, values):
                return name
        for column, name in alike:
            if column.std() > 0 and abs(np.corrcoef(column, values)[0, 1]) > 1 - 1e-6:
                return name
        return "a value computed from `x`"

    return [[call(column) for column in feature.columns.T] for feature in found]


def _listed(predictive: NetworkPredictive, x: Any, found: list[Feature], chosen: Any) -> str:
    """Columns with their sizes: `income` (52,000 ± 21,000)."""
    total = sum(int(one.sum()) for one in chosen)
    if total > SHOWN:
        sizes = [_sizes(f.columns)[one] for f, one in zip(found, chosen, strict=True)]
        low, high = (number(end(np.concatenate(sizes))) for end in (np.min, np.max))
        return f"{total} columns of `x` are about {low} to {high}"
    names = _names(predictive, x, found)
    said: dict[str, None] = {}
    for feature, one, called in zip(found, chosen, names, strict=True):
        for j in np.flatnonzero(one):
            values = feature.columns[:, j]
            said[f"{called[j]} is {number(values.mean())} ± {number(values.std())}"] = None
    text = ", ".join(said)
    return text[:1].upper() + text[1:]


def _advice(found: list[Feature]) -> str:
    values = np.concatenate([feature.columns.ravel() for feature in found])
    if values.min() == 0 and 200 < values.max() <= 255 and (values % 1 == 0).all():
        return "Divide the pixels by 255"
    return "Standardize the columns of `x` (subtract the mean, divide by the standard deviation)"


def _sizes(columns: np.ndarray) -> np.ndarray:
    return np.sqrt((columns**2).mean(0))


def _range(found: list[Feature]) -> str:
    """The range of the columns' typical sizes."""
    sizes = [_sizes(feature.columns) for feature in found]
    each = np.concatenate(sizes) if sizes else np.zeros(0)
    each = each[each > 0]
    if not each.size:
        return "not used as numbers"
    low, high = number(each.min()), number(each.max())
    return f"about {low}" if low == high else f"about {low} to {high}"
