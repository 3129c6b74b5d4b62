"""Initial states: that there are any, inside the support, and not all the same."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from crewel.checks.context import Context
from crewel.checks.report import Check, failed, passed, skipped, warned
from crewel.core.protocol import Target
from crewel.core.text import names, number
from crewel.core.trees import named_leaves

NEAR = 1e-3  # a spread, relative to the size of the state, below which chains start as one


def found(context: Context) -> Check:
    """Initial states can be made, as the call would make them."""
    start, init = context.start, context.init
    how = f"`init={init!r}`" if isinstance(init, str) else "the states that were given"
    chains = context.checked_chains
    some = "" if chains == context.num_chains else f", of which {chains} looked at"
    shapes = {path: leaf.shape for path, leaf in named_leaves(start.positions).items()}
    return passed(
        f"{context.num_chains} {context.noun} from {how}{some}{context.note}.", shapes=shapes
    )


def support(context: Context) -> Check:
    """The initial states lie inside the support of the transform."""
    for path, leaf in named_leaves(context.start.positions).items():
        finite = np.isfinite(np.asarray(leaf, np.float64)).reshape(leaf.shape[0], -1)
        bad = np.asarray(~finite.all(1))
        if bad.any():
            return failed(
                f"`{path}` is outside the support in the initial states of {bad.sum()} of "
                f"{len(bad)} chains, the first of them {bad.argmax()}: the inverse of the "
                f"transform is not finite there.{_value(context, path, int(bad.argmax()))} Give "
                "states inside it, or another `transform_fn`.",
                leaf=path,
                chains=np.flatnonzero(bad),
            )
    if isinstance(context.init, str):
        return passed("Every state is inside the support.")
    again = named_leaves(_there_and_back(context.target, context.init))
    for path, leaf in named_leaves(context.init).items():
        leaf = np.asarray(leaf, np.float64)
        off = np.abs(np.asarray(again[path], np.float64) - leaf) > 1e-2 * (1 + np.abs(leaf))
        bad = np.asarray(off.reshape(len(leaf), -1).any(1))
        if bad.any():
            chain = int(bad.argmax())
            return failed(
                f"`{path}` is outside the support in the initial states given for {bad.sum()} of "
                f"{len(bad)} chains: {number(leaf[chain][off[chain]].ravel()[0])} in chain {chain} "
                "comes back changed from inverse and transform. Give states inside it.",
                leaf=path,
                chains=np.flatnonzero(bad),
            )
    return passed("Every state is inside the support.")


@jax.jit
def _there_and_back(target: Target, params: Any) -> Any:
    return jax.vmap(lambda p: target.transform.forward(target.transform.inverse(p)))(params)


def _value(context: Context, path: str, chain: int) -> str:
    """The least and greatest value that was given."""
    given = {} if isinstance(context.init, str) else named_leaves(context.init)
    if path not in given:
        return ""
    leaf = np.asarray(given[path][chain], np.float64)
    low, high = number(leaf.min()), number(leaf.max())
    return f" It is {low}." if low == high else f" It is between {low} and {high}."


def spread(context: Context) -> Check:
    """Chains start at different points."""
    positions = {
        path: np.asarray(leaf, np.float64).reshape(leaf.shape[0], -1)
        for path, leaf in named_leaves(context.start.positions).items()
    }
    number_of = len(next(iter(positions.values())))
    if number_of == 1:
        return skipped("There is one chain.")
    together = np.concatenate(list(positions.values()), axis=1)
    first: dict[bytes, int] = {}
    for chain, row in enumerate(together):
        twin = first.setdefault(row.tobytes(), chain)
        if twin != chain:
            everyone = bool((together == together[0]).all())
            alike = "all chains" if everyone else f"chains {twin} and {chain}"
            return warned(
                f"The initial states of {alike} are the same: R-hat cannot see a mode that no "
                "chain starts near, and an ensemble of optimizers is one network many times. Pass "
                '`init=` with a chain axis, or a name such as `"uniform"`.',
                positions=together,
            )
    sizes = {path: _relative(leaf) for path, leaf in positions.items()}
    if max(sizes.values()) < NEAR:
        return warned(
            f"The initial states differ by {number(max(sizes.values()))} of their size at most: "
            "chains that start as one agree before they have mixed. Start them further apart.",
            spread=sizes,
        )
    same = [path for path, size in sizes.items() if size == 0]
    rest = f"; {names(same)} the same in all" if same else ""
    typical = number(np.median([size for size in sizes.values() if size]))
    return passed(f"Chains differ, by {typical} of a leaf's size (median){rest}.", spread=sizes)


def _relative(leaf: np.ndarray) -> float:
    if not leaf.size:
        return 0.0
    size = np.sqrt((leaf**2).mean())
    return float(np.sqrt(leaf.var(0).mean()) / size) if size else 0.0
