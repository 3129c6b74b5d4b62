"""One gradient of a log likelihood: by hand in plain JAX, the rows first, against ours.

Both are compiled the same way and run in a loop on the device, as a sampler runs them. The networks
are those of the literature on samplers for small networks; ours are unmodified Flax modules.
"""

from __future__ import annotations

import time

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

import crewel as cw
from benchmarks.common import table
from crewel.core.compiling import UNSPLIT

REPEATS = 25


class MLP(nn.Module):
    """Fully connected, with ReLU between the layers."""

    sizes: tuple[int, ...]

    @nn.compact
    def __call__(self, x):
        """Outputs `(N, sizes[-1])`."""
        for size in self.sizes[:-1]:
            x = nn.relu(nn.Dense(size)(x))
        return nn.Dense(self.sizes[-1])(x)


def by_hand(params, x):
    """The same network, as a careful user writes it."""
    layers = [params[f"Dense_{i}"] for i in range(len(params))]
    for layer in layers[:-1]:
        x = jax.nn.relu(x @ layer["kernel"] + layer["bias"])
    return x @ layers[-1]["kernel"] + layers[-1]["bias"]


def gaussian(out, y):
    """A log density with a scale for each row."""
    scale = jnp.exp(out[:, 1])
    return (-0.5 * ((y - out[:, 0]) / scale) ** 2 - out[:, 1]).sum()


def categorical(out, y):
    """The log probability of the classes."""
    return jnp.take_along_axis(jax.nn.log_softmax(out), y[:, None], 1).sum()


def microseconds(params, data, *densities) -> list[float]:
    """The shortest time of one gradient of each density, measured in turn."""

    def many(density):
        def run(params, data, count):
            def body(_, carry):
                params, total = carry
                value, slope = jax.value_and_grad(density)(params, data)
                return jax.tree.map(lambda p, g: p + 1e-9 * g, params, slope), total + value

            return jax.lax.fori_loop(0, count, body, (params, 0.0))

        return jax.jit(run).lower(params, data, 1).compile(dict(UNSPLIT))

    runs = [many(density) for density in densities]
    began = time.perf_counter()
    jax.block_until_ready(runs[0](params, data, 10))
    count = max(5, int(0.05 / (time.perf_counter() - began)))
    best = [np.inf] * len(runs)
    for _ in range(REPEATS):
        for i, run in enumerate(runs):
            began = time.perf_counter()
            jax.block_until_ready(run(params, data, count))
            best[i] = min(best[i], (time.perf_counter() - began) / count)
    return [1e6 * seconds for seconds in best]


def main() -> str:
    """The table."""
    rng, rows = np.random.default_rng(0), []
    for features, sizes, number, name in (
        (5, (16, 16, 2), 1052, "heteroscedastic"),
        (5, (16, 16, 16, 16, 2), 1202, "heteroscedastic"),
        (4, (50, 50, 3), 150, "categorical"),
        (64, (32, 10), 64, "categorical"),
        (64, (32, 10), 1500, "categorical"),
        (10, (100, 100, 2), 1000, "heteroscedastic"),
        (784, (500, 10), 512, "categorical"),
    ):
        x = rng.normal(size=(number, features)).astype(np.float32)
        is_class = name == "categorical"
        y = rng.integers(0, sizes[-1], number) if is_class else np.sin(x[:, 0])
        model = cw.wrap(MLP(sizes), x, y, likelihood=name)
        log_likelihood = model.target().log_likelihood
        score = categorical if is_class else gaussian
        hand, ours = microseconds(
            model.test_point,
            model.data,
            lambda p, data, score=score: score(by_hand(p, data["x"]), data["y"]),
            lambda p, data, fn=log_likelihood: fn(p, data).sum(),
        )
        shape = "-".join(map(str, (features, *sizes)))
        rows.append(
            [f"{shape}, {number:,} rows", f"{hand:.1f}", f"{ours:.1f}", f"{ours / hand:.2f}"]
        )
    return table(["", "by hand, µs", "Crewel, µs", "ratio"], rows)


if __name__ == "__main__":
    print(main())
