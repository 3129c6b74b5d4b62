"""nutpie's NUTS, written in Rust. It runs on the host and calls compiled code for each gradient."""

from __future__ import annotations

import contextlib
import threading
from functools import partial
from typing import Any

import jax
import numpy as np

from crewel.adapters import vectors
from crewel.core.compiling import compile_all, program
from crewel.core.families import MCMC
from crewel.core.protocol import (
    Algorithm,
    Backend,
    EngineResult,
    Gradients,
    Key,
    Options,
    Position,
    Target,
)

BACKEND = Backend("nutpie", "nutpie", extra="nutpie")

# ArviZ's names of nutpie's statistics.
_STATS = {
    "logp": "lp",
    "energy": "energy",
    "energy_error": "energy_error",
    "mean_tree_accept": "acceptance_rate",
    "step_size": "step_size",
    "n_steps": "n_steps",
    "depth": "tree_depth",
    "diverging": "diverging",
}


def _value_and_grad(_: None, target: Target, like: Position, z: jax.Array) -> Any:
    return jax.value_and_grad(partial(vectors.density, target, like))(z)


def _model(logp: Any, start: np.ndarray) -> Any:
    from nutpie.compiled_pyfunc import from_pyfunc

    return from_pyfunc(
        start.size,
        lambda: logp,
        lambda *seeds: lambda z: {"z": np.asarray(z)},
        [np.dtype("float64")],
        [start.shape],
        ["z"],
        make_initial_point_fn=lambda seed: start.astype("float64"),
    )


def run(
    target: Target,
    keys: Key,
    positions: Position,
    num_warmup: int,
    num_draws: int,
    **options: Any,
) -> EngineResult:
    """Run all chains at once, each as its own nutpie run in a thread, with its start and seed.

    Raises:
        ValueError: `num_warmup` is zero.
    """
    import nutpie

    if num_warmup == 0:
        raise ValueError("`nutpie` cannot run without a warm-up; give `num_warmup=`.")
    starts = vectors.stacked(positions)
    like = jax.tree.map(lambda leaf: np.asarray(leaf[0]), positions)
    compiled = program(_value_and_grad, None, target, like, starts[0])
    compile_all(compiled)

    guard = threading.Lock() if compiled.alone else contextlib.nullcontext()

    def logp(z: np.ndarray) -> tuple[float, np.ndarray]:
        with guard:  # held until the values are computed
            value, gradient = compiled(target, like, z.astype(starts.dtype))
            return float(value), np.asarray(gradient, "float64")

    def start(job: int) -> Any:
        seed = int(np.asarray(jax.random.bits(keys[job], (), "uint32")))
        return nutpie.sample(
            _model(logp, starts[job]),
            draws=num_draws,
            tune=num_warmup,
            chains=1,
            cores=1,
            seed=seed,
            save_warmup=False,
            progress_bar=False,
            blocking=False,
            **options,
        )

    # One run per chain: within a run, the threads decide which chain starts from which point.
    samplers = [start(job) for job in range(len(starts))]
    try:
        traces = [sampler.wait() for sampler in samplers]
    except BaseException:
        for sampler in samplers:
            sampler.cancel()
        raise
    draws = np.concatenate([np.asarray(trace["posterior"]["z"]) for trace in traces])
    stats = {
        ours: np.concatenate([np.asarray(trace["sample_stats"][theirs]) for trace in traces])
        for theirs, ours in _STATS.items()
        if theirs in traces[0]["sample_stats"]
    }
    return EngineResult(vectors.split(draws, positions), stats)


def _gradients(options: Options) -> Gradients:
    return 1, 2 ** options["maxdepth"] - 1


ROWS = (
    Algorithm(
        name="nutpie",
        family=MCMC,
        summary="No-U-Turn sampler in Rust, with a mass matrix from draws and gradients",
        reference="Hoffman & Gelman 2014; Seyboldt, Carlson & Carpenter 2026",
        backend=BACKEND,
        option_sources=("nutpie.sample",),
        filled_by_row=(
            "compiled_model",
            "draws",
            "tune",
            "chains",
            "cores",
            "seed",
            "save_warmup",
            "progress_bar",
            "init_mean",
            "return_raw_trace",
            "blocking",
            "progress_template",
            "progress_style",
            "progress_rate",
            "zarr_store",
        ),
        run=run,
        unsupported=frozenset({"chain_method"}),
        # Options that `nutpie.sample` documents and passes on, but that its signature lacks.
        defaults={"target_accept": 0.8, "maxdepth": 10},
        test_budget={"num_warmup": 400, "num_draws": 1000},
        gradients=_gradients,
    ),
)
