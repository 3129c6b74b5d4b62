"""Running a placed and compiled algorithm: chunks of draws, off the device as they are made."""

from __future__ import annotations

import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

import jax
import numpy as np

from crewel import programs
from crewel.compiling import Frozen, Program, compile_all, program
from crewel.placement import Placement, join, place, take
from crewel.programs import Spec
from crewel.progress import Progress
from crewel.protocol import Algorithm, Draws, Stepped, Target
from crewel.trees import nbytes

BUFFER_BYTES = 16 * 2**20  # draws of a block that stay on the device at a time
STATS_BYTES = 64  # of one draw's statistics, about
SHORTEST, LONGEST = 64, 1024  # draws; few lengths, so that other `num_draws` compile nothing
CHUNK_SECONDS = 0.25  # how often a run can be cut, and the bar moves


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
) -> Draws:
    """Compile, place and run `row`; from `positions`, or on from an earlier `state`.

    A keyboard interrupt stops every chain at the end of its chunk and returns what was drawn.

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
    """
    clock = time.perf_counter()
    num_chains = keys[0].shape[0]
    placement = place(row, words.get("chain_method", "auto"), num_chains)
    run = _Run(row, target, like, options, words, placement, keys, positions, state, starts)
    if any(each.alone for each in run.programs):
        placement = placement._replace(threads=1)
    total = num_chains * (run.num_warmup * (state is None) + run.num_draws)
    bar = Progress(row.name, total, show=words["progress"])
    try:
        compile_all(*run.programs)
        compiled = time.perf_counter() - clock
        run.allocate()
        interrupted = _in_threads(run, placement, bar)
    finally:
        bar.close()
    return run.result(interrupted, compiled, time.perf_counter() - clock - compiled)


def paced(count: int, seconds: float, most: int) -> int:
    """The steps of the next chunk, where `count` took `seconds`, to take `CHUNK_SECONDS`."""
    return max(1, min(most, 10 * count, int(count * CHUNK_SECONDS / max(seconds, 1e-6))))


def _in_threads(run: _Run, placement: Placement, bar: Progress) -> bool:
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


class _Run:
    """The blocks of one run and the arrays they fill. Each chain is written by one thread."""

    def __init__(
        self, row, target, like, options, words, placement, keys, positions, state, starts
    ) -> None:
        frozen = Frozen(options)
        self.row, self.target, self.arrays = row, target, frozen.arrays
        self.placement, self.positions, self.state = placement, positions, state
        self.num_draws, self.keep = words["num_draws"], words["keep"]
        self.collect = words.get("collect")
        self.num_warmup = words["num_warmup"]
        self.num_chains = keys[0].shape[0]
        self.starts = np.zeros(self.num_chains, np.int32) if starts is None else starts
        self.done = np.zeros(self.num_chains, int)
        self.states: list[Any] = [None] * len(placement.blocks)
        self.lasts: list[Any] = [None] * len(placement.blocks)
        self.losses: Any = None
        self.seconds = np.zeros((len(placement.blocks), 2))  # warm-up, sampling
        self.keys = keys
        self.spec = Spec(
            row=row,
            options=frozen.static,
            num_warmup=self.num_warmup,
            thinning=words.get("thinning", 1),
            length=self.buffer_length(like, placement.blocks[0]),
            keep=self.keep,
            collect=self.collect,
            chains=len(placement.blocks[0]) if placement.batched else 0,
            devices=placement.devices,
        )
        self.trace()

    def inputs(self, job: int) -> tuple[Any, Any, Any]:
        """Warm-up key, sampling key and first draw of a block."""
        block, batched = self.placement.blocks[job], self.placement.batched
        first = self.starts[block] if batched else self.starts[block[0]]
        warm, draw = take(self.keys, block, batched)
        return (warm[0], draw[0], first[0]) if self.row.cross_chain else (warm, draw, first)

    def resumed(self, block: np.ndarray) -> Any:
        """A block's part of the state of an earlier run."""
        if self.row.cross_chain:
            return self.state
        state = take(self.state, block, self.placement.batched)
        return programs.spread_out(state, self.placement.devices)

    def trace(self) -> None:
        """Trace the programs that the run needs, on the first block's shapes."""
        block, batched = self.placement.blocks[0], self.placement.batched
        warm, draw, first = self.inputs(0)
        count = np.int32(0)
        self.programs: list[Program] = []
        common = self.target, self.arrays
        if self.state is None:
            position = take(self.positions, block, batched)
            self.start = program(programs.start, self.spec, *common, warm, position)
            state = programs.spread_out(self.start.out_info, self.placement.devices)
            self.programs.append(self.start)
            if isinstance(self.row.warmup, Stepped) and self.num_warmup:
                zero = np.int32(0)
                self.adapt = program(programs.adapt, self.spec, *common, warm, state, zero, count)
                self.programs.append(self.adapt)
        else:
            state = self.resumed(block)
        self.sample = program(programs.sample, self.spec, *common, draw, state, first, count)
        self.programs.append(self.sample)

    def buffer_length(self, draw: Any, block: np.ndarray) -> int:
        """Draws a chunk may hold: a power of two, by the memory that one draw takes."""
        kept = () if not self.keep else draw
        if self.keep and self.collect is not None:
            kept = jax.eval_shape(self.collect, draw)
        most = BUFFER_BYTES // (len(block) * (nbytes(kept) + STATS_BYTES))
        wanted = min(LONGEST, max(SHORTEST, self.num_draws))
        return 2 ** min(max(most, 1).bit_length() - 1, (wanted - 1).bit_length())

    def allocate(self) -> None:
        """Host arrays for all draws, filled chunk by chunk."""
        batched = self.placement.batched

        def empty(leaf):
            event = leaf.shape[2:] if batched else leaf.shape[1:]
            return np.zeros((self.num_chains, self.num_draws, *event), leaf.dtype)

        self.kept = jax.tree.map(empty, self.sample.out_info[2])
        warmup = self.row.warmup
        if isinstance(warmup, Stepped) and warmup.loss is not None and self.state is None:
            self.losses = np.zeros((self.num_chains, self.num_warmup), np.float32)

    def block(self, job: int, bar: Progress, stop: threading.Event) -> None:
        """All of one block: warm-up, then draws until done or stopped."""
        block = self.placement.blocks[job]
        chains = len(np.unique(block))
        warm, draw, first = self.inputs(job)
        clock = time.perf_counter()
        if self.state is None:
            bar.phase("warm-up" if self.num_warmup else "running")
            state = self.warm_up(job, warm, bar, stop)
        else:
            state = self.resumed(block)
        warmed = time.perf_counter()
        bar.phase("sampling" if self.keep else "optimizing")
        done, count = 0, 1
        while done < self.num_draws and not stop.is_set():
            count = min(count, self.num_draws - done)
            chunk = time.perf_counter()
            state, last, kept = self.sample(
                self.target, self.arrays, draw, state, first + np.int32(done), np.int32(count)
            )
            stats = self.write(block, done, count, kept)
            done += count
            self.states[job], self.lasts[job] = state, last
            self.done[block] = done
            bar.advance(count * chains, stats)
            count = paced(count, time.perf_counter() - chunk, self.spec.length)
        self.seconds[job] = warmed - clock, time.perf_counter() - warmed

    def warm_up(self, job: int, key: Any, bar: Progress, stop: threading.Event) -> Any:
        """The state at the end of a block's warm-up; stepped ones go chunk by chunk."""
        block = self.placement.blocks[job]
        chains = len(np.unique(block))
        position = take(self.positions, block, self.placement.batched)
        state = self.start(self.target, self.arrays, key, position)
        if not isinstance(self.row.warmup, Stepped):
            jax.block_until_ready(state)
            bar.advance(self.num_warmup * chains)
            return state
        done, count = 0, 1
        while done < self.num_warmup:
            if stop.is_set():
                raise KeyboardInterrupt
            count = min(count, self.num_warmup - done)
            chunk = time.perf_counter()
            state, losses = self.adapt(
                self.target, self.arrays, key, state, np.int32(done), np.int32(count)
            )
            jax.block_until_ready(state)
            stats = self.write_losses(block, done, count, losses)
            done += count
            bar.advance(count * chains, stats)
            count = paced(count, time.perf_counter() - chunk, self.num_warmup)
        return state

    def write_losses(self, block: np.ndarray, done: int, count: int, losses: Any) -> Any:
        """Copy a fit's losses to the host, if it has any; also as statistics for the bar."""
        if self.losses is None:
            return None
        steps = slice(done, done + count)
        self.losses[block, steps] = np.asarray(losses)[..., steps]
        return {"loss": self.losses[np.unique(block), steps]}

    def write(self, block: np.ndarray, done: int, count: int, kept: Any) -> dict[str, Any]:
        """Copy a chunk to the host; the statistics of its draws."""

        def copy(out, leaf):
            leaf = np.asarray(leaf)
            if self.placement.batched and leaf.ndim == out.ndim:
                out[block, done : done + count] = leaf[:, :count]
            else:
                out[block, done : done + count] = leaf[:count]
            return out[np.unique(block), done : done + count]

        return jax.tree.map(copy, self.kept, kept)[1]

    def result(self, interrupted: bool, compiled: float, ran: float) -> Draws:
        """What the run made; after an interrupt, the draws that every started chain has."""
        chains = np.flatnonzero(self.done)
        if interrupted and len(chains) == 0:
            raise KeyboardInterrupt("Stopped before any draw was made; there is nothing to return.")
        num_draws = int(self.done[chains].min())
        if interrupted:
            warnings.warn(
                f"Interrupted: {len(chains)} of {self.num_chains} chains have draws; returning "
                f"the first {num_draws} of {self.num_draws} of each.",
                stacklevel=4,
            )
        draws, stats = self.kept
        if interrupted:
            cut = jax.tree.map(lambda leaf: leaf[chains, :num_draws], (draws, stats))
            draws, stats = cut
        placement = self.placement
        if self.row.cross_chain:
            state = self.states[0]
        else:
            drawn = [job for job, state in enumerate(self.states) if state is not None]
            placement = placement._replace(blocks=[placement.blocks[job] for job in drawn])
            state = join([self.states[job] for job in drawn], placement)
            if not self.keep:
                last = join([self.lasts[job] for job in drawn], placement)
                draws = jax.tree.map(lambda leaf: np.asarray(leaf)[:, None], last)
        share = ran * self.seconds.sum(0) / (self.seconds.sum() or 1.0)
        timing = {"compile": compiled, "warmup": float(share[0]), "sampling": float(share[1])}
        losses = self.losses if self.keep else stats.pop("loss")
        losses = losses if losses is None else losses[chains]
        starts = (self.starts + self.done)[chains]
        return Draws(draws, stats, losses, state, starts, self.keys[1][chains], timing)
