"""Run a placed and compiled algorithm: all its blocks, and what they return."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor, wait

import jax
import numpy as np

from crewel.core.compiling import compile_all, home
from crewel.core.precision import is_double, precision
from crewel.core.protocol import Draws, Params, PyTree, State, Stats, Surplus
from crewel.core.text import count, name_chains
from crewel.core.warning import warn
from crewel.run.blocks import Chains, Run
from crewel.run.call import Call
from crewel.run.interrupts import interruptible
from crewel.run.placement import join, place
from crewel.run.progress import Progress

HARDLY = 0.1  # of the longest chain's draws: a chain with fewer has hardly started


def execute(call: Call, like: Params, chains: Chains) -> Draws:
    """Compile, place and run a call.

    A keyboard interrupt stops every chain at the end of its chunk and returns what was drawn. So
    does trouble: a chain that is no longer finite, or a loader that ends early.

    Args:
        call: the call; its row has `step`.
        like: arrays of the shape of one draw's parameters.
        chains: where the chains begin.

    Raises:
        ValueError: there was trouble before the first draw.
        KeyboardInterrupt: there was an interrupt before the first draw.
    """
    clock, compiled = time.perf_counter(), 0.0
    row, prefetcher = call.row, call.extras.prefetcher
    # Batches from the host come once for all chains, so the chains must move together.
    method = call.settings.get("chain_method", "auto") if prefetcher is None else "vectorized"
    placement = place(row, method, chains.keys.shape[0], home((call.target, call.extras.held)))
    run = Run(call, like, placement, chains)
    steps = run.num_warmup + run.num_draws
    bar = Progress(row.name, run.num_chains * steps, show=call.settings["progress"])
    try:
        compile_all(*run.programs)
        compiled = time.perf_counter() - clock
        run.store.allocate(run.sample.out_info[2])
        with interruptible(run.stop):
            try:
                _run_blocks(run, bar)
            except KeyboardInterrupt:
                run.stop.interrupt()
            bar.close()
            with run.lock:
                return _result(run, compiled, time.perf_counter() - clock - compiled)
    finally:
        bar.close()
        if prefetcher is not None:
            prefetcher.close()


def _in_thread(run: Run, job: int, bar: Progress, double: bool) -> None:
    """A block in a thread, with the float type of the thread that asked for it."""
    with precision(double):
        run.block(job, bar)


def _run_blocks(run: Run, bar: Progress) -> None:
    threads = 1 if any(each.alone for each in run.programs) else run.placement.threads
    jobs = range(len(run.placement.blocks))
    if threads == 1:
        for job in jobs:
            if not run.stop:
                run.block(job, bar)
        return
    pool = ThreadPoolExecutor(max_workers=threads)
    # Threads do not inherit the precision of the one that starts them.
    waiting = {pool.submit(_in_thread, run, job, bar, is_double()) for job in jobs}
    try:
        while waiting:
            # Wait briefly, so that the main thread sees a keyboard interrupt.
            done, waiting = wait(waiting, timeout=0.2, return_when="FIRST_EXCEPTION")
            for future in done:
                future.result()
            if run.stop:
                waiting = {future for future in waiting if not future.cancel()}
    except BaseException:
        run.stop.interrupt()
        raise
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _result(run: Run, compiled: float, ran: float) -> Draws:
    """The draws of the run; if it was cut short, those of the chains that have enough."""
    ready = run.store.ready
    if run.stop:
        _require_draws(run)
        chains, number = _worth_keeping(run)
        warn(_loss(run, chains, number))
    else:
        chains, number = np.arange(run.num_chains), run.num_draws
    draws, stats = run.store.kept
    surplus = None
    if run.call.extras.reduce is not None:
        stats = jax.tree.map(lambda leaf: leaf[chains], stats)
    else:
        # A chain that diverged goes on from where it was frozen, so draws beyond that are useless.
        whole = run.store.done == ready
        beyond = np.where(whole, ready - number, 0)[chains]
        if run.call.keeps_draws and beyond.max(initial=0) > 0:
            further = slice(number, number + int(beyond.max()))
            more, of_more = jax.tree.map(lambda leaf: leaf[chains, further].copy(), (draws, stats))
            surplus = Surplus(more, of_more, beyond.astype(np.int32))
        if len(chains) < run.num_chains or number < run.store.length:
            draws, stats = jax.tree.map(lambda leaf: leaf[chains, :number], (draws, stats))
    draws, stats, losses, state = _finish(run, chains, draws, stats)
    share = ran * run.seconds.sum(0) / (run.seconds.sum() or 1.0)
    timing = {"compile": compiled, "warmup": float(share[0]), "sampling": float(share[1])}
    made = run.store.done - (0 if run.chains.surplus is None else run.chains.surplus.count)
    starts = (run.starts + made)[chains].astype(np.int32)
    return Draws(draws, stats, losses, state, starts, run.chains.keys[chains], timing, surplus)


def _require_draws(run: Run) -> None:
    if run.store.ready.any():
        return
    if run.stop.trouble:
        raise ValueError(f"{run.stop.trouble} There is no draw to return.")
    raise KeyboardInterrupt("Stopped before any draw was made; there is nothing to return.")


def _worth_keeping(run: Run) -> tuple[np.ndarray, int]:
    """The chains that an incomplete run returns, and the number of draws that all of them have.

    Chains that have hardly started are left out, so that the others are not cut to their length.
    An extension leaves out none, because its draws are appended to those that all chains have. If
    draws are not kept, nothing is cut, and the number is the largest.
    """
    ready = run.store.ready
    if run.chains.state is not None:
        chains = np.arange(run.num_chains)
    else:
        chains = np.flatnonzero((ready > 0) & (ready >= HARDLY * ready.max()))
    number = ready[chains].min() if run.call.keeps_draws else ready[chains].max()
    return chains, min(int(number), run.num_draws)


def _loss(run: Run, chains: np.ndarray, number: int) -> str:
    """What an incomplete run returns, and what it leaves out."""
    ready, family = run.store.ready, run.call.row.family
    noun, unit = family.chains.removeprefix("num_"), family.steps.removeprefix("num_")
    least = number if run.call.keeps_draws else int(ready[chains].min())
    had = f"{number:,}" if least == number else f"{least:,} to {number:,}"
    text = (
        f"{run.stop.trouble or 'Interrupted.'} Returning {had} of {run.num_draws:,} {unit} of "
        f"{len(chains)} of {run.num_chains} {noun}."
    )
    out = np.setdiff1d(np.arange(run.num_chains), chains)
    if (most := int(ready[out].max(initial=0))) > 0:
        some = count(most, unit.removesuffix("s"))
        text += f" Left out: {name_chains(out.tolist(), run.num_chains)}, with at most {some}."
    beyond = int(ready[chains].max()) - number
    if run.call.keeps_draws and beyond > 0:
        text += f" Up to {beyond:,} further draws of a chain are kept for `extend`."
    return text


def _finish(
    run: Run, chains: np.ndarray, draws: Params, stats: Stats
) -> tuple[Params, Stats, np.ndarray | None, State]:
    """Draws, statistics, losses and state of the chosen chains."""
    family, placement = run.call.row.family, run.placement
    if run.call.row.cross_chain:
        state = run.states[0]
    else:
        begun = [job for job, state in enumerate(run.states) if state is not None]
        blocks = [placement.blocks[job] for job in begun]
        placement = placement._replace(blocks=blocks)
        place_of = np.searchsorted(np.unique(np.concatenate(blocks)), chains)

        def of_chains(parts: list[PyTree]) -> PyTree:
            return jax.tree.map(lambda leaf: leaf[place_of], join(parts, placement))

        state = of_chains([run.states[job] for job in begun])
        if not run.call.keeps_draws:
            last = of_chains([run.summary(job) for job in begun])
            draws = jax.tree.map(lambda leaf: np.asarray(leaf)[:, None], last)
    if family.keeps_draws:
        losses = None if run.store.losses is None else run.store.losses[chains]
    else:
        losses = stats.pop("loss")
        made = np.arange(losses.shape[1]) < run.store.ready[chains, None]
        if not made.all():  # of particles that were stopped before others
            losses = np.where(made, losses, np.nan).astype(losses.dtype)
    if run.call.extras.every and not family.keeps_draws:
        best = state.gathered.best
        stats = {"test_lppd": np.asarray(best.score), "best_step": np.asarray(best.step)}
        stats = {name: leaf[:, None] for name, leaf in stats.items()}
    return draws, stats, losses, state
