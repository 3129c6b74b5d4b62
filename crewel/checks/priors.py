"""Checks of priors: one per leaf, on the support of the leaf, with tails that can be normalized."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from crewel.checks.context import TOO_SLOW, Context
from crewel.checks.evaluate import parts
from crewel.checks.quick import quick
from crewel.checks.report import Check, failed, passed, skipped
from crewel.core.protocol import Position, Target
from crewel.core.text import count, names, number
from crewel.core.trees import leaf_paths, named_leaves

DRAWS = 64
FAR = (10.0, 20.0, 40.0, 80.0, 1e4, 1e6, 1e8)  # distances along a ray; `exp` overflows at 89
LEAVES = 24  # leaves whose tails are checked, at most


def assigned(context: Context) -> Check:
    """Every leaf has a proper prior."""
    table = context.prior_table
    if table is None:
        return skipped("The model has no table of priors; see `tails`.")
    paths = leaf_paths(context.model.test_point)
    missing = [path for path in paths if path not in table]
    if missing:
        return failed(
            f"There is no prior for {names(missing)}: unless the likelihood constrains it, the "
            "posterior is improper. Give it a prior.",
            leaves=missing,
        )
    improper = [path for path in paths if "Improper" in type(table[path]).__name__]
    if improper:
        return failed(
            f"The prior of {names(improper)}, {type(table[improper[0]]).__name__}, cannot be "
            "normalized, and perhaps the posterior cannot either. Use a proper prior.",
            leaves=improper,
        )
    said = {path: context.prior_texts[path] for path in paths}
    different = count(len(set(said.values())), "prior")
    return passed(f"{different} for {count(len(paths), 'leaf')}.", priors=said)


def _bijection(prior: Any) -> Any:
    from numpyro.distributions import biject_to

    return biject_to(prior.support)


@quick
def _both_ways(target: Target, table: Any, normals: Any, inside: Any) -> tuple[Any, Any, Any, Any]:
    """Test what the transform reaches against the priors' supports, and the reverse.

    Args:
        target: the density.
        table: distribution by path.
        normals: unconstrained positions, leaves `(draw, ...)`.
        inside: by path, numbers that the prior's own bijection maps into its support.

    Returns:
        The parameters reached, by path; whether each lies in its prior's support; points in the
        priors' supports; the same points after the model's inverse and transform.
    """
    reached = jax.vmap(target.constrain)(normals)
    structure = jax.tree.structure(reached)
    reached = named_leaves(reached)
    held = {path: table[path].support(leaf) for path, leaf in reached.items()}
    points = {
        path: jax.vmap(_bijection(table[path]))(leaf).astype(reached[path].dtype)
        for path, leaf in inside.items()
    }
    again = jax.vmap(lambda p: target.transform.forward(target.transform.inverse(p)))(
        jax.tree.unflatten(structure, [points[path] for path in reached])
    )
    return reached, held, points, named_leaves(again)


def support(context: Context) -> Check:
    """The support of each prior is exactly what the transform of its leaf reaches."""
    table = context.prior_table
    if table is None:
        return skipped("The model has no table of priors.")
    like = named_leaves(context.model.test_point)
    draws = int(np.clip(2e6 / sum(leaf.size for leaf in like.values()), 2, DRAWS))
    shapes = {
        path: jax.eval_shape(_bijection(table[path]).inv, leaf) for path, leaf in like.items()
    }
    normals = jax.tree.map(lambda z: 2 * z, context.normal(3, context.position, draws))
    found = _both_ways(context.target, table, normals, context.normal(4, shapes, draws))
    reached, held, points, again = jax.tree.map(np.asarray, found)
    for path, inside in held.items():
        if not inside.all():
            values = reached[path].astype(np.float64)
            wrong = values[~inside] if inside.shape == values.shape else values
            return failed(
                f"`{path}` takes values such as {number(wrong.ravel()[0])}, outside the support of "
                f"its prior {context.prior_texts[path]}: the density there is zero or meaningless. "
                f"Constrain the leaf with `{_spell(table[path].support)}` in `transform_fn`.",
                leaf=path,
            )
        leaf = points[path].astype(np.float64)
        lost = ~(np.abs(again[path].astype(np.float64) - leaf) < 1e-2 * (1 + np.abs(leaf)))
        share = lost.reshape(draws, -1).any(1).mean()
        if share > 0.05:
            return failed(
                f"The transform does not reach all of the support of `{path}`'s prior, "
                f"{context.prior_texts[path]}: it misses {number(leaf[lost].ravel()[0])}, for "
                "example, so the prior is truncated. Constrain the leaf with the prior's own "
                f"support, `{_spell(table[path].support)}`, in `transform_fn`.",
                leaf=path,
            )
    return passed("Each prior's support is exactly what the transform reaches.")


def _spell(constraint: Any) -> str:
    """A constraint as the user would write it: `constraints.positive`, or class and bounds."""
    from numpyro.distributions import constraints

    for name in constraints.__all__:
        if getattr(constraints, name) is constraint:
            return f"constraints.{name}"
    return repr(constraint)


def split(context: Context) -> Check:
    """The log density is the log prior plus the log likelihood, up to a constant."""
    target = context.small
    if target.log_prior is None or target.log_likelihood is None or target.data is None:
        return skipped("The model does not define `log_prior` and `log_likelihood` separately.")
    found = [parts(target, context.started(chain)) for chain in range(context.checked_chains)]
    joint = np.asarray([one["total"] - one.get("jacobian", 0.0) for one in found], np.float64)
    prior = np.asarray([one["prior"] for one in found], np.float64)
    likelihood = np.asarray(
        [np.asarray(one["likelihood"], np.float64).sum() for one in found], np.float64
    )
    rest = joint - prior - likelihood
    size = np.abs(joint) + np.abs(prior) + np.abs(likelihood)
    numbers = {"log_density": joint, "log_prior": prior, "log_likelihood": likelihood}
    shift = np.median(rest)  # an unnormalized density may differ by a constant
    if (np.abs(rest - shift) > np.sqrt(context.eps) * size.max()).any():
        worst = int(np.argmax(np.abs(rest - shift)))
        return failed(
            f"`log_density` is not `log_prior` plus the sum of `log_likelihood`: the difference is "
            f"{number(rest[worst])} at one initial state and {number(shift)} at another"
            f"{context.note}, but it must be a constant. Algorithms that temper or subsample would "
            "sample a different posterior from the others.",
            **numbers,
        )
    rows = jax.tree.leaves(target.data)[0].shape[0]
    return passed(
        f"Prior {number(prior[0])}, likelihood {number(likelihood[0])} "
        f"({number(likelihood[0] / rows)} per row) at the first initial state{context.note}.",
        **numbers,
    )


@quick
def _along_ray(
    target: Target, position: Position, direction: Position, distances: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """The log density along a ray, and whether the parameters moved since the previous point.

    They stop moving where the transform saturates in floating point.
    """

    def at(s: Any) -> tuple[jax.Array, Any]:
        there = jax.tree.map(lambda z, d: z + (s * d).astype(z.dtype), position, direction)
        return target.log_density(there), target.constrain(there)

    values, params = jax.lax.map(at, distances)
    moved = [
        jnp.any((leaf[1:] != leaf[:-1]).reshape(len(distances) - 1, -1), axis=1)
        for leaf in jax.tree.leaves(params)
    ]
    return values, jnp.concatenate([jnp.ones(1, bool), jnp.any(jnp.stack(moved), axis=0)])


def tails(context: Context) -> Check:
    """The log density decreases far out along every leaf, so that it can be normalized."""
    if context.prior_table is not None:
        return skipped("Every leaf has its own proper prior.")
    target, cost = context.small, 2 * len(FAR)
    paths = leaf_paths(context.position)
    count = int(context.affordable(cost * min(LEAVES, len(paths))) / cost)
    if count == 0:
        return skipped(TOO_SLOW)
    position = context.generic_position
    leaves, structure = jax.tree.flatten(position)
    distances = np.asarray(FAR, np.float32)
    looked = [i for i in np.linspace(0, len(leaves) - 1, count).astype(int) if leaves[i].size]
    drawn = jax.tree.leaves(context.normal(5, position))
    flat: dict[str, np.ndarray] = {}
    rises: list[bool] = []
    for i in looked:
        direction = [np.zeros(leaf.shape, leaf.dtype) for leaf in leaves]
        direction[i] = drawn[i]
        for sign in (1, -1):
            found = _along_ray(target, position, structure.unflatten(direction), sign * distances)
            values, moved = np.asarray(found[0], np.float64), np.asarray(found[1])
            if not _falls(values, moved):
                flat[paths[i]] = np.where(moved, values, np.nan)
                rises.append(_rises(flat[paths[i]]))
    if flat:
        path, values = next(iter(flat.items()))
        last = np.flatnonzero(np.isfinite(values))[-1]
        cannot = "The posterior cannot be normalized, and chains drift without limit."
        negated = len(flat) == len(looked) and all(rises)
        return failed(
            f"The log density {'rises' if negated else 'does not decrease'} far out along "
            f"{names(flat)}: it is "
            f"{number(values[last - 1])} with `{path}` moved by {FAR[last - 1]:.0e}, and "
            f"{number(values[last])} with `{path}` moved by {FAR[last]:.0e}{context.note}. "
            + (
                "As it rises along every leaf, its sign is probably wrong: return the log density, "
                f"not a loss or a potential, which is its negative. {cannot}"
                if negated
                else f"{cannot} Give {names(flat)} a proper prior."
            ),
            leaves=list(flat),
            distances=np.asarray(FAR),
            values=values,
        )
    return passed(f"The log density decreases far out along {len(looked)} of {len(leaves)} leaves.")


def _rises(values: np.ndarray) -> bool:
    """Whether values that do not fall rise between the two farthest known points."""
    known = values[np.isfinite(values)]
    return bool(known[-1] > known[-2] + 1.0)


def _falls(values: np.ndarray, moved: np.ndarray) -> bool:
    """Whether the values fall between the two farthest known points, or too few are known."""
    known = np.flatnonzero(np.isfinite(values) & moved)
    if len(known) < 2 or known[-1] - known[-2] > 1:
        return True
    last, before = known[-1], known[-2]
    later = values[last:]  # the Jacobian may fall where the parameters no longer move
    return bool((later < values[before] - 1e-3).any())
