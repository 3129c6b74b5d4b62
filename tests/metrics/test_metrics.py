"""Scores against closed forms and cases worked out by hand."""

import numpy as np
import pytest
from scipy.stats import norm

from crewel import metrics

LN2 = np.log(2)


def test_lppd_of_a_gaussian_predictive_matches_the_closed_form():
    # theta ~ N(0, 1), y | theta ~ N(theta, 0.5^2): the predictive is N(0, 1 + 0.25).
    theta = np.random.default_rng(0).normal(size=(4, 5000, 1))
    y = np.array([-2.0, 0.0, 1.0])
    expected = norm.logpdf(y, 0, np.sqrt(1.25)).mean()
    assert metrics.lppd(norm.logpdf(y, theta, 0.5)) == pytest.approx(expected, abs=0.02)


def test_lppd_pools_densities_not_logs():
    density = np.array([[[0.1, 0.2]], [[0.3, 0.6]]])
    expected = (np.log(0.2) + np.log(0.4)) / 2
    assert metrics.lppd(np.log(density)) == pytest.approx(expected, rel=1e-12)


def test_lppd_survives_underflow_and_keeps_float32_input_exact():
    assert metrics.lppd(np.full((2, 3, 4), -1e5, np.float32)) == pytest.approx(-1e5, rel=1e-12)
    impossible = np.full((1, 2, 2), -np.inf)
    impossible[..., 0] = 0.0
    assert metrics.lppd(impossible) == -np.inf


def test_blocks_of_rows_change_no_score(monkeypatch):
    rng = np.random.default_rng(1)
    y_draws, y = rng.normal(size=(2, 5, 7, 2)), rng.normal(size=(7, 2))
    log_likelihood = rng.normal(size=(2, 5, 7))
    probability_draws = rng.dirichlet(np.ones(3), size=(2, 5, 7))

    def scores():
        return {
            "lppd": metrics.lppd(log_likelihood),
            "cumulative": metrics.cumulative_lppd(log_likelihood, over="draw"),
            "crps": metrics.crps(y_draws, y),
            "coverage": metrics.coverage(y_draws, y, 0.5),
            "width": metrics.interval_width(y_draws, 0.5),
            "entropy": metrics.uncertainty(probability_draws)["epistemic"],
            "variance": metrics.variance_split(y_draws, y_draws**2)["total"],
        }

    whole = scores()
    monkeypatch.setattr(metrics.arrays, "BLOCK", 21)  # one or two rows at a time
    for name, score in scores().items():
        np.testing.assert_allclose(score, whole[name], rtol=1e-12, err_msg=name)


@pytest.mark.parametrize("over", ["chain", "draw"])
def test_cumulative_lppd_is_the_lppd_of_each_prefix(over):
    values = np.random.default_rng(2).normal(size=(3, 4, 5))
    values[0, :, 0] = -np.inf  # the first chain finds row 0 impossible
    prefixes = (
        [values[: i + 1] for i in range(3)]
        if over == "chain"
        else [values[:, : i + 1] for i in range(4)]
    )
    expected = [metrics.lppd(prefix) for prefix in prefixes]
    np.testing.assert_allclose(metrics.cumulative_lppd(values, over), expected, rtol=1e-12)


def test_rmse_averages_over_rows_and_outputs():
    assert metrics.rmse([[1.0, 2.0], [3.0, 4.0]], [[1.0, 2.0], [3.0, 0.0]]) == 2.0


@pytest.mark.parametrize("level", [0.5, 0.9])
def test_coverage_of_calibrated_draws_is_the_level(level):
    rng = np.random.default_rng(3)
    center = rng.normal(size=2000)
    y_draws = center + rng.normal(size=(2, 500, 2000))
    y = center + rng.normal(size=2000)
    sd = np.sqrt(level * (1 - level) / 2000)
    assert abs(metrics.coverage(y_draws, y, level) - level) < 3 * sd
    width = 2 * norm.ppf((1 + level) / 2)
    assert metrics.interval_width(y_draws, level) == pytest.approx(width, rel=0.01)


def test_coverage_counts_every_output():
    y_draws = np.tile(np.linspace(-1, 1, 101)[None, :, None, None], (1, 1, 2, 2))
    assert metrics.coverage(y_draws, [[0.0, 5.0], [0.0, 0.0]]) == 0.75


def test_crps_of_a_gaussian_matches_the_closed_form():
    y = np.array([-1.0, 0.3, 2.0])
    closed = y * (2 * norm.cdf(y) - 1) + 2 * norm.pdf(y) - 1 / np.sqrt(np.pi)
    y_draws = np.random.default_rng(4).normal(size=(4, 10_000, 3))
    assert metrics.crps(y_draws, y) == pytest.approx(closed.mean(), abs=0.01)


def test_crps_is_unbiased_for_two_draws_and_equals_the_double_sum():
    rng = np.random.default_rng(5)
    pairs = rng.normal(size=(1, 2, 100_000))  # the biased estimator gives 0.516, the fair one 0.234
    closed = 2 * norm.pdf(0.0) - 1 / np.sqrt(np.pi)
    assert metrics.crps(pairs, np.zeros(100_000)) == pytest.approx(closed, abs=0.01)
    few, y = rng.normal(size=(2, 3, 1)), 0.4
    flat = few.ravel()
    spread = np.abs(flat[:, None] - flat).sum() / (2 * 6 * 5)
    assert metrics.crps(few, [y]) == pytest.approx(np.abs(flat - y).mean() - spread, rel=1e-12)


def test_accuracy_and_brier_by_hand():
    probabilities = [[0.7, 0.2, 0.1], [0.1, 0.3, 0.6]]
    y = [0, 1]
    assert metrics.accuracy(probabilities, y) == 0.5
    first, second = 0.3**2 + 0.2**2 + 0.1**2, 0.1**2 + 0.7**2 + 0.6**2
    assert metrics.brier(probabilities, y) == pytest.approx((first + second) / 2, rel=1e-12)


def test_brier_goes_from_0_to_2():
    assert metrics.brier(np.eye(3), [0, 1, 2]) == 0.0
    assert metrics.brier(np.eye(3), [1, 2, 0]) == 2.0


def test_reliability_and_ece_by_hand():
    top = np.array([0.6, 0.65, 0.9, 0.95])  # bins (0.5, 0.75] and (0.75, 1] of four
    probabilities = np.stack([top, 1 - top], axis=1)
    y = [0, 1, 0, 0]  # right, wrong, right, right
    curve = metrics.reliability_curve(probabilities, y, 4)
    np.testing.assert_array_equal(curve.num_rows, [0, 0, 2, 2])
    np.testing.assert_allclose(curve.confidence, [np.nan, np.nan, 0.625, 0.925])
    np.testing.assert_allclose(curve.accuracy, [np.nan, np.nan, 0.5, 1.0])
    assert metrics.ece(probabilities, y, 4) == pytest.approx((0.125 + 0.075) / 2, rel=1e-12)


def test_confidence_on_an_edge_belongs_to_the_bin_below():
    curve = metrics.reliability_curve([[0.5, 0.5], [1.0, 0.0]], [0, 0], 2)
    np.testing.assert_array_equal(curve.num_rows, [1, 1])


def test_ece_is_small_for_labels_drawn_from_the_probabilities_and_large_when_sharpened():
    rng = np.random.default_rng(6)
    p = rng.uniform(0.5, 1, size=20_000)
    y = (rng.uniform(size=p.size) > p).astype(int)  # class 0 with probability p
    assert metrics.ece(np.stack([p, 1 - p], 1), y) < 0.02
    sharp = p**4 / (p**4 + (1 - p) ** 4)
    assert metrics.ece(np.stack([sharp, 1 - sharp], 1), y) > 0.1


def test_entropy_split_extremes():
    sure = np.array([[1.0, 0.0], [0.0, 1.0]])
    draws = np.stack([np.stack([sure[d], [0.5, 0.5], [1.0, 0.0]]) for d in (0, 1)])[None]
    split = metrics.uncertainty(draws)  # rows: draws disagree; all draws unsure; all agree
    np.testing.assert_allclose(split["total"], [LN2, LN2, 0], atol=1e-12)
    np.testing.assert_allclose(split["aleatoric"], [0, LN2, 0], atol=1e-12)
    np.testing.assert_allclose(split["epistemic"], [LN2, 0, 0], atol=1e-12)


def test_epistemic_entropy_is_never_negative():
    row = np.random.default_rng(7).dirichlet(np.ones(5), size=50)
    draws = np.broadcast_to(row.astype(np.float32), (3, 7, 50, 5))  # no disagreement at all
    assert metrics.uncertainty(draws)["epistemic"].min() >= 0.0


def test_variance_split_is_the_variance_of_the_mixture():
    rng = np.random.default_rng(8)
    means, sd = rng.normal(size=(2, 50, 3)), rng.uniform(0.5, 2, size=(2, 50, 3))
    split = metrics.variance_split([[[0.0], [2.0]]], [[[1.0], [3.0]]])
    assert {name: value[0] for name, value in split.items()} == {
        "total": 3.0,
        "aleatoric": 2.0,
        "epistemic": 1.0,
    }
    split = metrics.variance_split(means, sd**2)
    samples = means + sd * rng.normal(size=(4000, 2, 50, 3))
    np.testing.assert_allclose(split["total"], samples.var(axis=(0, 1, 2)), rtol=0.02)
    np.testing.assert_allclose(split["aleatoric"] + split["epistemic"], split["total"])


def test_regression_scores_are_the_single_scores():
    rng = np.random.default_rng(9)
    y, mean_draws = rng.normal(size=6), rng.normal(size=(2, 20, 6))
    y_draws = mean_draws + rng.normal(size=mean_draws.shape)
    log_likelihood = norm.logpdf(y, mean_draws)
    assert metrics.regression_scores(log_likelihood, y_draws, mean_draws, y, level=0.5) == {
        "lppd": metrics.lppd(log_likelihood),
        "rmse": metrics.rmse(mean_draws.mean((0, 1)), y),
        "crps": metrics.crps(y_draws, y),
        "coverage": metrics.coverage(y_draws, y, 0.5),
        "interval_width": metrics.interval_width(y_draws, 0.5),
    }


def test_classification_scores_use_the_mean_probabilities():
    draws = np.array([[[[0.9, 0.1]], [[0.2, 0.8]]]])  # mean 0.55, 0.45: class 0
    scores = metrics.classification_scores(np.log(draws[..., 0]), draws, [0])
    assert scores["accuracy"] == 1.0
    assert scores["lppd"] == pytest.approx(np.log(0.55))
    assert scores["brier"] == pytest.approx(2 * 0.45**2)
    assert scores["ece"] == pytest.approx(0.45)


@pytest.mark.parametrize("labels", [[True, False], [1.0, 0.0], np.array([1, 0], np.uint8)])
def test_labels_of_any_number_type(labels):
    assert metrics.accuracy([[0.1, 0.9], [0.8, 0.2]], labels) == 1.0


ROWS = np.zeros((2, 3, 5))
HALVES = np.full((5, 2), 0.5)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: metrics.lppd(np.zeros((2, 3))), ["`log_likelihood`", "(2, 3)", "rows"]),
        (lambda: metrics.lppd(np.zeros((2, 3, 5, 1))), ["(2, 3, 5, 1)", "Sum it"]),
        (lambda: metrics.lppd(np.zeros((2, 0, 5))), ["(2, 0, 5)", "empty"]),
        (lambda: metrics.cumulative_lppd(ROWS, "row"), ["`over`", "'row'"]),  # type: ignore
        (lambda: metrics.rmse(np.zeros(5), np.zeros((5, 1))), ["(5,)", "(5, 1)"]),
        (lambda: metrics.coverage(ROWS[..., None], np.zeros(5)), ["(2, 3, 5, 1)", "(5,)"]),
        (lambda: metrics.coverage(ROWS, np.zeros(5), 90), ["`level` is 90", "0.9"]),
        (lambda: metrics.crps(ROWS, np.zeros(4)), ["(2, 3, 5)", "(4,)"]),
        (lambda: metrics.crps(ROWS[:1, :1], np.zeros(5)), ["(1, 1, 5)", "at least 2"]),
        (lambda: metrics.accuracy([0.1, 0.9], [0, 1]), ["(2,)", "np.stack"]),
        (lambda: metrics.accuracy(HALVES, np.zeros((5, 1))), ["(5, 1)", "(5, 2)", "Flatten"]),
        (lambda: metrics.accuracy(HALVES, np.arange(5)), ["0 to 1", "to 4"]),
        (lambda: metrics.accuracy(HALVES, np.full(5, 0.5)), ["whole labels"]),
        (lambda: metrics.accuracy(3 * HALVES, np.zeros(5)), ["sum to 1", "softmax"]),
        (lambda: metrics.accuracy(np.nan * HALVES, np.zeros(5)), ["sum to 1"]),
        (lambda: metrics.ece(HALVES, np.zeros(5), 0), ["`num_bins` is 0"]),
        (lambda: metrics.uncertainty(ROWS), ["(2, 3, 5)", "classes"]),
        (lambda: metrics.variance_split(ROWS, ROWS[:1]), ["(2, 3, 5)", "(1, 3, 5)"]),
        (
            lambda: metrics.regression_scores(ROWS, ROWS[..., :4], ROWS[..., :4], np.zeros(4)),
            ["`log_likelihood`", "(2, 3, 5)", "(4,)"],
        ),
        (
            lambda: metrics.classification_scores(ROWS, np.full((2, 3, 4, 2), 0.5), np.zeros(4)),
            ["(2, 3, 5)", "(4,)"],
        ),
    ],
)
def test_wrong_input_is_refused_in_words(call, words):
    with pytest.raises(ValueError) as caught:
        call()
    assert [word for word in words if word not in str(caught.value)] == []
