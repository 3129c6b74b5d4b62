"""`crewel_mclmc` on the airfoil data of MILE, with many seeds: dead chains, and held-out scores.

A 16-16-2 network with standard normal priors predicts the mean and the logarithm of the scale of a
normal. Chains start from an ensemble that AdamW trained with early stopping, one chain per seed
and member. The data are an `.npz` named by `CREWEL_AIRFOIL`, with `x_train`, `y_train` and so on.
A chain is dead if its step size is not positive, if it does not move, or if it predicts the
training rows worse than a constant. The second table is of whole runs with four chains.

`python -m benchmarks.mclmc_seeds [seeds]`.
"""

from __future__ import annotations

import dataclasses
import os
import sys
import time

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist

import crewel as cw
from benchmarks.common import table


class MLP(nn.Module):
    """5-16-16-2: 402 weights."""

    @nn.compact
    def __call__(self, x):
        """A mean and the logarithm of a scale."""
        for width in (16, 16):
            x = nn.relu(nn.Dense(width)(x))
        return nn.Dense(2)(x)


def likelihood(out, _):
    """A normal whose scale cannot overflow."""
    return dist.Normal(out[..., 0], jnp.exp(jnp.clip(out[..., 1], -10, 10)))


def data(part):
    """Rows and targets of a part of the data."""
    with np.load(os.environ["CREWEL_AIRFOIL"]) as stored:
        return stored[f"x_{part}"], stored[f"y_{part}"].reshape(-1)


def run(model, seed, members, **budget):
    """`(posterior, seconds)` of an ensemble that becomes as many chains."""
    began = time.perf_counter()
    x, y = data("valid")
    each = len(model.data["y"]) // 32
    ensemble = model.optimize.optax_adamw(
        seed, num_particles=members, batch_size=32, num_steps=500 * each, learning_rate=1e-3,
        weight_decay=1e-3, evaluate=(x, y, each), patience=10, progress=False,
    )  # fmt: skip
    post = model.mcmc.crewel_mclmc(
        seed, init=ensemble, num_chains=members, progress=False, **budget
    )
    return post, time.perf_counter() - began


def dead(model, post):
    """Chains that are dead."""
    x, y = data("train")
    sizes = post.stats["step_size"]
    lp = np.asarray(post.stats["lp"])
    constant = dist.Normal(y.mean(), y.std()).log_prob(y).mean()
    bad = ~((sizes > 0) & np.isfinite(sizes)).all(1) | (np.diff(lp, axis=1) == 0).all(1)
    each = [
        dataclasses.replace(
            post, draws=jax.tree.map(lambda leaf, i=i: leaf[[i]], post.draws)
        ).metrics(x, y)["lppd"]
        for i in range(post.num_chains)
    ]
    return bad | (np.array(each) < float(constant))


def main(seeds: int = 200) -> str:
    """The tables."""
    if "CREWEL_AIRFOIL" not in os.environ:
        return "No data here: set `CREWEL_AIRFOIL`."
    model = cw.wrap(MLP(), *data("train"), prior=dist.Normal(0, 1), likelihood=likelihood)
    with cw.settings(verdict="off"):
        short = {"num_warmup": 2000, "num_draws": 50, "thinning": 10}
        lost = [dead(model, run(model, 1000 + s, 4, **short)[0]) for s in range(seeds // 4)]
        scores = []
        for seed in range(5):
            post, seconds = run(model, seed, 4, num_warmup=25_000, num_draws=1000, thinning=10)
            found = post.metrics(*data("test"))
            scores.append([found["lppd"], found["rmse"], seconds, dead(model, post).sum()])
    scores = np.array(scores, float)
    mean, error = scores.mean(0), scores.std(0, ddof=1) / len(scores) ** 0.5
    first = table(
        ["chains", "warm-up", "dead"], [[str(seeds // 4 * 4), "2,000", str(int(np.sum(lost)))]]
    )
    rows = [
        [f"{m:.3f} ± {e:.3f}" for m, e in zip(mean[:2], error[:2], strict=True)]
        + [", ".join(f"{s:.1f}" for s in scores[:, 2]), str(int(scores[:, 3].sum()))]
    ]
    second = table(["LPPD", "RMSE", "seconds, the first with compiling", "dead chains"], rows)
    return f"{first}\n\n{second}"


if __name__ == "__main__":
    print(main(*map(int, sys.argv[1:])))
