"""BlackJAX's variational methods. Engines: Gaussians fitted to the ELBO, Pathfinder and SVGD."""

from __future__ import annotations

from functools import partial
from operator import attrgetter
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from crewel.adapters.blackjax import BACKEND
from crewel.adapters.whitening import (
    WHITENED_RATE,
    Coordinates,
    Own,
    by_curvature,
    falling,
)
from crewel.core.families import VI
from crewel.core.protocol import (
    Algorithm,
    Key,
    Options,
    Position,
    PyTree,
    State,
    Stats,
    SteppedWarmup,
    Target,
)

_RATES = {"fullrank_vi": WHITENED_RATE}


class _Fit(NamedTuple):
    """State of a fit: BlackJAX's state, the loss of the last step, the Gaussian's coordinates."""

    inner: Any
    loss: jax.Array
    coordinates: Coordinates


def _gaussian(
    kind: str,
    target: Target,
    coordinates: Coordinates,
    options: dict[str, Any],
    num_steps: int = 1,
) -> tuple[Any, Any]:
    """The algorithm and its optimizer."""
    import blackjax
    import optax

    def log_density(u: jax.Array) -> jax.Array:
        return target.log_density(coordinates.position(u)) + coordinates.log_det

    optimizer = options["optimizer"] or optax.adam(falling(_RATES.get(kind, 1e-2), num_steps))
    options = options | {"optimizer": optimizer}
    return getattr(blackjax, kind)(log_density, **options), optimizer


def _gaussian_init(
    kind: str, target: Target, key: Key, position: Position, num_warmup: int, **options: Any
) -> _Fit:
    chosen = by_curvature(target, key, position) if kind == "fullrank_vi" else Own(position)
    algorithm, optimizer = _gaussian(kind, target, chosen, options, num_warmup)
    fit = algorithm.init(chosen.origin)
    # BlackJAX starts the mean at zero, whatever the position; start it at the origin instead.
    _, scale, _ = fit
    fit = type(fit)(chosen.origin, scale, optimizer.init((chosen.origin, scale)))
    return _Fit(fit, jnp.zeros(()), chosen)


def _gaussian_update(
    kind: str, target: Target, key: Key, state: _Fit, num_warmup: int, **options: Any
) -> _Fit:
    algorithm, _ = _gaussian(kind, target, state.coordinates, options, num_warmup)
    inner, info = algorithm.step(key, state.inner)
    # BlackJAX calls the loss that it minimizes `elbo`.
    return _Fit(inner, info.elbo, state.coordinates)


def _gaussian_step(
    kind: str, density: str, target: Target, key: Key, state: _Fit, **options: Any
) -> tuple[_Fit, Position, dict[str, jax.Array]]:
    from blackjax import vi

    algorithm, _ = _gaussian(kind, target, state.coordinates, options)
    u = algorithm.sample(key, state.inner, 1)[0]
    log_q = getattr(getattr(vi, kind), density)(*state.inner[:2])(u) - state.coordinates.log_det
    position = state.coordinates.position(u)
    return state, position, {"lp": target.log_density(position), "log_q": log_q}


def _pathfinder_warmup(
    target: Target, key: Key, position: Position, num_warmup: int, **options: Any
) -> State:
    import blackjax

    return blackjax.pathfinder.approximate(key, target.log_density, position, **options)[0]


def _pathfinder_step(
    target: Target, key: Key, state: State, **_: Any
) -> tuple[State, Position, Stats]:
    import blackjax

    position, log_q = blackjax.pathfinder.sample(key, state)
    return state, position, {"lp": target.log_density(position), "log_q": log_q}


class _Pool(NamedTuple):
    """Draws of all paths, their log density, importance weights and Pareto's k.

    Leaves of `positions` are `(path, draw, *event)`, `lp` is `(path, draw)`.
    """

    positions: Position
    lp: jax.Array
    log_weights: jax.Array
    pareto_k: jax.Array


def _multi_warmup(
    target: Target, key: Key, positions: Position, num_warmup: int, **options: Any
) -> _Pool:
    import blackjax
    from blackjax.vi.multipathfinder import MultipathfinderState, psis_weights

    def path(key_and_position: tuple[Key, Position]) -> PyTree:
        one, position = key_and_position
        alone = jax.tree.map(lambda leaf: leaf[None], position)
        state, _ = blackjax.multipathfinder(target.log_density).init(one, alone, **options)
        return jax.tree.map(lambda leaf: leaf[0], (state.samples, state.logp, state.logq))

    # One path after another: linear algebra on the batch of all paths can hang on JAX 0.10.
    keys = jax.random.split(key, jax.tree.leaves(positions)[0].shape[0])
    samples, logp, logq = jax.lax.map(path, (keys, positions))
    # A path that failed gets no weight, rather than making all weights NaN.
    failed = ~jnp.isfinite(logp - logq)
    logp, logq = jnp.where(failed, -jnp.inf, logp), jnp.where(failed, 0.0, logq)
    weights = psis_weights(MultipathfinderState(None, samples, logp, logq))  # type: ignore[arg-type]
    return _Pool(samples, logp, *weights)


def _multi_step(target: Target, key: Key, pool: _Pool, **_: Any):
    chains, size = pool.lp.shape[0], pool.lp.size
    chosen = jax.random.choice(key, size, (chains,), p=jnp.exp(pool.log_weights))

    def choose(leaf: jax.Array):
        return leaf.reshape(size, *leaf.shape[2:])[chosen]

    stats = {"lp": choose(pool.lp), "pareto_k": jnp.broadcast_to(pool.pareto_k, (chains,))}
    return pool, jax.tree.map(choose, pool.positions), stats


def _svgd(target: Target, options: dict[str, Any]) -> Any:
    import blackjax
    import optax

    options = options | {"optimizer": options["optimizer"] or optax.adam(1e-2)}
    return blackjax.svgd(jax.grad(target.log_density), **options)


def _svgd_init(
    target: Target, key: Key, positions: Position, num_warmup: int, **options: Any
) -> State:
    if jax.tree.leaves(positions)[0].shape[0] < 2:
        raise ValueError(
            "`blackjax_svgd` needs at least two particles, because they repel each other. "
            "Give `num_chains` of 2 or more."
        )
    return _svgd(target, options).init(positions, {"length_scale": jnp.ones(())})


def _svgd_update(target: Target, key: Key, state: State, num_warmup: int, **options: Any) -> State:
    return _svgd(target, options).step(state)


def _svgd_step(
    target: Target, key: Key, state: State, **options: Any
) -> tuple[State, Position, Stats]:
    state = _svgd(target, options).step(state)
    return state, state.particles, {"lp": jax.vmap(target.log_density)(state.particles)}


def _gaussian_row(
    kind: str, density: str, *, defaults: Options = MappingProxyType({}), **row: Any
) -> Algorithm:
    return Algorithm(
        name=f"blackjax_{kind}",
        family=VI,
        backend=BACKEND,
        option_sources=(f"blackjax.vi.{kind}.as_top_level_api",),
        filled_by_row=("logdensity_fn",),
        step=partial(_gaussian_step, kind, density),
        warmup=SteppedWarmup(
            partial(_gaussian_init, kind), partial(_gaussian_update, kind), attrgetter("loss")
        ),
        # Adam, with a step size that falls to zero.
        defaults={"optimizer": None} | dict(defaults),
        **row,
    )


ROWS = (
    _gaussian_row(
        "meanfield_vi",
        "generate_meanfield_logdensity",
        summary="Mean-field Gaussian, fitted by the sticking-the-landing gradient of the ELBO",
        reference="Kucukelbir et al. 2017; Roeder, Wu & Duvenaud 2017",
        bias="A Gaussian without correlations is too narrow where the posterior is correlated.",
        test_budget={"num_steps": 4000, "num_samples": 10},
    ),
    _gaussian_row(
        "fullrank_vi",
        "generate_fullrank_logdensity",
        summary="Full-rank Gaussian, fitted by the sticking-the-landing gradient of the ELBO",
        reference="Kucukelbir et al. 2017; Roeder, Wu & Duvenaud 2017",
        bias="A Gaussian has light tails and no skewness.",
        defaults={"num_samples": 20},  # of 100: each is slow, and a fit starts where few suffice
        test_budget={"num_steps": 2000, "num_samples": 10},
    ),
    Algorithm(
        name="blackjax_pathfinder",
        family=VI,
        summary="Pathfinder: the Gaussian with the highest ELBO along an L-BFGS path",
        reference="Zhang, Carpenter, Gelman & Vehtari 2022",
        backend=BACKEND,
        option_sources=("blackjax.pathfinder.approximate",),
        filled_by_row=("rng_key", "logdensity_fn", "initial_position"),
        step=_pathfinder_step,
        warmup=_pathfinder_warmup,
        unsupported=frozenset({"num_steps"}),
        bias="A Gaussian whose covariance is L-BFGS's estimate after a few steps.",
    ),
    Algorithm(
        name="blackjax_multipathfinder",
        family=VI,
        summary="Pathfinder with one path per chain; draws are resampled by importance (PSIS)",
        reference="Zhang, Carpenter, Gelman & Vehtari 2022",
        backend=BACKEND,
        option_sources=("blackjax.vi.multipathfinder.multi_approximate",),
        filled_by_row=("rng_key", "logdensity_fn", "initial_positions"),
        step=_multi_step,
        warmup=_multi_warmup,
        cross_chain=True,
        settings={"num_chains": 8},
        unsupported=frozenset({"num_steps", "chain_method"}),
        bias="A finite pool of draws, `num_samples` per path, resampled with replacement.",
    ),
    Algorithm(
        name="blackjax_svgd",
        family=VI,
        summary="Stein variational gradient descent: chains are particles that repel each other",
        reference="Liu & Wang 2016",
        backend=BACKEND,
        option_sources=("blackjax.vi.svgd.as_top_level_api",),
        filled_by_row=("grad_logdensity_fn",),
        step=_svgd_step,
        warmup=SteppedWarmup(_svgd_init, _svgd_update),
        cross_chain=True,
        settings={"num_chains": 100, "num_draws": 1},
        unsupported=frozenset({"chain_method"}),
        bias="A finite set of particles, whose spread is too small in high dimensions.",
        defaults={"optimizer": None},  # Adam at 1e-2
        test_budget={"num_steps": 1000},
    ),
)
