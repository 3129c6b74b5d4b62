"""Against bayeux 0.1.15 in its own lane: the same log density, the same work, second calls.

Iris 4-50-50-3 with standard normal priors. bayeux runs in `.venv-bayeux` (`make venv-bayeux`), one
process per method, in turn with Crewel in this process; the first call of each is not counted.
`python -m benchmarks.against_bayeux METHOD` is bayeux's side.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

PYTHON = Path(".venv-bayeux/bin/python")
# bayeux's keywords, Crewel's keywords, and how many times faster Crewel should be.
CHAINS = {"num_chains": 4}
WORK = {
    "mcmc.numpyro_nuts": (
        CHAINS | {"num_warmup": 200, "num_samples": 200, "max_tree_depth": 6},
        CHAINS | {"num_warmup": 200, "num_draws": 200, "max_tree_depth": 6},
        6.0,
    ),
    "mcmc.blackjax_nuts": (
        CHAINS | {"num_adapt_draws": 200, "num_draws": 200, "max_num_doublings": 6},
        CHAINS | {"num_warmup": 200, "num_draws": 200, "max_num_doublings": 6},
        25.0,
    ),
    "optimize.optax_adam": (
        {"num_particles": 128, "num_iters": 500},
        {"num_particles": 128, "num_steps": 500},
        2.6,
    ),
}
QUIET = {"progress": False}


def bayeux_side(method: str) -> None:
    """Print the seconds of a first and a second call."""
    import bayeux as bx
    import jax
    import jax.numpy as jnp
    from sklearn.datasets import load_iris

    x, y = load_iris(return_X_y=True)
    x = jnp.asarray((x - x.mean(0)) / x.std(0), jnp.float32)
    sizes = [(4, 50), (50, 50), (50, 3)]
    point = {
        f"Dense_{i}": {"kernel": jnp.zeros(size), "bias": jnp.zeros(size[1])}
        for i, size in enumerate(sizes)
    }

    def log_density(params):
        h = x
        for i in range(3):
            layer = params[f"Dense_{i}"]
            h = (jnp.tanh(h) if i else h) @ layer["kernel"] + layer["bias"]
        fit = jnp.take_along_axis(jax.nn.log_softmax(h), y[:, None], 1).sum()
        return fit - 0.5 * sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(params))

    family, name = method.split(".")
    run = getattr(getattr(bx.Model(log_density, point), family), name)
    options = dict(WORK[method][0])
    if family == "mcmc":
        options |= {"return_pytree": True}
    for seed in range(2):
        began = time.perf_counter()
        jax.block_until_ready(run(seed=jax.random.PRNGKey(seed), **options))
        print(f"seconds {time.perf_counter() - began:.2f}", flush=True)


def main() -> str:
    """The table."""
    from benchmarks.common import iris_model, table

    if not PYTHON.exists():
        return "Not run: bayeux's environment is missing. Create it with `make venv-bayeux`."
    model = iris_model()
    rows = []
    for method, (_, options, goal) in WORK.items():
        command = [str(PYTHON), "-m", "benchmarks.against_bayeux", method]
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        theirs = float(said.split()[-1])
        family, name = method.split(".")
        run = getattr(getattr(model, family), name)
        run(seed=0, **options, **QUIET)
        began = time.perf_counter()
        run(seed=1, **options, **QUIET)
        ours = time.perf_counter() - began
        rows.append(
            [f"`{name}`", f"{theirs:.1f}", f"{ours:.2f}", f"{theirs / ours:.1f}", f">= {goal:g}"]
        )
        print(rows[-1], flush=True)
    return table(["second call", "bayeux, s", "Crewel, s", "times faster", "goal"], rows)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        bayeux_side(sys.argv[1])
    else:
        print(main())
