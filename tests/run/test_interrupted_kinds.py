"""Ctrl-C during runs that keep no draws, fit first, or take batches from the host."""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import support

import crewel as cw
from crewel.run import prefetch
from crewel.run.progress import Progress

PATIENCE = 120  # seconds after which a test that hangs fails


@pytest.fixture(scope="module")
def model():
    return support.small()


def same(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)


def first(tree, chains, draws):
    return jax.tree.map(lambda leaf: leaf[chains, :draws], tree)


@pytest.fixture(scope="module")
def rows():
    return support.rows().model


def test_summaries_of_chains_that_have_not_moved(rows, interrupt):
    """An extension of a mean that is interrupted before chain 2 moves keeps its mean."""
    call = {"num_chains": 3, "num_warmup": 4, "num_draws": 10, "batch_size": 20, "reduce": "mean"}
    call |= {"chain_method": "sequential", "progress": False}
    whole = rows.sgmcmc.blackjax_sgld(seed=0, **call)
    interrupt(10 + 5)
    with pytest.warns(UserWarning, match="Returning 0 to 10 of 10 draws of 3 of 3 chains."):
        cut = whole.extend(10, progress=False)
    longer = whole.extend(10, progress=False)
    same(first(cut.draws, [0], None), first(longer.draws, [0], None))
    same(first(cut.draws, [2], None), first(whole.draws, [2], None))
    same(first(cut.stats, [2], None), first(whole.stats, [2], None))
    same(cut.starts, [20, 15, 10])
    on = cut.extend(5, progress=False)
    same(first(on.draws, [1], None), first(longer.draws, [1], None))


def test_losses_of_particles_that_were_stopped_early(model, interrupt):
    call = {"num_particles": 3, "num_steps": 30, "chain_method": "sequential", "progress": False}
    whole = model.optimize.optax_adam(seed=0, **call)
    interrupt(1 + 30 + 1 + 12)  # the start of each particle is reported too
    with pytest.warns(UserWarning, match=r"12 to 30 of 30 steps of 2 of 3 particles\.$"):
        cut = model.optimize.optax_adam(seed=0, **call)
    assert cut.losses.shape == (2, 30)
    same(cut.losses[0], whole.losses[0])
    same(cut.losses[1, :12], whole.losses[1, :12])
    assert np.isnan(cut.losses[1, 12:]).all()
    same(first(cut.draws, [0], None), first(whole.draws, [0], None))


def test_a_fit_that_was_cut_is_left_out(model, interrupt):
    """Chain 1 is stopped while it is fitted: chain 0 has its draws and its losses."""
    call = {"num_chains": 2, "num_steps": 30, "num_draws": 10, "progress": False}
    call |= {"chain_method": "sequential"}
    whole = model.vi.blackjax_meanfield_vi(seed=0, **call)
    interrupt(30 + 10 + 15)
    with pytest.warns(UserWarning, match=r"Returning 10 of 10 draws of 1 of 2 chains\.$"):
        cut = model.vi.blackjax_meanfield_vi(seed=0, **call)
    same((cut.draws, cut.losses[:, None]), first((whole.draws, whole.losses[:, None]), [0], None))


def test_a_particle_without_patience_is_not_one_that_hardly_started(interrupt):
    """Particle 0 stops by itself after a few looks; particle 1 is interrupted much later."""
    x = np.linspace(-1, 1, 20)[:, None].astype(np.float32)
    model = cw.wrap(
        lambda p, x: x @ p["w"], x, x[:, 0], likelihood=cw.likelihoods.gaussian(0.1),
        example={"w": jnp.ones((1, 1))},
    )  # fmt: skip
    # The first starts at the best value for the held-out rows and only gets worse.
    init = {"w": jnp.array([[[3.0]], [[-30.0]]])}
    interrupt(1 + 5 + 1 + 100)
    with pytest.warns(UserWarning, match="of 2 of 2 particles"):
        cut = model.optimize.optax_adam(
            seed=0, num_particles=2, num_steps=200, chain_method="sequential", init=init,
            learning_rate=0.05, evaluate=(x, 3 * x[:, 0], 1), patience=4, progress=False,
        )  # fmt: skip
    assert cut.num_chains == 2
    assert np.isfinite(cut.losses[0]).sum() == 5 and np.isfinite(cut.losses[1]).sum() == 100


def test_a_slow_loader_is_not_waited_for(rows, monkeypatch, ctrl_c):
    """Ctrl-C while the run waits for a batch returns what was drawn."""
    monkeypatch.setattr(prefetch, "LONGEST", 1)  # one step in each chunk
    never, drawn, advance = threading.Event(), Counter(), Progress.advance
    come = threading.Event()
    batch = {name: np.asarray(leaf)[:10] for name, leaf in rows.data.items()}

    def loader():
        for _ in range(4 + 3):
            yield batch
        assert come.wait(PATIENCE)
        os.kill(os.getpid(), signal.SIGINT)
        never.wait(PATIENCE)
        raise AssertionError("The run waited for the loader.")

    def reported(self, steps, stats=None):
        advance(self, steps, stats)
        drawn["steps"] += steps
        if drawn["steps"] == 2 * (4 + 3):
            come.set()

    monkeypatch.setattr(Progress, "advance", reported)
    with pytest.warns(UserWarning, match=r"Returning 3 of 20 draws of 2 of 2 chains\.$"):
        post = rows.sgmcmc.blackjax_sgld(
            seed=0, batches=loader(), num_data=100, num_chains=2, num_warmup=4, num_draws=20,
            step_size=1e-4, progress=False,
        )  # fmt: skip
    never.set()
    assert post.num_draws == 3
