"""What a run on minibatches returns: summaries, held-out scores, and loaders in place of arrays."""

from __future__ import annotations

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import support
from support import counting
from support.minibatches import QUICK, batches_of, same

import crewel as cw
from crewel import metrics
from crewel.posterior.predict import predictions


@pytest.fixture(scope="module")
def model():
    return support.rows().model


@pytest.fixture(scope="module")
def classes():
    """A linear classifier of three classes, and held-out rows."""
    random = np.random.default_rng(0)
    x = random.normal(size=(90, 2)).astype(np.float32)
    y = (x @ np.array([[1.0, 0, -1], [0, 1.0, -1]]) + random.gumbel(size=(90, 3))).argmax(1)
    model = cw.wrap(
        lambda p, x: x @ p["w"], x[:60], y[:60], likelihood="categorical",
        example={"w": jnp.zeros((2, 3))},
    )  # fmt: skip
    return model, x[60:], y[60:]


# --- summaries in place of draws ----------------------------------------------------------------


def square(params):
    return params["rate"] ** 2


def test_mean_is_the_mean_of_the_draws(model):
    call = QUICK | {"num_draws": 30, "batch_size": 20}
    every = model.sgmcmc.blackjax_sgld(seed=0, **call)
    mean = model.sgmcmc.blackjax_sgld(seed=0, reduce="mean", **call)
    assert mean.draws["w"].shape == (2, 1, 2)
    np.testing.assert_allclose(mean.draws["w"][:, 0], every.draws["w"].mean(1), rtol=1e-5)
    assert mean.stats["step_size"].shape == (2, 1)
    both = model.sgmcmc.blackjax_sgld(seed=0, reduce="mean", collect=square, **call)
    np.testing.assert_allclose(both.draws[:, 0], (every.draws["rate"] ** 2).mean(1), rtol=1e-5)


def test_extended_mean_equals_uninterrupted(model):
    call = QUICK | {"reduce": "mean", "batch_size": 20}
    whole = model.sgmcmc.blackjax_sgld(seed=0, **call | {"num_draws": 50})
    parts = model.sgmcmc.blackjax_sgld(seed=0, **call | {"num_draws": 20})
    assert not same(parts.draws, whole.draws)
    assert same(parts.extend(30, progress=False).draws, whole.draws)


def test_reducer_of_ones_own(model):
    largest = cw.Reducer(
        lambda value: jax.tree.map(lambda leaf: leaf - jnp.inf, value),
        lambda kept, value: jax.tree.map(jnp.maximum, kept, value),
        lambda kept: kept,
    )
    call = QUICK | {"num_draws": 30, "batch_size": 20}
    every = model.sgmcmc.blackjax_sgld(seed=0, **call)
    found = model.sgmcmc.blackjax_sgld(seed=0, reduce=largest, **call)
    np.testing.assert_array_equal(found.draws["w"][:, 0], every.draws["w"].max(1))
    with pytest.raises(TypeError, match="`reduce` must be 'mean', or a `crewel.Reducer"):
        model.sgmcmc.blackjax_sgld(seed=0, reduce="median", **call)


def test_mean_of_a_diverging_run_is_that_of_its_good_draws(model):
    def schedule(step):
        return jnp.where(step < 24, 1e-4, jnp.nan)

    call = QUICK | {"num_draws": 50, "batch_size": 20, "step_size": schedule}
    with pytest.warns(UserWarning, match="diverged: step 20 of the sampling"):
        mean = model.sgmcmc.blackjax_sgld(seed=0, reduce="mean", **call)
    good = model.sgmcmc.blackjax_sgld(seed=0, **call | {"num_draws": 20})
    np.testing.assert_allclose(mean.draws["w"][:, 0], good.draws["w"].mean(1), rtol=1e-5)


def test_programs_hold_no_draws_under_reduction(model):
    """What the device holds does not depend on the number of draws, nor does the result."""
    from crewel.run import blocks

    sizes = []
    write = blocks.Store.write

    def spy(self, block, count, chunk, **kwargs):
        sizes.append(sum(leaf.size for leaf in jax.tree.leaves(self.kept)))
        return write(self, block, count, chunk, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks.Store, "write", spy)
        for draws in (100, 5000):
            model.sgmcmc.blackjax_sgld(
                seed=0, reduce="mean", batch_size=20, **QUICK | {"num_draws": draws}
            )
    assert len(set(sizes)) == 1


# --- held-out scores ----------------------------------------------------------------------------


def test_scores_are_those_of_the_averaged_predictive(classes):
    model, x, y = classes
    call = QUICK | {"num_draws": 12, "batch_size": 20, "step_size": 1e-2}
    post = model.sgmcmc.blackjax_sgld(seed=0, evaluate=(x, y, 4), **call)
    for chain in range(2):
        kept = np.asarray(post.draws["w"])[chain : chain + 1, 3::4]
        logits = np.einsum("ni,cdik->cdnk", x, kept)
        p = np.exp(logits - logits.max(-1, keepdims=True))
        p /= p.sum(-1, keepdims=True)
        for look in (1, 2, 3):
            mean = p[0, :look].mean(0)
            log_likelihood = np.log(p[:, :look, np.arange(30), y])
            at = post.stats["test_lppd"][chain, 4 * look - 1]
            np.testing.assert_allclose(at, metrics.lppd(log_likelihood), rtol=1e-5)
            at = post.stats["test_accuracy"][chain, 4 * look - 1]
            np.testing.assert_allclose(at, metrics.accuracy(mean, y), rtol=1e-6)
            at = post.stats["test_ece"][chain, 4 * look - 1]
            np.testing.assert_allclose(at, metrics.ece(mean, y), rtol=1e-4)
    assert np.isnan(post.stats["test_lppd"][:, :3]).all()  # before the first look
    np.testing.assert_array_equal(post.stats["test_lppd"][:, 3], post.stats["test_lppd"][:, 6])
    assert post.to_datatree()["sample_stats"]["test_accuracy"].shape == (2, 12)


def test_scores_go_on_in_an_extended_run_and_with_a_summary(classes):
    model, x, y = classes
    call = QUICK | {"batch_size": 20, "evaluate": (x, y, 1)}
    whole = model.sgmcmc.blackjax_sgld(seed=0, **call | {"num_draws": 9})
    parts = model.sgmcmc.blackjax_sgld(seed=0, **call | {"num_draws": 4}).extend(5, progress=False)
    assert same(parts.stats, whole.stats)
    mean = model.sgmcmc.blackjax_sgld(seed=0, reduce="mean", **call | {"num_draws": 9})
    np.testing.assert_allclose(mean.stats["test_lppd"][:, 0], whole.stats["test_lppd"][:, -1])


def test_scores_of_a_regression():
    random = np.random.default_rng(0)
    x = random.normal(size=(80, 1)).astype(np.float32)
    y = (x[:, 0] + 0.5 * random.normal(size=80)).astype(np.float32)
    model = cw.wrap(
        lambda p, x: x @ p["w"], x[:40], y[:40], likelihood=cw.likelihoods.gaussian(0.5),
        example={"w": jnp.zeros((1, 1))},
    )  # fmt: skip
    call = QUICK | {"num_draws": 6, "batch_size": 10, "step_size": 1e-3}
    post = model.sgmcmc.blackjax_sgld(seed=0, evaluate=(x[40:], y[40:], 1), **call)
    means = x[40:, 0] * np.asarray(post.draws["w"])[..., 0]
    rmse = np.sqrt(((means.mean(1) - y[40:]) ** 2).mean(-1))
    np.testing.assert_allclose(post.stats["test_rmse"][:, -1], rmse, rtol=1e-5)
    from scipy.stats import norm

    below = norm.cdf(y[40:], means, 0.5).mean(1)
    inside = ((below > 0.05) & (below < 0.95)).mean(-1)
    np.testing.assert_allclose(post.stats["test_coverage"][:, -1], inside, rtol=1e-6)


def test_predictions_as_what_is_collected(classes):
    model, x, y = classes
    call = QUICK | {"batch_size": 20, "step_size": 1e-2}
    post = model.sgmcmc.blackjax_sgld(seed=0, **call)
    kept = model.sgmcmc.blackjax_sgld(seed=0, collect=predictions(model, x), reduce="mean", **call)
    wanted = post.predict(x)["predictions"]["probability"].mean("draw")
    np.testing.assert_allclose(kept.draws[:, 0], wanted, rtol=1e-4, atol=1e-6)
    with counting() as counts:  # other inputs of the same shape are data
        model.sgmcmc.blackjax_sgld(
            seed=0, collect=predictions(model, x[::-1]), reduce="mean", **call
        )
    assert counts == {"trace": 0, "compile": 0}


def test_held_out_rows_need_a_model_that_predicts(model):
    with pytest.raises(ValueError, match="`evaluate` needs a model that predicts"):
        model.sgmcmc.blackjax_sgld(seed=0, evaluate=(1, 2), **QUICK)


def test_bad_evaluate(classes):
    model, x, y = classes
    with pytest.raises(TypeError, match=r"must be `\(x_test, y_test\)`"):
        model.sgmcmc.blackjax_sgld(seed=0, evaluate=x, **QUICK)
    with pytest.raises(ValueError, match="`every` of `evaluate` must be an integer"):
        model.sgmcmc.blackjax_sgld(seed=0, evaluate=(x, y, 0), **QUICK)


# --- loaders ------------------------------------------------------------------------------------


def test_loader_gives_the_draws_of_arrays_in_the_same_order(model):
    call = QUICK | {"num_chains": 1, "num_draws": 12, "thinning": 2, "num_warmup": 0}
    call |= {"chain_method": "vectorized"}
    arrays = model.sgmcmc.blackjax_sgld(seed=0, batch_size=20, **call)
    made = batches_of(model, arrays.keys[0], 24, 20)
    loader = model.sgmcmc.blackjax_sgld(seed=0, batches=iter(made), num_data=100, **call)
    assert same(arrays.draws, loader.draws)
    # A model that holds a few example rows only is the same model.
    few = cw.Model(
        None, model.test_point, support.SUPPORT, data=jax.tree.map(lambda a: a[:5], model.data),
        log_prior=support._prior, log_likelihood=support._likelihood,
    )  # fmt: skip
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


# --- optimizers on held-out rows ----------------------------------------------------------------


def test_optimizer_returns_its_best_look_and_stops(classes):
    model, x, y = classes
    call = {"seed": 0, "num_particles": 3, "progress": False, "learning_rate": 5.0}
    call |= {"batch_size": 10}
    # Every step is looked at; the best of all is what a patient run returns.
    every = [
        model.optimize.optax_sgd(num_steps=steps, **call).draws["w"][:, 0] for steps in range(1, 13)
    ]
    score = jax.vmap(lambda w: model.predictive.pointwise({"w": w}, x, y).mean())
    scores = np.stack([score(jnp.asarray(w)) for w in every], 1)
    post = model.optimize.optax_sgd(num_steps=12, evaluate=(x, y, 1), **call)
    np.testing.assert_allclose(post.stats["test_lppd"][:, 0], scores.max(1), rtol=1e-5)
    np.testing.assert_array_equal(post.stats["best_step"][:, 0], scores.argmax(1) + 1)
    best = np.stack(every, 1)[np.arange(3), scores.argmax(1)]
    np.testing.assert_allclose(post.draws["w"][:, 0], best, rtol=1e-5)
    # With a patience of one the first look that is no better ends it.
    short = model.optimize.optax_sgd(num_steps=5000, evaluate=(x, y, 1), patience=1, **call)
    worse = np.diff(scores, axis=1) <= 0
    assert worse.any(1).all()
    np.testing.assert_array_equal(short.stats["best_step"][:, 0], worse.argmax(1) + 1)
    assert short.losses.shape == (3, 5000) and np.isnan(short.losses[:, -1]).all()


def test_patience_needs_held_out_rows(classes):
    with pytest.raises(ValueError, match="`patience` needs `evaluate="):
        classes[0].optimize.optax_sgd(seed=0, patience=3, progress=False)


def test_bar_shows_the_latest_scores(classes, capsys):
    model, x, y = classes
    call = QUICK | {"progress": True, "evaluate": (x, y, 1), "batch_size": 20, "num_chains": 1}
    post = model.sgmcmc.blackjax_sgld(seed=0, **call)
    shown = capsys.readouterr().err.split("test_accuracy ")[-1].split(",")[0].split("]")[0]
    assert abs(float(shown) - post.stats["test_accuracy"][:, -1].mean()) < 1e-3


# --- draws with weights -------------------------------------------------------------------------


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
