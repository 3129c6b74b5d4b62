"""Loaders in place of arrays."""

from __future__ import annotations

import jax
import numpy as np
import pytest
import support
from support import posteriors
from support.minibatches import QUICK, batches_of, same, three_classes

import crewel as cw


@pytest.fixture(scope="module")
def model():
    return support.rows().model


@pytest.fixture(scope="module")
def classes():
    return three_classes()


def test_loader_gives_the_draws_of_arrays_in_the_same_order(model):
    call = QUICK | {"num_chains": 1, "num_draws": 12, "thinning": 2, "num_warmup": 0}
    call |= {"chain_method": "vectorized"}
    arrays = model.sgmcmc.blackjax_sgld(seed=0, batch_size=20, **call)
    made = batches_of(model, arrays.keys[0], 24, 20)
    loader = model.sgmcmc.blackjax_sgld(seed=0, batches=iter(made), num_data=100, **call)
    assert same(arrays.draws, loader.draws)
    # A model that holds a few example rows only is the same model.
    few = cw.Model(
        None,
        model.test_point,
        posteriors.ROWS_SUPPORT,
        data=jax.tree.map(lambda a: a[:5], model.data),
        log_prior=posteriors.rows_log_prior,
        log_likelihood=posteriors.rows_log_likelihood,
    )
    small = few.sgmcmc.blackjax_sgld(seed=0, batches=made, num_data=100, **call)
    assert same(arrays.draws, small.draws)


def test_loader_feeds_warm_up_and_draws_one_batch_a_step(model):
    taken = []

    def generate():
        for number in range(1000):
            taken.append(number)
            yield jax.tree.map(lambda leaf: leaf[:10], model.data)

    call = QUICK | {"num_warmup": 5, "num_draws": 7, "thinning": 3}
    post = model.sgmcmc.blackjax_sgld(seed=0, batches=generate(), num_data=100, **call)
    assert post.draws["w"].shape == (2, 7, 2)
    assert len(taken) == 5 + 21  # reading ahead stops where the run does


def test_pairs_and_epochs_of_a_list(classes):
    model, _, _ = classes
    x, y = np.asarray(model.data["x"]), np.asarray(model.data["y"])
    pairs = [(x[i : i + 20].astype(np.float64), y[i : i + 20]) for i in (0, 20, 40)]
    call = QUICK | {"batches": pairs, "num_data": 60}
    post = model.sgmcmc.blackjax_sgld(seed=0, **call)  # 14 steps out of 3 batches
    dicts = [{"x": a, "y": b} for a, b in pairs]
    assert same(post.draws, model.sgmcmc.blackjax_sgld(seed=0, **call | {"batches": dicts}).draws)


def rows_of(model, number, **change):
    batch = {k: np.asarray(v)[:number] for k, v in model.data.items()}
    return batch | change


@pytest.mark.parametrize(
    ("made", "text"),
    [
        (lambda m: iter([rows_of(m, 10)] * 2), "`batches` ended after 2 batches"),
        (lambda m: [rows_of(m, 10), rows_of(m, 9)], "Batch 1 of `batches` has 9 rows and the fir"),
        (lambda m: [{"x": np.zeros((3, 2))}], r"has leaves \['x'\]; the model's data have"),
        (lambda m: [rows_of(m, 3, x=np.zeros((3, 5)))], r"`x` has rows of shape \(5,\)"),
        (lambda m: [], "`batches` ended after 0 batches"),
        (lambda m: 3, "`batches` must be an iterable"),
    ],
)
def test_loader_that_does_not_fit(model, made, text):
    with pytest.raises((TypeError, ValueError), match=text):
        model.sgmcmc.blackjax_sgld(seed=0, batches=made(model), num_data=100, **QUICK)


def test_loader_that_ends_early_leaves_what_was_drawn(model, monkeypatch):
    from crewel.run import prefetch as feed

    monkeypatch.setattr(feed, "LONGEST", 5)  # steps a chunk
    made = iter([rows_of(model, 10)] * 12)
    call = QUICK | {"num_warmup": 2, "num_draws": 100}
    with pytest.warns(UserWarning, match="ended after 12 batches.* Returning 10 of 100 draws"):
        post = model.sgmcmc.blackjax_sgld(seed=0, batches=made, num_data=100, **call)
    assert post.draws["w"].shape == (2, 10, 2)


def test_number_of_rows_must_fit(model):
    batch = rows_of(model, 10)
    with pytest.raises(ValueError, match="`num_data` is 50"):
        model.sgmcmc.blackjax_sgld(seed=0, batches=[batch], num_data=50, **QUICK)
    with pytest.raises(ValueError, match="the first of `batches` has 10 rows"):
        model.sgmcmc.blackjax_sgld(seed=0, batches=[batch], num_data=100, batch_size=20, **QUICK)
