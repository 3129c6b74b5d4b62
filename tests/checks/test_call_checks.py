"""Checks of a call: keywords, memory, forecast, platform."""

from support.checks import GOOD, check

from crewel.checks import calls
from crewel.run import footprint


def test_unknown_keywords_and_needs():
    model = GOOD
    bad = check("keywords", model, "numpyro_nuts", max_tree_dept=5)
    assert bad.status == "failed" and "Did you mean `max_tree_depth`?" in bad.message
    assert check("keywords", model, "numpyro_nuts", max_tree_depth=5).status == "passed"


def test_memory_of_the_draws(monkeypatch):
    found = check("memory of draws", GOOD, "numpyro_nuts", num_chains=2, num_draws=500)
    assert found.status == "passed"
    assert found.details["bytes"] == 2 * 500 * 3 * 4
    assert found.message.startswith("2 chains × 500 draws × 12 B = 12 kB")
    monkeypatch.setattr(footprint, "free_memory", lambda: 12_000.0)
    found = check("memory of draws", GOOD, "numpyro_nuts", num_chains=2, num_draws=500)
    assert found.status == "failed" and "`thinning`" in found.message
    kept = {"num_chains": 2, "num_draws": 500, "collect": lambda p: p["w"][0]}
    assert check("memory of draws", GOOD, "numpyro_nuts", **kept).details["bytes"] == 4000


def test_forecast_counts_gradients(monkeypatch):
    monkeypatch.setattr(calls, "_seconds", lambda context, target: 0.31e-3)
    found = check("forecast", GOOD, "numpyro_nuts", num_chains=1)
    assert found.message == (
        "2,000 steps × up to 1,023 gradients × 0.31 ms = up to 11 min per chain, excluding "
        "compilation."
    )
    adam = check("forecast", GOOD, "optax_adam", num_particles=1, num_steps=2000)
    assert adam.message.startswith("2,000 steps × 1 gradient × 0.31 ms = 620 ms per particle")
    hmc = check("forecast", GOOD, "numpyro_hmc", num_chains=1)
    assert "at least 1 gradient" in hmc.message and "at least" in hmc.message
    fixed = check("forecast", GOOD, "blackjax_hmc", num_chains=1, num_integration_steps=5)
    assert "2,000 steps × 5 gradients" in fixed.message
    thinned = check("forecast", GOOD, "blackjax_mclmc", num_chains=1, num_draws=10, thinning=3)
    assert "1,030 steps × 2 gradients" in thinned.message
    monkeypatch.setattr(calls, "_seconds", lambda context, target: 1.0)
    found = check("forecast", GOOD, "numpyro_nuts", num_chains=1)
    assert found.status == "warned" and "Use fewer steps" in found.message


def test_forecast_measures():
    found = check("forecast", GOOD, "numpyro_nuts")
    assert 0 < found.details["gradient_seconds"] < 0.1


def test_chains_and_cores(monkeypatch):
    monkeypatch.setattr("crewel.run.placement.cores", lambda: 4)
    assert check("chains", GOOD, "numpyro_nuts", num_chains=4).status == "passed"
    found = check("chains", GOOD, "numpyro_nuts", num_chains=5)
    assert found.status == "warned"
    assert "5 chains on 4 cores take 2 rounds" in found.message
    assert "3 cores will be idle in the last" in found.message
    monkeypatch.setattr("jax.local_device_count", lambda: 3)
    found = check("chains", GOOD, "numpyro_nuts", num_chains=5)
    assert found.status == "warned" and "do not divide evenly over 3 devices" in found.message


def test_platform_that_one_did_not_think_of():
    found = calls._platform("cpu", ["/dev/nvidia0"], 1)
    assert found.status == "warned" and "/dev/nvidia0" in found.message
    assert calls._platform("gpu", ["/dev/nvidia0"], 1).status == "passed"
    assert calls._platform("cpu", [], 1).status == "passed"
