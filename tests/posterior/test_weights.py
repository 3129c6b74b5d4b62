"""Draws with weights."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import support
from support.minibatches import QUICK, same, three_classes


@pytest.fixture(scope="module")
def model():
    return support.rows().model


@pytest.fixture(scope="module")
def classes():
    return three_classes()


def test_resampled_draws_have_equal_weight(model):
    post = model.sgmcmc.blackjax_csgld(seed=0, **QUICK | {"num_draws": 1000, "batch_size": 20})
    # Every fourth draw of the first chain has nine times the weight, of the second chain all.
    heavy = np.zeros((2, 1000), bool)
    heavy[0, ::4], heavy[1] = True, True
    post = replace(post, draws=heavy, stats={"log_weight": np.log(9.0) * heavy - 500.0})
    found = post.resampled(seed=1).draws
    assert found.shape == (2, 1000) and found[1].all()
    share = 9 / (9 + 3)
    assert abs(found[0].mean() - share) < 5 * np.sqrt(share * (1 - share) / 1000)
    assert same(post.resampled(seed=1).draws, found)
    assert not same(post.resampled(seed=2).draws, found)


def test_weights_are_not_forgotten(classes):
    model, x, y = classes
    post = model.sgmcmc.blackjax_csgld(seed=0, **QUICK)
    with pytest.warns(UserWarning, match=r"averages over them ignore. `post.resampled"):
        post.metrics(x, y)
    even = post.resampled()
    assert even.metrics(x, y)["lppd"] < 0 and set(post.stats) - set(even.stats) == {"log_weight"}
    with pytest.raises(ValueError, match="extend the run's own posterior"):
        even.extend(5)
    plain = model.sgmcmc.blackjax_sgld(seed=0, **QUICK)
    assert plain.resampled() is plain
