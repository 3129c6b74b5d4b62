"""Checks of shapes in the likelihood: the broadcast trap and outer sums."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from support.checks import (
    GOOD,
    N,
    W,
    X,
    Y,
    check,
    log_likelihood,
    log_prior,
    network,
    normal,
    regression,
)

import crewel as cw


@pytest.mark.parametrize(
    ("likelihood", "message"),
    [
        (lambda p, b: log_likelihood(p, b).sum(), "already summed"),
        (
            lambda p, b: dist.Normal(b["x"] @ p["w"], 1.0).log_prob(b["y"][:, None]),
            "every datum is compared with every other",
        ),
        (lambda p, b: jnp.stack([log_likelihood(p, b)] * 2, 1), "Sum the values of each row"),
        (lambda p, b: log_likelihood(p, b)[:-1], "first axis must be the rows"),
    ],
)
def test_one_likelihood_value_a_row(likelihood, message):
    found = check("likelihood shape", regression(likelihood))
    assert found.status == "failed"
    assert message in found.message


def predicting(outputs, distribution, y):
    """A model as a bridge makes it, without the checks of `wrap`."""
    from jax.tree_util import Partial

    from crewel.posterior.predict import NetworkPredictive

    predictive = NetworkPredictive(
        Partial(lambda p, x: outputs(p, x)), Partial(lambda p, out, x: distribution(out))
    )
    return cw.Model(
        None,
        W,
        data={"x": X, "y": y},
        log_prior=log_prior,
        log_likelihood=lambda p, b: predictive.pointwise(p, b["x"], b["y"]),
        predictive=predictive,
    )


@pytest.mark.parametrize(
    ("outputs", "distribution", "y", "words"),
    [
        (
            lambda p, x: x @ p["w"],
            lambda out: dist.Normal(out, 1.0),
            Y[:, None],
            ["Normal of shape (20,)", "`y` has shape (20, 1)", "pass `y[:, 0]`"],
        ),
        (
            lambda p, x: (x @ p["w"])[:, None],
            lambda out: dist.Normal(out, 1.0),
            Y,
            ["Normal of shape (20, 1)", "`y` has shape (20,)", "use `outputs[..., 0]`"],
        ),
        (
            lambda p, x: x * p["w"],
            lambda out: dist.Categorical(logits=out),
            np.eye(3, dtype=np.int32)[np.arange(N) % 3],
            ["CategoricalLogits of shape (20,)", "(20, 3)", "`y.argmax(-1)`"],
        ),
        (
            lambda p, x: (x @ p["w"])[:, None],
            lambda out: dist.Normal(out, jnp.exp(out[:, 0])),
            Y,
            ["Normal of shape (20, 20)", "every datum is compared with every other"],
        ),
    ],
)
def test_likelihood_and_data_of_different_shapes(outputs, distribution, y, words):
    found = check("likelihood shape", predicting(outputs, distribution, y))
    assert found.status == "failed"
    assert all(word in found.message for word in words), found.message


def test_matching_likelihoods_pass():
    assert check("likelihood shape", regression()).message == "One value per row, shape (20,)."
    assert "Normal (20,) for `y` (20,)" in check("likelihood shape", network()).message
    assert check("likelihood shape", GOOD).status == "skipped"


def squared(p):
    return -jnp.sum((Y[:, None] - X @ p["w"]) ** 2)


@jax.jit
def compiled(p):
    return -((Y - (X @ p["w"])[:, None]) ** 2).mean(0).sum()


@pytest.mark.parametrize(
    ("density", "primitive"),
    [
        (squared, "sub"),
        (compiled, "sub"),
        (lambda p: dist.StudentT(4.0, X @ p["w"], 1.0).log_prob(Y[:, None]).sum(), "sub"),
        (
            lambda p: dist.Bernoulli(logits=(X @ p["w"])[:, None]).log_prob(Y > 0).sum(),
            "mul",
        ),
    ],
)
def test_outer_sums_are_found_with_shapes_and_line(density, primitive):
    found = check("broadcast", cw.Model(density, W))
    assert found.status == "warned"
    assert f"`{primitive}` combines shapes" in found.message
    assert "(20, 1)" in found.message and "(20,)" in found.message
    assert "test_broadcast_checks.py:" in found.message


def test_outer_sum_says_the_line():
    found = check("broadcast", cw.Model(squared, W))
    assert 'in squared: `return -jnp.sum((Y[:, None] - X @ p["w"]) ** 2)`' in found.message


def test_outer_sum_in_a_numpyro_model():
    import numpyro

    def line(x, y):
        w = numpyro.sample("w", dist.Normal(0, 1).expand([3]).to_event(1))
        numpyro.sample("y", dist.Normal(x @ w, 1.0), obs=y)

    found = check("broadcast", cw.Model.from_numpyro(line, X, Y[:, None]))
    assert found.status == "warned"
    assert "combines shapes (20, 1) and (20,)" in found.message
    assert "in log_prob: `" in found.message  # NumPyro's own line: the user's has returned
    assert check("broadcast", cw.Model.from_numpyro(line, X, Y)).status == "passed"


def gaussian_process(p):
    apart = ((X[:, None] - X[None]) ** 2).sum(-1)
    chol = jnp.linalg.cholesky(jnp.exp(-apart * jnp.exp(p["w"][0])) + 0.1 * jnp.eye(N))
    z = jax.scipy.linalg.solve_triangular(chol, Y, lower=True)
    return -0.5 * z @ z - jnp.log(jnp.diag(chol)).sum() + normal(p)


def attention(p):
    q = X * p["w"]
    causal = jnp.arange(N)[:, None] >= jnp.arange(N)
    weights = jax.nn.softmax(jnp.where(causal, q @ q.T, -1e9), -1)
    return -jnp.sum((Y - (weights @ X) @ p["w"]) ** 2)


@pytest.mark.parametrize("density", [normal, gaussian_process, attention])
def test_kernels_and_attention_are_no_broadcast_trap(density):
    assert check("broadcast", cw.Model(density, W)).status == "passed"
