"""Blocks of chains: trace them, warm them up and draw from them, chunk by chunk."""

from __future__ import annotations

import threading
import time
from functools import partial
from typing import NamedTuple

import jax
import numpy as np

from crewel.core.compiling import Frozen, Program, program, run_options
from crewel.core.protocol import Key, Params, Position, State, SteppedWarmup, Surplus
from crewel.core.trees import as_partial, nbytes
from crewel.run import divergence, programs
from crewel.run.call import Call
from crewel.run.interrupts import Stop
from crewel.run.placement import Placement, cores, spread_out, take
from crewel.run.prefetch import PrefetchError
from crewel.run.progress import Progress
from crewel.run.spec import ProgramSpec, RunInputs
from crewel.run.store import Store

BUFFER_BYTES = 16 * 2**20  # draws of a block that stay on the device at a time
STATS_BYTES = 64  # the statistics of one draw, approximately
SHORTEST, LONGEST = 64, 1024  # draws; few lengths, so other `num_draws` compile nothing
CHUNK_SECONDS = 0.25  # how often a run can be interrupted and the bar moves


class Chains(NamedTuple):
    """Where the chains of a run begin: at positions, or where an earlier run stopped.

    Attributes:
        warmup_keys: `(chain,)`, keys of the warm-up.
        keys: `(chain,)`, keys of the draws.
        positions: unconstrained, leaves `(chain, ...)`, or `None`.
        state: the state of an earlier run, leaves `(chain, ...)`, or `None`.
        starts: `(chain,)`, the index of each chain's next draw; `None` is 0.
        surplus: draws that chains already have, or `None`.
        planned: draws of the first run, which set the length of the programs' buffers, so that an
            extension compiles nothing; `None`: this is the first run.
    """

    warmup_keys: Key
    keys: Key
    positions: Position = None
    state: State = None
    starts: np.ndarray | None = None
    surplus: Surplus | None = None
    planned: int | None = None


def paced(count: int, seconds: float, most: int) -> int:
    """How many steps would take `CHUNK_SECONDS`, if `count` took `seconds`; at most `most`."""
    return max(1, min(most, 10 * count, int(count * CHUNK_SECONDS / max(seconds, 1e-6))))


class Run:
    """The blocks of one run. Each chain's part of the store is written by one thread."""

    def __init__(self, call: Call, like: Params, placement: Placement, chains: Chains) -> None:
        """Trace the programs.

        Args:
            call: the call.
            like: arrays of the shape of one draw's parameters.
            placement: where the chains run.
            chains: where they begin.
        """
        self.call, self.placement, self.chains = call, placement, chains
        self.num_chains, self.num_draws = chains.keys.shape[0], call.num_draws
        self.num_warmup = call.num_warmup if chains.state is None else 0
        self.starts = (
            np.zeros(self.num_chains, np.int32) if chains.starts is None else chains.starts
        )
        frozen, asked = Frozen(dict(call.options)), call.extras
        collect = as_partial(call.settings.get("collect"))
        self.inputs = RunInputs(frozen.arrays, collect, asked.reduce, asked.held)
        self.states: list[State] = [None] * len(placement.blocks)
        self.lasts: list[Params] = [None] * len(placement.blocks)
        self.seconds = np.zeros((len(placement.blocks), 2))  # warm-up, sampling
        self.lock = threading.Lock()  # a chunk's draws and the state after it belong together
        self.stop = Stop()
        warmup = call.row.warmup
        losses = isinstance(warmup, SteppedWarmup) and warmup.loss is not None
        self.store = Store(
            placement,
            self.num_chains,
            self.num_draws,
            self.num_warmup if losses else 0,
            latest=asked.reduce is not None,
            surplus=chains.surplus,
        )
        self.spec = ProgramSpec(
            row=call.row,
            options=frozen.static,
            num_warmup=call.num_warmup,
            thinning=call.thinning,
            length=self._buffer_length(like),
            keep=call.keeps_draws,
            chains=len(placement.blocks[0]) if placement.batched else 0,
            devices=placement.devices,
            batches=asked.batches,
            monitor=asked.monitor(call.row),
        )
        self.monitored = self.spec.monitor is not None and self.spec.monitor.finite
        if asked.prefetcher is not None:
            first = int(self.starts[0])
            asked.prefetcher.plan(self.spec, self.num_warmup, first, self.num_draws)
        if chains.state is not None:
            self.states = [self._resumed(block) for block in placement.blocks]
        self._trace()

    def _keys(self, job: int) -> tuple[Key, Key]:
        """The keys of a block's warm-up and of its draws."""
        keys = self.chains.warmup_keys, self.chains.keys
        warm, draw = take(keys, self.placement.blocks[job], self.placement.batched)
        return (warm[0], draw[0]) if self.call.row.cross_chain else (warm, draw)

    def _resumed(self, block: np.ndarray) -> State:
        """A block's part of an earlier run's state."""
        if self.call.row.cross_chain:
            return self.chains.state
        state = take(self.chains.state, block, self.placement.batched)
        return spread_out(state, self.placement.devices)

    def _trace(self) -> None:
        """Trace the programs on the first block; all blocks have the same shapes."""
        warm, draw = self._keys(0)
        block, count = self.placement.blocks[0], np.int32(0)
        inputs, common = self.inputs, (self.call.target, self.inputs)
        busy = self.placement.threads >= cores()
        made = partial(program, options=run_options(common, busy))
        if self.call.extras.prefetcher is not None:
            inputs = inputs._replace(stream=self.call.extras.prefetcher.shapes())
        self.programs: list[Program] = []
        if self.chains.state is None:
            position = take(self.chains.positions, block, self.placement.batched)
            self.start = made(programs.start, self.spec.warming, *common, warm, position)
            state = spread_out(self.start.out_info, self.placement.devices)
            self.programs.append(self.start)
            warmup = self.call.row.warmup
            if isinstance(warmup, SteppedWarmup) and self.num_warmup:
                args = self.call.target, inputs, warm, state, count, count
                self.adapt = made(programs.adapt, self.spec.warming, *args)
                self.programs.append(self.adapt)
                if warmup.finish is not None:
                    self.finish = made(programs.finish, self.spec.warming, *common, warm, state)
                    self.programs.append(self.finish)
        else:
            state = self.states[0]
        args = self.call.target, inputs, draw, state, count, count
        self.sample = made(programs.sample, self.spec.drawing, *args)
        self.programs.append(self.sample)

    def _buffer_length(self, draw: Params) -> int:
        """The draws that a chunk may hold: a power of two, from the memory that one draw takes."""
        keep = self.call.keeps_draws
        kept = draw if keep else ()
        if keep and self.inputs.collect is not None:
            kept = jax.eval_shape(self.inputs.collect, draw)
        most = BUFFER_BYTES // (len(self.placement.blocks[0]) * (nbytes(kept) + STATS_BYTES))
        wanted = min(LONGEST, max(SHORTEST, self.chains.planned or self.num_draws))
        return 2 ** min(max(most, 1).bit_length() - 1, (wanted - 1).bit_length())

    def _chunk(self, count: int, left: int) -> tuple[RunInputs, int] | None:
        """The inputs of the next chunk and its number of steps or draws; `None` to stop.

        That number is `count`, but at most `left`, or what was prefetched.
        """
        if self.stop:
            return None
        prefetcher = self.call.extras.prefetcher
        if prefetcher is None:
            return self.inputs, min(count, left)
        found = prefetcher.take(self.stop)
        return found and (self.inputs._replace(stream=found[0]), found[1])

    def block(self, job: int, bar: Progress) -> None:
        """Run a whole block: warm-up, then draws until it is done or stopped."""
        clock = time.perf_counter()
        if self.chains.state is None:
            bar.phase("warm-up" if self.num_warmup else "running")
            state = self._warm_up(job, bar)
            if state is None:
                return
            with self.lock:
                self.states[job] = state
        else:
            state = self.states[job]
        warmed = time.perf_counter()
        bar.phase(self.call.row.family.phase)
        try:
            self._draw(job, state, bar)
        except PrefetchError as error:
            self.stop.because(str(error))
        self.seconds[job] = warmed - clock, time.perf_counter() - warmed

    def _draw(self, job: int, state: State, bar: Progress) -> None:
        """Draw from a block until it is done or stopped."""
        block = self.placement.blocks[job]
        chains = len(np.unique(block))
        key = self._keys(job)[1]
        already = int(self.store.done[block[0]])
        done, count = already, 1
        while done < self.num_draws:
            chunk = self._chunk(count, self.num_draws - done)
            if chunk is None:
                break
            inputs, count = chunk
            clock = time.perf_counter()
            index = self.starts[block[0]] + np.int32(done - already)
            state, last, kept = self.sample(
                self.call.target, inputs, key, state, index, np.int32(count)
            )
            jax.block_until_ready(kept)
            with self.lock:
                stats = self.store.write(block, count, kept, monitored=self.monitored)
                self.states[job], self.lasts[job] = state, last
            done += count
            self._check(block, state)
            bar.advance(count * chains, stats)
            if self._out_of_patience(state):
                self.store.complete(block)
                break
            count = paced(count, time.perf_counter() - clock, self.spec.length)

    def _out_of_patience(self, state: State) -> bool:
        """Whether no particle of a block has improved within its patience."""
        spec = self.spec.monitor
        if spec is None or not spec.patience:
            return False
        return bool((np.asarray(state.gathered.best.since) >= spec.patience).all())

    def summary(self, job: int) -> Params:
        """What a block that keeps no draws returns: of its state, if it has made none yet."""
        if self.lasts[job] is not None:
            return self.lasts[job]
        key, index = self._keys(job)[1], self.starts[self.placement.blocks[job][0]]
        none = np.int32(0)
        return self.sample(self.call.target, self.inputs, key, self.states[job], index, none)[1]

    def _warm_up(self, job: int, bar: Progress) -> State:
        """The state at the end of a block's warm-up; `None` if it was stopped before that."""
        block = self.placement.blocks[job]
        chains = len(np.unique(block))
        key = self._keys(job)[0]
        position = take(self.chains.positions, block, self.placement.batched)
        state = self.start(self.call.target, self.inputs, key, position)
        warmup = self.call.row.warmup
        if not isinstance(warmup, SteppedWarmup):
            jax.block_until_ready(state)
            bar.advance(self.num_warmup * chains)
            return state
        done, count = 0, 1
        while done < self.num_warmup:
            chunk = self._chunk(count, self.num_warmup - done)
            if chunk is None:
                return None
            inputs, count = chunk
            clock = time.perf_counter()
            state, losses = self.adapt(
                self.call.target, inputs, key, state, np.int32(done), np.int32(count)
            )
            jax.block_until_ready(state)
            self._check(block, state)
            stats = self.store.write_losses(block, done, count, losses)
            done += count
            bar.advance(count * chains, stats)
            count = paced(count, time.perf_counter() - clock, self.num_warmup)
        if self.num_warmup and warmup.finish is not None:
            state = self.finish(self.call.target, self.inputs, key, state)
        return state

    def _check(self, block: np.ndarray, state: State) -> None:
        """Stop the run if a chain of the block is no longer finite."""
        if not self.monitored:
            return
        bad = np.flatnonzero(~np.atleast_1d(np.asarray(state.gathered.finite)))
        if bad.size and not self.stop.trouble:
            if self.placement.batched:
                state = jax.tree.map(lambda leaf: leaf[bad[0]], state)
            steps = int(state.gathered.steps)
            norm = divergence.gradient_norm(self.call.target, state.inner.position)
            row, chain = self.call.row, int(block[bad[0]])
            self.stop.because(divergence.message(row, chain, steps, self.call.num_warmup, norm))
