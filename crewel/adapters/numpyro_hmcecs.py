"""NumPyro's HMC with energy-conserving subsampling: HMC on a batch that is itself resampled.

The density becomes a NumPyro program with a plate that draws subsamples. The batch is part of the
state: every step sees all rows and chooses its own. The likelihood is estimated around its Taylor
expansion at the mode, which BFGS finds on all rows; without the expansion, batches of high
likelihood would be preferred. The expansion holds a gradient, and for degree 2 a Hessian, for each
row of the batch, so it suits small models.
"""

from __future__ import annotations

from typing import Any

import jax
from jax.flatten_util import ravel_pytree
from jax.scipy.optimize import minimize

from crewel.adapters.numpyro import BACKEND, hmc_gradients
from crewel.core.families import SGMCMC
from crewel.core.minibatch import take
from crewel.core.protocol import (
    SEPARATE,
    Algorithm,
    Key,
    Options,
    Position,
    State,
    Stats,
    SteppedWarmup,
    Target,
)
from crewel.core.trees import leaf_paths, named_leaves

PLATE = "rows of the batch"


def _program(target: Target, like: Position) -> None:
    import numpyro
    from numpyro import distributions as dist

    flat = [
        numpyro.sample(name, dist.ImproperUniform(dist.constraints.real, (), leaf.shape))
        for name, leaf in named_leaves(like).items()
    ]
    position = jax.tree.unflatten(jax.tree.structure(like), flat)
    params = target.constrain(position)
    assert target.log_prior is not None and target.log_likelihood is not None
    numpyro.factor("prior", target.log_prior(params) + target.transform.log_det(position))
    with numpyro.plate(PLATE, target.num_data, subsample_size=target.batch_size) as rows:
        numpyro.factor("likelihood", target.log_likelihood(params, take(target.data, rows)))


def _kernel(center: Position, options: Options) -> Any:
    from numpyro import infer

    inner = {k: v for k, v in options.items() if k not in ("num_blocks", "degree")}
    hmc = infer.HMC(_program, **inner)
    proxy = infer.HMCECS.taylor_proxy(named_leaves(center), options["degree"])
    return infer.HMCECS(hmc, num_blocks=options["num_blocks"], proxy=proxy)


def _mode(target: Target, position: Position) -> Position:
    flat, unravel = ravel_pytree(position)
    found = minimize(lambda z: -target.log_density(unravel(z)), flat, method="BFGS")
    return unravel(found.x)


def _init(target: Target, key: Key, position: Position, num_warmup: int, **options: Any) -> State:
    center = _mode(target, position)
    kernel = _kernel(center, options)
    return center, kernel.init(key, num_warmup, named_leaves(center), (target, center), {})


def _advance(target: Target, key: Key, state: State, num_warmup: int, options: Options) -> State:
    center, inner = state
    key, key_hmc = jax.random.split(key)
    kernel = _kernel(center, options)
    # `init` tells the kernel its schedule; what it computes is unused and compiled away.
    kernel.init(key, num_warmup, named_leaves(center), (target, center), {})
    inner = inner._replace(rng_key=key, hmc_state=inner.hmc_state._replace(rng_key=key_hmc))
    return center, kernel.sample(inner, (target, center), {})


def _update(target: Target, key: Key, state: State, num_warmup: int, **options: Any) -> State:
    return _advance(target, key, state, num_warmup, options)


def _step(target: Target, key: Key, state: State, **options: Any) -> tuple[State, Position, Stats]:
    frozen = options | {"adapt_step_size": False, "adapt_mass_matrix": False}
    state = _advance(target, key, state, 0, frozen)
    center, inner = state
    flat = [inner.z[name] for name in leaf_paths(center)]
    position = jax.tree.unflatten(jax.tree.structure(center), flat)
    hmc = inner.hmc_state
    stats = {
        "lp_estimate": -hmc.potential_energy,
        "energy": hmc.energy,
        "acceptance_rate": hmc.accept_prob,
        "step_size": hmc.adapt_state.step_size,
        "n_steps": hmc.num_steps,
        "diverging": hmc.diverging,
        "batch_acceptance_rate": inner.accept_prob,
    }
    return state, position, stats


ROWS = (
    Algorithm(
        name="numpyro_hmcecs",
        family=SGMCMC,
        summary="HMC on a batch whose blocks are resampled with an accept step",
        reference="Dang, Quiroz, Kohn, Tran & Villani 2019",
        backend=BACKEND,
        option_sources=(
            "numpyro.infer.HMCECS",
            "numpyro.infer.HMCECS.taylor_proxy",
            "numpyro.infer.HMC",
        ),
        filled_by_row=("inner_kernel", "model", "potential_fn", "kinetic_fn", "init_strategy")
        + ("proxy", "reference_params"),
        # A quarter of a standard normal's period; NumPyro's default is a whole period.
        defaults={"num_blocks": 1, "degree": 2, "trajectory_length": 1.5},
        step=_step,
        warmup=SteppedWarmup(_init, _update),
        needs=SEPARATE,
        unsupported=frozenset({"replacement", "batches", "num_data"}),
        own_batches=True,
        bias="The batch's estimate of the likelihood is unbiased only where the remainder of the "
        "Taylor expansion is normally distributed.",
        test_budget={"num_warmup": 500, "num_draws": 1000, "num_blocks": 4},
        gradients=hmc_gradients,
    ),
)
