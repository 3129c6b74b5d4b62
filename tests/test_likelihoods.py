"""Likelihoods: the distribution that each is, and targets that it cannot have."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from scipy import stats
from support.lines import ROWS, example, inputs, linear_model, normals

from crewel import likelihoods
from crewel.core.trees import leaf_paths


def test_every_named_likelihood_is_what_it_says():
    x = inputs()
    rng = np.random.default_rng(3)
    one, two, three = (x @ example(n)["w"] for n in (1, 2, 3))
    classes, counts, bits = rng.integers(0, 3, ROWS), rng.poisson(2, ROWS), rng.integers(0, 2, ROWS)
    y = normals()
    softmax = three - np.log(np.exp(three).sum(-1, keepdims=True))
    cases = {
        "gaussian": (1, y, {"sigma"}, lambda p: stats.norm(one[:, 0], p["sigma"]).logpdf(y)),
        "heteroscedastic": (
            2, y, set(), lambda p: stats.norm(two[:, 0], np.exp(two[:, 1])).logpdf(y)
        ),
        "student_t": (
            1, y, {"df", "sigma"}, lambda p: stats.t(p["df"], one[:, 0], p["sigma"]).logpdf(y)
        ),
        "categorical": (3, classes, set(), lambda p: softmax[np.arange(ROWS), classes]),
        "bernoulli": (
            1, bits, set(), lambda p: stats.bernoulli(1 / (1 + np.exp(-one[:, 0]))).logpmf(bits)
        ),
        "poisson": (1, counts, set(), lambda p: stats.poisson(np.exp(one[:, 0])).logpmf(counts)),
    }  # fmt: skip
    assert set(cases) == set(likelihoods.NAMED)
    for name, (outputs, y, latents, expected) in cases.items():
        model = linear_model(y, name, outputs)
        assert set(model.latents) == latents, name
        found = model.predictive.pointwise(model.test_point, x, y)
        p = {k: float(v) for k, v in model.test_point.items() if k != "w"}
        np.testing.assert_allclose(found, expected(p), rtol=2e-4, atol=1e-4, err_msg=name)
        both = float(model.target().log_prior(model.test_point)) + float(found.sum())
        np.testing.assert_allclose(model.log_density(model.test_point), both, rtol=1e-5)


def test_targets_of_several_columns():
    x, y = inputs(), normals(shape=(ROWS, 2))
    model = linear_model(y, "heteroscedastic", 4)
    out = x @ example(4)["w"]
    expected = stats.norm(out[:, :2], np.exp(out[:, 2:])).logpdf(y).sum(-1)
    found = model.predictive.pointwise(model.test_point, x, y)
    np.testing.assert_allclose(found, expected, rtol=2e-4, atol=1e-4)
    # One column of `y` stays one column of the outputs.
    one = linear_model(y[:, :1], likelihoods.gaussian(0.3))
    expected = stats.norm((x @ example(1)["w"])[:, 0], 0.3).logpdf(y[:, 0])
    found = one.predictive.pointwise(one.test_point, x, y[:, :1])
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_noise_is_fixed_or_has_the_prior_that_is_given():
    fixed = linear_model(normals(), likelihoods.gaussian(0.5))
    assert leaf_paths(fixed.test_point) == ["w"]
    learned = linear_model(normals(), "gaussian", latents={"sigma": dist.LogNormal(-1, 0.5)})
    assert repr(learned.priors).splitlines()[-1].split("  ")[-1] == "LogNormal(loc=-1, scale=0.5)"
    p = {**learned.test_point, "sigma": jnp.float32(0.3)}
    expected = stats.norm.logpdf(p["w"]).sum() + stats.lognorm(0.5, scale=np.exp(-1)).logpdf(0.3)
    np.testing.assert_allclose(learned.target().log_prior(p), expected, rtol=1e-5)


def test_a_likelihood_function_finds_latents_of_every_support():
    def likelihood(out, p):
        return dist.Normal(out[:, 0] + p["shift"], p["sigma"] * p["share"][0])

    latents = {
        "sigma": dist.HalfNormal(1.0),
        "shift": dist.Uniform(-1.0, 3.0),
        "share": dist.Dirichlet(jnp.ones(3)),
    }
    model = linear_model(normals(), likelihood, latents=latents)
    target = model.target()
    z = jax.tree.map(
        lambda leaf: 3 * jnp.ones_like(leaf), target.transform.inverse(model.test_point)
    )
    p = target.constrain(z)
    assert z["share"].shape == (2,) and p["share"].shape == (3,)
    assert -1 < float(p["shift"]) < 3
    np.testing.assert_allclose(p["share"].sum(), 1, rtol=1e-5)
    np.testing.assert_allclose(
        target.log_density(z), model.log_density(p) + target.transform.log_det(z), rtol=1e-5
    )


@pytest.mark.parametrize(
    "y, likelihood, outputs, words",
    [
        (normals(), "gaussian", 3, ["Normal of shape (20, 3)", "`y` has shape (20,)"]),
        (normals(shape=(ROWS, 1)), lambda o, p: dist.Normal(o[:, 0], 1.0), 1,
         ["of shape (20,)", "(20, 1)", "pass `y[:, 0]`"]),
        (normals(), lambda o, p: dist.Normal(o, 1.0), 1, ["shape (20, 1)", "`outputs[..., 0]`"]),
        (normals(), lambda o, p: dist.Normal(o, jnp.ones(ROWS)), 1,
         ["shape (20, 20)", "broadcast", "every datum is compared with every other"]),
        (np.eye(3)[np.arange(ROWS) % 3], "categorical", 3, ["one-hot", "`y.argmax(-1)`"]),
        (normals(), "heteroscedastic", 3, ["two outputs for each value of `y`", "(20, 3)"]),
    ],
)  # fmt: skip
def test_a_likelihood_of_another_shape_says_both_shapes(y, likelihood, outputs, words):
    with pytest.raises(ValueError) as caught:
        linear_model(y, likelihood, outputs)
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_an_error_inside_the_likelihood_is_shown_with_the_shapes():
    with pytest.raises(TypeError) as caught:
        linear_model(normals(), lambda out, p: dist.Normal(out @ jnp.ones((7, 1)), 1.0), 2)
    assert "outputs have shape (20, 2) and `y` has shape (20,)" in caught.value.__notes__[-1]


@pytest.mark.parametrize(
    "y, likelihood, outputs, error, words",
    [
        (np.arange(ROWS) % 4, "categorical", 3, ValueError,
         ["`y` in row 3 is 3", "classes are 0 to 2"]),
        (np.arange(ROWS) % 3 - 1, "categorical", 3, ValueError, ["`y` in row 0 is -1"]),
        (normals(), "categorical", 3, TypeError, ["dtype float32", "`y.astype(int)`"]),
        (np.arange(ROWS) % 3, "bernoulli", 1, ValueError, ["`y` in row 2 is 2", "Bernoulli"]),
        (np.arange(ROWS) - 1, "poisson", 1, ValueError, ["`y` in row 0 is -1", "Poisson"]),
        (np.arange(ROWS) + 0.5, "poisson", 1, ValueError, ["`y` in row 0 is 0.5"]),
        (-np.ones(ROWS), lambda o, p: dist.Gamma(2.0, jnp.exp(o[:, 0])), 1, ValueError,
         ["`y` in row 0 is -1", "Gamma"]),
        (normals(), lambda o, p: o, 1, TypeError, ["must return a NumPyro distribution"]),
        (normals(), 7, 1, TypeError, ["`likelihood` is a int"]),
        (normals(), "normal", 1, ValueError, ["No likelihood is called `normal`", "gaussian"]),
    ],
)  # fmt: skip
def test_targets_that_the_likelihood_cannot_have(y, likelihood, outputs, error, words):
    with pytest.raises(error) as caught:
        linear_model(y, likelihood, outputs)
    assert all(word in str(caught.value) for word in words), str(caught.value)
