"""Run an engine that cannot be stepped: one call on the host for all chains."""

from __future__ import annotations

import time
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from crewel.core.compiling import compile_all, program
from crewel.core.protocol import Draws, Params, Position, PyTree, Target
from crewel.core.trees import as_partial
from crewel.run.blocks import Chains
from crewel.run.call import Call
from crewel.run.progress import Progress


def _constrain(
    _: None, target: Target, collect: Callable[[Params], PyTree] | None, positions: Position
) -> PyTree:
    """The parameters at one chain's positions, or what is collected of them."""

    def one(position: Position) -> PyTree:
        params = target.constrain(position)
        return params if collect is None else collect(params)

    return jax.lax.map(one, positions)


def execute(call: Call, like: Params, chains: Chains) -> Draws:
    """Run a call as `crewel.run.execution.execute` does; it cannot be interrupted or extended.

    Args:
        call: the call; its row has `run`.
        like: arrays of the shape of one draw's parameters; not used.
        chains: where the chains begin.
    """
    row, thinning = call.row, call.thinning
    assert row.run is not None
    collect = as_partial(call.settings.get("collect"))
    clock = time.perf_counter()
    bar = Progress(row.name, 1, show=call.settings["progress"])
    try:
        bar.phase("running")
        made = row.run(
            call.target,
            chains.warmup_keys,
            chains.positions,
            call.num_warmup,
            call.num_draws * thinning,
            **call.options,
        )
        bar.advance(1)
    finally:
        bar.close()
    ran = time.perf_counter() - clock
    kept, stats = jax.tree.map(
        lambda leaf: np.asarray(leaf)[:, thinning - 1 :: thinning], (made.positions, made.stats)
    )
    first = jax.tree.map(lambda leaf: jnp.asarray(leaf[0]), kept)
    constrain = program(_constrain, None, call.target, collect, first)
    compile_all(constrain)
    num_chains, num_draws = jax.tree.leaves(kept)[0].shape[:2]
    each = [
        constrain(call.target, collect, jax.tree.map(lambda leaf, c=c: jnp.asarray(leaf[c]), kept))
        for c in range(num_chains)
    ]
    draws = jax.tree.map(lambda *leaves: np.stack(leaves), *each)
    starts = np.full(num_chains, num_draws, np.int32)
    timing = {"compile": 0.0, "warmup": 0.0, "sampling": ran}
    losses = None if made.losses is None else np.asarray(made.losses)
    return Draws(draws, stats, losses, None, starts, chains.keys, timing)
