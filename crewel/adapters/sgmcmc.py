"""What stochastic-gradient samplers share, and those that no backend has."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from crewel import step_size as steps
from crewel.minibatch import random_batch
from crewel.protocol import APART, Algorithm, Position, Stepped, Target

NOISE = "No accept step, and the gradient's own noise: both leave a bias that vanishes with the "
NOISE += "step size"
OPTIONS = {"step_size": "auto", "temperature": 1.0}


class State(NamedTuple):
    """Of every stochastic-gradient sampler.

    Attributes:
        position: unconstrained.
        inner: what the kind keeps beside it.
        step: steps so far, the warm-up's included; what schedules see.
        tuned: the step size of `"auto"`, else 0.
    """

    position: Position
    inner: Any
    step: Any
    tuned: Any


class Kind(NamedTuple):
    """What tells one sampler from another.

    Attributes:
        begin: `(target, key, position, **options) -> inner`.
        move: `(target, key, position, inner, step size, temperature, **options) ->
            (position, inner, stats)`.
        auto: `(pilot, **options) -> step size`.
        at: `(step size, step, temperature, **options) -> (step size, temperature)`.
        scale: `(inner, **options) ->` the coordinates that it moves in, as `pilot` takes them.
    """

    begin: Callable[..., Any]
    move: Callable[..., Any]
    auto: Callable[..., Any]
    at: Callable[..., Any] = lambda size, step, temperature, **_: (size, temperature)
    scale: Callable[..., Any] = lambda inner, **_: None


def tune(kind: Kind, target: Target, key, position, inner, *, step_size, **options: Any) -> Any:
    """The step size of `"auto"` at a position; 0 where it is given otherwise."""
    steps.check(step_size)
    if not isinstance(step_size, str):
        return jnp.zeros(())
    scale = kind.scale(inner, **options)
    return kind.auto(steps.pilot(target, key, position, scale), **options)


def init(kind: Kind, target: Target, key, position: Position, num_warmup: int, **options) -> State:
    """The state before the first step."""
    key_begin, key_tune = jax.random.split(key)
    inner = kind.begin(target, key_begin, position, **options)
    tuned = tune(kind, target, key_tune, position, inner, **options)
    return State(position, inner, jnp.int32(0), tuned)


def step(kind: Kind, target: Target, key, state: State, *, step_size, temperature, **options):
    """One step on the batch that the target holds."""
    size = steps.at(step_size, state.step, state.tuned)
    size, temperature = kind.at(size, state.step, temperature, **options)
    position, inner, stats = kind.move(
        target, key, state.position, state.inner, size, temperature, **options
    )
    state = State(position, inner, state.step + 1, state.tuned)
    return state, position, stats | {"step_size": size}


def update(kind: Kind, target: Target, key, state: State, num_warmup: int, **options) -> State:
    """A step of burn-in."""
    return step(kind, target, key, state, **options)[0]


def finish(kind: Kind, target: Target, key, state: State, num_warmup: int, **options) -> State:
    """Tune again, where the burn-in has led."""
    return state._replace(tuned=tune(kind, target, key, state.position, state.inner, **options))


def warmup(kind: Kind) -> Stepped:
    """Burn-in, and the tuning before and after it."""
    return Stepped(partial(init, kind), partial(update, kind), finish=partial(finish, kind))


# --- preconditioned -----------------------------------------------------------------------------


def preconditioner(square: Any, *, decay: float = 0.99, damping: float = 1e-5) -> Any:
    """The preconditioner of RMSprop, one number a parameter.

    Args:
        square: running mean of the squared gradient a row, like the position.
        decay: of that mean.
        damping: added to its root, so that the preconditioner has a bound.
    """
    return jax.tree.map(lambda leaf: 1 / (damping + jnp.sqrt(leaf)), square)


def _psgld_begin(target: Target, key, position, **_: Any) -> Any:
    gradient = jax.grad(random_batch(target, key).log_density)(position)
    return jax.tree.map(lambda leaf: (leaf / target.num_data) ** 2, gradient)


def _psgld(target: Target, key, position, square, size, temperature, *, decay, damping):
    value, gradient = jax.value_and_grad(target.log_density)(position)
    square = jax.tree.map(
        lambda s, g: decay * s + (1 - decay) * (g / target.num_data) ** 2, square, gradient
    )
    leaves, structure = jax.tree.flatten(position)
    keys = jax.tree.unflatten(structure, list(jax.random.split(key, len(leaves))))

    def move(z, g, m, k):
        noise = jax.random.normal(k, z.shape, z.dtype)
        return z + size * m * g + jnp.sqrt(2 * size * temperature * m) * noise

    position = jax.tree.map(move, position, gradient, preconditioner(square, damping=damping), keys)
    return position, square, {"lp_estimate": value}


def _psgld_auto(found: steps.Pilot, **_: Any) -> Any:
    return steps.langevin(found)


def _psgld_scale(square, *, damping, **_: Any) -> Any:
    return jax.tree.map(jnp.sqrt, preconditioner(square, damping=damping))


PSGLD = Kind(_psgld_begin, _psgld, _psgld_auto, scale=_psgld_scale)

ROWS = (
    Algorithm(
        name="crewel_psgld",
        family="sgmcmc",
        summary="SGLD preconditioned as RMSprop is: a step of its own for each parameter",
        reference="Li, Chen, Carlson & Carin 2016",
        requires="",
        module="crewel",
        options_of=("crewel.adapters.sgmcmc.preconditioner",),
        reserved=("square",),
        step=partial(step, PSGLD),
        warmup=warmup(PSGLD),
        needs=APART,
        defaults=OPTIONS | {"decay": 0.99, "damping": 1e-5},
        bias=f"{NOISE}; the change of the preconditioner is left out, as in the paper.",
        test={"step_size": 1e-4, "num_warmup": 500, "num_draws": 2000, "thinning": 10}
        | {"decay": 0.999},
        gradients=(1, 1),
    ),
)
