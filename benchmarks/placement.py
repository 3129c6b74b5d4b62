"""The time of each `chain_method`: the measurement behind `"auto"`."""

from __future__ import annotations

from benchmarks.common import compete, iris_model, starts, table
from crewel.run import placement


def main() -> str:
    """The table."""
    model = iris_model()
    rows = []
    chains = {"num_chains": 4, "init": starts(model, 4), "progress": False}
    for name, options in (
        ("numpyro_nuts", {"num_warmup": 200, "num_draws": 200, "max_tree_depth": 6}),
        ("blackjax_nuts", {"num_warmup": 200, "num_draws": 200, "max_num_doublings": 6}),
        ("blackjax_mclmc", {"num_warmup": 2000, "num_draws": 500, "thinning": 10}),
    ):
        method = getattr(model.mcmc, name)
        ways = ("parallel", "vectorized", "sequential")
        seconds = compete(
            *(
                lambda seed, w=w, m=method, o=options: m(seed=seed, chain_method=w, **chains, **o)
                for w in ways
            )
        )
        rows.append([f"`{name}`, 4 chains", *(f"{s:.2f}" for s in seconds)])
        print(rows[-1], flush=True)
    blocks = []
    for size in (4, 8, 16, 32, 64, 128):
        placement.PARTICLES_PER_BLOCK = size
        (seconds,) = compete(
            lambda seed: model.optimize.optax_adam(
                seed=seed, num_particles=128, num_steps=500, progress=False
            )
        )
        blocks.append([str(size), f"{seconds:.2f}"])
        print(blocks[-1], flush=True)
    return "\n\n".join(
        [
            table(["seconds", "parallel (auto)", "vectorized", "sequential"], rows),
            table(["`optax_adam`, 128 particles × 500 steps: particles per block", "s"], blocks),
        ]
    )


if __name__ == "__main__":
    print(main())
