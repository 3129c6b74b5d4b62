"""Diagnostics of predictions: chains that agree, disagree, drift, died or are too few."""

import numpy as np
import pytest
from scipy.stats import norm, rankdata

from crewel.posterior import function_report
from crewel.posterior import function_space as fs


def noise(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def autoregressive(rho, *shape, seed=0):
    """AR(1) along axis 1 with unit variance; its ESS is (1 - rho)/(1 + rho) of the draws."""
    steps = noise(*shape, seed=seed)
    for t in range(1, shape[1]):
        steps[:, t] = rho * steps[:, t - 1] + np.sqrt(1 - rho**2) * steps[:, t]
    return steps


def test_rhat_names_the_inputs_where_chains_differ():
    f = noise(4, 500, 6)
    assert fs.function_rhat(f).max() < 1.01
    f[2, :, [1, 4]] += 3.0
    np.testing.assert_array_equal(fs.function_rhat(f) > 1.1, [0, 1, 0, 0, 1, 0])


def test_rhat_is_the_published_formula():
    def classic(pieces):  # Vehtari et al. 2021, equations 1 to 4; pieces of shape (2 C, D / 2)
        size = pieces.shape[1]
        within, between = pieces.var(axis=1, ddof=1).mean(), pieces.mean(axis=1).var(ddof=1)
        return np.sqrt((size - 1) / size + between / within)

    def ranked(values):
        return norm.ppf((rankdata(values).reshape(values.shape) - 0.375) / (values.size + 0.25))

    f = noise(3, 50, 2)
    f[1, :, 0] += 1.0  # another mean
    f[1, :, 1] *= 3.0  # another spread
    for m in range(2):
        pieces = f[:, :, m].reshape(6, 25)
        folded = np.abs(pieces - np.median(pieces))
        expected = max(classic(ranked(pieces)), classic(ranked(folded)))
        assert fs.function_rhat(f)[m] == pytest.approx(expected, rel=1e-6)


def test_swapping_hidden_units_leaves_function_rhat_good():
    # tanh network with two units; half the chains have the units exchanged.
    w, b = noise(4, 400, 2) * 0.1 + [3.0, -1.0], noise(4, 400, 2, seed=1) * 0.1
    w[2:] = w[2:, :, ::-1]
    b[2:] = b[2:, :, ::-1]
    x = np.linspace(-1, 1, 5)
    f = np.tanh(w[..., None] * x + b[..., None]).sum(axis=2)
    assert fs.function_rhat(w).min() > 1.5
    assert fs.function_rhat(f).max() < 1.02


def test_ess_and_mcse_of_an_autoregressive_chain():
    rho, total = 0.8, 4 * 5000
    f = autoregressive(rho, 4, 5000, 3)
    expected = total * (1 - rho) / (1 + rho)
    np.testing.assert_allclose(fs.function_ess(f), expected, rtol=0.15)
    np.testing.assert_allclose(fs.function_mcse(f), 1 / np.sqrt(expected), rtol=0.1)


def test_within_chain_rhat_sees_drift_but_not_modes():
    f = noise(3, 1000, 2)
    f[1] += 10.0
    f[2] += np.linspace(0, 5, 1000)[:, None]
    within = fs.within_chain_rhat(f)
    assert within.shape == (3, 2)
    assert within[:2].max() < 1.05
    assert within[2].min() > 1.3


def test_report_holds_the_single_statistics():
    f = noise(4, 200, 5)
    r = function_report.report(f)
    np.testing.assert_array_equal(r.rhat, fs.function_rhat(f))
    np.testing.assert_array_equal(r.within_rhat, fs.within_chain_rhat(f))
    np.testing.assert_array_equal(r.ess, fs.function_ess(f))
    np.testing.assert_array_equal(r.mcse, fs.function_mcse(f))
    np.testing.assert_allclose(r.sd, f.std(axis=(0, 1)))
    assert (r.num_chains, r.num_draws, r.chain_lppd, r.dead_chains) == (4, 200, None, ())


def test_verdict_of_good_chains():
    verdict = function_report.report(noise(4, 1000, 20)).verdict
    fine = "no problem found: R-hat at most 1.01, ESS at least 400, at 20 of 20 predictions"
    assert verdict == fine


def test_verdict_of_steady_chains_in_different_modes():
    f = noise(4, 1000, 20)
    f[3, :, :7] += 3.0
    verdict = function_report.report(f).verdict
    assert verdict.startswith("R-hat above 1.01 at 7 of 20 predictions: chains disagree")
    assert "each steady in its own mode" in verdict
    assert "run longer" not in verdict  # that would not help


def test_verdict_of_drifting_chains():
    slope = np.array([1, 2, 3, 4])[:, None, None]
    f = noise(4, 1000, 20) + slope * np.linspace(0, 4, 1000)[:, None]
    verdict = function_report.report(f).verdict
    assert "at 20 of 20 predictions: chains disagree; run longer" in verdict
    assert "steady" not in verdict


def test_verdict_of_slow_chains():
    f = np.repeat(noise(4, 50, 3), 20, axis=1)  # every draw 20 times
    f -= f.mean(axis=1, keepdims=True)  # chains agree
    r = function_report.report(f)
    assert r.rhat.max() < 1.1
    assert (r.ess < 400).all()
    assert "run longer" in r.verdict
    assert "steady" not in r.verdict


def test_dead_chain_and_lppd_table_by_hand():
    f = noise(3, 100, 2)
    density = np.array([0.5, 0.1, 0.3])  # chain 1 is worse than the constant predictor's 0.2
    log_likelihood = np.broadcast_to(np.log(density)[:, None, None], (3, 100, 4))
    r = function_report.report(f, log_likelihood, np.log(0.2))
    np.testing.assert_allclose(r.chain_lppd, np.log(density))
    np.testing.assert_allclose(r.cumulative_lppd, np.log([0.5, 0.3, 0.3]))
    assert r.dead_chains == (1,)
    assert "chain 1 is no better than a constant predictor" in r.verdict
    (line,) = [line for line in repr(r).splitlines() if line.endswith("dead")]
    assert line.split() == ["1", "-2.303", "-1.099", "-1.204", "dead"]


def test_baseline_per_row_is_averaged_and_a_tie_is_dead():
    log_likelihood = np.full((2, 8, 2), -1.0)
    log_likelihood[1] = -2.0
    baseline = [-1.0, -3.0]
    r = function_report.report(noise(2, 8, 1), log_likelihood, baseline)
    assert (r.baseline_lppd, r.dead_chains) == (-2.0, (1,))
    r = function_report.report(noise(2, 8, 1), log_likelihood, 3.0)
    assert r.dead_chains == (0, 1)
    assert "all 2 chains are no better" in r.verdict


def test_a_chain_that_broke_is_named_and_spoils_no_other_number():
    f, log_likelihood = noise(4, 100, 3), np.zeros((4, 100, 5))
    f[2, 50:], log_likelihood[2, 50:] = np.nan, np.nan
    r = function_report.report(f, log_likelihood, -1.0)
    assert (r.non_finite_chains, r.dead_chains) == ((2,), (2,))
    assert r.verdict.startswith("chain 2 has predictions that are not finite")
    np.testing.assert_array_equal(r.chain_lppd, [0, 0, np.nan, 0])
    assert "nan" in repr(r)


def test_one_chain_says_that_rhat_is_missing_and_still_sees_drift():
    f = noise(1, 1000, 4)
    steady = function_report.report(f)
    assert np.isnan(steady.rhat).all()
    assert "R-hat between chains: it needs at least 2 chains, there is 1" in steady.missing
    assert steady.verdict.startswith("no problem found, but R-hat is not defined")
    assert (
        "chain 0 still drifts"
        in function_report.report(f + np.linspace(0, 9, 1000)[:, None]).verdict
    )


@pytest.mark.parametrize("num_draws", [1, 2, 3, 4, 7])
def test_few_draws_say_what_is_missing(num_draws):
    r = function_report.report(noise(3, num_draws, 2), np.zeros((3, num_draws, 5)))
    text = " | ".join(r.missing)
    assert ("R-hat, ESS, MCSE" in text) == (num_draws < 4) == bool(np.isnan(r.rhat).all())
    assert "R-hat within a chain" in text and np.isnan(r.within_rhat).all()
    assert "steady" not in r.verdict  # nobody knows
    assert "Not computed: R-hat within a chain" in repr(r)


def test_an_input_that_no_draw_changes_is_counted_not_judged():
    f = noise(4, 1000, 3)
    f[..., 1] = 7.0
    r = function_report.report(f)
    assert "R-hat at 1 of 3 predictions: the prediction never changes" in r.missing
    assert r.verdict.endswith("at 2 of 3 predictions")


def test_printed_table_gives_the_worst_input():
    f = noise(4, 500, 8)
    f[0, :, 5] += 4.0
    r = function_report.report(f)
    lines = {line[:24].strip(): line[24:].split() for line in repr(r).splitlines()}
    assert lines["R-hat"][2:] == [f"{r.rhat[5]:.3f}", "5"]
    assert lines["ESS, bulk"][2:] == [f"{r.ess[5]:.0f}", "5"]
    assert repr(r).splitlines()[0] == "8 predictions, 4 chains of 500 draws"
    assert repr(r).splitlines()[-1] == f"Verdict: {r.verdict}"


def test_long_lists_of_chains_are_cut():
    r = function_report.report(noise(20, 10, 1), np.zeros((20, 10, 2)), np.array(0.0))
    assert "and 8 more in `.chain_lppd`" in repr(r)
    log_likelihood = np.zeros((20, 10, 2))
    log_likelihood[0] = 1.0
    verdict = function_report.report(noise(20, 10, 1), log_likelihood, 0.5).verdict
    assert "chains 1, 2, 3, 4, 5, 6 and 13 more are no better" in verdict


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((np.zeros((4, 10)),), ["`f`", "(4, 10)", "reshape"]),
        ((np.zeros((4, 10, 3, 2)),), ["(4, 10, 3, 2)", "reshape"]),
        ((np.zeros((4, 10, 0)),), ["(4, 10, 0)", "empty"]),
        ((noise(4, 10, 3), np.zeros((3, 10, 5))), ["(3, 10, 5)", "(4, 10, 3)"]),
        ((noise(4, 10, 3), np.zeros((4, 10, 5)), np.zeros(4)), ["(4,)", "(4, 10, 5)"]),
        ((noise(4, 10, 3), None, 0.0), ["without `log_likelihood`"]),
    ],
)
def test_wrong_shapes_are_refused_in_words(arguments, words):
    with pytest.raises(ValueError) as caught:
        function_report.report(*arguments)
    assert [word for word in words if word not in str(caught.value)] == []
