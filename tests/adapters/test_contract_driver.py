"""What the driver makes of every engine: pieces, thinning, and chains in any order."""

from __future__ import annotations

import numpy as np
import pytest
from support.contract import FITS, SAMPLERS, first, full, method, of_families, own, same, small_for

from crewel.core.options import settings_of
from crewel.run import blocks


@pytest.mark.once
@pytest.mark.parametrize("row", full(row for row in SAMPLERS + FITS if row.resumable))
def test_pieces_equal_the_whole(row, monkeypatch):
    model = small_for(row)
    whole = method(model, row)(seed=5, **own(row))
    monkeypatch.setattr(blocks, "CHUNK_SECONDS", 0.0)  # one draw per chunk
    pieces = method(model, row)(seed=5, **own(row))
    assert same((whole.draws, whole.stats), (pieces.draws, pieces.stats))
    assert same(whole.losses, pieces.losses)
    resumed = method(model, row)(seed=5, **own(row, num_draws=7)).extend(5, progress=False)
    assert same((whole.draws, whole.stats), (resumed.draws, resumed.stats))


@pytest.mark.once
@pytest.mark.parametrize("row", of_families(SAMPLERS))
def test_thinning_keeps_every_third(row):
    every = method(small_for(row), row)(seed=6, **own(row, num_draws=36, thinning=1))
    third = method(small_for(row), row)(seed=6, **own(row))
    np.testing.assert_allclose(
        first(every.draws)[:, 2::3], first(third.draws), rtol=1e-4, atol=1e-5
    )


@pytest.mark.once
@pytest.mark.parametrize(
    "row", of_families(r for r in SAMPLERS + FITS if "chain_method" in settings_of(r))
)
def test_chain_methods_agree(row):
    model = small_for(row)
    # Another program rounds differently, and the difference grows from step to step: few steps.
    call = own(row, num_warmup=2, num_steps=2, num_draws=1, thinning=1)
    parallel, sequential, vectorized = (
        method(model, row)(seed=9, chain_method=name, **call).draws
        for name in ("parallel", "sequential", "vectorized")
    )
    assert same(parallel, sequential)
    # Other chains would be off by a standard deviation, about one.
    np.testing.assert_allclose(first(vectorized), first(sequential), rtol=1e-2, atol=1e-3)
