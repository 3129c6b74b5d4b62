"""BlackJAX's samplers. Engines: HMC with Stan's window adaptation, and MCLMC with its tuner."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from crewel.protocol import Algorithm, Position, Target


def _nothing(*_: Any) -> None:
    """What to keep of each warm-up step: by default BlackJAX keeps every momentum and tree."""


def _hmc_options(options: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Split into the adaptation's own, the kernel builder's, and the kernel's per-step options."""
    build = {k: options[k] for k in ("integrator", "divergence_threshold") if k in options}
    step = {k: options[k] for k in ("max_num_doublings", "num_integration_steps") if k in options}
    adapt = {k: v for k, v in options.items() if k not in build and k not in step}
    return adapt, build, step


def _hmc_warmup(
    kind: str, target: Target, key, position: Position, num_warmup: int, **options: Any
) -> Any:
    import blackjax

    adapt, build, step = _hmc_options(options)
    algorithm = getattr(blackjax, kind)
    if num_warmup == 0:
        size = sum(leaf.size for leaf in jax.tree.leaves(position))
        diagonal = adapt.get("is_mass_matrix_diagonal", True)
        metric = adapt.get("initial_inverse_mass_matrix")
        if metric is None:
            metric = jnp.ones(size) if diagonal else jnp.eye(size)
        step_size = jnp.asarray(adapt.get("initial_step_size", 1.0))
        return algorithm.init(position, target.log_density), step_size, metric
    if "integrator" in build:
        adapt["integrator"] = build["integrator"]
    adaptation = blackjax.window_adaptation(
        algorithm, target.log_density, adaptation_info_fn=_nothing, **adapt, **step
    )
    run: Any = adaptation.run  # its type says nothing of the number of steps
    (state, tuned), _ = run(key, position, num_warmup)
    return state, tuned["step_size"], tuned["inverse_mass_matrix"]


def _hmc_step(kind: str, target: Target, key, state: Any, **options: Any):
    import blackjax

    _, build, fixed = _hmc_options(options)
    kernel = getattr(blackjax, kind).build_kernel(**build)
    inner, step_size, metric = state
    inner, info = kernel(key, inner, target.log_density, step_size, metric, **fixed)
    stats = {
        "lp": inner.logdensity,
        "energy": info.energy,
        "acceptance_rate": info.acceptance_rate,
        "step_size": step_size,
        "n_steps": jnp.asarray(info.num_integration_steps),
        "diverging": info.is_divergent,
    }
    if kind == "nuts":
        stats["tree_depth"] = info.num_trajectory_expansions
    return (inner, step_size, metric), inner.position, stats


def _mclmc_warmup(target: Target, key, position: Position, num_warmup: int, **options: Any) -> Any:
    import blackjax

    key_init, key_tune = jax.random.split(key)
    state = blackjax.mclmc.init(position, target.log_density, key_init)
    state, tuned, _ = blackjax.mclmc_find_L_and_step_size(
        mclmc_kernel=blackjax.mclmc.build_kernel(),
        num_steps=num_warmup,
        state=state,
        rng_key=key_tune,
        logdensity_fn=target.log_density,
        **options,
    )
    return state, tuned


def _mclmc_step(target: Target, key, state: Any, **_: Any):
    import blackjax

    inner, tuned = state
    inner, info = blackjax.mclmc.build_kernel()(
        key,
        inner,
        target.log_density,
        inverse_mass_matrix=tuned.inverse_mass_matrix,
        L=tuned.L,
        step_size=tuned.step_size,
    )
    stats = {
        "lp": inner.logdensity,
        "energy_error": info.energy_change,
        "step_size": tuned.step_size,
        "diverging": ~info.nonans,
    }
    return (inner, tuned), inner.position, stats


def _nuts_gradients(options: Mapping[str, Any]) -> tuple[float, float]:
    return 1, 2 ** options["max_num_doublings"] - 1


def _hmc_gradients(options: Mapping[str, Any]) -> tuple[float, float]:
    return options["num_integration_steps"], options["num_integration_steps"]


def _mclmc_gradients(_: Mapping[str, Any]) -> tuple[float, float]:
    return 2, 2  # of the isokinetic McLachlan integrator


def _hmc_row(kind: str, summary: str, reference: str, **row: Any) -> Algorithm:
    return Algorithm(
        name=f"blackjax_{kind}",
        family="mcmc",
        summary=summary,
        reference=reference,
        requires="blackjax",
        module="blackjax",
        options_of=("blackjax.window_adaptation", f"blackjax.mcmc.{kind}.as_top_level_api"),
        reserved=(
            "algorithm",
            "logdensity_fn",
            "adaptation_info_fn",
            "step_size",
            "inverse_mass_matrix",
            "progress_bar",
            "build_proposal",
        ),
        step=partial(_hmc_step, kind),
        warmup=partial(_hmc_warmup, kind),
        **row,
    )


ROWS = (
    _hmc_row(
        "nuts",
        "No-U-Turn sampler with Stan's window adaptation",
        "Hoffman & Gelman 2014; Betancourt 2017; Phan, Pradhan & Jankowiak 2019",
        test={"num_warmup": 500, "num_draws": 1000},
        gradients=_nuts_gradients,
    ),
    _hmc_row(
        "hmc",
        "Hamiltonian Monte Carlo with a fixed number of leapfrog steps",
        "Duane et al. 1987; Neal 2011",
        defaults={"num_integration_steps": 16},
        # A quarter of a period; at half of one (5 steps here) HMC returns and does not mix.
        test={"num_warmup": 500, "num_draws": 1000, "num_integration_steps": 3},
        gradients=_hmc_gradients,
    ),
    Algorithm(
        name="blackjax_mclmc",
        family="mcmc",
        summary="Microcanonical Langevin Monte Carlo, unadjusted, one gradient a step or two",
        reference="Robnik, De Luca, Silverstein & Seljak 2023",
        requires="blackjax",
        module="blackjax",
        options_of=("blackjax.mclmc_find_L_and_step_size",),
        reserved=("mclmc_kernel", "num_steps", "state", "rng_key", "logdensity_fn", "params"),
        step=_mclmc_step,
        warmup=_mclmc_warmup,
        # BlackJAX spends a third of `frac_tune2` more on the preconditioner: together, all of it.
        defaults={"frac_tune1": 0.3, "frac_tune2": 0.3, "frac_tune3": 0.3},
        bias="No accept step: the step size leaves a bias, kept small by the energy error.",
        test={"num_warmup": 2000, "num_draws": 4000, "thinning": 2},
        gradients=_mclmc_gradients,
    ),
)
