"""Crewel's main task on real data: Fisher's iris, a two-layer network, several posteriors."""

from __future__ import annotations

import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

import crewel as cw
from crewel import plots
from crewel.core.text import table


def _iris() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    from sklearn.datasets import load_iris
    from sklearn.model_selection import train_test_split

    x, y = load_iris(return_X_y=True)
    split = train_test_split(x, y, test_size=0.3, random_state=0, stratify=y)
    x_train, x_test, y_train, y_test = (np.asarray(part) for part in split)
    mean, sd = x_train.mean(0), x_train.std(0)
    return (x_train - mean) / sd, y_train, (x_test - mean) / sd, y_test


def _network():
    import flax.linen as nn

    class MLP(nn.Module):
        @nn.compact
        def __call__(self, x: jax.Array) -> jax.Array:
            for width in (16, 16):
                x = jnp.tanh(nn.Dense(width)(x))
            return nn.Dense(3)(x)

    return MLP()


def _picture(post: cw.Posterior, x: np.ndarray, y: np.ndarray, path: str) -> Path:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    probability = post.predict(x)["predictions"]["probability"].to_numpy()
    figure, axes = plt.subplots(1, 2, figsize=(12.5, 4.6), layout="constrained")
    plots.plot_class_probabilities(probability, y, ax=axes[0])
    plots.plot_reliability(probability.mean((0, 1)), y, num_bins=8, ax=axes[1])
    figure.savefig(path, dpi=150)
    return Path(path).resolve()


def run(output: str = "crewel_demo.png") -> None:
    """Wrap a network, debug it, sample from it with two backends and a warm start, and score it.

    Args:
        output: file for the figure.
    """
    began = time.perf_counter()
    x, y, x_test, y_test = _iris()
    print(f"Iris: {len(x)} flowers for training, {len(x_test)} held out, 3 species.\n")

    model = cw.wrap(_network(), x, y, likelihood="categorical")
    print(model, model.priors, sep="\n", end="\n\n")
    model.debug(seed=0)
    print()

    posts = {"numpyro_nuts": model.mcmc.numpyro_nuts(seed=0, num_warmup=500, num_draws=500)}
    posts["blackjax_nuts"] = model.mcmc.blackjax_nuts(seed=0, num_warmup=500, num_draws=500)
    ensemble = model.optimize.optax_adam(seed=0, num_particles=8, num_steps=500)
    posts["optax_adam, 8 networks"] = ensemble
    posts["... then blackjax_mclmc"] = model.mcmc.blackjax_mclmc(
        seed=0, init=ensemble, num_chains=8, num_warmup=4000, num_draws=1000, thinning=10
    )

    nuts = posts["numpyro_nuts"]
    print("\nnumpyro_nuts, class probabilities of ten training flowers (ArviZ summary):")
    print(nuts.summary().to_string(max_rows=12), "\n")
    print(nuts.report(), "\n")

    rows = [["held-out flowers", "accuracy", "LPPD", "Brier", "ECE", "diverging", "seconds"]]
    for name, post in posts.items():
        score = post.metrics(x_test, y_test)
        diverging = str(int(post.stats["diverging"].sum())) if "diverging" in post.stats else "-"
        cells = [f"{score[key]:.3f}" for key in ("accuracy", "lppd", "brier", "ece")]
        rows.append([name, *cells, diverging, f"{post.timing['total']:.1f}"])
    print(table(rows))
    print(f"\nFigure of the predictive: {_picture(nuts, x_test, y_test, output)}")
    print(f"The demo took {time.perf_counter() - began:.0f} s.")
