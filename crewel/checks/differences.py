"""Compare the gradient with central finite differences, in float64 if the model runs in it.

Each difference is computed for several steps. How far two neighboring steps agree, and how much the
gradient changes over a step, bound the error: so neither noise (single precision somewhere in the
model) nor a kink (ReLU, max-pooling) is mistaken for a wrong gradient.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from crewel.checks import trace
from crewel.checks.context import TOO_SLOW, Context
from crewel.checks.evaluate import parts
from crewel.checks.float64 import widen
from crewel.checks.lines import explain
from crewel.checks.quick import quick
from crewel.checks.report import Check, failed, passed, skipped, warned
from crewel.core.precision import precision
from crewel.core.protocol import Position, Target
from crewel.core.text import count, names, number
from crewel.core.trees import leaf_paths

STEPS = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6)  # multiples of a direction, whose entries are about one
TOLERANCE = 1e-3  # relative
COARSE = (0.2, 0.1, 0.05)  # steps for models that compute in 16 bits, whose values are stairs
ROUGH = 0.2  # tolerance for them
MAX_DIRECTIONS = 16
ROWS = 16  # rows of data, at most: the derivative is the same function on all


def _directions(context: Context, position: Position) -> tuple[list[tuple[str, ...]], list[Any]]:
    """Random directions, each within one leaf, or within a few adjacent ones if there are many.

    Returns:
        The paths of the leaves of each direction, and one array `(direction, ...)` per leaf.
    """
    paths, leaves = leaf_paths(position), jax.tree.leaves(position)
    groups = np.array_split(np.arange(len(leaves)), min(MAX_DIRECTIONS, len(leaves)))
    made = [np.zeros((len(groups), *leaf.shape), np.float32) for leaf in leaves]
    drawn = jax.tree.leaves(context.normal(2, position))
    for index, group in enumerate(groups):
        for leaf in group:
            made[leaf][index] = drawn[leaf]
    return [tuple(paths[leaf] for leaf in group) for group in groups], made


@quick
def _values(
    target: Target, position: Position, directions: Position, index: jax.Array, distances: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """The density and its slope, by the gradient, at each `(direction, distance)`."""

    def at(where: Any) -> tuple[jax.Array, jax.Array]:
        i, s = where
        along = jax.tree.map(lambda d, z: d[i].astype(z.dtype), directions, position)
        there = jax.tree.map(lambda z, d: z + s.astype(z.dtype) * d, position, along)
        value, grad = jax.value_and_grad(target.log_density)(there)
        slopes = [
            jnp.sum((g * d).astype(value.dtype))
            for g, d in zip(jax.tree.leaves(grad), jax.tree.leaves(along), strict=True)
        ]
        return value, jnp.stack(slopes).sum()

    return jax.lax.map(at, (index, distances))


def _along(
    target: Target, position: Position, directions: Position, steps: tuple[float, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Central differences `(direction, step)`, and slopes behind, in the middle and ahead.

    Returns:
        The differences, and the slopes by the gradient, `(3, direction, step)`.
    """
    count = len(jax.tree.leaves(directions)[0])
    each = np.concatenate([steps, -np.asarray(steps), [0.0]])
    distances = np.tile(each, count)
    index = np.repeat(np.arange(count, dtype=np.int32), len(each))
    found = _values(
        target, position, directions, index, jnp.asarray(distances, jnp.result_type(float))
    )
    values, slopes = (np.asarray(one, np.float64).reshape(count, -1) for one in found)
    ahead, behind = values[:, : len(steps)], values[:, len(steps) : -1]
    middle = np.broadcast_to(slopes[:, -1:], ahead.shape)
    places = np.stack([slopes[:, len(steps) : -1], middle, slopes[:, : len(steps)]])
    return (ahead - behind) / (2 * np.asarray(steps)), places


def _differences(
    target: Target, position: Position, directions: Position, steps: tuple[float, ...]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Slopes by the gradient, slopes by central differences, and how far the former vary.

    Returns:
        Slopes at the position, `(direction,)`; differences, `(direction, step)`; and the range of
        the slopes at the two ends of each difference and in its middle, `(direction, step)`.
    """
    found, places = _along(target, position, directions, steps)
    return places[1, :, -1], found, np.ptp(places, axis=0)


def _coarse_differences(
    target: Target, position: Position, directions: Position
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The same over long steps: the slope is its average, and the range how well that is known."""
    found, places = _along(target, position, directions, COARSE)
    behind, middle, ahead = places
    average, ends = (behind + 4 * middle + ahead) / 6, (behind + ahead) / 2
    return average[:, -1], found, np.abs(average - ends)


def gradient(context: Context) -> Check:
    """The gradient of the log density agrees with finite differences."""
    cost = 2 * len(STEPS) + 1
    most = min(MAX_DIRECTIONS, len(leaf_paths(context.position)))
    target = context.on_rows(ROWS)
    if target is context.target:
        target = context.small
    share = target.num_rows / context.small.num_rows
    count = int(context.affordable(cost * most * share) / (cost * share))
    if count == 0:
        return skipped(TOO_SLOW)
    position = context.generic_position
    paths, leaves = _directions(context, position)
    chosen = np.linspace(0, len(paths) - 1, count).astype(int)
    directions = jax.tree.unflatten(jax.tree.structure(position), [leaf[chosen] for leaf in leaves])
    floats, trouble, measured = "float64", "", None
    try:
        with precision(double=True):
            wide, start, ways = widen((target, position, directions))
            half = trace.narrowest(trace.flatten(wide.log_density, start))
            if not half:
                measured = _differences(wide, start, ways, STEPS)
    except Exception as error:  # some models run in single precision only
        floats, trouble = "float32", f" The model does not run in float64: {explain(error)}"
        half = context.half
        if not half:
            slopes, found, ranges = _differences(target, position, directions, STEPS[:3])
            total = abs(float(parts(target, position)["total"]))
            noise = float(jnp.finfo(jnp.float32).eps) * total / np.asarray(STEPS[:3])
            measured = slopes, found, ranges + noise
    if measured is None:
        floats = str(half)
        measured = _coarse_differences(target, position, directions)
    few = target.num_rows < context.num_data
    how = floats + (f", on {target.num_rows} of {context.num_data:,} rows" if few else "")
    named = [paths[i] for i in chosen]
    return _judge(named, *measured, how, trouble, half)


def _judge(
    paths: list[tuple[str, ...]],
    slopes: np.ndarray,
    found: np.ndarray,
    ranges: np.ndarray,
    how: str,
    trouble: str,
    half: Any = None,
) -> Check:
    gaps = np.abs(np.diff(found, axis=1))
    # Across a kink, as of ReLU, a difference lies between the slopes on either side.
    bounds = gaps + ranges[:, 1:]
    best = np.where(np.isfinite(bounds), bounds, np.inf).argmin(1)
    each = np.arange(len(paths))
    value, gap, error = found[each, best + 1], gaps[each, best], bounds[each, best]
    size = np.maximum(np.abs(value), np.abs(slopes))
    settled = np.isfinite(value) & (gap <= 0.1 * size) | (size == 0)
    off = np.abs(value - slopes)
    least, unsure = (ROUGH * size, error) if half else (TOLERANCE * size, 5 * error)
    wrong = settled & (off > least + unsure)
    numbers = {"slopes": slopes, "differences": value, "errors": error}
    if wrong.any():
        worst = int(np.argmax(np.where(wrong, off / np.maximum(size, 1e-300), -1)))
        culprits = [path for i in np.flatnonzero(wrong) for path in paths[i]]
        return failed(
            f"The gradient with respect to {names(culprits)} is not the derivative of the "
            f"log density: along a random direction of {names(paths[worst])} it gives "
            f"{number(slopes[worst])}, but finite differences give {number(value[worst])} ({how}). "
            "Look for a `stop_gradient`, rounding, integers or a `custom_vjp` in the computation, "
            f"or for a discontinuity.{trouble}",
            leaves=culprits,
            **numbers,
        )
    if half and not settled.any():
        return skipped(f"The model computes in {half}: rounding hides finite differences.")
    if (trouble or half) and settled.any():  # the others may be nothing but rounding
        chosen = np.flatnonzero(settled)
        paths, off, size = [paths[i] for i in chosen], off[chosen], size[chosen]
    elif not settled.all():
        loose = [path for i in np.flatnonzero(~settled) for path in paths[i]]
        return warned(
            f"Finite differences along {names(loose)} do not converge ({how}): the log density is "
            "discontinuous or computed in low precision, so its gradient cannot be checked."
            f"{trouble}",
            leaves=loose,
            **numbers,
        )
    worst = float(np.max(off / np.maximum(size, 1e-300) * (size > 0), initial=0.0))
    directions = count(len(paths), "random direction")
    return passed(f"Agrees to {worst:.0e} along {directions} ({how}).{trouble}", **numbers)
