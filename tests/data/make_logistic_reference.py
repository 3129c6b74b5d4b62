"""Writes `logistic_reference.json`: NumPyro's NUTS by itself, 4 chains of 20,000 draws in 64 bits.

Not run by the tests; run it by hand, `python tests/data/make_logistic_reference.py`.
"""

from __future__ import annotations

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from arviz_stats.base import array_stats
from numpyro.infer import MCMC, NUTS


def data() -> tuple[np.ndarray, np.ndarray]:
    """60 rows of three inputs, and labels."""
    rng = np.random.default_rng(7)
    x = rng.normal(size=(60, 3))
    chance = 1 / (1 + np.exp(-(x @ np.array([1.5, -1.0, 0.5]) - 0.5)))
    return x, (rng.random(60) < chance).astype(float)


def _model(x, y):
    weights = numpyro.sample("weights", dist.Normal(0.0, 2.0).expand([3]).to_event(1))
    offset = numpyro.sample("offset", dist.Normal(0.0, 2.0))
    numpyro.sample("y", dist.Bernoulli(logits=x @ weights + offset), obs=y)


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    mcmc = MCMC(
        NUTS(_model),
        num_warmup=2000,
        num_samples=20000,
        num_chains=4,
        chain_method="vectorized",
        progress_bar=False,
    )
    mcmc.run(jax.random.key(0), *map(jnp.asarray, data()))
    found = {}
    for name, draws in mcmc.get_samples(group_by_chain=True).items():
        flat = np.asarray(draws).reshape(4, 20000, -1)
        mcse = array_stats.mcse(flat, method="mean", chain_axis=0, draw_axis=1)
        found[name] = {
            "mean": flat.mean((0, 1)).round(5).tolist(),
            "sd": flat.std((0, 1)).round(5).tolist(),
            "mcse_mean": mcse.round(5).tolist(),
        }
    Path(__file__).with_name("logistic_reference.json").write_text(
        json.dumps(found, indent=1) + "\n"
    )
