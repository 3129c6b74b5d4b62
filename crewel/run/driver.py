"""The only driver: it joins a model to an algorithm's row and returns a `Posterior`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

import jax
import numpy as np

from crewel.core import minibatch
from crewel.core.compiling import is_table, make_room
from crewel.core.keys import chain_keys
from crewel.core.model_like import ModelLike
from crewel.core.protocol import Algorithm, Seed
from crewel.core.settings import setting
from crewel.core.trees import require_eager
from crewel.posterior import evidence, verdict
from crewel.posterior.posterior import Posterior
from crewel.run import execution, footprint, host_engine, initial
from crewel.run.blocks import Chains
from crewel.run.call import Call, prepare


def run(model: ModelLike, row: Algorithm, seed: Seed = 0, **keywords: Any) -> Posterior:
    """Run `row` on `model`.

    Args:
        model: a `Model`.
        row: the algorithm.
        seed: an integer or a PRNG key.
        keywords: our settings and the backend's options, see `crewel.run.call.prepare`.

    Raises:
        TypeError: an option is unknown, or this is inside `jax.jit` or on traced values.
        ValueError: the log density is broken, `init` does not fit, or a count is not positive.
        MemoryError: the draws do not fit in memory.
        ImportError: the backend is missing, broken or too old.
    """
    leaves = jax.tree.leaves(keywords, is_leaf=lambda v: is_table(v) or isinstance(v, Iterator))
    given = [leaf for leaf in (seed, *leaves) if isinstance(leaf, jax.Array)]
    make_room()
    require_eager((given, model.target(), model.test_point), "A run")
    call = prepare(model, row, seed, keywords)
    footprint.require(model, call)
    started = time.perf_counter()
    inits, warmups, draws = chain_keys(call.key, call.num_chains)
    target = minibatch.example(call.target)
    start = initial.find(model, target, call.settings["init"], call.num_chains, inits)
    initial.require_finite(start)
    chains = Chains(warmups, draws, start.positions)
    if setting("verdict") != "off":
        evidence.prepare(model, call)
    return _judged(_finished(model, call, chains, started))


def _finished(model: ModelLike, call: Call, chains: Chains, started: float) -> Posterior:
    engine = execution if call.row.resumable else host_engine
    made = engine.execute(call, model.test_point, chains)
    made.timing["total"] = time.perf_counter() - started
    return Posterior.of(model, call.kept(), made)


def _judged(post: Posterior) -> Posterior:
    """The posterior with its verdict, and a warning if that finds a fault.

    A keyboard interrupt ends the judging, but does not lose the draws.
    """
    if setting("verdict") == "off":
        return post
    with suppress(KeyboardInterrupt):
        post = replace(post, verdict=verdict.judge(post))
    verdict.announce(post)
    return post


def extend(post: Posterior, num_draws: int, *, progress: bool = True) -> Posterior:
    """Make `num_draws` more draws from where `post` stopped; see `Posterior.extend`."""
    require_eager((), "A run")
    call = post.call.extended(post.model, num_draws, progress=progress)
    footprint.require(post.model, call)
    if post.state is None:
        raise ValueError(
            "Resampled draws have no state to continue from; extend the run's own posterior."
        )
    planned = post.call.num_draws
    chains = Chains(post.keys, post.keys, None, post.state, post.starts, post.surplus, planned)
    more = _finished(post.model, call, chains, time.perf_counter())
    return _judged(_joined(post, more))


def _joined(post: Posterior, more: Posterior) -> Posterior:
    """A posterior with the draws of a further run behind its own."""
    draws, stats = more.draws, more.stats
    if post.call.extras.reduce is None:
        pairs = (post.draws, post.stats), (draws, stats)
        draws, stats = jax.tree.map(lambda a, b: np.concatenate([a, b], axis=1), *pairs)
    else:  # `more` is the summary of all; a chain that did not move has no new statistics
        moved = (more.starts > post.starts)[:, None]
        stats = jax.tree.map(lambda old, new: np.where(moved, new, old), post.stats, stats)
    return replace(
        more,
        draws=draws,
        stats=stats,
        losses=post.losses,
        timing={k: v + more.timing.get(k, 0.0) for k, v in post.timing.items()},
        call=replace(more.call, settings=post.call.settings),
    )
