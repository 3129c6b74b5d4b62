"""BlackJAX's Langevin kernels: one gradient per step, and a step size tuned by dual averaging.

In the engine, the kernel's acceptance rate adjusts the step size. Where the kernel takes a scale
for each parameter, Stan's windows estimate it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from crewel.adapters.blackjax import BACKEND
from crewel.core.families import MCMC
from crewel.core.protocol import (
    Algorithm,
    Key,
    Options,
    Position,
    State,
    Stats,
    SteppedWarmup,
    Target,
)

_AVERAGING = ("target", "t0", "gamma", "kappa")


class _State(NamedTuple):
    inner: Any
    averaging: Any
    metric: Any
    step_size: Any
    index: Any


def _tools(options: Options) -> tuple[Any, Any]:
    """BlackJAX's dual averaging and its diagonal metric, each `(init, update, final)`."""
    from blackjax.adaptation.mass_matrix import mass_matrix_adaptation
    from blackjax.adaptation.step_size import dual_averaging_adaptation

    averaging = {k: options[k] for k in _AVERAGING if k in options}
    return dual_averaging_adaptation(**averaging), mass_matrix_adaptation(True)


class _Kernel(NamedTuple):
    """One of BlackJAX's kernels.

    Attributes:
        init: `(target, key, position) -> inner state`.
        move: `(target, key, state, step_size, **options) -> (inner state, info)`.
        scaled: whether it takes a scale for each parameter.
        stats: `info -> ` the statistics of a transition besides its acceptance rate.
    """

    init: Callable[..., Any]
    move: Callable[..., Any]
    scaled: bool
    stats: Callable[[Any], dict[str, Any]]


def _mala_init(target: Target, _, position: Position) -> State:
    import blackjax

    return blackjax.mala.init(position, target.log_density)


def _mala(target: Target, key: Key, state: _State, step_size: Any, /, **_: Any) -> Any:
    import blackjax

    return blackjax.mala.build_kernel()(key, state.inner, target.log_density, step_size)


def _barker_init(target: Target, _, position: Position) -> State:
    import blackjax

    return blackjax.barker.init(position, target.log_density)


def _barker(target: Target, key: Key, state: _State, step_size: Any, /, **_: Any) -> Any:
    import blackjax

    # Here alone, BlackJAX scales the proposal by the square root of the mass matrix rather than of
    # its inverse. Swapping the two gives the proposal the scale of the draws.
    swapped = 1 / state.metric.inverse_mass_matrix
    kernel = blackjax.barker.build_kernel()
    return kernel(key, state.inner, target.log_density, step_size, swapped)


def _ghmc_init(target: Target, key: Key, position: Position) -> State:
    import blackjax

    return blackjax.ghmc.init(position, target.log_density, key)


def _ghmc(
    target: Target,
    key: Key,
    state: _State,
    step_size: Any,
    /,
    *,
    alpha: Any,
    delta: Any,
    **options: Any,
) -> Any:
    import blackjax

    build = {k: options[k] for k in ("noise_fn", "divergence_threshold") if k in options}
    scale = jnp.sqrt(state.metric.inverse_mass_matrix)
    kernel = blackjax.ghmc.build_kernel(**build)
    return kernel(key, state.inner, target.log_density, step_size, scale, alpha, delta)


def _nothing(_: Any) -> Stats:
    return {}


def _energy(info: Any) -> Stats:
    return {"energy": info.energy, "diverging": info.is_divergent}


_KERNELS = {
    "mala": _Kernel(_mala_init, _mala, False, _nothing),
    "barker": _Kernel(_barker_init, _barker, True, _nothing),
    "ghmc": _Kernel(_ghmc_init, _ghmc, True, _energy),
}


def _init(
    kernel: _Kernel,
    target: Target,
    key: Key,
    position: Position,
    num_warmup: int,
    /,
    *,
    step_size: Any,
    **options: Any,
) -> _State:
    averaging, metric = _tools(options)
    size = sum(leaf.size for leaf in jax.tree.leaves(position))
    first = jnp.asarray(step_size, jnp.result_type(float))
    inner = kernel.init(target, key, position)
    state = _State(inner, averaging[0](first), metric[0](size), first, 0)
    return jax.tree.map(jnp.asarray, state)


def _update(
    kernel: _Kernel,
    target: Target,
    key: Key,
    state: _State,
    num_warmup: int,
    /,
    *,
    step_size: Any,
    **options: Any,
) -> _State:
    """Move once and adapt; the state's `step_size` is the average, which sampling will use."""
    averaging, metric = _tools(options)
    trial = jnp.exp(state.averaging.log_step_size)
    inner, info = kernel.move(target, key, state, trial, **options)
    averaged, learned = averaging[1](state.averaging, info.acceptance_rate), state.metric
    if kernel.scaled:
        from blackjax.adaptation.staged_adaptation import build_schedule

        slow, last = build_schedule(num_warmup)[state.index]
        learned = _where(slow == 1, metric[1](learned, inner.position), learned)
        learned = _where(last == 1, metric[2](learned), learned)
        averaged = _where(last == 1, averaging[0](averaging[2](averaged)), averaged)
    average = jnp.exp(averaged.log_step_size_avg)
    return _State(inner, averaged, learned, average, state.index + 1)


def _where(condition: Any, a: Any, b: Any) -> Any:
    return jax.tree.map(lambda x, y: jnp.where(condition, x, y), a, b)


def _step(
    kernel: _Kernel, target: Target, key: Key, state: _State, /, *, step_size: Any, **options: Any
) -> tuple[_State, Position, Stats]:
    inner, info = kernel.move(target, key, state, state.step_size, **options)
    common = {
        "lp": inner.logdensity,
        "acceptance_rate": info.acceptance_rate,
        "step_size": state.step_size,
    }
    return state._replace(inner=inner), inner.position, common | kernel.stats(info)


def _row(kind: str, summary: str, reference: str, **row: Any) -> Algorithm:
    return Algorithm(
        name=f"blackjax_{kind}",
        family=MCMC,
        summary=summary,
        reference=reference,
        backend=BACKEND,
        option_sources=(
            f"blackjax.mcmc.{kind}.as_top_level_api",
            "blackjax.adaptation.step_size.dual_averaging_adaptation",
        ),
        filled_by_row=("logdensity_fn", "inverse_mass_matrix", "momentum_inverse_scale"),
        step=partial(_step, _KERNELS[kind]),
        warmup=SteppedWarmup(partial(_init, _KERNELS[kind]), partial(_update, _KERNELS[kind])),
        gradients=(1, 1),
        **row,
    )


ROWS = (
    _row(
        "mala",
        "Metropolis-adjusted Langevin algorithm with the same step size for every parameter",
        "Roberts & Tweedie 1996; Roberts & Rosenthal 1998",
        defaults={"step_size": 0.1, "target": 0.574},
        test_budget={"num_warmup": 2000, "num_draws": 1000, "thinning": 20},
    ),
    _row(
        "barker",
        "Barker proposal, skewed by the gradient, robust to a poor step size",
        "Livingstone & Zanella 2022; Vogrinc, Livingstone & Zanella 2023",
        defaults={"step_size": 0.1, "target": 0.57},
        test_budget={"num_warmup": 1000, "num_draws": 1000, "thinning": 10},
    ),
    _row(
        "ghmc",
        "Generalized HMC: one leapfrog step with a partial refreshment of the momentum",
        "Horowitz 1991; Neal 2020; Hoffman & Sountsov 2022",
        # Momentum lasts for about two steps; the slice's drift `delta` is half of `alpha`.
        defaults={"step_size": 0.1, "target": 0.9, "alpha": 0.4, "delta": 0.2},
        test_budget={"num_warmup": 1000, "num_draws": 1000, "thinning": 10},
    ),
)
