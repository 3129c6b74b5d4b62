"""Runs on minibatches that are small, and the batches that they see."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

import crewel as cw
from crewel.core import minibatch

QUICK = {"num_chains": 2, "num_warmup": 4, "num_draws": 10, "step_size": 1e-4, "progress": False}


def same(a, b):
    return all(map(np.array_equal, jax.tree.leaves(a), jax.tree.leaves(b)))


def batches_of(model, key, steps, size):
    """The batches that a chain of `key` sees, made on the host."""
    per_epoch = model.target().num_data // size
    found = []
    for step in range(steps):
        order = np.asarray(minibatch.order(key, step // per_epoch, model.target().num_data))
        slot = step % per_epoch
        rows = order[slot * size : (slot + 1) * size]
        found.append(jax.tree.map(lambda leaf, rows=rows: np.asarray(leaf)[rows], model.data))
    return found


@functools.cache
def three_classes():
    """A linear classifier of three classes, and held-out rows."""
    random = np.random.default_rng(0)
    x = random.normal(size=(90, 2)).astype(np.float32)
    y = (x @ np.array([[1.0, 0, -1], [0, 1.0, -1]]) + random.gumbel(size=(90, 3))).argmax(1)
    model = cw.wrap(
        lambda p, x: x @ p["w"], x[:60], y[:60], likelihood="categorical",
        example={"w": jnp.zeros((2, 3))},
    )  # fmt: skip
    return model, x[60:], y[60:]
