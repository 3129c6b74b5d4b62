"""The bias of `crewel_mclmc`: the energy's variance against the error of second moments.

Gaussians of 10, 100 and 1,000 dimensions; variances are all 1, or between 1 and 1/100 in equal
ratios. The error is that of the variances, relative: its mean over dimensions and its largest. Each
entry is from eight chains, and the tuned energy variance stands beside the wanted one.
"""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

import crewel as cw
from benchmarks.common import table

WANTED = (0.5, 0.1, 0.02, 5e-3, 5e-4)
DIMENSIONS = (10, 100, 1000)


def _log_density(sd, z):
    return -0.5 * jnp.sum((z / sd) ** 2)


def found(dimension: int, condition: float, wanted: float) -> tuple[float, float, float]:
    """`(energy variance, mean error, largest error)` per dimension."""
    sd = jnp.asarray(np.geomspace(1.0, condition**-0.5, dimension), jnp.float32)
    model = cw.Model(Partial(_log_density, sd), jnp.zeros(dimension))
    post = model.mcmc.crewel_mclmc(
        seed=0, num_chains=8, num_warmup=4000, num_draws=5000, thinning=4, progress=False,
        desired_energy_var_start=jnp.asarray(0.5), desired_energy_var_end=jnp.asarray(wanted),
    )  # fmt: skip
    error = np.asarray(post.draws, np.float64).var((0, 1)) / np.asarray(sd) ** 2 - 1
    energy = np.nanmean(post.stats["energy_error"] ** 2) / dimension
    return float(energy), float(error.mean()), float(np.abs(error).max())


def main() -> str:
    """The table."""
    rows = []
    with cw.settings(verdict="off"):
        for condition in (1, 100):
            for dimension in DIMENSIONS:
                for wanted in WANTED:
                    energy, mean, most = found(dimension, condition, wanted)
                    rows.append(
                        [f"{dimension:,}", str(condition), f"{wanted:g}", f"{energy:.2g}"]
                        + [f"{mean:+.3f}", f"{most:.3f}"]
                    )
    head = ["dimensions", "condition", "wanted", "energy variance", "mean error", "largest error"]
    return table(head, rows)


if __name__ == "__main__":
    print(main())
