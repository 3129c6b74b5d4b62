"""`crewel.compare` and `crewel.stack`, on posteriors whose scores are known otherwise."""

import numpy as np
import pytest
from scipy.special import logsumexp

import crewel as cw
from crewel import metrics

rng = np.random.default_rng(0)
X = rng.normal(size=(120, 2)).astype(np.float32)
Y = (X[:, 0] + 0.5 * rng.normal(size=120)).astype(np.float32)
LABELS = np.where(Y > 0.3, "high", np.where(Y < -0.5, "low", "middle"))
NEW, HELD = slice(0, 80), slice(80, None)
RUN = {"seed": 0, "num_chains": 2, "num_warmup": 200, "num_draws": 200, "progress": False}


def line(params, x):
    return x @ params["w"]


def runs(y, outputs, **kwargs):
    model = cw.wrap(line, X[NEW], y[NEW], example={"w": np.zeros((2, outputs))}, **kwargs)
    with cw.settings(verdict="off"):
        return {
            "nuts": model.mcmc.numpyro_nuts(**RUN),
            "mclmc": model.mcmc.blackjax_mclmc(**RUN),
            "adam": model.optimize.optax_adam(
                seed=0, num_particles=3, num_steps=20, learning_rate=0.3, progress=False
            ),
        }


@pytest.fixture(scope="module")
def values():
    return runs(Y, 1, likelihood="gaussian")


@pytest.fixture(scope="module")
def classes():
    return runs(LABELS, 3, likelihood="categorical")


def likelihoods(post, y):
    return post.log_likelihood(X[HELD], y[HELD])["log_likelihood"]["y"].values


def test_each_row_has_the_scores_of_its_posterior(values):
    frame = cw.compare(values, X[HELD], Y[HELD])
    assert list(frame["lppd"]) == sorted(frame["lppd"], reverse=True)
    for name, post in values.items():
        row, expected = frame.loc[name], post.metrics(X[HELD], Y[HELD])
        for score, value in expected.items():
            np.testing.assert_allclose(row[score], value, rtol=1e-6)
        logs = likelihoods(post, Y)
        per_row = logsumexp(logs, axis=(0, 1)) - np.log(logs[:, :, 0].size)
        np.testing.assert_allclose(row["lppd_se"], per_row.std(ddof=1) / 40**0.5, rtol=1e-5)
        assert row["seconds"] == post.timing["total"]


def test_gradients_are_counted_where_a_step_takes_a_fixed_number(values):
    frame = cw.compare(values, X[HELD], Y[HELD])
    assert np.isnan(frame.loc["nuts", "gradients"])
    assert frame.loc["mclmc", "gradients"] == 2 * (200 + 200) * 2
    assert frame.loc["adam", "gradients"] == 3 * 20


def test_weights_are_those_of_the_best_mixture(values):
    frame = cw.compare(values, X[HELD], Y[HELD]).loc[list(values)]
    logs = np.stack([metrics.pointwise_lppd(likelihoods(post, Y)) for post in values.values()])
    np.testing.assert_allclose(frame["weight"], metrics.stacking_weights(logs), atol=1e-5)


def test_nearness_to_a_reference(classes):
    frame = cw.compare(classes, X[HELD], LABELS[HELD], reference="nuts")
    p = {
        name: post.predict(X[HELD])["predictions"]["probability"].values.mean((0, 1))
        for name, post in classes.items()
    }
    assert frame.loc["nuts", "agreement"] == 1 and frame.loc["nuts", "total_variation"] == 0
    apart = 0.5 * abs(p["adam"] - p["nuts"]).sum(-1).mean()
    np.testing.assert_allclose(frame.loc["adam", "total_variation"], apart, rtol=1e-4)
    same = (p["adam"].argmax(-1) == p["nuts"].argmax(-1)).mean()
    np.testing.assert_allclose(frame.loc["adam", "agreement"], same)
    assert {"accuracy", "brier", "ece"} <= set(frame.columns)


def test_a_stack_scores_and_predicts_as_the_mixture(values):
    both = {name: values[name] for name in ("nuts", "adam")}
    made = cw.stack(both, weights={"nuts": 1, "adam": 3})
    assert made.weights == {"nuts": 0.25, "adam": 0.75}
    logs = np.stack([metrics.pointwise_lppd(likelihoods(post, Y)) for post in both.values()])
    expected = logsumexp(logs, axis=0, b=np.array([[0.25], [0.75]])).mean()
    np.testing.assert_allclose(made.lppd(X[HELD], Y[HELD]), expected, rtol=1e-6)
    draws = made.predict(X[HELD], num_draws=4000)["predictions"]
    assert draws["y"].shape == (1, 4000, 40)
    means = [post.predict(X[HELD])["predictions"]["outputs"].values.mean((0, 1)) for post in
             both.values()]  # fmt: skip
    mixed = 0.25 * means[0] + 0.75 * means[1]
    # Draws are taken equally often, so that means of outputs have the error of a few draws.
    np.testing.assert_allclose(draws["outputs"].values.mean((0, 1)), mixed, atol=0.02)


def test_a_stack_of_rows_is_at_least_as_good_as_its_best(values):
    made = cw.stack(values, X[HELD], Y[HELD])
    best = cw.compare(values, X[HELD], Y[HELD])["lppd"].iloc[0]
    assert made.lppd(X[HELD], Y[HELD]) >= best - 2e-5


def test_labels_survive_a_stack(classes):
    predicted = cw.stack(classes, weights=dict.fromkeys(classes, 1)).predict(X[:3])["predictions"]
    dim = predicted["probability"].dims[-1]
    assert list(predicted[dim].values) == ["high", "low", "middle"]


def test_what_cannot_be_compared_is_refused(values, classes):
    with pytest.raises(ValueError, match="no posterior"):
        cw.compare({}, X, Y)
    with pytest.raises(ValueError, match="same kind of `y`"):
        cw.compare({"a": values["nuts"], "b": classes["nuts"]}, X, Y)
    with pytest.raises(ValueError, match="`reference` is 'hmc'"):
        cw.compare(values, X, Y, reference="hmc")
    with pytest.raises(ValueError, match="is a class"):
        cw.compare(values, X, Y, reference="nuts")
    with pytest.raises(ValueError, match="either held-out rows"):
        cw.stack(values)
    for weights in ({"nuts": 1}, dict.fromkeys(values, 0), dict.fromkeys(values, -1)):
        with pytest.raises(ValueError, match="`weights` must have"):
            cw.stack(values, weights=weights)
