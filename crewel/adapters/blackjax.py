"""BlackJAX's kernels that take a step size and a metric, and the adaptations that tune both.

The engine joins a kernel, by its name in BlackJAX, to Stan's window adaptation, to the low-rank
version of that, or to Pathfinder.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from crewel.core.families import MCMC
from crewel.core.protocol import (
    Algorithm,
    Backend,
    Gradients,
    Key,
    Options,
    Position,
    State,
    Stats,
    Target,
)

BACKEND = Backend("blackjax", "blackjax", extra="blackjax")

BUILD = ("integrator", "divergence_threshold", "integration_steps_fn")
STEP = ("max_num_doublings", "num_integration_steps", "integration_steps_params")


def nothing(*_: Any) -> None:
    """Keep nothing of a warm-up step; by default BlackJAX keeps every momentum and tree."""


class _Center(NamedTuple):
    mu_star: Any


class _Kept(NamedTuple):
    adaptation_state: _Center


def _center(_state: Any, _info: Any, adaptation: Any) -> _Kept:
    """Keep only what the low-rank adaptation itself reads later."""
    return _Kept(_Center(adaptation.mu_star))


def _split(options: Options) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Split the options into those of the adaptation, of the kernel's builder and of its steps."""
    build = {k: options[k] for k in BUILD if k in options}
    step = {k: options[k] for k in STEP if k in options}
    adapt = {k: v for k, v in options.items() if k not in build and k not in step}
    return adapt, build, step


def _algorithm(kind: str, build: dict[str, Any]) -> Any:
    """An algorithm as BlackJAX's adaptations expect it, with `init` and `build_kernel`."""
    import blackjax

    if kind != "dynamic_hmc":
        return getattr(blackjax, kind)
    steps = {k: v for k, v in build.items() if k == "integration_steps_fn"}

    def build_kernel(*integrator: Any, **rest: Any) -> Callable[..., Any]:
        return fresh_length(blackjax.dynamic_hmc.build_kernel(*integrator, **steps | rest))

    return SimpleNamespace(init=blackjax.hmc.init, build_kernel=build_kernel)


def fresh_length(kernel: Callable[..., Any]) -> Callable[..., Any]:
    """Run a kernel with random lengths on HMC's state; each step's key draws the length."""
    from blackjax.mcmc.dynamic_hmc import DynamicHMCState
    from blackjax.mcmc.hmc import HMCState

    def step(rng_key: Key, state: State, *args: Any, **kwargs: Any):
        key_length, key_move = jax.random.split(rng_key)
        moving = DynamicHMCState(**state._asdict(), random_generator_arg=key_length)
        moved, info = kernel(key_move, moving, *args, **kwargs)
        return HMCState(moved.position, moved.logdensity, moved.logdensity_grad), info

    return step


def _window(algorithm: Any, target: Target, build: dict[str, Any], **options: Any) -> Any:
    import blackjax

    integrator = {k: v for k, v in build.items() if k == "integrator"}
    return blackjax.window_adaptation(
        algorithm, target.log_density, adaptation_info_fn=nothing, **integrator, **options
    )


def _low_rank(algorithm: Any, target: Target, build: dict[str, Any], **options: Any) -> Any:
    import blackjax

    integrator = {k: v for k, v in build.items() if k == "integrator"}
    return blackjax.window_adaptation_low_rank(
        algorithm, target.log_density, adaptation_info_fn=_center, **integrator, **options
    )


def _pathfinder(algorithm: Any, target: Target, _: dict[str, Any], **options: Any) -> Any:
    import blackjax

    return blackjax.pathfinder_adaptation(
        algorithm, target.log_density, adaptation_info_fn=nothing, **options
    )


def _window_metric(size: int, options: Options) -> Any:
    given = options.get("initial_inverse_mass_matrix")
    if given is not None:
        return given
    return jnp.ones(size) if options.get("is_mass_matrix_diagonal", True) else jnp.eye(size)


def _low_rank_metric(size: int, options: Options) -> Any:
    from blackjax.mcmc.metrics import LowRankInverseMassMatrix

    rank = min(options.get("max_rank", 10), size)
    return LowRankInverseMassMatrix(jnp.ones(size), jnp.zeros((size, rank)), jnp.ones(rank))


# Each adaptation, and the metric to use if there is no warm-up.
_ADAPTATIONS = {
    "window_adaptation": (_window, _window_metric),
    "window_adaptation_low_rank": (_low_rank, _low_rank_metric),
    "pathfinder_adaptation": (_pathfinder, lambda size, _: jnp.eye(size)),
}


def _warmup(
    kind: str,
    adaptation: str,
    target: Target,
    key: Key,
    position: Position,
    num_warmup: int,
    **options: Any,
) -> Any:
    adapt, build, step = _split(options)
    algorithm = _algorithm(kind, build)
    make, metric = _ADAPTATIONS[adaptation]
    if num_warmup == 0:
        size = sum(leaf.size for leaf in jax.tree.leaves(position))
        step_size = jnp.asarray(adapt.get("initial_step_size", 1.0))
        return algorithm.init(position, target.log_density), step_size, metric(size, adapt)
    run: Any = make(algorithm, target, build, **adapt, **step).run
    (state, tuned), _ = run(key, position, num_warmup)
    return state, tuned["step_size"], tuned["inverse_mass_matrix"]


def _step(
    kind: str,
    stats: Callable[[Any], Stats],
    target: Target,
    key: Key,
    state: State,
    **options: Any,
) -> tuple[State, Position, Stats]:
    _, build, fixed = _split(options)
    kernel = _algorithm(kind, build).build_kernel(**build)
    inner, step_size, metric = state
    inner, info = kernel(key, inner, target.log_density, step_size, metric, **fixed)
    common = {"lp": inner.logdensity, "acceptance_rate": info.acceptance_rate}
    common |= {"step_size": step_size} | stats(info)
    return (inner, step_size, metric), inner.position, common


def trajectory(info: Any) -> Stats:
    """HMC's statistics of a transition."""
    return {
        "energy": info.energy,
        "n_steps": jnp.asarray(info.num_integration_steps),
        "diverging": info.is_divergent,
    }


def _tree(info: Any) -> Stats:
    """NUTS's statistics of a transition."""
    return trajectory(info) | {"tree_depth": info.num_trajectory_expansions}


def _nuts_gradients(options: Options) -> Gradients:
    return 1, 2 ** options["max_num_doublings"] - 1


def _hmc_gradients(options: Options) -> Gradients:
    return options["num_integration_steps"], options["num_integration_steps"]


_DYNAMIC_GRADIENTS = (1, float("inf"))  # the user's `integration_steps_fn` may draw any length


_ENGINES = {
    "nuts": (_tree, _nuts_gradients),
    "hmc": (trajectory, _hmc_gradients),
    "dynamic_hmc": (trajectory, _DYNAMIC_GRADIENTS),
}


def _row(
    name: str,
    kind: str,
    adaptation: str,
    summary: str,
    reference: str,
    filled_by_row: tuple[str, ...] = (),
    **row: Any,
) -> Algorithm:
    stats, gradients = _ENGINES[kind]
    return Algorithm(
        name=name,
        family=MCMC,
        summary=summary,
        reference=reference,
        backend=BACKEND,
        option_sources=(f"blackjax.{adaptation}", f"blackjax.mcmc.{kind}.as_top_level_api"),
        filled_by_row=(
            "algorithm",
            "logdensity_fn",
            "adaptation_info_fn",
            "step_size",
            "inverse_mass_matrix",
            "build_proposal",
            *filled_by_row,
        ),
        step=partial(_step, kind, stats),
        warmup=partial(_warmup, kind, adaptation),
        gradients=gradients,
        **row,
    )


_BUDGET = {"num_warmup": 500, "num_draws": 1000}
# A quarter of a period; after half a period (5 steps here) HMC comes back and does not mix.
_HMC_BUDGET = {"num_integration_steps": 3} | _BUDGET

ROWS = (
    _row(
        "blackjax_nuts",
        "nuts",
        "window_adaptation",
        "No-U-Turn sampler with Stan's window adaptation",
        "Hoffman & Gelman 2014; Betancourt 2017; Phan, Pradhan & Jankowiak 2019",
        test_budget=_BUDGET,
    ),
    _row(
        "blackjax_hmc",
        "hmc",
        "window_adaptation",
        "Hamiltonian Monte Carlo with a fixed number of leapfrog steps",
        "Duane et al. 1987; Neal 2011",
        defaults={"num_integration_steps": 16},
        test_budget=_HMC_BUDGET,
    ),
    _row(
        "blackjax_dynamic_hmc",
        "dynamic_hmc",
        "window_adaptation",
        "Hamiltonian Monte Carlo with a random number of leapfrog steps, 1 to 9 by default",
        "Mackenzie 1989; Neal 2011",
        filled_by_row=("next_random_arg_fn",),
        test_budget=_BUDGET,
    ),
    _row(
        "blackjax_nuts_low_rank",
        "nuts",
        "window_adaptation_low_rank",
        "No-U-Turn sampler with a diagonal plus low-rank metric from draws and gradients",
        "Seyboldt, Carlson & Carpenter 2026",
        test_budget=_BUDGET,
    ),
    _row(
        "blackjax_nuts_pathfinder",
        "nuts",
        "pathfinder_adaptation",
        "No-U-Turn sampler that starts from Pathfinder and uses its dense metric",
        "Zhang, Carpenter, Gelman & Vehtari 2022",
        filled_by_row=("num_chains", "integrator"),
        test_budget=_BUDGET,
    ),
    _row(
        "blackjax_hmc_pathfinder",
        "hmc",
        "pathfinder_adaptation",
        "Hamiltonian Monte Carlo that starts from Pathfinder and uses its dense metric",
        "Zhang, Carpenter, Gelman & Vehtari 2022",
        filled_by_row=("num_chains", "integrator"),
        defaults={"num_integration_steps": 16},
        test_budget=_HMC_BUDGET,
    ),
)
