"""Stacking weights: the optimum, and what is refused."""

import numpy as np
import pytest

from crewel import metrics


@pytest.mark.parametrize("seed", range(3))
def test_no_direction_improves_the_mixture(seed):
    rng = np.random.default_rng(seed)
    y = rng.normal(size=300)
    centres, scales = np.array([-1.0, 0.0, 0.4, 5.0]), np.array([1.0, 0.5, 2.0, 0.3])
    logs = -0.5 * ((y - centres[:, None]) / scales[:, None]) ** 2 - np.log(scales)[:, None]
    weights = metrics.stacking_weights(logs)
    assert weights.min() >= 0 and abs(weights.sum() - 1) < 1e-12
    ratio = (np.exp(logs) / (weights @ np.exp(logs))).mean(1)
    # The best mixture is at most log(max ratio) better: the condition of Karush, Kuhn and Tucker.
    assert np.log(ratio.max()) < 2e-5
    assert weights[3] < 1e-3


def test_a_mixture_whose_optimum_is_known():
    # Of 100 rows, 75 are predicted by the first and 25 by the second: weights are those shares.
    logs = np.full((2, 100), -50.0)
    logs[0, :75], logs[1, 75:] = 0.0, 0.0
    np.testing.assert_allclose(metrics.stacking_weights(logs), [0.75, 0.25], atol=5e-3)
    np.testing.assert_allclose(metrics.stacking_weights(logs - 1e4), [0.75, 0.25], atol=5e-3)


def test_one_distribution_and_wrong_arrays():
    assert metrics.stacking_weights(np.zeros((1, 5))).tolist() == [1.0]
    with pytest.raises(ValueError, match="must be .distributions, rows."):
        metrics.stacking_weights(np.zeros(5))
    with pytest.raises(ValueError, match="Row 1 has no finite log density"):
        metrics.stacking_weights([[0.0, -np.inf], [0.0, -np.inf]])
