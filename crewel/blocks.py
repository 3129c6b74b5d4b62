"""Blocks of chains: traced, warmed up and drawn from, chunk by chunk."""

from __future__ import annotations

import threading
import time
from typing import Any

import jax
import numpy as np

from crewel import divergence, inputs, programs
from crewel.compiling import Frozen, Program, program
from crewel.feed import FeedError
from crewel.placement import take
from crewel.programs import Given, Spec
from crewel.progress import Progress
from crewel.protocol import Stepped
from crewel.store import Store
from crewel.trees import nbytes

BUFFER_BYTES = 16 * 2**20  # draws of a block that stay on the device at a time
STATS_BYTES = 64  # of one draw's statistics, about
SHORTEST, LONGEST = 64, 1024  # draws; few lengths, so that other `num_draws` compile nothing
CHUNK_SECONDS = 0.25  # how often a run can be cut, and the bar moves


def paced(count: int, seconds: float, most: int) -> int:
    """The steps of the next chunk, where `count` took `seconds`, to take `CHUNK_SECONDS`."""
    return max(1, min(most, 10 * count, int(count * CHUNK_SECONDS / max(seconds, 1e-6))))


class Run:
    """The blocks of one run. Each chain's part of the store is written by one thread."""

    def __init__(
        self, row, target, like, options, words, placement, keys, positions, state, starts, extras
    ) -> None:
        frozen = Frozen(options)
        self.row, self.target, self.extras = row, target, extras
        self.given = Given(
            options=frozen.arrays,
            collect=inputs.partial(words.get("collect")),
            reduce=extras.reduce,
            held=extras.held,
        )
        self.placement, self.positions, self.state = placement, positions, state
        self.num_draws = words["num_draws"]
        self.keep = words["keep"] and extras.reduce is None
        self.num_warmup = words["num_warmup"]
        self.num_chains = keys[0].shape[0]
        self.starts = np.zeros(self.num_chains, np.int32) if starts is None else starts
        self.states: list[Any] = [None] * len(placement.blocks)
        self.lasts: list[Any] = [None] * len(placement.blocks)
        self.seconds = np.zeros((len(placement.blocks), 2))  # warm-up, sampling
        self.keys = keys
        self.trouble = ""
        warmup = row.warmup
        losses = isinstance(warmup, Stepped) and warmup.loss is not None and state is None
        self.store = Store(
            placement,
            self.num_chains,
            self.num_draws,
            self.num_warmup if losses else 0,
            latest=extras.reduce is not None,
        )
        self.spec = Spec(
            row=row,
            options=frozen.static,
            num_warmup=self.num_warmup,
            thinning=words.get("thinning", 1),
            length=self.buffer_length(like, placement.blocks[0]),
            keep=self.keep,
            chains=len(placement.blocks[0]) if placement.batched else 0,
            devices=placement.devices,
            batches=extras.batches,
            watch=extras.watch(row),
        )
        if extras.feed is not None:
            steps = self.num_warmup if state is None else 0
            extras.feed.plan(self.spec, steps, int(self.starts[0]), self.num_draws)
        self.watched = self.spec.watch is not None and self.spec.watch.sound
        self.trace()

    def inputs(self, job: int) -> tuple[Any, Any, Any]:
        """Warm-up key and sampling key of a block, and the first draw of all its chains."""
        block = self.placement.blocks[job]
        warm, draw = take(self.keys, block, self.placement.batched)
        first = self.starts[block[0]]
        return (warm[0], draw[0], first) if self.row.cross_chain else (warm, draw, first)

    def resumed(self, block: np.ndarray) -> Any:
        """A block's part of the state of an earlier run."""
        if self.row.cross_chain:
            return self.state
        state = take(self.state, block, self.placement.batched)
        return programs.spread_out(state, self.placement.devices)

    def trace(self) -> None:
        """Trace the programs on the first block; all blocks have its shapes."""
        warm, draw, first = self.inputs(0)
        block, count = self.placement.blocks[0], np.int32(0)
        given, common = self.given, (self.target, self.given)
        if self.extras.feed is not None:
            given = given._replace(stream=self.extras.feed.shapes())
        self.programs: list[Program] = []
        if self.state is None:
            position = take(self.positions, block, self.placement.batched)
            self.start = program(programs.start, self.spec.warming, *common, warm, position)
            state = programs.spread_out(self.start.out_info, self.placement.devices)
            self.programs.append(self.start)
            warmup = self.row.warmup
            if isinstance(warmup, Stepped) and self.num_warmup:
                args = self.target, given, warm, state, count, count
                self.adapt = program(programs.adapt, self.spec.warming, *args)
                self.programs.append(self.adapt)
                if warmup.finish is not None:
                    self.finish = program(programs.finish, self.spec.warming, *common, warm, state)
                    self.programs.append(self.finish)
        else:
            state = self.resumed(block)
        args = self.target, given, draw, state, first, count
        self.sample = program(programs.sample, self.spec.drawing, *args)
        self.programs.append(self.sample)

    def buffer_length(self, draw: Any, block: np.ndarray) -> int:
        """Draws a chunk may hold: a power of two, by the memory that one draw takes."""
        kept = () if not self.keep else draw
        if self.keep and self.given.collect is not None:
            kept = jax.eval_shape(self.given.collect, draw)
        most = BUFFER_BYTES // (len(block) * (nbytes(kept) + STATS_BYTES))
        wanted = min(LONGEST, max(SHORTEST, self.num_draws))
        return 2 ** min(max(most, 1).bit_length() - 1, (wanted - 1).bit_length())

    def chunk(self, count: int, left: int) -> tuple[Given, int]:
        """What the next chunk is given, and its steps or draws: `count`, or what the feed has."""
        if self.extras.feed is None:
            return self.given, min(count, left)
        stream, count = self.extras.feed.take()
        return self.given._replace(stream=stream), count

    def block(self, job: int, bar: Progress, stop: threading.Event) -> None:
        """All of one block: warm-up, then draws until done or stopped."""
        block = self.placement.blocks[job]
        clock = time.perf_counter()
        if self.state is None:
            bar.phase("warm-up" if self.num_warmup else "running")
            state = self.warm_up(job, bar, stop)
        else:
            state = self.resumed(block)
        self.states[job] = state
        warmed = time.perf_counter()
        bar.phase("sampling" if self.row.family != "optimize" else "optimizing")
        try:
            self.draw(job, state, bar, stop)
        except FeedError as error:
            self.stop(str(error), stop)
        self.seconds[job] = warmed - clock, time.perf_counter() - warmed

    def draw(self, job: int, state: Any, bar: Progress, stop: threading.Event) -> None:
        """The draws of a block, until done or stopped."""
        block = self.placement.blocks[job]
        chains = len(np.unique(block))
        _, key, first = self.inputs(job)
        done, count = 0, 1
        while done < self.num_draws and not stop.is_set():
            given, count = self.chunk(count, self.num_draws - done)
            chunk = time.perf_counter()
            start = first + np.int32(done)
            state, last, kept = self.sample(self.target, given, key, state, start, np.int32(count))
            stats = self.store.write(block, count, kept, watched=self.watched)
            done += count
            self.states[job], self.lasts[job] = state, last
            self.check(block, state, stop)
            bar.advance(count * chains, stats)
            if self.out_of_patience(state):
                self.store.kept[1]["loss"][block, done:] = np.nan
                break
            count = paced(count, time.perf_counter() - chunk, self.spec.length)

    def out_of_patience(self, state: Any) -> bool:
        """Whether no particle of a block has got better for long."""
        watch = self.spec.watch
        if watch is None or not watch.patience:
            return False
        return bool((np.asarray(state.gathered.best.since) >= watch.patience).all())

    def warm_up(self, job: int, bar: Progress, stop: threading.Event) -> Any:
        """The state at the end of a block's warm-up; stepped ones go chunk by chunk."""
        block = self.placement.blocks[job]
        chains = len(np.unique(block))
        key = self.inputs(job)[0]
        position = take(self.positions, block, self.placement.batched)
        state = self.start(self.target, self.given, key, position)
        warmup = self.row.warmup
        if not isinstance(warmup, Stepped):
            jax.block_until_ready(state)
            bar.advance(self.num_warmup * chains)
            return state
        done, count = 0, 1
        while done < self.num_warmup:
            if stop.is_set():
                raise KeyboardInterrupt
            given, count = self.chunk(count, self.num_warmup - done)
            chunk = time.perf_counter()
            state, losses = self.adapt(
                self.target, given, key, state, np.int32(done), np.int32(count)
            )
            jax.block_until_ready(state)
            self.check(block, state, stop)
            stats = self.store.write_losses(block, done, count, losses)
            done += count
            bar.advance(count * chains, stats)
            count = paced(count, time.perf_counter() - chunk, self.num_warmup)
        if self.num_warmup and warmup.finish is not None:
            state = self.finish(self.target, self.given, key, state)
        return state

    def stop(self, why: str, stop: threading.Event) -> None:
        """Stop all blocks at the end of their chunks; the first reason counts."""
        self.trouble = self.trouble or why
        stop.set()

    def check(self, block: np.ndarray, state: Any, stop: threading.Event) -> None:
        """Stop where a chain of the block is no longer finite."""
        if not self.watched:
            return
        bad = np.flatnonzero(~np.atleast_1d(np.asarray(state.gathered.sound)))
        if bad.size and not self.trouble:
            if self.placement.batched:
                state = jax.tree.map(lambda leaf: leaf[bad[0]], state)
            steps = int(state.gathered.steps)
            norm = divergence.gradient_norm(self.target, state.inner.position)
            chain = int(block[bad[0]])
            self.stop(divergence.message(self.row, chain, steps, self.num_warmup, norm), stop)
