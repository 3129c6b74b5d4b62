"""SGLD with control variates: a batch only estimates the difference from the gradient at a mode."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from crewel.adapters import step_size as steps
from crewel.adapters.blackjax_sgmcmc import nothing, row
from crewel.adapters.sgmcmc import Kind, State, finish, init
from crewel.core.protocol import Key, Position, PyTree, Stats, SteppedWarmup, Target


class Center(NamedTuple):
    """The center of the control variates, the full gradient there, and Adam's state."""

    position: Position
    gradient: Position
    optimizer: PyTree


def _adam(num_warmup: int, learning_rate: float) -> Any:
    import optax

    return optax.adam(optax.cosine_decay_schedule(learning_rate, max(1, num_warmup)))


def _cv_init(
    kind: Kind,
    target: Target,
    key: Key,
    position: Position,
    num_warmup: int,
    *,
    learning_rate: float,
    **options: Any,
) -> State:
    state = init(kind, target, key, position, num_warmup, **options)
    optimizer = _adam(num_warmup, learning_rate).init(position)
    gradient = jax.grad(target.log_density)(position)
    return state._replace(inner=Center(position, gradient, optimizer))


def _cv_update(
    kind: Kind,
    target: Target,
    key: Key,
    state: State,
    num_warmup: int,
    *,
    learning_rate: float,
    **_: Any,
) -> State:
    import optax

    gradient = jax.grad(lambda z: -target.log_density(z) / target.num_data)(state.position)
    updates, optimizer = _adam(num_warmup, learning_rate).update(gradient, state.inner.optimizer)
    position = optax.apply_updates(state.position, updates)
    return State(position, state.inner._replace(optimizer=optimizer), state.step + 1, state.tuned)


def _cv_finish(
    kind: Kind,
    target: Target,
    key: Key,
    state: State,
    num_warmup: int,
    *,
    learning_rate: float,
    **options: Any,
) -> State:
    gradient = jax.grad(target.log_density)(state.position)
    state = finish(kind, target, key, state, num_warmup, **options)
    return state._replace(inner=Center(state.position, gradient, state.inner.optimizer))


def _cv_sgld(
    target: Target,
    key: Key,
    position: Position,
    inner: Center,
    size: jax.Array,
    temperature: jax.Array,
    **_: Any,
) -> tuple[Position, Center, Stats]:
    import blackjax

    value, here = jax.value_and_grad(target.log_density)(position)
    there = jax.grad(target.log_density)(inner.position)
    gradient = jax.tree.map(lambda full, a, b: full + (a - b), inner.gradient, here, there)
    kernel = blackjax.sgld.build_kernel()
    position = kernel(key, position, lambda *_: gradient, target.data, size, temperature)
    return position, inner, {"lp_estimate": value}


def _cv_auto(found: steps.Pilot, **_: Any) -> jax.Array:
    return steps.langevin(found._replace(noise=jnp.zeros_like(found.noise)))


CV_SGLD = Kind(nothing, _cv_sgld, _cv_auto)


ROWS = (
    row(
        "sgld_cv",
        "sgld",
        CV_SGLD,
        "SGLD with control variates, centered on the mode that Adam finds in the warm-up",
        "Baker, Fearnhead, Fox & Nemeth 2019",
        defaults={"learning_rate": 1e-2},
        warmup=SteppedWarmup(
            partial(_cv_init, CV_SGLD),
            partial(_cv_update, CV_SGLD),
            finish=partial(_cv_finish, CV_SGLD),
        ),
        test_budget={"step_size": 4e-4, "num_warmup": 1000, "num_draws": 2000, "thinning": 10},
        gradients=(2, 2),
    ),
)
