"""flowMC: a local sampler, and a normalizing flow that learns from its draws and proposes jumps.

flowMC runs loops of `n_local_steps` local steps and then `n_global_steps` global steps. The
warm-up runs as many loops as `num_warmup` steps need, and each trains the flow. The draws are the
first `num_draws` steps of the loops that follow, in which the flow and the step size are fixed.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from crewel.adapters import vectors
from crewel.core.families import MCMC
from crewel.core.protocol import Algorithm, Backend, EngineResult, Key, Options, Position, Target

BACKEND = Backend("flowmc", "flowMC", extra="flowmc")

_BUNDLE = "flowMC.resource_strategy_bundle.RQSpline_{0}.RQSpline_{0}_Bundle"


def _log_density(z: jax.Array, data: dict[str, Any]) -> jax.Array:
    return vectors.density(data["target"], data["like"], z)


def _rqspline(local: str, options: Options, **filled: Any) -> Any:
    """The bundle that flowMC provides for the local sampler `local` and a spline flow."""
    from crewel.core.backends import resolve

    return resolve(_BUNDLE.format(local))(logpdf=_log_density, **filled, **options)


def _realnvp(local: str, options: Options, **filled: Any) -> Any:
    """The same bundle with RealNVP, an affine flow, in place of the spline."""
    from flowMC.resource.kernel.NF_proposal import NFProposal
    from flowMC.resource.model.nf_model.realNVP import RealNVP
    from flowMC.resource.optimizer import Optimizer

    of_flow = {k: options[k] for k in ("n_layers", "n_hidden")}
    rest = {k: v for k, v in options.items() if k not in of_flow}
    bundle = _rqspline(local, rest, **filled)
    key = jax.random.fold_in(filled["rng_key"], 1)
    flow = RealNVP(filled["n_dims"], key=key, **of_flow)
    batch = bundle.resources["global_sampler"].n_batch_size
    bundle.resources |= {
        "model": flow,
        "global_sampler": NFProposal(flow, n_NFproposal_batch_size=batch),
        "optimizer": Optimizer(model=flow, learning_rate=rest["learning_rate"]),
    }
    return bundle


def _run(
    bundle_of: Any,
    local: str,
    target: Target,
    keys: Key,
    positions: Position,
    num_warmup: int,
    num_draws: int,
    **options: Any,
) -> EngineResult:
    from flowMC.Sampler import Sampler

    starts = jnp.asarray(vectors.stacked(positions))
    num_chains, dim = starts.shape
    length = options["n_local_steps"] + options["n_global_steps"]
    key_flow, key = jax.random.split(keys[0])
    bundle = bundle_of(
        local,
        options,
        rng_key=key_flow,
        n_chains=num_chains,
        n_dims=dim,
        n_training_loops=-(-num_warmup // length),
        n_production_loops=-(-num_draws // length),
    )
    sampler = Sampler(
        n_dim=dim,
        n_chains=num_chains,
        rng_key=key,
        resource_strategy_bundles=bundle,
        checkpoint_interval=0,  # no checkpoints, and no cache of compiled programs next to them
    )
    like = jax.tree.map(lambda leaf: jnp.asarray(leaf[0]), positions)
    sampler.sample(starts, {"target": target, "like": like})

    def buffer(name: str) -> np.ndarray:
        resource: Any = sampler.resources[f"{name}_production"]
        return np.asarray(resource.data)[:, :num_draws]

    accepted = buffer("local_accs")  # not finite at global steps, which the other buffer has
    accepted = np.where(np.isfinite(accepted), accepted, buffer("global_accs"))
    stats = {"lp": buffer("log_prob"), "acceptance_rate": accepted}
    return EngineResult(vectors.split(buffer("positions"), positions), stats)


def _row(
    flow: str, local: str, bundle_of: Callable[..., Any], of_flow: tuple[str, ...] = (), **row: Any
) -> Algorithm:
    return Algorithm(
        name=f"flowmc_{flow}_{local.lower()}",
        family=MCMC,
        reference="Gabrié, Rotskoff & Vanden-Eijnden 2022; Wong, Gabrié & Foreman-Mackey 2023",
        backend=BACKEND,
        option_sources=(_BUNDLE.format(local), *of_flow),
        filled_by_row=(
            "rng_key",
            "n_chains",
            "n_dims",
            "logpdf",
            "n_training_loops",
            "n_production_loops",
            "periodic",
            "local_thinning",
            "global_thinning",
            "verbose",
            *(("rq_spline_hidden_units", "rq_spline_n_bins", "rq_spline_n_layers") * bool(of_flow)),
            *(("n_features", "key") * bool(of_flow)),
        ),
        run=partial(_run, bundle_of, local),
        unsupported=frozenset({"chain_method"}),
        settings={"num_chains": 20},
        recompiles="flowMC creates its compiled functions anew in each run.",
        # Most steps are local: in 14 dimensions, jumps of a flow trained so briefly are rejected.
        test_budget={
            "num_warmup": 600,
            "num_draws": 600,
            "n_local_steps": 100,
            "n_global_steps": 20,
            "n_epochs": 10,
            "n_max_examples": 1000,
        },
        **row,
    )


_LOOPS = {"n_local_steps": 50, "n_global_steps": 50, "n_epochs": 30, "learning_rate": 1e-2}
_REALNVP = ("flowMC.resource.model.nf_model.realNVP.RealNVP",)
_AFFINE = _LOOPS | {"n_layers": 10, "n_hidden": 100}

ROWS = (
    _row(
        "rqspline",
        "HMC",
        _rqspline,
        summary="Global jumps proposed by a spline flow, local steps by HMC",
        defaults=_LOOPS,
    ),
    _row(
        "rqspline",
        "MALA",
        _rqspline,
        summary="Global jumps proposed by a spline flow, local steps by MALA",
        defaults=_LOOPS,
    ),
    _row(
        "realnvp",
        "HMC",
        _realnvp,
        _REALNVP,
        summary="Global jumps proposed by RealNVP, local steps by HMC",
        defaults=_AFFINE,
    ),
    _row(
        "realnvp",
        "MALA",
        _realnvp,
        _REALNVP,
        summary="Global jumps proposed by RealNVP, local steps by MALA",
        defaults=_AFFINE,
    ),
)
