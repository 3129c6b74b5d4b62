"""What a posterior is asked: rows with and without targets, other arguments, seeds and keys."""

from __future__ import annotations

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
import support
from numpyro.infer import log_likelihood
from support.minibatches import QUICK

import crewel as cw
from crewel.core import warning

RUN = {"seed": 0, "num_chains": 2, "num_warmup": 50, "num_draws": 30, "progress": False}
X = np.random.default_rng(0).normal(size=(20, 2)).astype(np.float32)
Y = (X @ [1.0, -1.0]).astype(np.float32)


@pytest.fixture(scope="module")
def post():
    model = cw.wrap(
        lambda p, x: x @ p["w"], X, Y, likelihood="gaussian", example={"w": jnp.zeros(2)}
    )
    return model.mcmc.numpyro_nuts(**RUN)


@pytest.fixture(scope="module")
def weighted():
    return support.rows().model.sgmcmc.blackjax_csgld(seed=0, **QUICK)


# --- targets and inputs -------------------------------------------------------------------------


def test_targets_need_their_inputs(post):
    for ask in (
        lambda: post.log_likelihood(y=Y[:3]),
        lambda: post.report(y=Y[:3]),
    ):
        with pytest.raises(ValueError, match="`y` was given without `x`"):
            ask()
    with pytest.raises(ValueError, match="`x` was given without `y`"):
        post.log_likelihood(X[:3])
    with pytest.raises(TypeError, match=r"^predict\(\) missing 1 required .* 'x'"):
        post.predict()
    with pytest.raises(TypeError, match=r"^log_likelihood\(\) got an unexpected .* 'z'"):
        post.log_likelihood(z=X)
    own = post.log_likelihood()["log_likelihood"]["y"]
    other = post.log_likelihood(X[:3], Y[:3])["log_likelihood"]["y"]
    np.testing.assert_allclose(other, own[..., :3], rtol=1e-5, atol=1e-5)
    sigma = post.draws["sigma"][..., None].astype(np.float64)
    mean = post.draws["w"].astype(np.float64) @ X.T
    exact = -0.5 * ((Y - mean) / sigma) ** 2 - np.log(sigma) - 0.5 * np.log(2 * np.pi)
    np.testing.assert_allclose(own, exact, rtol=1e-3, atol=1e-3)


def test_targets_of_another_shape_are_not_broadcast(post):
    """`(3, 1)` against `(3,)` would be a 3 x 3 table of every row with every other."""
    for ask in (post.log_likelihood, post.metrics, post.report):
        with pytest.raises(ValueError, match=r"`y` has shape \(3, 1\) and its likelihood \(3,\)"):
            ask(X[:3], Y[:3, None])


def program(x, y=None, scale=1.0):
    slope = numpyro.sample("slope", dist.Normal(0.0, 1.0))
    numpyro.sample("y", dist.Normal(slope * x, scale), obs=y)
    numpyro.sample("z", dist.Poisson(jnp.exp(slope)), obs=None if y is None else 2)


def test_programs_are_scored_on_other_arguments():
    """Against NumPyro's own `log_likelihood`, by position and by keyword."""
    post = cw.Model.from_numpyro(program, X[:, 0], y=Y).mcmc.numpyro_nuts(**RUN)
    samples = {name: jnp.asarray(leaf) for name, leaf in post.draws.items()}
    for args, kwargs in (
        ((X[:, 0],), {"y": Y}),
        ((X[:5, 1],), {"y": Y[:5], "scale": 2.0}),
        ((), {"x": X[:4, 1], "y": Y[:4] + 1}),
    ):
        exact = log_likelihood(program, samples, *args, batch_ndims=2, **kwargs)
        found = post.log_likelihood(*args, **kwargs)["log_likelihood"]
        for name in ("y", "z"):
            np.testing.assert_allclose(found[name], exact[name], rtol=1e-5, atol=1e-5)
    own = post.log_likelihood()["log_likelihood"]
    exact = log_likelihood(program, samples, X[:, 0], y=Y, batch_ndims=2)
    np.testing.assert_allclose(own["y"], exact["y"], rtol=1e-5, atol=1e-5)


def test_a_bare_density_cannot_predict():
    post = support.small().mcmc.numpyro_nuts(**RUN)
    for ask in (
        post.predict,
        lambda: post.predict(X),
        post.log_likelihood,
        lambda: post.metrics(X, Y),
    ):
        with pytest.raises(ValueError, match="log density alone|needs a model that predicts"):
            ask()


# --- seeds and keys -----------------------------------------------------------------------------


@pytest.mark.parametrize("make", [jax.random.key, jax.random.PRNGKey, np.int64])
def test_seeds_may_be_keys(post, weighted, make):
    """An integer and the key made of it, typed or raw, give the same numbers."""
    seed = make(3)
    np.testing.assert_array_equal(
        post.predict(X, seed=seed)["predictions"]["y"], post.predict(X, seed=3)["predictions"]["y"]
    )
    assert post.metrics(X, Y, seed=seed) == post.metrics(X, Y, seed=3)
    assert post.metrics(X, Y, seed=seed)["crps"] != post.metrics(X, Y, seed=4)["crps"]
    again = weighted.resampled(seed=seed).draws
    jax.tree.map(np.testing.assert_array_equal, again, weighted.resampled(seed=3).draws)


# --- weights ------------------------------------------------------------------------------------

WEIGHTS = "Draws of `blackjax_csgld` carry weights that averages over them ignore"


def test_weighted_draws_are_never_averaged_in_silence(weighted):
    with pytest.warns(UserWarning, match=WEIGHTS) as caught:
        tree = weighted.to_datatree()
    assert [warning.filename for warning in caught] == [__file__]
    np.testing.assert_array_equal(tree["sample_stats"]["log_weight"], weighted.stats["log_weight"])
    with pytest.warns(UserWarning, match=WEIGHTS) as caught:
        weighted.summary(space="weights")
    assert {warning.filename for warning in caught if WEIGHTS in str(warning.message)} == {__file__}


def test_reports_of_weighted_draws_warn():
    model = cw.wrap(
        lambda p, x: x @ p["w"], X, Y, likelihood=cw.likelihoods.gaussian(1.0),
        example={"w": jnp.zeros(2)},
    )  # fmt: skip
    post = model.sgmcmc.blackjax_csgld(seed=0, **QUICK)
    with pytest.warns(UserWarning, match=WEIGHTS) as caught:
        post.report()
    assert {warning.filename for warning in caught if WEIGHTS in str(warning.message)} == {__file__}


@pytest.mark.filterwarnings("error")
def test_single_points_need_no_weights(weighted):
    """A start from the latest draws, and draws of equal weight, average nothing."""
    start = weighted.resampled().to_datatree()
    assert "log_weight" not in start["sample_stats"]
    assert weighted.points is weighted.draws


# --- identity -----------------------------------------------------------------------------------


def test_posteriors_are_compared_by_identity(post):
    """Arrays among the fields have no truth value: equality must not ask for it."""
    other = post.extend(1, progress=False)
    assert post == post and post != other
    assert post in [other, post] and post not in [other]
    assert {post, other, post} == {other, post}


def test_warnings_point_outside_the_package():
    """Also at a file of a directory whose name begins like that of the package."""
    script = str(Path(warning.__file__).parents[1]) + "-experiments/script.py"
    names = {"warn": warning.warn}
    exec(compile("def run():\n    warn('Look here.')\n", script, "exec"), names)
    with pytest.warns(UserWarning, match="Look here") as caught:
        names["run"]()
    assert (caught[0].filename, caught[0].lineno) == (script, 2)
