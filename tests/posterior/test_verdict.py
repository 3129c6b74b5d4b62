"""Verdicts: each fault is found where it is, and named, and good runs pass."""

from __future__ import annotations

import threading
import warnings

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from support import counting

import crewel as cw
from crewel.posterior import evidence, verdict

QUICK = {"num_chains": 4, "num_warmup": 500, "num_draws": 500, "progress": False}


@pytest.fixture(autouse=True)
def _verdicts(_no_verdicts):
    with cw.settings(verdict="warn"):
        yield


def normal(x):
    return -0.5 * jnp.sum(x**2)


def funnel(p):
    """Neal's funnel, in which every sampler of one step size diverges."""
    scale = jnp.exp(p["v"] / 2)
    return dist.Normal(0, 3).log_prob(p["v"]) + dist.Normal(0, scale).log_prob(p["x"]).sum()


def beyond_a_line(x):
    """A normal density that is NaN right of 1."""
    return jnp.where(x[0] > 1.0, jnp.nan, normal(x))


def faults(run):
    """The names of the faults, which the one warning of the run must say in full."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        post = run()
    told = [w for w in caught if issubclass(w.category, cw.InferenceWarning)]
    assert len(told) == (not post.verdict)
    for fault in post.verdict.faults:
        assert fault.message in str(told[0].message) and told[0].filename == __file__
        assert fault.name in repr(post)
    return {fault.name for fault in post.verdict.faults}, post


def test_a_good_run_passes():
    model = cw.Model(normal, jnp.zeros(5))
    found, post = faults(lambda: model.mcmc.numpyro_nuts(seed=0, **QUICK))
    assert found == set() and post.verdict
    assert set(post.verdict.looked_at) >= {
        "finite draws", "moving chains", "divergences", "tree depth", "acceptance", "R-hat", "ESS",
    }  # fmt: skip
    assert "verdict: no fault found" in repr(post)


def test_divergences_are_counted():
    model = cw.Model(funnel, {"v": jnp.zeros(()), "x": jnp.zeros(9)})
    found, post = faults(lambda: model.mcmc.numpyro_nuts(seed=0, **QUICK))
    number = int(post.stats["diverging"].sum())
    assert number > 0 and "divergences" in found
    assert f"{number:,} of 2,000 draws" in post.verdict["divergences"].message
    report = post.report()
    assert report.verdict.startswith(f"{number:,} of 2,000 draws") and report.rhat.shape == (10,)


def test_chains_in_separate_modes_disagree():
    def two(x):
        return jnp.logaddexp(-0.5 * (x - 10) ** 2, -0.5 * (x + 10) ** 2)

    model = cw.Model(two, 0.0)
    init = jnp.array([-10.0, -10.0, 10.0, 10.0])
    found, post = faults(lambda: model.mcmc.numpyro_nuts(seed=0, init=init, **QUICK))
    assert found == {"R-hat", "ESS"}
    assert "a mode of its own" in post.verdict["R-hat"].message


def test_frozen_chains_are_named():
    """MCLMC's tuner ends with a step size of zero where the density is NaN beyond a line."""
    model = cw.Model(beyond_a_line, jnp.zeros(2))
    init = jnp.full((4, 2), 0.9)
    found, post = faults(lambda: model.mcmc.blackjax_mclmc(seed=0, init=init, **QUICK))
    still = (np.diff(post.draws, axis=1) == 0).all(-1).mean(1) > 0.98
    assert still.any() and "moving chains" in found
    which = [str(chain) for chain in np.flatnonzero(still)]
    message = post.verdict["moving chains"].message
    assert "All 4 chains" in message if still.all() else all(c in message for c in which)


def test_non_finite_particles_are_named():
    model = cw.Model(normal, jnp.ones(2))
    found, post = faults(
        lambda: model.optimize.optax_sgd(
            seed=0, num_particles=2, num_steps=200, learning_rate=1e9, progress=False
        )
    )
    assert not np.isfinite(post.draws).all() and "finite draws" in found
    assert "learning rate" in post.verdict["finite draws"].message


def test_a_loss_that_still_falls():
    model = cw.Model(normal, 100.0)
    fit = model.optimize.optax_adam
    found, _ = faults(
        lambda: fit(
            seed=0, num_particles=2, num_steps=200, learning_rate=0.01, init=100.0, progress=False
        )
    )
    assert found == {"losses"}
    found, _ = faults(
        lambda: fit(
            seed=0, num_particles=2, num_steps=500, learning_rate=0.5, init=10.0, progress=False
        )
    )
    assert found == set()


def test_a_fit_far_from_the_posterior_has_a_high_pareto_k():
    def banana(x):
        return -0.5 * (x[0] ** 2 / 9 + (x[1] - x[0] ** 2) ** 2 / 0.1)

    model = cw.Model(banana, jnp.zeros(2))
    found, post = faults(
        lambda: model.vi.blackjax_meanfield_vi(
            seed=0, num_steps=2000, num_draws=1000, progress=False
        )
    )
    assert "Pareto k" in found and "MCMC" in post.verdict["Pareto k"].message


def test_a_good_fit_has_a_low_pareto_k():
    model = cw.Model(normal, jnp.zeros(3))
    found, post = faults(lambda: model.vi.blackjax_fullrank_vi(seed=0, progress=False))
    assert "Pareto k" not in found and "Pareto k" in post.verdict.looked_at


def test_members_no_better_than_a_constant_are_dead():
    x, y = _line()
    model = cw.wrap(
        lambda p, x: x @ p["w"], x, y,
        prior=dist.Normal(0, 1), likelihood=lambda out, p: dist.Normal(out[:, 0], 0.1),
        example={"w": jnp.zeros((1, 1))},
    )  # fmt: skip
    found, post = faults(
        lambda: model.optimize.optax_adam(
            seed=0, num_particles=3, num_steps=20, learning_rate=1e-5, progress=False
        )
    )
    assert "constant predictor" in found
    assert "nats per row against" in post.verdict["constant predictor"].message
    found, _ = faults(
        lambda: model.optimize.optax_adam(
            seed=0, num_particles=3, num_steps=500, learning_rate=0.05, progress=False
        )
    )
    assert "constant predictor" not in found


def _line():
    x = np.linspace(-1, 1, 40, dtype=np.float32)[:, None]
    return x, 2 * x[:, 0] + 0.3 * np.random.default_rng(0).normal(size=40).astype(np.float32)


def test_settings_choose_between_warning_error_and_nothing():
    model = cw.Model(funnel, {"v": jnp.zeros(()), "x": jnp.zeros(9)})

    def run():
        return model.mcmc.numpyro_nuts(seed=0, **QUICK)

    with cw.settings(verdict="error"), pytest.raises(cw.InferenceError, match="diverged") as caught:
        run()
    assert caught.value.posterior.num_draws == 500
    with cw.settings(verdict="off"), warnings.catch_warnings():
        warnings.simplefilter("error", cw.InferenceWarning)
        post = run()
    assert post.verdict.looked_at == () and "verdict" not in repr(post)
    np.testing.assert_array_equal(post.draws["v"], caught.value.posterior.draws["v"])
    with pytest.raises(ValueError, match="`verdict` must be one of 'warn', 'error', 'off'"):
        cw.settings(verdict="loud")
    with pytest.raises(TypeError, match="no setting `verdikt`"):
        cw.settings(verdikt="warn")


def test_extend_is_judged_as_a_whole():
    model = cw.Model(normal, jnp.zeros(2))
    call = QUICK | {"num_draws": 40}
    found, short = faults(lambda: model.mcmc.numpyro_nuts(seed=0, **call))
    _, longer = faults(lambda: short.extend(960, progress=False))
    assert longer.verdict and "ESS" in longer.verdict.looked_at
    assert "ESS" not in short.verdict.looked_at


def test_a_second_verdict_compiles_nothing():
    x, y = _line()
    model = cw.wrap(
        lambda p, x: x @ p["w"], x, y, likelihood="gaussian", example={"w": jnp.zeros((1, 1))}
    )
    model.mcmc.numpyro_nuts(seed=0, **QUICK)
    with counting() as counts:
        model.mcmc.numpyro_nuts(seed=1, **QUICK)
    assert counts == {"trace": 0, "compile": 0}


def test_what_a_verdict_needs_is_compiled_during_the_run():
    x, y = _line()
    model = cw.wrap(
        lambda p, x: jnp.tanh(x @ p["w"]), x, y, likelihood="gaussian",
        example={"w": jnp.zeros((1, 1))},
    )  # fmt: skip
    with cw.settings(verdict="off"):
        post = model.mcmc.numpyro_nuts(seed=0, **QUICK)
        verdict.judge(cw.Model(normal, jnp.zeros(2)).mcmc.numpyro_nuts(seed=0, **QUICK))
    before = set(threading.enumerate())
    evidence.prepare(model, post.call)
    for thread in set(threading.enumerate()) - before:
        thread.join()
    with counting() as counts:
        found = verdict.judge(post)
    assert counts["compile"] == 0 and "constant predictor" in found.looked_at


@pytest.mark.parametrize("trouble", [RuntimeError, KeyboardInterrupt])
def test_nothing_is_lost_when_a_rule_fails(monkeypatch, trouble):
    def broken(ev):
        raise trouble

    monkeypatch.setattr(verdict, "RULES", (verdict.Rule("broken", broken),))
    post = cw.Model(normal, jnp.zeros(2)).mcmc.numpyro_nuts(seed=0, **QUICK)
    assert post.num_draws == 500 and post.verdict.looked_at == ()


def test_statistics_are_arvizs():
    """The two estimators of ESS end the sum of autocorrelations a lag or two apart."""
    from arviz_stats.base import array_stats

    rng = np.random.default_rng(0)
    x = rng.normal(size=(4, 250, 3)).cumsum(1) * 0.05 + rng.normal(size=(4, 250, 3))
    x[:, :, 2] = x[:, :, 2].round(1)  # ties
    for index in range(3):
        one = x[:, :, index]
        np.testing.assert_allclose(
            evidence.rhat(x)[index], array_stats.rhat(one, chain_axis=0, draw_axis=1), rtol=1e-6
        )
        np.testing.assert_allclose(
            evidence.ess(x)[index], array_stats.ess(one, chain_axis=0, draw_axis=1), rtol=0.05
        )


def test_places_are_spread_in_every_beginning():
    places = evidence._spread(np.arange(200))
    assert sorted(places) == list(range(200))
    for count in (4, 16, 64):
        assert np.diff(np.sort(places[:count])).max() <= 2 * 256 / count


@pytest.mark.parametrize("num_draws", [20, 100])
def test_chance_exceeds_its_limit_of_rhat_as_rarely_as_it_says(num_draws):
    """Independent draws: the worst of ten values is above the limit in a thousandth of the runs."""
    rng = np.random.default_rng(0)
    limit = evidence.rhat_of_chance(4, num_draws, 10)
    runs = 400
    found = evidence.rhat(rng.normal(size=(4, num_draws, 10 * runs))).reshape(runs, 10)
    exceeded = (found.max(1) > limit).sum()
    assert exceeded <= 4  # of 0.4 expected: five standard deviations
    # It is not far above what chance gives: the usual limit would be exceeded nearly always.
    assert (found.max(1) > 1.01).mean() > 0.5 and np.quantile(found.max(1), 0.99) > 0.9 * limit
