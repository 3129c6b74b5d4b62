"""The numbers and words that a picture shows."""

import sys

import numpy as np
import pandas as pd
import pytest

from crewel import metrics, plots

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    import matplotlib.pyplot as plt

    plt.close("all")


def line(ax, word):
    """The data of the line whose label starts with `word`."""
    (found,) = [x for x in ax.get_lines() if str(x.get_label()).startswith(word)]
    return np.asarray(found.get_xydata())


def legend(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_predictive_sorts_the_inputs_and_splits_the_data():
    x = np.array([2.0, 0.0, 1.0])
    ax = plots.plot_predictive(
        x[:, None], 10 * x, 10 * x - 1, 10 * x + 2, y=[20.0, 5.0, 12.0], level=0.9,
        xlabel="time (s)", ylabel="height (m)",
    )  # fmt: skip
    np.testing.assert_array_equal(line(ax, "mean"), [[0, 0], [1, 10], [2, 20]])
    np.testing.assert_array_equal(line(ax, "data inside"), [[1, 12], [2, 20]])
    np.testing.assert_array_equal(line(ax, "data outside"), [[0, 5]])
    band = ax.collections[0].get_paths()[0].vertices
    assert {(0.0, -1.0), (0.0, 2.0), (2.0, 19.0), (2.0, 22.0)} <= {tuple(v) for v in band}
    assert legend(ax) == ["mean", "90 % interval", "data inside (67 %)", "data outside (33 %)"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("time (s)", "height (m)")


def test_predictive_on_a_grid_interpolates_the_band_at_the_data():
    grid = np.array([0.0, 1.0])
    ax = plots.plot_predictive(
        grid, grid, grid - 0.1, grid + 0.1, y=[0.55, 0.65], x_data=[0.5, 0.5]
    )
    np.testing.assert_array_equal(line(ax, "data inside"), [[0.5, 0.55]])
    np.testing.assert_array_equal(line(ax, "data outside"), [[0.5, 0.65]])
    with pytest.raises(ValueError, match="wider grid"):
        plots.plot_predictive(grid, grid, grid, grid, y=[0.0], x_data=[2.0])


def test_predictive_judges_repeated_inputs_one_by_one():
    x = np.array([1.0, 1.0])
    ax = plots.plot_predictive(x, x, [0.0, 5.0], [1.0, 6.0], y=[0.5, 5.5])
    assert len(line(ax, "data inside")) == 2


def test_predictive_into_a_given_axes_without_data():
    import matplotlib.pyplot as plt

    _, mine = plt.subplots()
    ax = plots.plot_predictive([0.0, 1.0], [0.0, 1.0], [-1.0, 0.0], [1.0, 2.0], ax=mine)
    assert ax is mine
    assert legend(ax) == ["mean", "interval"]


def test_predictive_refuses_two_columns_and_unequal_lengths():
    with pytest.raises(ValueError, match=r"`x` has shape \(3, 2\)"):
        plots.plot_predictive(np.zeros((3, 2)), np.zeros(3), np.zeros(3), np.zeros(3))
    with pytest.raises(ValueError, match=r"`y_low` \(2,\)"):
        plots.plot_predictive(np.zeros(3), np.zeros(3), np.zeros(2), np.zeros(3))
    with pytest.raises(ValueError, match="`x_data` was given without `y`"):
        plots.plot_predictive([0.0], [0.0], [0.0], [0.0], x_data=[0.0])


def test_reliability_shows_the_curve_the_shares_and_the_ece():
    rng = np.random.default_rng(0)
    top = rng.uniform(0.5, 1, size=400)
    y = (rng.uniform(size=400) > top).astype(int)
    probabilities = np.stack([top, 1 - top], axis=1)
    ax = plots.plot_reliability(probabilities, y, num_bins=10)
    curve = metrics.reliability_curve(probabilities, y, 10)
    points, _, (bars,) = next(c for c in ax.containers if hasattr(c, "has_yerr"))
    full = curve.num_rows > 0
    expected = np.stack([curve.confidence[full], curve.accuracy[full]], axis=1)
    np.testing.assert_allclose(points.get_xydata(), expected)
    for (_, accuracy), segment in zip(expected, bars.get_segments(), strict=True):
        assert 0 <= segment[0][1] <= accuracy <= segment[1][1] <= 1
        assert segment[1][1] - segment[0][1] < 0.3
    shares = [patch.get_height() for patch in ax.patches]
    np.testing.assert_allclose(shares, curve.num_rows / 400)
    error = f"{metrics.ece(probabilities, y, 10):.3f}"
    assert legend(ax)[1:] == [
        "share of the 400 rows",
        f"accuracy, 90 % error bars (ECE {error})",
    ]
    assert ax.get_xlabel() == "confidence of the predicted class"


def test_reliability_error_bar_is_the_jeffreys_interval():
    # 1 right of 2: Beta(1.5, 1.5), symmetric about 1/2, 90 % interval 0.0975 to 0.9025.
    ax = plots.plot_reliability([[0.75, 0.25]] * 2, [0, 1], num_bins=2)
    _, _, (bars,) = next(c for c in ax.containers if hasattr(c, "has_yerr"))
    np.testing.assert_allclose(bars.get_segments()[0][:, 1], [0.0975, 0.9025], atol=1e-3)


def class_draws():
    """Three rows: true-class medians 0.8 (right), 0.3 (wrong), 0.55 (right), known spreads."""
    center, spread = np.array([0.8, 0.3, 0.55]), np.array([0.1, 0.2, 0.0])
    true = center + spread * np.linspace(-1, 1, 101)[:, None]
    return np.stack([true, 1 - true], axis=-1)[None], np.array([0, 0, 0])


def test_class_probabilities_are_sorted_medians_with_intervals():
    draws, y = class_draws()
    ax = plots.plot_class_probabilities(draws, y, level=0.8)
    np.testing.assert_allclose(line(ax, "wrong"), [[1, 0.3]])
    np.testing.assert_allclose(line(ax, "correct"), [[2, 0.55], [3, 0.8]])
    np.testing.assert_allclose(line(ax, "chance")[:, 1], 0.5)
    segments = np.concatenate([bars.get_segments() for bars in ax.collections])
    expected = {1: [0.14, 0.46], 2: [0.55, 0.55], 3: [0.72, 0.88]}
    for segment in segments:
        np.testing.assert_allclose(segment[:, 1], expected[int(segment[0, 0])])
    assert legend(ax) == ["correct (2 rows)", "wrong (1 row)", "chance"]
    assert "80 % interval" in ax.get_ylabel()


def test_class_probabilities_take_the_probability_of_the_true_class():
    draws, _ = class_draws()
    ax = plots.plot_class_probabilities(draws, [1, 1, 1])
    np.testing.assert_allclose(line(ax, "correct"), [[3, 0.7]])


def test_many_rows_are_thinned_evenly_and_all_are_counted():
    true = np.linspace(0.01, 0.99, 1000)
    draws = np.stack([true, 1 - true], axis=-1)[None, None]
    ax = plots.plot_class_probabilities(draws, np.zeros(1000), max_rows=50)
    shown = np.concatenate([line(ax, "correct"), line(ax, "wrong")])
    assert len(shown) == 50
    assert (shown[:, 0].min(), shown[:, 0].max()) == (1, 1000)
    assert legend(ax)[:2] == ["correct (500 rows)", "wrong (500 rows)"]
    assert "50 of 1000 shown" in ax.get_xlabel()


def test_class_probabilities_refuse_means():
    with pytest.raises(ValueError, match=r"\(3, 2\)"):
        plots.plot_class_probabilities(np.full((3, 2), 0.5), [0, 0, 0])


def test_legend_lies_outside_the_data():
    draws, y = class_draws()
    x = np.arange(3.0)
    probabilities = draws.mean(axis=(0, 1))
    for ax in (
        plots.plot_predictive(x, x, x - 1, x + 1, y=x),
        plots.plot_reliability(probabilities, y),
        plots.plot_class_probabilities(draws, y),
    ):
        ax.figure.canvas.draw()
        box = ax.get_legend().get_window_extent()
        assert box.y0 >= ax.get_window_extent().y1
        assert box.x1 <= ax.figure.bbox.x1


def test_missing_matplotlib_names_the_extra(monkeypatch):
    class NoMatplotlib:
        def find_spec(self, name, path=None, target=None):
            if name == "matplotlib":
                raise ModuleNotFoundError("No module named 'matplotlib'", name="matplotlib")

    with monkeypatch.context() as patch:  # the figures are closed with Matplotlib in its place
        for name in [name for name in sys.modules if name.split(".")[0] == "matplotlib"]:
            patch.delitem(sys.modules, name)
        patch.setattr(sys, "meta_path", [NoMatplotlib(), *sys.meta_path])
        with pytest.raises(ImportError, match=r"pip install 'crewel\[plots\]'"):
            plots.plot_predictive([0.0], [0.0], [0.0], [0.0])


def test_comparison_shows_lppd_errors_seconds_and_weights():
    frame = pd.DataFrame(
        {
            "lppd": [-0.42, -0.31, -0.9], "lppd_se": [0.02, 0.03, 0.1],
            "seconds": [75.0, 4.0, np.nan], "weight": [0.2, 0.8, 0.0],
        },
        index=["nuts", "mclmc", "adam"],
    )  # fmt: skip
    ax = plots.plot_comparison(frame)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["mclmc", "nuts", "adam"]
    assert ax.get_ylim()[0] > ax.get_ylim()[1]  # the best is on top
    (points, _, (bars,)) = ax.containers[0]
    np.testing.assert_allclose(np.asarray(points.get_xdata(), float), [-0.31, -0.42, -0.9])
    widths = [np.ptp(segment[:, 0]) for segment in bars.get_segments()]
    np.testing.assert_allclose(widths, [0.06, 0.04, 0.2])
    texts = [text.get_text() for text in ax.texts]
    assert texts == ["4 s, weight 0.80", "75 s, weight 0.20", "weight 0.00"]


def test_selective_curves_are_in_percent():
    p = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.55, 0.45]])
    ax = plots.plot_selective({"network": metrics.selective_accuracy(p, [0, 1, 1, 1])})
    (line,) = ax.get_lines()
    np.testing.assert_allclose(line.get_xdata(), [0, 25, 50, 75])
    np.testing.assert_allclose(line.get_ydata(), [0.5, 2 / 3, 1.0, 1.0])
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["network"]
