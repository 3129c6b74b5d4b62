"""`wrap`: likelihoods, latents, what is refused, and what is compiled again (nothing)."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from flax import linen as nn
from scipy import stats
from support import counting

import crewel as cw
from crewel import likelihoods
from crewel.core.trees import leaf_paths

ROWS = 20


def inputs(seed=0):
    return np.random.default_rng(seed).normal(size=(ROWS, 3)).astype(np.float32)


def linear(params, x):
    return x @ params["w"]


def example(outputs, seed=1):
    return {"w": np.random.default_rng(seed).normal(size=(3, outputs)).astype(np.float32)}


def linear_model(y, likelihood, outputs=1, **kwargs):
    return cw.wrap(linear, inputs(), y, likelihood=likelihood, example=example(outputs), **kwargs)


def normals(seed=2, shape=(ROWS,)):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


# Likelihoods


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


# What is refused


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


def test_data_that_do_not_fit():
    x, y = inputs(), normals()
    kwargs = {"likelihood": "gaussian", "example": example(1)}
    with pytest.raises(ValueError, match="`x` has 20 rows and `y` has 19"):
        cw.wrap(linear, x, y[:-1], **kwargs)
    for name, broken in (("x", (np.where(np.arange(ROWS)[:, None] == 4, np.nan, x), y)),
                         ("y", (x, np.where(np.arange(ROWS) == 4, np.inf, y)))):  # fmt: skip
        with pytest.raises(ValueError, match=f"`{name}` has . values that are NaN.*row 4"):
            cw.wrap(linear, *broken, **kwargs)
    with pytest.raises(ValueError, match="a list of numbers is a pytree of scalars"):
        cw.wrap(linear, x, list(y), **kwargs)
    with pytest.raises(TypeError, match="`y` is a dict; it must be one array"):
        cw.wrap(linear, x, {"y": y}, **kwargs)


def test_a_latent_with_the_name_of_a_layer():
    with pytest.raises(ValueError, match="`latents` has the names \\['w'\\]"):
        linear_model(normals(), "gaussian", latents={"w": dist.Normal(0, 1)})


def test_inputs_may_be_a_pytree():
    x = {"a": inputs(0), "b": inputs(1)}
    model = cw.wrap(
        lambda p, x: x["a"] @ p["w"] + x["b"][:, :1], x, normals(),
        likelihood=likelihoods.gaussian(1.0), example=example(1),
    )  # fmt: skip
    mean = x["a"] @ example(1)["w"] + x["b"][:, :1]
    expected = stats.norm(mean[:, 0], 1).logpdf(normals())
    found = model.predictive.pointwise(model.test_point, x, normals())
    np.testing.assert_allclose(found, expected, rtol=1e-4)


# Where the parameters are


def test_latents_are_beside_the_layers_or_beside_the_network():
    x, y = inputs(), normals()
    model = cw.wrap(nn.Dense(1), x, y, likelihood="gaussian")
    assert leaf_paths(model.test_point) == ["bias", "kernel", "sigma"]
    pair = cw.wrap(
        lambda p, x: x @ p[0] + p[1], x, y, likelihood="gaussian",
        example=(jnp.zeros((3, 1)), jnp.zeros(1)), prior={"network.0": "fan_in",
                                                         "network.1": dist.Normal(0, 2)},
    )  # fmt: skip
    assert leaf_paths(pair.test_point) == ["network.0", "network.1", "sigma"]
    bare = cw.wrap(
        lambda p, x: x @ p[0] + p[1], x, y, likelihood=likelihoods.gaussian(1.0),
        example=(jnp.zeros((3, 1)), jnp.zeros(1)),
    )  # fmt: skip
    assert isinstance(bare.test_point, tuple)
    assert leaf_paths(bare.test_point) == ["0", "1"]


# Compiled once


class Mlp(nn.Module):
    widths: list

    @nn.compact
    def __call__(self, x):
        for width in self.widths:
            x = nn.tanh(nn.Dense(width)(x))
        return nn.Dense(1)(x)


def test_the_same_network_on_other_data_with_other_priors_compiles_nothing():
    run = {"num_warmup": 5, "num_draws": 5, "num_chains": 2, "max_tree_depth": 2, "progress": False}

    def model(seed, scale, low, tau):
        return cw.wrap(
            Mlp([4]), inputs(seed), normals(seed),
            likelihood="student_t",
            prior={"*.kernel": dist.Normal(0, scale), "Dense_0.bias": dist.Uniform(low, 5.0),
                   "Dense_1.bias": dist.Normal(0, 1)},
            latents={"sigma": dist.HalfNormal(tau), "df": dist.Uniform(low + 4, 20)},
        )  # fmt: skip

    first = model(0, 1, -3, 1).mcmc.numpyro_nuts(seed=0, **run)
    other = model(1, 0.5, -2.5, 2.0)
    with counting() as count:
        second = other.mcmc.numpyro_nuts(seed=1, **run)
    assert count == {"trace": 0, "compile": 0}
    kernels = [post.draws["Dense_0"]["kernel"] for post in (first, second)]
    assert not np.array_equal(*kernels)
    assert second.draws["Dense_0"]["bias"].min() > -2.5
    assert second.draws["df"].min() > 1.5


def test_other_fixed_noise_compiles_nothing_and_changes_the_density():
    run = {"seed": 0, "num_particles": 2, "num_steps": 3, "progress": False}
    one, other = (linear_model(normals(), likelihoods.gaussian(sigma)) for sigma in (0.1, 2.0))
    first = one.optimize.optax_sgd(**run)
    with counting() as count:
        second = other.optimize.optax_sgd(**run)
    assert count == {"trace": 0, "compile": 0}
    assert np.abs(first.losses[:, 0] - second.losses[:, 0]).min() > 1
