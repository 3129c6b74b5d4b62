"""What is compiled again, and what is not."""

from __future__ import annotations

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import support
from support import counting

import crewel as cw
from crewel.core import compiling

QUICK = {"num_chains": 3, "num_warmup": 10, "num_draws": 20, "progress": False}


@pytest.fixture(scope="module", autouse=True)
def _cold():
    """What other tests compiled is forgotten: here it is counted."""
    compiling.forget()


@pytest.fixture(scope="module")
def model():
    return support.small()


def linear(params, data):
    return -jnp.sum((data["y"] - data["x"] * params) ** 2)


def with_data(seed, rows=30):
    x, y = np.random.default_rng(seed).normal(size=(2, rows)).astype("float32")
    return cw.Model(linear, 0.0, data={"x": x, "y": y})


def test_new_data_of_the_same_shape_compiles_nothing():
    first = with_data(0).mcmc.numpyro_nuts(seed=0, **QUICK)
    with counting() as counts:
        second = with_data(1).mcmc.numpyro_nuts(seed=0, **QUICK)
    # Building a `Model` runs a few small operations; the programs of the run are all reused.
    assert counts["compile"] == 0
    assert not np.array_equal(first.draws, second.draws)
    with counting() as counts:
        with_data(1, rows=31).mcmc.numpyro_nuts(seed=0, **QUICK)
    assert counts["compile"] > 0


def test_what_has_not_changed_is_not_compiled_again(model):
    call = QUICK | {"num_warmup": 30, "num_draws": 20}
    model.mcmc.numpyro_nuts(seed=0, **call)
    for change, compiled in (
        ({"num_draws": 60}, 0),  # fits the same buffer
        ({"num_draws": 200}, 1),  # the draws
        ({"thinning": 2}, 1),
        ({"num_warmup": 40}, 2),  # its start and its steps
    ):
        with counting() as counts:
            model.mcmc.numpyro_nuts(seed=1, **call | change)
        assert counts["compile"] == compiled, change


def test_array_options_are_arguments(model):
    metric = {"inverse_mass_matrix": jnp.ones(3), "adapt_mass_matrix": False}
    model.mcmc.numpyro_nuts(seed=0, **QUICK, **metric)
    metric["inverse_mass_matrix"] = jnp.array([1.0, 2.0, 3.0])
    with counting() as counts:
        model.mcmc.numpyro_nuts(seed=0, **QUICK, **metric)
    assert counts == {"trace": 0, "compile": 0}


def test_a_crowded_process_forgets(model, monkeypatch):
    """Long before Linux's limit of memory maps, at which XLA would abort the process."""
    if not Path("/proc/self/maps").exists():
        pytest.skip("This system has no such limit.")
    before = model.mcmc.numpyro_nuts(seed=0, **QUICK)
    monkeypatch.setattr(compiling, "CROWDED", 0.0)
    with counting() as counts:
        after = model.mcmc.numpyro_nuts(seed=0, **QUICK)
    assert counts["compile"] >= 3
    jax.tree.map(np.testing.assert_array_equal, before.draws, after.draws)
    monkeypatch.undo()
    with counting() as counts:
        model.mcmc.numpyro_nuts(seed=0, **QUICK)
    assert counts["compile"] == 0


def test_loops_are_not_split_over_threads_while_chains_are():
    options = compiling.run_options(jnp.zeros(3), busy=False)
    if not compiling.UNSPLIT:  # this version of JAX does not split them, or cannot be told
        assert options == ()
        return
    assert options == compiling.run_options(jnp.zeros(2_000_000), busy=True) == compiling.UNSPLIT
    assert compiling.run_options(jnp.zeros(2_000_000), busy=False) == ()

    def noise(static, key):
        return jax.random.normal(key, (50_000,))

    made = compiling.program(noise, None, jax.random.key(0), options=options)
    made.compile()
    assert made._executable is not None
    assert 'outer_dimension_partitions":["' not in made._executable.as_text()
