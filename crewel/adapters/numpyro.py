"""NumPyro's samplers. The engine is a kernel object that is asked for one transition at a time."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import jax

from crewel.protocol import Algorithm, Position, Stepped, Target


def _kernel(kind: str, target: Target, **options: Any) -> Any:
    from numpyro import infer

    return getattr(infer, kind)(potential_fn=lambda z: -target.log_density(z), **options)


def _init(kind: str, target: Target, key, position: Position, num_warmup: int, **options) -> Any:
    state = _kernel(kind, target, **options).init(key, num_warmup, init_params=position)
    return state._replace(rng_key=None)


def _advance(kernel: Any, num_warmup: int, key, state: Any) -> Any:
    # `init` tells the kernel its schedule; what it computes is unused and compiled away.
    kernel.init(key, num_warmup, init_params=state.z)
    return kernel.sample(state._replace(rng_key=key), (), {})._replace(rng_key=None)


def _update(kind: str, target: Target, key, state: Any, num_warmup: int, **options) -> Any:
    return _advance(_kernel(kind, target, **options), num_warmup, key, state)


def _step(kind: str, target: Target, key, state: Any, **options):
    frozen = options | {"adapt_step_size": False, "adapt_mass_matrix": False}
    state = _advance(_kernel(kind, target, **frozen), 0, key, state)
    stats = {
        "lp": -state.potential_energy,
        "energy": state.energy,
        "acceptance_rate": state.accept_prob,
        "step_size": state.adapt_state.step_size,
        "n_steps": state.num_steps,
        "diverging": state.diverging,
    }
    if kind == "NUTS":
        # A tree of depth d has at most 2^d - 1 leaves, so the depth is the number of its bits.
        depth = 32 - jax.lax.clz(state.num_steps.astype("int32"))
        stats["tree_depth"] = depth
    return state, state.z, stats


def _nuts_gradients(options: Mapping[str, Any]) -> tuple[float, float]:
    depth = options["max_tree_depth"]  # one, or those of warm-up and sampling
    return 1, 2 ** max(depth if isinstance(depth, tuple) else (depth,)) - 1


def _hmc_gradients(options: Mapping[str, Any]) -> tuple[float, float]:
    # With a trajectory's length instead, the step size decides, which is not known yet.
    steps = options["num_steps"]
    return (1, float("inf")) if steps is None else (steps, steps)


def _row(name: str, kind: str, summary: str, reference: str, **row: Any) -> Algorithm:
    return Algorithm(
        name=name,
        family="mcmc",
        summary=summary,
        reference=reference,
        requires="",
        module="numpyro",
        options_of=(f"numpyro.infer.{kind}",),
        reserved=("model", "potential_fn", "kinetic_fn", "init_strategy"),
        step=partial(_step, kind),
        warmup=Stepped(partial(_init, kind), partial(_update, kind)),
        **row,
    )


ROWS = (
    _row(
        "numpyro_nuts",
        "NUTS",
        "No-U-Turn sampler, iterative trees, diagonal or dense mass matrix",
        "Hoffman & Gelman 2014; Phan, Pradhan & Jankowiak 2019",
        test={"num_warmup": 500, "num_draws": 1000},
        gradients=_nuts_gradients,
    ),
    _row(
        "numpyro_hmc",
        "HMC",
        "Hamiltonian Monte Carlo with a fixed trajectory length",
        "Duane et al. 1987; Neal 2011",
        test={"num_warmup": 500, "num_draws": 1000, "trajectory_length": 1.5},
        gradients=_hmc_gradients,
    ),
)
