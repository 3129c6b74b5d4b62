"""What is compiled: start a chain, warm it up, draw from it, and the same for many chains.

Each function is written for one chain, lifted to a block of chains by `vmap` and over devices by
`shard_map`. Loops take their number of steps as an argument: one program serves any number of
draws, and a run in pieces equals a run in one piece bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from crewel.core import minibatch
from crewel.core.compiling import thaw
from crewel.core.protocol import Key, Params, Position, PyTree, State, Stats, SteppedWarmup, Target
from crewel.core.trees import strong
from crewel.run import monitor
from crewel.run.monitor import Monitored
from crewel.run.placement import over_devices
from crewel.run.spec import ProgramSpec, RunInputs, steps_before


def _lift(
    spec: ProgramSpec, fn: Callable[..., Any], mapped: tuple[int | None, ...]
) -> Callable[..., Any]:
    if spec.row.cross_chain or spec.chains == 0:
        return fn
    fn = jax.vmap(fn, in_axes=mapped)
    return fn if spec.devices == 1 else over_devices(fn, spec.devices, mapped)


def start(
    spec: ProgramSpec, target: Target, inputs: RunInputs, keys: Key, positions: Position
) -> State:
    """The state at the start of a stepped warm-up, or at the end of any other."""

    def one(target: Target, inputs: RunInputs, key: Key, position: Position) -> State:
        warmup = spec.row.warmup
        make = warmup.init if isinstance(warmup, SteppedWarmup) else warmup
        assert make is not None
        options = thaw(spec.options, inputs.options)
        state = strong(make(target, key, position, spec.num_warmup, **options))
        if spec.monitor is None:
            return state
        return Monitored(state, strong(monitor.begin(spec.monitor, inputs, target, position)))

    return _lift(spec, one, (None, None, 0, 0))(target, inputs, keys, positions)


def adapt(
    spec: ProgramSpec,
    target: Target,
    inputs: RunInputs,
    keys: Key,
    state: State,
    first: jax.Array,
    count: jax.Array,
) -> tuple[State, PyTree]:
    """`(state, losses)` after `count` more steps of a stepped warm-up.

    For a fit, `losses` is `(num_warmup,)` and filled at these steps; otherwise it is `()`.
    """
    warmup = spec.row.warmup
    assert isinstance(warmup, SteppedWarmup)

    def one(
        target: Target,
        inputs: RunInputs,
        key: Key,
        state: State,
        first: jax.Array,
        count: jax.Array,
    ) -> tuple[State, PyTree]:
        options = thaw(spec.options, inputs.options)

        def body(i: jax.Array, carry: tuple[State, Any]) -> tuple[State, Any]:
            state, losses = carry
            seen = minibatch.at(spec.batches, target, inputs.stream, key, first + i, i)
            step_key = jax.random.fold_in(key, first + i)
            inner = monitor.inner(spec.monitor, state)
            inner = strong(warmup.update(seen, step_key, inner, spec.num_warmup, **options))
            if warmup.loss is not None:
                losses = losses.at[first + i].set(warmup.loss(inner).astype(losses.dtype))
            return monitor.put(spec.monitor, state, inner), losses

        losses = () if warmup.loss is None else jnp.zeros(spec.num_warmup)
        return jax.lax.fori_loop(0, count, body, (state, losses))

    lifted = _lift(spec, one, (None, None, 0, 0, None, None))
    return lifted(target, inputs, keys, state, first, count)


def finish(spec: ProgramSpec, target: Target, inputs: RunInputs, keys: Key, state: State) -> State:
    """The state after the last step of a stepped warm-up that has a `finish`."""
    warmup = spec.row.warmup
    assert isinstance(warmup, SteppedWarmup) and warmup.finish is not None
    end = warmup.finish

    def one(target: Target, inputs: RunInputs, key: Key, state: State) -> State:
        options = thaw(spec.options, inputs.options)
        key = jax.random.fold_in(key, spec.num_warmup)
        inner = end(target, key, monitor.inner(spec.monitor, state), spec.num_warmup, **options)
        return strong(inner if spec.monitor is None else state._replace(inner=inner))

    return _lift(spec, one, (None, None, 0, 0))(target, inputs, keys, state)


def sample(
    spec: ProgramSpec,
    target: Target,
    inputs: RunInputs,
    keys: Key,
    state: State,
    first: jax.Array,
    count: jax.Array,
) -> tuple[State, Params, tuple[PyTree, Stats]]:
    """`(state, last, kept)`: `count` draws, from the chain's draw `first` on.

    If draws are not kept, `last` holds the parameters at the end or the summary of all draws.
    `kept` is `(draws, stats)` with a leading axis of length `spec.length`; its first `count`
    entries are filled.
    """

    def one(
        target: Target,
        inputs: RunInputs,
        key: Key,
        state: State,
        first: jax.Array,
        count: jax.Array,
    ) -> tuple[State, Params, tuple[PyTree, Stats]]:
        options = thaw(spec.options, inputs.options)
        constrain = jax.vmap(target.constrain) if spec.row.cross_chain else target.constrain

        origin = steps_before(spec, first)
        step = spec.row.step
        assert step is not None

        def transition(index: jax.Array, state: State) -> tuple[State, Position, Stats]:
            seen = minibatch.at(spec.batches, target, inputs.stream, key, index, index - origin)
            step_key = jax.random.fold_in(key, index)
            inner = monitor.inner(spec.monitor, state)
            inner, position, stats = step(seen, step_key, inner, **options)
            inner, position, stats = strong((inner, position, stats))
            state = monitor.put(spec.monitor, state, inner)
            if spec.monitor is not None and spec.monitor.finite:
                position = ()  # the state has it; carried twice, it would be copied at each step
            return state, position, stats | monitor.flags(spec.monitor, state)

        def draw(index: jax.Array, state: State) -> tuple[State, Position, Stats]:
            state, position, stats = advance(index, state)
            if spec.monitor is not None and spec.monitor.finite:
                position = state.inner.position
            return state, position, stats

        def advance(index: jax.Array, state: State) -> tuple[State, Position, Stats]:
            begin, end = steps_before(spec, index), steps_before(spec, index + 1)
            if spec.thinning == 1 and spec.row.cycle is None:
                return transition(begin, state)

            def body(
                step: jax.Array, made: tuple[State, Position, Stats]
            ) -> tuple[State, Position, Stats]:
                state, _, before = made
                state, position, stats = transition(step, state)
                # A flag, for example a divergence, must not vanish with the steps thinned out.
                flags = {k: v | before[k] for k, v in stats.items() if v.dtype == bool}
                return state, position, stats | flags

            shapes = jax.eval_shape(transition, begin, state)
            blank = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes[1:])
            return jax.lax.fori_loop(begin, end, body, (state, *blank))

        def value(position: Position) -> PyTree:
            params = constrain(position)
            if inputs.collect is None:
                return params
            each = jax.vmap(inputs.collect) if spec.row.cross_chain else inputs.collect
            return each(params)

        def body(i: jax.Array, carry: tuple[State, Params, Any]) -> tuple[State, Params, Any]:
            state, _, kept = carry
            state, position, stats = draw(first + i, state)
            state, scores = monitor.draw(
                spec.monitor, inputs, state, first + i, constrain, value, position
            )
            new = (value(position) if spec.keep else (), stats | scores)
            kept = jax.tree.map(
                lambda buffer, leaf: jax.lax.dynamic_update_index_in_dim(buffer, leaf, i, 0),
                kept,
                new,
            )
            return state, () if spec.keep else position, kept

        _, position, stats = jax.eval_shape(draw, first, state)
        shapes = (
            jax.eval_shape(value, position) if spec.keep else (),
            stats | monitor.scores(spec.monitor, state),
        )
        kept = jax.tree.map(lambda leaf: jnp.zeros((spec.length, *leaf.shape), leaf.dtype), shapes)
        last = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), position)
        last = () if spec.keep else last
        state, last, kept = jax.lax.fori_loop(0, count, body, (state, last, kept))
        if not spec.keep:
            last = monitor.result(spec.monitor, inputs, state, constrain(last))
        return state, last, kept

    lifted = _lift(spec, one, (None, None, 0, 0, None, None))
    state, last, kept = lifted(target, inputs, keys, state, first, count)
    if spec.row.cross_chain:
        kept = jax.tree.map(lambda leaf: jnp.swapaxes(leaf, 0, 1) if leaf.ndim > 1 else leaf, kept)
    return state, last, kept
