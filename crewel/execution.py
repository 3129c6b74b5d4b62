"""Running a placed and compiled algorithm: all its blocks, and what they made."""

from __future__ import annotations

import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

import jax
import numpy as np

from crewel.blocks import Run
from crewel.compiling import compile_all
from crewel.extras import NONE, Extras
from crewel.placement import Placement, join, place
from crewel.progress import Progress
from crewel.protocol import Algorithm, Draws, Target


def execute(
    row: Algorithm,
    target: Target,
    like: Any,
    options: dict[str, Any],
    words: dict[str, Any],
    *,
    keys: tuple[Any, Any],
    positions: Any = None,
    state: Any = None,
    starts: np.ndarray | None = None,
    extras: Extras = NONE,
) -> Draws:
    """Compile, place and run `row`; from `positions`, or on from an earlier `state`.

    A keyboard interrupt stops every chain at the end of its chunk and returns what was drawn. So
    does trouble: a chain that is no longer finite, a loader that ends early.

    Args:
        row: the algorithm.
        target: the density.
        like: arrays of the shape of one draw.
        options: the backend's options.
        words: ours, with `keep` and `num_draws`.
        keys: `(chain,)` PRNG keys of the warm-up and of the draws.
        positions: unconstrained, leaves `(chain, ...)`.
        state: of an earlier run, leaves `(chain, ...)`.
        starts: `(chain,)`, the index of each chain's next draw.
        extras: batches, reduction and held-out rows.

    Raises:
        ValueError: trouble before the first draw.
    """
    clock = time.perf_counter()
    num_chains = keys[0].shape[0]
    # Batches from the host come once, for all chains: they must move together.
    method = words.get("chain_method", "auto") if extras.feed is None else "vectorized"
    placement = place(row, method, num_chains)
    run = Run(row, target, like, options, words, placement, keys, positions, state, starts, extras)
    if any(each.alone for each in run.programs):
        placement = placement._replace(threads=1)
    total = num_chains * (run.num_warmup * (state is None) + run.num_draws)
    bar = Progress(row.name, total, show=words["progress"])
    try:
        compile_all(*run.programs)
        compiled = time.perf_counter() - clock
        run.store.allocate(run.sample.out_info[2])
        interrupted = _in_threads(run, placement, bar)
    finally:
        bar.close()
        if extras.feed is not None:
            extras.feed.close()
    return _result(run, interrupted, compiled, time.perf_counter() - clock - compiled)


def _in_threads(run: Run, placement: Placement, bar: Progress) -> bool:
    """Run every block; whether it was interrupted."""
    stop = threading.Event()
    jobs = range(len(placement.blocks))
    if placement.threads == 1:
        try:
            for job in jobs:
                run.block(job, bar, stop)
            return False
        except KeyboardInterrupt:
            return True
    with ThreadPoolExecutor(max_workers=placement.threads) as pool:
        futures = [pool.submit(run.block, job, bar, stop) for job in jobs]
        try:
            waiting = set(futures)
            while waiting:
                # A short wait, so that the main thread sees a keyboard interrupt.
                done, waiting = wait(waiting, timeout=0.2, return_when="FIRST_EXCEPTION")
                for future in done:
                    future.result()
            return False
        except KeyboardInterrupt:
            return True
        finally:
            stop.set()
            for future in futures:
                future.cancel()


def _result(run: Run, interrupted: bool, compiled: float, ran: float) -> Draws:
    """What the run made; if it was cut short, the draws that every started chain has."""
    chains = np.flatnonzero(run.store.done)
    cut = interrupted or bool(run.trouble)
    sound = int(run.store.sound[chains].min()) if len(chains) else 0
    if interrupted and not run.trouble and len(chains) == 0:
        raise KeyboardInterrupt("Stopped before any draw was made; there is nothing to return.")
    if run.trouble and sound == 0:
        raise ValueError(f"{run.trouble} There is no draw to return.")
    if cut:
        why = run.trouble or "Interrupted:"
        warnings.warn(
            f"{why} {len(chains)} of {run.num_chains} chains have draws; returning the first "
            f"{sound} of {run.num_draws} of each.",
            stacklevel=4,
        )
    draws, stats = run.store.kept
    if cut and run.extras.reduce is None:
        draws, stats = jax.tree.map(lambda leaf: leaf[chains, :sound], (draws, stats))
    elif cut:
        stats = jax.tree.map(lambda leaf: leaf[chains], stats)
    placement = run.placement
    if run.row.cross_chain:
        state = run.states[0]
    else:
        drawn = [job for job, last in enumerate(run.lasts) if last is not None]
        placement = placement._replace(blocks=[placement.blocks[job] for job in drawn])
        state = join([run.states[job] for job in drawn], placement)
        if not run.keep:
            last = join([run.lasts[job] for job in drawn], placement)
            draws = jax.tree.map(lambda leaf: np.asarray(leaf)[:, None], last)
    share = ran * run.seconds.sum(0) / (run.seconds.sum() or 1.0)
    timing = {"compile": compiled, "warmup": float(share[0]), "sampling": float(share[1])}
    losses = stats.pop("loss") if run.row.family == "optimize" else run.store.losses
    losses = losses if losses is None else losses[chains]
    if run.extras.every and run.row.family == "optimize":
        best = state.gathered.best
        stats = {"test_lppd": np.asarray(best.score), "best_step": np.asarray(best.step)}
        stats = {name: leaf[:, None] for name, leaf in stats.items()}
    starts = (run.starts + run.store.done)[chains]
    return Draws(draws, stats, losses, state, starts, run.keys[1][chains], timing)
