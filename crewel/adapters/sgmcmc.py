"""What all stochastic-gradient samplers share: state, tuning, and one step on a batch."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from crewel.adapters import step_size as steps
from crewel.core.protocol import Key, Position, Stats, SteppedWarmup, Target

NOISE = "No accept step, and a noisy gradient: both leave a bias that vanishes with the step size"
OPTIONS = {"step_size": "auto", "temperature": 1.0}


class State(NamedTuple):
    """State of a stochastic-gradient sampler.

    Attributes:
        position: the unconstrained position.
        inner: what the kind keeps besides the position.
        step: number of steps so far, including the warm-up; schedules depend on it.
        tuned: the step size found for `"auto"`, otherwise 0.
    """

    position: Position
    inner: Any
    step: jax.Array
    tuned: jax.Array


class Kind(NamedTuple):
    """What distinguishes one sampler from another.

    Attributes:
        begin: `(target, key, position, **options) -> inner`.
        move: `(target, key, position, inner, step size, temperature, **options) ->
            (position, inner, stats)`.
        auto: `(pilot, **options) -> step size`.
        at: `(step size, step, temperature, **options) -> (step size, temperature)`.
        scale: `(inner, **options) -> scale` of the coordinates it moves in, as `pilot` takes it.
    """

    begin: Callable[..., Any]
    move: Callable[..., tuple[Position, Any, Stats]]
    auto: Callable[..., jax.Array]
    at: Callable[..., tuple[jax.Array, jax.Array]] = lambda size, step, temperature, **_: (
        size,
        temperature,
    )
    scale: Callable[..., Position | None] = lambda inner, **_: None


def tune(
    kind: Kind,
    target: Target,
    key: Key,
    position: Position,
    inner: Any,
    *,
    step_size: Any,
    **options: Any,
) -> jax.Array:
    """The step size that `"auto"` finds at a position; 0 for any other `step_size`."""
    steps.check(step_size)
    if not isinstance(step_size, str):
        return jnp.zeros(())
    scale = kind.scale(inner, **options)
    return kind.auto(steps.pilot(target, key, position, scale), **options)


def init(
    kind: Kind, target: Target, key: Key, position: Position, num_warmup: int, **options: Any
) -> State:
    """The state before the first step."""
    key_begin, key_tune = jax.random.split(key)
    inner = kind.begin(target, key_begin, position, **options)
    tuned = tune(kind, target, key_tune, position, inner, **options)
    return State(position, inner, jnp.int32(0), tuned)


def step(
    kind: Kind,
    target: Target,
    key: Key,
    state: State,
    *,
    step_size: Any,
    temperature: float | jax.Array,
    **options: Any,
) -> tuple[State, Position, Stats]:
    """One step on the batch that the target holds."""
    size = steps.at(step_size, state.step, state.tuned)
    size, temperature = kind.at(size, state.step, temperature, **options)
    position, inner, stats = kind.move(
        target, key, state.position, state.inner, size, temperature, **options
    )
    state = State(position, inner, state.step + 1, state.tuned)
    return state, position, stats | {"step_size": size}


def update(
    kind: Kind, target: Target, key: Key, state: State, num_warmup: int, **options: Any
) -> State:
    """One warm-up step."""
    return step(kind, target, key, state, **options)[0]


def finish(
    kind: Kind, target: Target, key: Key, state: State, num_warmup: int, **options: Any
) -> State:
    """Tune again at the position that the warm-up reached."""
    return state._replace(tuned=tune(kind, target, key, state.position, state.inner, **options))


def warmup(kind: Kind) -> SteppedWarmup:
    """The warm-up: steps, with tuning before and after them."""
    return SteppedWarmup(partial(init, kind), partial(update, kind), finish=partial(finish, kind))
