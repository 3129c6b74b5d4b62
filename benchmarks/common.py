"""The network, the data and the stopwatch that the benchmarks share."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
from sklearn.datasets import load_iris

import crewel as cw


class MLP(nn.Module):
    """Iris 4-50-50-3: 2,953 weights."""

    @nn.compact
    def __call__(self, x):
        """Logits of three classes."""
        for width in (50, 50):
            x = jnp.tanh(nn.Dense(width)(x))
        return nn.Dense(3)(x)


def iris_model() -> cw.Model:
    """All 150 flowers, standardized, with standard normal priors."""
    x, y = load_iris(return_X_y=True)
    return cw.wrap(MLP(), (x - x.mean(0)) / x.std(0), y, likelihood="categorical")


def starts(model: cw.Model, num_chains: int):
    """The same initial positions for all contestants: draws from the prior."""
    keys = jax.random.split(jax.random.key(1), num_chains)
    return jax.vmap(model.initializers["prior"])(keys)


def compete(*contestants: Callable[[int], object], rounds: int = 3) -> list[float]:
    """Median seconds of each contestant, run in turn, with a new seed in each round.

    The first round is not measured. A contestant is a function of a seed that returns when its
    work is done.
    """
    seconds: list[list[float]] = [[] for _ in contestants]
    for round_ in range(rounds + 1):
        for times, contestant in zip(seconds, contestants, strict=True):
            began = time.perf_counter()
            contestant(round_)
            if round_:
                times.append(time.perf_counter() - began)
    return [statistics.median(times) for times in seconds]


def table(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
