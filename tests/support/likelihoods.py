"""Posteriors of a linear function whose draws are all the truth, for any likelihood function."""

from __future__ import annotations

from dataclasses import replace

import jax.numpy as jnp
import numpy as np

import crewel as cw
from crewel.run import held_out
from support.networks import posterior_of

ROWS, DRAWS = 400, 200
X = np.random.default_rng(0).normal(size=(ROWS, 2)).astype(np.float32)
W = np.array([0.6, -0.4], np.float32)
U = X @ W  # what the network returns


def posterior(y, likelihood, w=W):
    """Of draws that are all the truth, so that scores are those of the likelihood alone."""
    model = cw.wrap(
        lambda p, x: jnp.tensordot(x, p["w"], 1), X, y, likelihood=lambda out, _: likelihood(out),
        example={"w": jnp.asarray(w)},
    )  # fmt: skip
    post = posterior_of(model, DRAWS)
    return replace(post, draws={"w": np.broadcast_to(w, (2, DRAWS, *w.shape))})


def simulated(exact):
    return np.asarray(exact.rvs(random_state=np.random.default_rng(1)))


def during_a_run(post, y):
    """The scores that `evaluate=` looks at, after two draws."""
    held, _ = held_out.find((X, y), post.model)
    one = {"w": jnp.asarray(post.draws["w"][0, 0])}
    average = held_out.add(held, held_out.empty(held, one), one)
    return {name: float(v) for name, v in held_out.add(held, average, one).scores.items()}
