"""Runs that are interrupted or fail."""

from __future__ import annotations

import jax
import numpy as np
import pytest
import support

from crewel.run import blocks
from crewel.run.progress import Progress

QUICK = {"num_chains": 3, "num_warmup": 10, "num_draws": 20, "progress": False}


@pytest.fixture(scope="module")
def model():
    return support.small()


def test_interrupt_returns_what_was_drawn(model, monkeypatch):
    monkeypatch.setattr(blocks, "CHUNK_SECONDS", 0.0)  # one step a chunk
    whole = model.mcmc.numpyro_nuts(seed=0, **QUICK)
    advance = Progress.advance
    calls = []

    def interrupted(self, steps, stats=None):
        advance(self, steps, stats)
        calls.append(steps)
        if len(calls) == 10 + 20 + 10 + 5:  # the second chain's fifth draw
            raise KeyboardInterrupt

    monkeypatch.setattr(Progress, "advance", interrupted)
    with pytest.warns(
        UserWarning, match="Returning 5 of 20 draws of 2 of 3 chains. Up to 15 further draws"
    ):
        cut = model.mcmc.numpyro_nuts(seed=0, chain_method="sequential", **QUICK)
    np.testing.assert_array_equal(cut.draws["rate"], whole.draws["rate"][:2, :5])
    assert all(value.shape == (2, 5) for value in cut.stats.values())
    monkeypatch.setattr(Progress, "advance", advance)
    on = cut.extend(10, progress=False)
    # Chain 0 had all of its 20 draws, and chain 1 goes on from its fifth: no draw is lost.
    np.testing.assert_array_equal(on.draws["rate"], whole.draws["rate"][:2, :15])
    np.testing.assert_array_equal(on.surplus.count, [5, 0])
    far = on.extend(20, progress=False)
    longer = whole.extend(15, progress=False)
    np.testing.assert_array_equal(far.draws["rate"], longer.draws["rate"][:2])
    jax.tree.map(np.testing.assert_array_equal, far.stats, cut_to(longer.stats, 2))
    assert far.surplus is None


def cut_to(stats, chains):
    return {name: leaf[:chains] for name, leaf in stats.items()}


def test_interrupt_before_any_draw_is_passed_on(model, monkeypatch):
    def interrupted(self, steps, stats=None):
        raise KeyboardInterrupt

    monkeypatch.setattr(Progress, "advance", interrupted)
    with pytest.raises(KeyboardInterrupt, match="nothing to return"):
        model.mcmc.numpyro_nuts(seed=0, chain_method="sequential", **QUICK)


def test_error_in_one_chain_stops_the_run(model, monkeypatch):
    def broken(self, *_):
        raise RuntimeError("disk full")

    monkeypatch.setattr(blocks.Run, "_draw", broken)
    with pytest.raises(RuntimeError, match="disk full"):
        model.mcmc.numpyro_nuts(seed=0, **QUICK)
