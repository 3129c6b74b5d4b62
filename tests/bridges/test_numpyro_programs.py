"""NumPyro programs: posteriors, predictions, networks inside, compilation."""

from __future__ import annotations

import jax
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from numpyro.infer import Predictive, log_likelihood
from numpyro.infer.util import potential_energy
from support import counting, errors
from support.programs import X, Y, exact, line, needs_flax, point

import crewel as cw


def test_numpyro_posterior_is_the_exact_one():
    model = cw.Model.from_numpyro(line, X, y=Y)
    post = model.mcmc.numpyro_nuts(seed=0, num_draws=1000, progress=False)
    mean, covariance = exact(X, Y)
    off_mean, off_sd = errors(post.draws["weights"], mean, np.sqrt(np.diag(covariance)))
    assert np.abs(off_mean).max() < 5 and np.abs(off_sd).max() < 5


def test_numpyro_dependent_supports_sample_the_prior():
    def fn():
        a = numpyro.sample("a", dist.Uniform(1.0, 3.0))
        numpyro.sample("b", dist.Uniform(-a, 0.0))

    post = cw.Model.from_numpyro(fn).mcmc.numpyro_nuts(seed=1, num_draws=1500, progress=False)
    assert (post.draws["b"] > -post.draws["a"]).all() and (post.draws["b"] < 0).all()
    # a is uniform; b given a has mean -a / 2 and second moment a^2 / 3.
    off_mean, off_sd = errors(post.draws["a"], 2.0, 1 / np.sqrt(3))
    assert np.abs([off_mean, off_sd]).max() < 5
    off_mean, off_sd = errors(post.draws["b"], -1.0, np.sqrt((27 - 1) / 18 - 1))
    assert np.abs([off_mean, off_sd]).max() < 5


def test_numpyro_new_data_compile_nothing():
    def all_of(x, y, seed):
        model = cw.Model.from_numpyro(line, x, y=y)
        post = model.mcmc.numpyro_nuts(seed=seed, num_chains=2, num_warmup=20, num_draws=20,
                                       progress=False)  # fmt: skip
        post.predict(x)
        post.log_likelihood()
        return post

    first = all_of(X, Y, 0)
    with counting() as counts:
        second = all_of(2 * X, -Y, 1)
    assert counts["compile"] == 0
    assert not np.array_equal(first.draws["weights"], second.draws["weights"])


@pytest.fixture(scope="module")
def line_post():
    return cw.Model.from_numpyro(line, X, y=Y).mcmc.numpyro_nuts(
        seed=0, num_draws=1000, progress=False
    )


def test_numpyro_predictions_are_numpyros(line_post):
    x = np.array([5.0, -3.0], np.float32)
    made = line_post.predict(x, seed=1)["predictions"]
    assert sorted(made.data_vars) == ["mu", "y"]
    weights = line_post.draws["weights"]
    flat = {"weights": weights.reshape(-1, 2)}
    own = Predictive(line, flat)(jax.random.PRNGKey(0), x)
    np.testing.assert_allclose(made["mu"].values.reshape(-1, 2), own["mu"], rtol=1e-5)
    mean, covariance = exact(X, Y)
    design = np.stack([np.ones(2), x], 1)
    sd = np.sqrt(np.diag(design @ covariance @ design.T) + 0.25)
    off_mean, off_sd = errors(made["y"].values, design @ mean, sd)
    assert np.abs(off_mean).max() < 5 and np.abs(off_sd).max() < 5
    np.testing.assert_array_equal(
        made["y"], line_post.predict(x, seed=1, batch_size=7)["predictions"]["y"]
    )
    noise = made["y"].values - made["mu"].values
    assert abs(np.corrcoef(noise.reshape(-1, 2).T)[0, 1]) < 5 / np.sqrt(4000)


def test_numpyro_replicates_the_data_without_arguments(line_post):
    made = line_post.predict()["predictions"]
    noise = (made["y"].values - made["mu"].values) / 0.5
    assert made["y"].shape == (4, 1000, 12)
    assert not np.array_equal(made["y"].values[0, 0], Y)
    # 48,000 independent standard normal values
    assert abs(noise.mean()) < 5 / np.sqrt(48000)
    assert abs(noise.std() - 1) < 5 / np.sqrt(2 * 48000)


def test_numpyro_log_likelihood_gives_loo(line_post):
    import arviz_stats

    tree = line_post.log_likelihood()
    own = log_likelihood(line, line_post.draws, X, y=Y, batch_ndims=2)["y"]
    np.testing.assert_allclose(tree["log_likelihood"]["y"], own, rtol=1e-4, atol=1e-5)
    elpd = 0.0
    for i in range(len(X)):
        rest = np.arange(len(X)) != i
        mean, covariance = exact(X[rest], Y[rest])
        row = np.array([1.0, X[i]])
        predictive = dist.Normal(row @ mean, np.sqrt(row @ covariance @ row + 0.25))
        elpd += float(predictive.log_prob(Y[i]))
    assert abs(float(arviz_stats.loo(tree).elpd) - elpd) < 0.05


@needs_flax
def test_numpyro_random_flax_module():
    import flax.linen as nn
    from numpyro.contrib.module import random_flax_module

    net = nn.Sequential([nn.Dense(3), nn.tanh, nn.Dense(1)])

    def fn(x, y=None):
        apply = random_flax_module("net", net, dist.Normal(0.0, 1.0), x[:1])
        outputs = numpyro.deterministic("outputs", apply(x)[:, 0])
        numpyro.sample("y", dist.Normal(outputs, 0.1), obs=y)

    x, y = X[:, None], Y
    model = cw.Model.from_numpyro(fn, x, y=y)
    u = point(model, 0)
    seeded = numpyro.handlers.seed(fn, 0)
    np.testing.assert_allclose(
        model.target().log_density(u), -potential_energy(seeded, (x,), {"y": y}, u), rtol=1e-5
    )
    post = model.mcmc.numpyro_nuts(seed=0, num_chains=2, num_warmup=10, num_draws=5,
                                   progress=False)  # fmt: skip
    assert sorted(post.to_datatree()["posterior"].data_vars) == [
        "net.layers_0.bias", "net.layers_0.kernel", "net.layers_2.bias", "net.layers_2.kernel",
    ]  # fmt: skip
    layers = {
        layer: {leaf: post.draws[f"net/{layer}.{leaf}"][1, 3] for leaf in ("bias", "kernel")}
        for layer in ("layers_0", "layers_2")
    }
    np.testing.assert_allclose(
        post.predict(2 * x)["predictions"]["outputs"].values[1, 3],
        net.apply({"params": layers}, 2 * x)[:, 0],
        rtol=1e-4,
        atol=1e-5,
    )


@needs_flax
def test_numpyro_random_nnx_module():
    from flax import nnx
    from numpyro.contrib import module

    if not hasattr(module, "random_nnx_module"):
        pytest.skip("this NumPyro knows no NNX")
    net = nnx.Linear(1, 1, rngs=nnx.Rngs(0))

    def fn(x, y=None):
        apply = module.random_nnx_module("net", net, dist.Normal(0.0, 2.0))
        numpyro.sample("y", dist.Normal(apply(x)[:, 0], 0.5), obs=y)

    post = cw.Model.from_numpyro(fn, X[:, None], y=Y).mcmc.numpyro_nuts(
        seed=0, num_draws=500, progress=False
    )
    mean, covariance = exact(X, Y)
    off, _ = errors(post.draws["net/kernel"][..., 0, 0], mean[1], covariance[1, 1] ** 0.5)
    assert abs(off[0]) < 5


def test_a_program_is_judged_on_its_parameters(line_post):
    report = line_post.report()
    assert report.of == "parameter" and report.rhat.shape == (2,)
    assert report.verdict.startswith("no problem found") and "of 2 parameters" in report.verdict
    with pytest.raises(ValueError, match="`report` at `x` needs a model that predicts"):
        line_post.report(X)
    assert list(line_post.summary().index) == ["weights[0]", "weights[1]"]
