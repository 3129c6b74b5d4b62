"""BlackJAX's slice samplers, which need neither gradients nor tuning; a warm-up only moves."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from crewel.adapters.blackjax import BACKEND
from crewel.adapters.blackjax_smc import log_likelihood, log_prior
from crewel.core.families import MCMC
from crewel.core.protocol import (
    Algorithm,
    Key,
    Position,
    PyTree,
    State,
    Stats,
    SteppedWarmup,
    Target,
)


def _coordinates(target: Target, key: Key, state: State, **options: Any) -> tuple[State, Stats]:
    from blackjax.mcmc import slice as slices

    kernel = slices.build_coordinate_kernel(**options)
    state, info = kernel(key, state, target.log_density)
    return state, {"lp": state.logdensity, "n_steps": info.num_shrink}


def _ellipse(target: Target, key: Key, state: State) -> tuple[State, Stats]:
    import blackjax

    def flat(tree: PyTree) -> jax.Array:
        full = jax.tree.map(lambda p, leaf: jnp.broadcast_to(leaf, p.shape), state.position, tree)
        return ravel_pytree(full)[0]

    assert target.gaussian_prior is not None
    loc, scale = map(flat, target.gaussian_prior)
    kernel = blackjax.elliptical_slice.build_kernel(scale**2, loc)
    state, info = kernel(key, state, partial(log_likelihood, target))
    lp = state.logdensity + log_prior(target, state.position)
    return state, {"lp": lp, "n_steps": info.subiter}


def _coordinates_init(
    target: Target, key: Key, position: Position, num_warmup: int, **_: Any
) -> State:
    from blackjax.mcmc import slice as slices

    return slices.init(position, target.log_density)


def _ellipse_init(target: Target, key: Key, position: Position, num_warmup: int) -> State:
    import blackjax

    return blackjax.elliptical_slice.init(position, partial(log_likelihood, target))


_MOVES = {"coordinates": _coordinates, "ellipse": _ellipse}


def _update(
    move: str, target: Target, key: Key, state: State, num_warmup: int, **options: Any
) -> State:
    return _MOVES[move](target, key, state, **options)[0]


def _step(
    move: str, target: Target, key: Key, state: State, **options: Any
) -> tuple[State, Position, Stats]:
    state, stats = _MOVES[move](target, key, state, **options)
    return state, state.position, {k: jnp.asarray(v) for k, v in stats.items()}


ROWS = (
    Algorithm(
        name="blackjax_slice",
        family=MCMC,
        summary="Slice sampling of one coordinate after another, without gradients or tuning",
        reference="Neal 2003",
        backend=BACKEND,
        option_sources=("blackjax.mcmc.slice.coordinate_slice",),
        filled_by_row=("logdensity_fn",),
        step=partial(_step, "coordinates"),
        warmup=SteppedWarmup(_coordinates_init, partial(_update, "coordinates")),
        test_budget={"num_warmup": 100, "num_draws": 1000},
        gradients=(0, 0),
    ),
    Algorithm(
        name="blackjax_elliptical_slice",
        family=MCMC,
        summary="Elliptical slice sampling under a Gaussian prior, without gradients or tuning",
        reference="Murray, Adams & MacKay 2010",
        backend=BACKEND,
        option_sources=("blackjax.mcmc.elliptical_slice.as_top_level_api",),
        filled_by_row=("loglikelihood_fn", "mean", "cov"),
        step=partial(_step, "ellipse"),
        warmup=SteppedWarmup(_ellipse_init, partial(_update, "ellipse")),
        needs=frozenset({"gaussian_prior", "log_prior", "log_likelihood", "data"}),
        test_budget={"num_warmup": 200, "num_draws": 1000, "thinning": 5},
        gradients=(0, 0),
    ),
)
