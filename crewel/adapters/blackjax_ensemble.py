"""BlackJAX's cross-chain adaptations: chains warm up together and tune one kernel for all.

Positions are passed as vectors. With leaves of other shapes, ChEES fails, and MEADS mistakes a
position that is a single matrix for a dense metric.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from crewel.adapters.blackjax import BACKEND, nothing
from crewel.core.families import MCMC
from crewel.core.protocol import (
    Algorithm,
    Gradients,
    Key,
    Options,
    Position,
    PyTree,
    State,
    Stats,
    Target,
)

_BITS = 20  # of the Halton sequence that varies the trajectory; it repeats after 2^20 draws


def _count(tree: PyTree) -> int:
    return jax.tree.leaves(tree)[0].shape[0]


def _transition(info: Any) -> Stats:
    return {
        "energy": info.energy,
        "acceptance_rate": info.acceptance_rate,
        "diverging": info.is_divergent,
    }


def _flat(target: Target, positions: Position) -> tuple[Any, Any]:
    """The function from a vector to a position, and the density of a vector."""
    _, unravel = ravel_pytree(jax.tree.map(lambda leaf: leaf[0], positions))
    return unravel, lambda flat: target.log_density(unravel(flat))


def _vectors(positions: Position) -> jax.Array:
    return jax.vmap(lambda position: ravel_pytree(position)[0])(positions)


class _Chees(NamedTuple):
    inner: Any
    positions: Position  # those of `inner`, as pytrees
    step_size: Any
    metric: Any
    length: Any
    index: Any


def _chees_warmup(
    target: Target,
    key: Key,
    positions: Position,
    num_warmup: int,
    *,
    step_size: Any,
    optim: Any,
    **options: Any,
) -> _Chees:
    import blackjax
    import optax
    from blackjax.mcmc.hmc import HMCState

    unravel, log_density = _flat(target, positions)
    adaptation = blackjax.chees_adaptation(
        log_density, _count(positions), adaptation_info_fn=nothing, **options
    )
    run: Any = adaptation.run
    optim = optax.adam(0.05) if optim is None else optim
    (states, tuned), _ = run(key, _vectors(positions), step_size, optim, num_warmup)
    inner = HMCState(states.position, states.logdensity, states.logdensity_grad)
    (length,) = tuned["integration_steps_params"]
    size = step_size if num_warmup == 0 else tuned["step_size"]
    positions = jax.vmap(unravel)(inner.position)
    state = _Chees(inner, positions, size, tuned["inverse_mass_matrix"], length, num_warmup)
    return jax.tree.map(jnp.asarray, state)


def _chees_step(
    target: Target,
    key: Key,
    state: _Chees,
    *,
    jitter_amount: float = 1.0,
    jitter_generator: Callable[[Key], jax.Array] | None = None,
    **_: Any,
) -> tuple[_Chees, Position, Stats]:
    import blackjax
    from blackjax.mcmc.dynamic_hmc import halton_sequence

    key_jitter, key_move = jax.random.split(key)
    if jitter_generator is None:
        jitter = halton_sequence(state.index, _BITS)
    else:
        jitter = jitter_generator(key_jitter)
    share = jitter * jitter_amount + (1.0 - jitter_amount)
    steps = jnp.maximum(jnp.ceil(share * state.length), 1).astype(int)
    unravel, log_density = _flat(target, state.positions)
    kernel = blackjax.hmc.build_kernel()

    def move(key: Key, inner: State) -> tuple[State, Any]:
        return kernel(key, inner, log_density, state.step_size, state.metric, steps)

    inner, info = jax.vmap(move)(jax.random.split(key_move, _count(state.inner)), state.inner)
    stats = {
        "lp": inner.logdensity,
        "step_size": jnp.full(inner.logdensity.shape, state.step_size),
        "n_steps": jnp.full(inner.logdensity.shape, steps),
    }
    positions = jax.vmap(unravel)(inner.position)
    state = state._replace(inner=inner, positions=positions, index=state.index + 1)
    return state, positions, stats | _transition(info)


class _Meads(NamedTuple):
    inner: Any
    positions: Position
    tuned: Any


def _meads_warmup(
    target: Target, key: Key, positions: Position, num_warmup: int, **options: Any
) -> _Meads:
    import blackjax

    unravel, log_density = _flat(target, positions)
    adaptation = blackjax.meads_adaptation(
        log_density, _count(positions), adaptation_info_fn=nothing, **options
    )
    run: Any = adaptation.run
    (inner, tuned), _ = run(key, _vectors(positions), num_warmup)
    return _Meads(inner, jax.vmap(unravel)(inner.position), jax.tree.map(jnp.asarray, tuned))


def _meads_step(
    target: Target, key: Key, state: _Meads, **_: Any
) -> tuple[_Meads, Position, Stats]:
    import blackjax

    unravel, log_density = _flat(target, state.positions)
    kernel = blackjax.ghmc.build_kernel()

    def move(key: Key, inner: State) -> tuple[State, Any]:
        return kernel(key, inner, log_density, **state.tuned)

    inner, info = jax.vmap(move)(jax.random.split(key, _count(state.inner)), state.inner)
    positions = jax.vmap(unravel)(inner.position)
    stats = {
        "lp": inner.logdensity,
        "step_size": jnp.full(inner.logdensity.shape, state.tuned["step_size"]),
    }
    return _Meads(inner, positions, state.tuned), positions, stats | _transition(info)


def _chees_gradients(options: Options) -> Gradients:
    return 1, options["max_leapfrog_steps"]


def _row(name: str, summary: str, reference: str, adaptation: str, **row: Any) -> Algorithm:
    return Algorithm(
        name=f"blackjax_{name}",
        family=MCMC,
        summary=summary,
        reference=reference,
        backend=BACKEND,
        option_sources=(f"blackjax.{adaptation}",),
        cross_chain=True,
        unsupported=frozenset({"chain_method"}),
        **row,
    )


ROWS = (
    _row(
        "chees_hmc",
        "HMC with a trajectory length tuned across all chains; for many chains, on GPUs",
        "Hoffman, Radul & Sountsov 2021",
        "chees_adaptation",
        filled_by_row=(
            "logdensity_fn",
            "num_chains",
            "adaptation_info_fn",
            "_whiten_criterion",
            "_length_floor",
        ),
        step=_chees_step,
        warmup=_chees_warmup,
        settings={"num_chains": 32},
        # Arguments of its `run`: the first step size, and the length's optimizer (`None`: Adam).
        defaults={"step_size": 0.1, "optim": None},
        test_budget={"num_warmup": 500, "num_draws": 200},
        gradients=_chees_gradients,
    ),
    _row(
        "meads_hmc",
        "Generalized HMC in which folds of chains tune each other; for many chains, on GPUs",
        "Hoffman & Sountsov 2022",
        "meads_adaptation",
        filled_by_row=("logdensity_fn", "num_chains", "adaptation_info_fn"),
        step=_meads_step,
        warmup=_meads_warmup,
        settings={"num_chains": 64},
        test_budget={"num_warmup": 500, "num_draws": 200, "thinning": 5},
        gradients=(1, 1),
    ),
)
