"""What the device monitors during a run: finiteness, a summary of draws, held-out scores.

A monitored state is the backend's own state together with what was gathered, so a run in pieces or
an extended run gathers the same as a run in one piece.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp

from crewel.core.protocol import Params, Position, PyTree, State, Stats, Target
from crewel.run import held_out

if TYPE_CHECKING:
    from crewel.run.spec import RunInputs

DIVERGING = "diverging"


@dataclass(frozen=True)
class Monitor:
    """What is monitored.

    Attributes:
        finite: whether a step to a position that is not finite freezes the chain where it was.
        every: draws between two evaluations on held-out rows; 0 is never.
        best: whether the best parameters are kept (optimizers), rather than the averaged
            predictive scored.
        patience: evaluations without improvement after which a particle stops; 0 is never.
    """

    finite: bool = False
    every: int = 0
    best: bool = False
    patience: int = 0


class Monitored(NamedTuple):
    """A backend's state, and what was gathered."""

    inner: State
    gathered: Gathered


class Gathered(NamedTuple):
    """What a chain has gathered; `()` for what is not asked for.

    Attributes:
        finite: whether every state so far was finite.
        steps: number of finite steps, including the warm-up.
        reduced: the reducer's accumulator.
        average: the averaged predictive, a `held_out.Average`.
        best: the best evaluation on held-out rows, a `Best`.
    """

    finite: Any = ()
    steps: Any = ()
    reduced: PyTree = ()
    average: Any = ()
    best: Any = ()


class Best(NamedTuple):
    """The best of a particle's evaluations on held-out rows.

    Attributes:
        score: mean log density per row.
        params: the parameters.
        step: number of steps before it.
        since: number of evaluations since.
    """

    score: jax.Array
    params: Params
    step: jax.Array
    since: jax.Array


def begin(spec: Monitor, inputs: RunInputs, target: Target, position: Position) -> Gathered:
    """What is gathered before the first step."""
    found = Gathered()
    if spec.finite:
        found = found._replace(finite=jnp.array(True), steps=jnp.int32(0))
    params = target.constrain(position)
    if inputs.reduce is not None:
        value = params if inputs.collect is None else inputs.collect(params)
        blank = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), value)
        found = found._replace(reduced=inputs.reduce.init(blank))
    if spec.best:
        zero = jnp.int32(0)
        best = Best(-jnp.inf * jnp.ones(()), jax.tree.map(jnp.zeros_like, params), zero, zero)
        return found._replace(best=best)
    if inputs.held is not None:
        found = found._replace(average=held_out.empty(inputs.held, params))
    return found


def inner(spec: Monitor | None, state: State) -> State:
    """The backend's own state."""
    return state if spec is None else state.inner


def _choose(condition: jax.Array | bool, new: PyTree, old: PyTree) -> PyTree:
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), new, old)


def put(spec: Monitor | None, state: State, new: State) -> State:
    """The state after a step, or the state before it if the step is not finite."""
    if spec is None:
        return new
    if not spec.finite:
        return state._replace(inner=new)
    before = state.gathered
    floats = [a for a in jax.tree.leaves(new) if jnp.issubdtype(a.dtype, jnp.floating)]
    finite = before.finite & jnp.stack([jnp.isfinite(leaf).all() for leaf in floats]).all()
    gathered = before._replace(finite=finite, steps=before.steps + finite)
    return Monitored(_choose(finite, new, state.inner), gathered)


def flags(spec: Monitor | None, state: State) -> Stats:
    """The statistics of a step that come from the monitor."""
    return {DIVERGING: ~state.gathered.finite} if spec is not None and spec.finite else {}


def draw(
    spec: Monitor | None,
    inputs: RunInputs,
    state: State,
    index: jax.Array,
    constrain: Callable[[Position], Params],
    value: Callable[[Position], PyTree],
    position: Position,
) -> tuple[State, Stats]:
    """The state with a draw gathered, and the scores so far."""
    if spec is None:
        return state, {}
    found, held = state.gathered, inputs.held
    if inputs.reduce is not None:
        reduced = inputs.reduce.update(found.reduced, value(position))
        if spec.finite:
            reduced = _choose(found.finite, reduced, found.reduced)
        found = found._replace(reduced=reduced)
    if held is None:
        return state._replace(gathered=found), {}
    if spec.best:
        best = jax.lax.cond(
            (index + 1) % spec.every == 0,
            lambda: _look(spec, held, found.best, constrain(position), index + 1),
            lambda: found.best,
        )
        return state._replace(gathered=found._replace(best=best)), {}

    # The predicate is the same for all chains, so `vmap` keeps the branch a branch.
    average = jax.lax.cond(
        (index + 1) % spec.every == 0,
        lambda: _choose(
            found.finite if spec.finite else True,
            held_out.add(held, found.average, constrain(position)),
            found.average,
        ),
        lambda: found.average,
    )
    return state._replace(gathered=found._replace(average=average)), average.scores


def _look(spec: Monitor, held: held_out.Held, best: Best, params: Params, step: jax.Array) -> Best:
    score = held_out.mean_log_density(held, params)
    stopped = (best.since >= spec.patience) if spec.patience else False
    better = (score > best.score) & ~jnp.asarray(stopped)
    new = Best(score, params, jnp.int32(step), jnp.int32(0))
    return _choose(better, new, best._replace(since=best.since + 1))


def scores(spec: Monitor | None, state: State) -> Stats:
    """The held-out scores in a monitored state."""
    if spec is None or not spec.every or spec.best:
        return {}
    return state.gathered.average.scores


def result(spec: Monitor | None, inputs: RunInputs, state: State, last: Params) -> PyTree:
    """What a run that keeps no draws returns: a summary, the best parameters, or the last."""
    if spec is not None and spec.best:
        best = state.gathered.best
        return _choose(best.score > -jnp.inf, best.params, last)
    if spec is None or inputs.reduce is None:
        return last
    return inputs.reduce.result(state.gathered.reduced)
