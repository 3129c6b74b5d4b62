"""What is watched on the device while a run goes on: soundness, a summary of draws, scores.

A watched state is the backend's own beside what was gathered, so that a run in pieces, or an
extended one, gathers what a run in one gathers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from crewel import evaluate

DIVERGING = "diverging"


@dataclass(frozen=True)
class Watch:
    """What is watched.

    Attributes:
        sound: whether a step to a position that is not finite freezes the chain where it was.
        every: draws between two looks at held-out rows; 0: none.
        best: whether the best of the looks is kept (optimizers), or the averaged predictive is
            scored.
        patience: looks without a better one after which a particle is done; 0: it never is.
    """

    sound: bool = False
    every: int = 0
    best: bool = False
    patience: int = 0


class Watched(NamedTuple):
    """A backend's state, and what was gathered."""

    inner: Any
    gathered: Gathered


class Gathered(NamedTuple):
    """What a chain has gathered.

    Attributes:
        sound: whether every state so far was finite.
        steps: sound steps, those of the warm-up included.
        reduced: the reducer's accumulator, or `()`.
        average: the averaged predictive, an `evaluate.Average`, or `()`.
        best: the best look at held-out rows, a `Best`, or `()`.
    """

    sound: Any = ()
    steps: Any = ()
    reduced: Any = ()
    average: Any = ()
    best: Any = ()


class Best(NamedTuple):
    """The best of a particle's looks at held-out rows.

    Attributes:
        score: mean log density of a row there.
        params: the parameters there.
        step: steps before it.
        since: looks since.
    """

    score: Any
    params: Any
    step: Any
    since: Any


def begin(spec: Watch, given: Any, target: Any, position: Any) -> Gathered:
    """Nothing gathered yet."""
    found = Gathered()
    if spec.sound:
        found = found._replace(sound=jnp.array(True), steps=jnp.int32(0))
    params = target.constrain(position)
    if given.reduce is not None:
        value = params if given.collect is None else given.collect(params)
        blank = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), value)
        found = found._replace(reduced=given.reduce.init(blank))
    if spec.best:
        zero = jnp.int32(0)
        best = Best(-jnp.inf * jnp.ones(()), jax.tree.map(jnp.zeros_like, params), zero, zero)
        return found._replace(best=best)
    if given.held is not None:
        found = found._replace(average=evaluate.empty(given.held, params))
    return found


def inner(spec: Watch | None, state: Any) -> Any:
    """The backend's own state."""
    return state if spec is None else state.inner


def _choose(condition: Any, new: Any, old: Any) -> Any:
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), new, old)


def put(spec: Watch | None, state: Any, new: Any) -> Any:
    """The state after a step; after one that is not finite, the state before it."""
    if spec is None:
        return new
    if not spec.sound:
        return state._replace(inner=new)
    before = state.gathered
    floats = [a for a in jax.tree.leaves(new) if jnp.issubdtype(a.dtype, jnp.floating)]
    sound = before.sound & jnp.stack([jnp.isfinite(leaf).all() for leaf in floats]).all()
    gathered = before._replace(sound=sound, steps=before.steps + sound)
    return Watched(_choose(sound, new, state.inner), gathered)


def flags(spec: Watch | None, state: Any) -> dict[str, Any]:
    """Statistics of a step that only the watch can tell."""
    return {DIVERGING: ~state.gathered.sound} if spec is not None and spec.sound else {}


def draw(
    spec: Watch | None,
    given: Any,
    state: Any,
    index: Any,
    constrain: Any,
    value: Any,
    position: Any,
) -> tuple[Any, dict[str, Any]]:
    """The state with a draw gathered, and the scores so far."""
    if spec is None:
        return state, {}
    found = state.gathered
    if given.reduce is not None:
        reduced = given.reduce.update(found.reduced, value(position))
        if spec.sound:
            reduced = _choose(found.sound, reduced, found.reduced)
        found = found._replace(reduced=reduced)
    if given.held is None:
        return state._replace(gathered=found), {}
    if spec.best:
        best = jax.lax.cond(
            (index + 1) % spec.every == 0,
            lambda: _look(spec, given.held, found.best, constrain(position), index + 1),
            lambda: found.best,
        )
        return state._replace(gathered=found._replace(best=best)), {}

    # The predicate is the same for all chains, so that `vmap` keeps the branch a branch.
    average = jax.lax.cond(
        (index + 1) % spec.every == 0,
        lambda: _choose(
            found.sound if spec.sound else True,
            evaluate.add(given.held, found.average, constrain(position)),
            found.average,
        ),
        lambda: found.average,
    )
    return state._replace(gathered=found._replace(average=average)), average.scores


def _look(spec: Watch, held: Any, best: Best, params: Any, step: Any) -> Best:
    score = evaluate.mean_log_density(held, params)
    done = (best.since >= spec.patience) if spec.patience else False
    better = (score > best.score) & ~jnp.asarray(done)
    new = Best(score, params, jnp.int32(step), jnp.int32(0))
    return _choose(better, new, best._replace(since=best.since + 1))


def scores(spec: Watch | None, state: Any) -> dict[str, Any]:
    """The scores that a watched state holds."""
    if spec is None or not spec.every or spec.best:
        return {}
    return state.gathered.average.scores


def result(spec: Watch | None, given: Any, state: Any, last: Any) -> Any:
    """What a run that keeps no draws returns: a summary of all, the best, or the last."""
    if spec is not None and spec.best:
        best = state.gathered.best
        return _choose(best.score > -jnp.inf, best.params, last)
    if spec is None or given.reduce is None:
        return last
    return given.reduce.result(state.gathered.reduced)
