"""Checks of the initial states: found, inside the support, and not all the same."""

from __future__ import annotations

import jax
import numpy as np

from crewel.checks.blame import blame
from crewel.checks.context import Context
from crewel.checks.drawn import attempts, density
from crewel.checks.evaluate import parts
from crewel.checks.quick import quick
from crewel.checks.report import Check, failed, passed, skipped, warned
from crewel.core.protocol import Params, Position, Target
from crewel.core.text import name_chains, names, number
from crewel.core.trees import named_leaves

NEAR = 1e-3  # spread relative to the size of the state, below which chains start together
OUTSIDE = 0.1  # share of them, above which the density has an edge where chains will come


def found(context: Context) -> Check:
    """The initial states of the call can be found, and few draws have no finite density."""
    start, init = context.start, context.init
    how = f"`init={init!r}`" if isinstance(init, str) else "the states given"
    chains = context.checked_chains
    some = "" if chains == context.num_chains else f", {chains} of them checked"
    shapes = {path: leaf.shape for path, leaf in named_leaves(start.positions).items()}
    if isinstance(init, str) and np.isfinite(start.log_density).all():
        outside = _outside(context, init)
        if outside:
            return warned(outside, shapes=shapes)
    return passed(
        f"{context.num_chains} {context.noun} from {how}{some}{context.note}.", shapes=shapes
    )


def _outside(context: Context, way: str) -> str:
    """What is wrong if the density is not finite at many starts, which a call would draw again."""
    small = context.small
    drawn = attempts(context.model, small, way, context.chain_keys, 0)
    drawn = jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), drawn)
    inside: list[Position] = []
    outside: list[Position] = []
    for n in range(int(context.affordable(len(jax.tree.leaves(drawn)[0])))):
        position = jax.tree.map(lambda leaf, n=n: leaf[n], drawn)
        (inside if np.isfinite(density(small, drawn, n)) else outside).append(position)
    total = len(inside) + len(outside)
    if not inside or len(outside) <= OUTSIDE * total:
        return ""
    where, leaf = next(
        ((each, named) for each in outside[:8] if (named := _leaf(context, each, inside))),
        (outside[0], ""),
    )
    why, _ = blame(context, small, where)
    share = f"at {len(outside)} of {total} positions drawn from `init={way!r}`"
    return (
        f"The log density is not finite {share}{context.note}. {why}{leaf} "
        "A chain that comes to such an edge diverges or stops there. Constrain the parameter: "
        "`jnp.exp` in `transform_fn` makes it positive, for example."
    )


def _leaf(context: Context, outside: Position, inside: list[Position]) -> str:
    """The leaf that takes a position out of the support, in a sentence; empty if several do."""
    leaves, structure = jax.tree.flatten(outside)
    values = named_leaves(parts(context.small, outside)["params"])
    for i, path in enumerate(named_leaves(outside)):
        for other in inside[:4]:
            mixed = [*leaves[:i], jax.tree.leaves(other)[i], *leaves[i + 1 :]]
            if np.isfinite(parts(context.small, structure.unflatten(mixed))["total"]):
                at = f" ({number(values[path])})" if np.size(values.get(path, ())) == 1 else ""
                return f" It is the value of `{path}`{at} that is not allowed."
    return ""


def support(context: Context) -> Check:
    """The initial states lie inside the support of the transform."""
    for path, leaf in named_leaves(context.start.positions).items():
        finite = np.isfinite(np.asarray(leaf, np.float64)).reshape(leaf.shape[0], -1)
        bad = np.asarray(~finite.all(1))
        if bad.any():
            value = _value(context, path, int(bad.argmax()))
            return failed(
                f"`{path}` is outside the support at the start of {_chains(bad)}: the inverse of "
                f"the transform is not finite there.{value} Pass initial states inside the "
                "support, or another `transform_fn`.",
                leaf=path,
                chains=np.flatnonzero(bad),
            )
    if isinstance(context.init, str):
        return passed("Every initial state is inside the support.")
    again = named_leaves(_round_trip(context.target, context.init))
    for path, leaf in named_leaves(context.init).items():
        leaf = np.asarray(leaf, np.float64)
        off = np.abs(np.asarray(again[path], np.float64) - leaf) > 1e-2 * (1 + np.abs(leaf))
        bad = np.asarray(off.reshape(len(leaf), -1).any(1))
        if bad.any():
            chain = int(bad.argmax())
            return failed(
                f"`{path}` is outside the support at the start of {_chains(bad)}: inverse and "
                f"transform do not return {number(leaf[chain][off[chain]].ravel()[0])} in chain "
                f"{chain}. Pass initial states inside the support.",
                leaf=path,
                chains=np.flatnonzero(bad),
            )
    return passed("Every initial state is inside the support.")


def _chains(bad: np.ndarray) -> str:
    return name_chains(np.flatnonzero(bad).tolist(), len(bad))


@quick
def _round_trip(target: Target, params: Params) -> Params:
    return jax.vmap(lambda p: target.transform.forward(target.transform.inverse(p)))(params)


def _value(context: Context, path: str, chain: int) -> str:
    """The smallest and largest value given for a chain, in a sentence."""
    given = {} if isinstance(context.init, str) else named_leaves(context.init)
    if path not in given:
        return ""
    leaf = np.asarray(given[path][chain], np.float64)
    low, high = number(leaf.min()), number(leaf.max())
    value = low if low == high else f"between {low} and {high}"
    return f" It is {value} in chain {chain}."


def spread(context: Context) -> Check:
    """Chains start at different points."""
    positions = {
        path: np.asarray(leaf, np.float64).reshape(leaf.shape[0], -1)
        for path, leaf in named_leaves(context.start.positions).items()
    }
    number_of = len(next(iter(positions.values())))
    if number_of == 1:
        return skipped("There is only one chain.")
    together = np.concatenate(list(positions.values()), axis=1)
    first: dict[bytes, int] = {}
    for chain, row in enumerate(together):
        twin = first.setdefault(row.tobytes(), chain)
        if twin != chain:
            everyone = bool((together == together[0]).all())
            alike = "all chains" if everyone else f"chains {twin} and {chain}"
            return warned(
                f"The initial states of {alike} are the same: R-hat cannot detect a mode that no "
                "chain starts near, and an ensemble of optimizers repeats one network. Pass "
                '`init=` with a chain axis, or a name such as `"uniform"`.',
                positions=together,
            )
    sizes = {path: _relative(leaf) for path, leaf in positions.items()}
    if max(sizes.values()) < NEAR:
        return warned(
            f"The initial states differ by at most {number(max(sizes.values()))} of their size: "
            "chains that start together agree before they have mixed. Start them further apart.",
            spread=sizes,
        )
    same = [path for path, size in sizes.items() if size == 0]
    rest = f"; the same in all chains: {names(same)}" if same else ""
    typical = number(np.median([size for size in sizes.values() if size]))
    return passed(f"Chains differ by {typical} of the size of a leaf (median){rest}.", spread=sizes)


def _relative(leaf: np.ndarray) -> float:
    if not leaf.size:
        return 0.0
    size = np.sqrt((leaf**2).mean())
    return float(np.sqrt(leaf.var(0).mean()) / size) if size else 0.0
