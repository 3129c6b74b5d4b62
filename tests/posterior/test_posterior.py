"""Conversions, predictions, summaries and scores, against the exact posterior of a line."""

from __future__ import annotations

import arviz_stats
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
import support
from support import counting

import crewel as cw
from crewel.posterior import over_draws

SIGMA = 0.5
RUN = {"num_warmup": 300, "num_draws": 500, "progress": False}


def line(params, x):
    return x @ params["w"] + params["b"]


def data(rows=40, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 2)).astype(np.float32)
    return x, (x @ [1.0, -2.0] + 0.3 + SIGMA * rng.normal(size=rows)).astype(np.float32)


def exact(x, y, x_new):
    """Mean and variance of the posterior of weights, and of the predictive at `x_new`."""
    design = np.c_[x, np.ones(len(x))].astype(float)
    covariance = np.linalg.inv(design.T @ design / SIGMA**2 + np.eye(3))
    mean = covariance @ design.T @ y / SIGMA**2
    new = np.c_[x_new, np.ones(len(x_new))]
    return mean, covariance, new @ mean, np.einsum("ni,ij,nj->n", new, covariance, new)


def line_model(x, y, likelihood=None):
    example = {"w": jnp.zeros(2), "b": jnp.zeros(())}
    return cw.wrap(
        line, x, y, example=example, likelihood=likelihood or cw.likelihoods.gaussian(SIGMA)
    )


@pytest.fixture(scope="module")
def post():
    return line_model(*data()).mcmc.numpyro_nuts(seed=0, **RUN)


def test_weights_have_the_exact_posterior(post):
    mean, covariance, _, _ = exact(*data(), np.zeros((1, 2)))
    draws = np.concatenate([post.draws["w"], post.draws["b"][..., None]], -1)
    of_mean, of_sd = support.errors(draws, mean, np.sqrt(np.diag(covariance)))
    assert np.abs(of_mean).max() < 5 and np.abs(of_sd).max() < 5


def test_predictive_is_exact(post):
    x_new, _ = data(15, seed=1)
    tree = post.predict(x_new)["predictions"]
    assert tree["outputs"].dims == ("chain", "draw", "row")
    assert tree["y"].shape == (4, 500, 15)
    _, _, mean, variance = exact(*data(), x_new)
    of_mean, of_sd = support.errors(tree["outputs"].to_numpy(), mean, np.sqrt(variance))
    assert np.abs(of_mean).max() < 5 and np.abs(of_sd).max() < 5
    of_mean, of_sd = support.errors(tree["y"].to_numpy(), mean, np.sqrt(variance + SIGMA**2))
    assert np.abs(of_mean).max() < 5 and np.abs(of_sd).max() < 5


def test_batch_size_changes_nothing(post):
    x_new, _ = data(15, seed=1)
    whole = post.predict(x_new)["predictions"]
    parts = post.predict(x_new, batch_size=7)["predictions"]
    np.testing.assert_allclose(whole["outputs"], parts["outputs"], rtol=1e-5)
    np.testing.assert_allclose(whole["y"], parts["y"], rtol=1e-4, atol=1e-5)


def test_prediction_compiles_once(post):
    x_new, _ = data(15, seed=1)
    post.predict(x_new)
    with counting() as counts:
        post.predict(x_new + 1, seed=3)
    assert counts["compile"] == 0


def test_memory_bounds_the_batch(post, monkeypatch):
    monkeypatch.setattr(over_draws, "BATCH_BYTES", 20_000)
    x_new, _ = data(15, seed=1)
    seen = []
    program = over_draws.program

    def spy(fn, static, predictive, params, keys, batch):
        seen.append(keys.shape[0])
        return program(fn, static, predictive, params, keys, batch)

    monkeypatch.setattr(over_draws, "program", spy)
    post.predict(x_new)
    # A draw takes 15 outputs and 15 of `y`, four times over, and three weights: 492 bytes.
    assert seen == [20_000 // 492]


def test_log_likelihood_is_pointwise_and_loo_takes_it(post):
    x, y = data()
    tree = post.log_likelihood()
    values = tree["log_likelihood"]["y"]
    assert values.dims == ("chain", "draw", "row") and values.shape == (4, 500, 40)
    expected = dist.Normal(x @ post.draws["w"][1, 7] + post.draws["b"][1, 7], SIGMA).log_prob(y)
    np.testing.assert_allclose(values[1, 7], expected, rtol=1e-4)
    # Exact leave-one-out: each row under the predictive of the others.
    exact_loo = 0.0
    for row in range(len(x)):
        rest = np.arange(len(x)) != row
        _, _, mean, variance = exact(x[rest], y[rest], x[row : row + 1])
        exact_loo += float(dist.Normal(mean, np.sqrt(variance + SIGMA**2)).log_prob(y[row])[0])
    assert arviz_stats.loo(tree).elpd == pytest.approx(exact_loo, abs=0.2)


def test_scores_are_those_of_the_exact_predictive(post):
    x_new, y_new = data(200, seed=2)
    _, _, mean, variance = exact(*data(), x_new)
    scores = post.metrics(x_new, y_new)
    sd = np.sqrt(variance + SIGMA**2)
    assert scores["rmse"] == pytest.approx(np.sqrt(np.mean((mean - y_new) ** 2)), rel=0.01)
    exact_lppd = np.mean(np.asarray(dist.Normal(mean, sd).log_prob(y_new)))
    assert scores["lppd"] == pytest.approx(exact_lppd, abs=0.01)
    assert scores["interval_width"] == pytest.approx(np.mean(2 * 1.6449 * sd), rel=0.02)
    assert scores["coverage"] == pytest.approx(
        np.mean(np.abs(y_new - mean) < 1.6449 * sd), abs=0.03
    )


def test_datatree_has_named_parameters():
    import flax.linen as nn

    x, y = data()
    model = cw.wrap(nn.Dense(1), x, y, likelihood="gaussian")
    tree = model.mcmc.numpyro_nuts(
        seed=0, num_chains=2, num_warmup=5, num_draws=6, progress=False
    ).to_datatree()
    assert set(tree["posterior"].data_vars) == {"kernel", "bias", "sigma"}
    assert tree["posterior"]["kernel"].dims == ("chain", "draw", "in", "out")
    assert tree["posterior"]["bias"].dims == ("chain", "draw", "out")
    assert tree["sample_stats"]["diverging"].shape == (2, 6)
    np.testing.assert_array_equal(tree["observed_data"]["y"], y)
    deep = cw.wrap(nn.Sequential([nn.Dense(3), nn.Dense(1)]), x, y, likelihood="gaussian")
    tree = deep.mcmc.blackjax_hmc(
        seed=0, num_chains=2, num_warmup=5, num_draws=6, progress=False
    ).to_datatree()
    assert tree["posterior"]["layers_0.kernel"].dims == (
        "chain", "draw", "layers_0_in", "layers_0_out",
    )  # fmt: skip
    assert float(arviz_stats.rhat(tree)["layers_0.kernel"].max()) > 0
    assert "layers_1.bias[0]" in arviz_stats.summary(tree).index


def test_summary_of_a_network_is_in_function_space(post):
    table = post.summary()
    assert list(table.index) == [f"outputs[{i}]" for i in range(10)]
    assert table["r_hat"].astype(float).max() < 1.02
    weights = post.summary(space="weights")
    assert list(weights.index) == ["b", "w[0]", "w[1]"]
    x, y = data()
    rows = np.unique(np.linspace(0, 39, 10).round().astype(int))
    _, _, mean, _ = exact(x, y, x[rows])
    np.testing.assert_allclose(table["mean"].astype(float), mean, atol=0.05)
    with pytest.raises(ValueError, match="'functions' or 'weights'"):
        post.summary(space="nets")


def test_summary_has_the_latents_beside_the_network():
    x, y = data()
    made = line_model(x, y, "gaussian").mcmc.numpyro_nuts(seed=0, **RUN)
    assert list(made.summary().index)[0] == "sigma"
    assert made.draws["sigma"].min() > 0


def test_report_compares_with_the_best_constant(post):
    _, y = data()
    report = post.report()
    sd = y.std()
    constant = float(np.mean(np.asarray(dist.Normal(y.mean(), sd).log_prob(y))))
    assert report.baseline_lppd == pytest.approx(constant, abs=1e-4)
    assert report.dead_chains == () and report.rhat.shape == (40,)
    assert report.chain_lppd.min() > constant + 0.5


def test_report_names_a_dead_chain(post):
    dead = {name: leaf.copy() for name, leaf in post.draws.items()}
    dead["w"][2] = 0.0
    from dataclasses import replace

    assert replace(post, draws=dead).report().dead_chains == (2,)


def test_a_bare_log_density_cannot_predict():
    made = support.small().mcmc.numpyro_nuts(
        seed=0, num_chains=2, num_warmup=5, num_draws=5, progress=False
    )
    for call in (made.predict, made.log_likelihood):
        with pytest.raises(ValueError, match="cannot predict|needs a model that predicts"):
            call(np.zeros(3)) if call == made.predict else call()
    assert list(made.summary().index) == ["rate", "x[0]", "x[1]"]
    with pytest.raises(ValueError, match="built by `crewel.wrap`"):
        made.summary(space="functions")


def test_extend_refuses_an_optimizer():
    made = support.small().optimize.optax_adam(seed=0, num_particles=2, num_steps=5, progress=False)
    with pytest.raises(ValueError, match="cannot be extended"):
        made.extend(5)
    assert "2 chains x 1 draw of" in repr(made)
