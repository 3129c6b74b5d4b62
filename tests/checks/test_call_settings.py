"""The check `keywords` fails where the run would raise, and says the same."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

import crewel as cw

X = np.random.default_rng(0).normal(size=(40, 2)).astype(np.float32)
Y = (X @ [1.0, -1.0]).astype(np.float32)
BATCH = {"x": X[:10], "y": Y[:10]}


@pytest.fixture(scope="module")
def model():
    return cw.wrap(
        lambda p, x: x @ p["w"], X, Y, likelihood=cw.likelihoods.gaussian(1.0),
        example={"w": jnp.zeros(2)},
    )  # fmt: skip


CALLS = {
    "patience alone": ("optimize", "optax_adam", {"patience": 5}, "`patience` needs `evaluate="),
    "no pair": ("sgmcmc", "blackjax_sgld", {"evaluate": X}, "`evaluate` must be"),
    "one of three": ("sgmcmc", "blackjax_sgld", {"evaluate": (X,)}, "`evaluate` must be"),
    "every": ("sgmcmc", "blackjax_sgld", {"evaluate": (X, Y, 0)}, "`every` of `evaluate`"),
    "rarely": (
        "sgmcmc", "blackjax_sgld", {"evaluate": (X, Y, 500), "num_draws": 100}, "every 500 draws",
    ),
    "rows": ("sgmcmc", "blackjax_sgld", {"evaluate": (X, Y[:3])}, "same number of rows"),
    "axes": ("sgmcmc", "blackjax_sgld", {"evaluate": (X, Y[:, None])}, "as many axes"),
    "num_data": ("sgmcmc", "blackjax_sgld", {"batches": [BATCH]}, "`batches` needs `num_data`"),
    "batches": (
        "sgmcmc", "blackjax_sgld", {"batches": 3, "num_data": 40}, "`batches` must be an iterable",
    ),
    "another batch": (
        "sgmcmc", "blackjax_sgld", {"batches": [{"x": X[:10]}], "num_data": 40}, "has leaves",
    ),
    "count": ("mcmc", "numpyro_nuts", {"num_draws": 0}, "`num_draws` must be an integer"),
    "size": ("sgmcmc", "blackjax_sgld", {"batch_size": 50}, "`batch_size` is 50"),
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
def test_the_check_says_what_the_run_raises(model, name):
    family, row, call, text = CALLS[name]
    method = getattr(getattr(model, family), row)
    with pytest.raises((TypeError, ValueError)) as raised:
        method(seed=0, progress=False, **call)
    assert text in str(raised.value)
    report = method.debug(seed=0, verbosity=0, kwargs=call)
    assert not report
    assert report["keywords"].status == "failed"
    assert report["keywords"].message == str(raised.value)


def test_a_call_that_runs_passes(model):
    report = model.optimize.optax_adam.debug(
        seed=0, verbosity=0, kwargs={"patience": 5, "evaluate": (X, Y, 2), "num_steps": 20}
    )
    assert report["keywords"].status == "passed"
