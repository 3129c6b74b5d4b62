"""Running an engine that cannot be stepped: one call, on the host, of all chains."""

from __future__ import annotations

import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from crewel import inputs
from crewel.compiling import compile_all, program
from crewel.progress import Progress
from crewel.protocol import Algorithm, Draws, Target


def _constrain(_: None, target: Target, collect: Any, positions: Any) -> Any:
    """Parameters, or what is collected of them, of one chain's positions."""

    def one(position):
        params = target.constrain(position)
        return params if collect is None else collect(params)

    return jax.lax.map(one, positions)


def execute(
    row: Algorithm,
    target: Target,
    like: Any,
    options: dict[str, Any],
    words: dict[str, Any],
    *,
    keys: tuple[Any, Any],
    positions: Any,
) -> Draws:
    """Run `row` as `crewel.execution.execute` does; what it made can be neither cut nor extended.

    Args:
        row: the algorithm, with `run`.
        target: the density.
        like: arrays of the shape of one draw.
        options: the backend's options.
        words: ours, with `num_warmup` and `num_draws`.
        keys: `(chain,)` PRNG keys; the first are used.
        positions: unconstrained, leaves `(chain, ...)`.
    """
    assert row.run is not None
    thinning, collect = words.get("thinning", 1), inputs.partial(words.get("collect"))
    clock = time.perf_counter()
    bar = Progress(row.name, 1, show=words["progress"])
    try:
        bar.phase("running")
        made = row.run(
            target,
            keys[0],
            positions,
            words["num_warmup"],
            words["num_draws"] * thinning,
            **options,
        )
        bar.advance(1)
    finally:
        bar.close()
    ran = time.perf_counter() - clock
    kept, stats = jax.tree.map(
        lambda leaf: np.asarray(leaf)[:, thinning - 1 :: thinning], (made.positions, made.stats)
    )
    first = jax.tree.map(lambda leaf: jnp.asarray(leaf[0]), kept)
    constrain = program(_constrain, None, target, collect, first)
    compile_all(constrain)
    num_chains, num_draws = jax.tree.leaves(kept)[0].shape[:2]
    chains = [
        constrain(target, collect, jax.tree.map(lambda leaf, c=c: jnp.asarray(leaf[c]), kept))
        for c in range(num_chains)
    ]
    draws = jax.tree.map(lambda *leaves: np.stack(leaves), *chains)
    starts = np.full(num_chains, num_draws, np.int32)
    timing = {"compile": 0.0, "warmup": 0.0, "sampling": ran}
    return Draws(draws, stats, made.losses, None, starts, keys[1], timing)
