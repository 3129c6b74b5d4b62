"""`post.uncertainty`: the parts, against a posterior that is known."""

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest

import crewel as cw

N, NOISE = 40, 0.3
rng = np.random.default_rng(0)
X = rng.normal(size=(N, 2)).astype(np.float32)
Y = (X @ [1.0, -0.5] + NOISE * rng.normal(size=N)).astype(np.float32)
RUN = {"seed": 0, "num_chains": 4, "num_warmup": 500, "num_draws": 1000, "progress": False}


def line(params, x):
    return x @ params["w"]


@pytest.fixture(scope="module")
def post():
    model = cw.wrap(
        line, X, Y, likelihood=cw.likelihoods.gaussian(NOISE), example={"w": np.zeros((2, 1))}
    )
    return model.mcmc.numpyro_nuts(**RUN)


def test_the_parts_of_a_linear_regression_are_the_exact_ones(post):
    new = np.array([[0.0, 0.0], [1.0, 0.0], [3.0, -3.0]], np.float32)
    found = post.uncertainty(new, quantiles=(0.1, 0.5, 0.9))
    covariance = np.linalg.inv(X.T @ X / NOISE**2 + np.eye(2))
    epistemic = np.einsum("ni,ij,nj->n", new, covariance, new)
    # The error of a variance from m independent draws is sqrt(2 / m) of it; ESS is above 1,000.
    bound = 5 * np.sqrt(2 / 1000)
    np.testing.assert_allclose(found["epistemic"], epistemic, rtol=bound, atol=1e-9)
    np.testing.assert_allclose(found["aleatoric"], NOISE**2, rtol=1e-5)
    np.testing.assert_allclose(found["total"], found["aleatoric"] + found["epistemic"], rtol=1e-6)
    assert found["y_quantile"].dims == ("row", "quantile")
    sd = np.sqrt(epistemic + NOISE**2)
    mean = new @ covariance @ X.T @ Y / NOISE**2
    expected = mean[:, None] + sd[:, None] * np.array([-1.2816, 0.0, 1.2816])
    np.testing.assert_allclose(found["y_quantile"], expected, atol=5 * 1.7 * sd.max() / 1000**0.5)
    assert (abs(found["mean"] - mean) < 5 * np.sqrt(epistemic / 1000) + 1e-6).all()


def test_classes_have_entropies_and_labels():
    labels = np.where(X[:, 0] > 0, "yes", "no")
    model = cw.wrap(line, X, labels, likelihood="categorical", example={"w": np.zeros((2, 2))})
    post = model.mcmc.numpyro_nuts(**RUN | {"num_draws": 200})
    found = post.uncertainty(X)
    p = post.predict(X)["predictions"]["probability"].values.astype(np.float64)
    mean = p.mean((0, 1))
    np.testing.assert_allclose(found["total"], -(mean * np.log(mean)).sum(-1), rtol=1e-5)
    np.testing.assert_allclose(found["aleatoric"], -(p * np.log(p)).sum(-1).mean((0, 1)), rtol=1e-5)
    assert found["probability"].dims == ("row", "class")
    assert list(found["class"].values) == ["no", "yes"]
    np.testing.assert_allclose(found["probability"].sel({"class": "yes"}), mean[:, 1], rtol=1e-6)


def test_a_likelihood_without_a_variance_has_a_total_only():
    squashed = [dist.transforms.SigmoidTransform()]
    model = cw.wrap(
        line, X, np.clip(0.5 + Y / 10, 0.01, 0.99), example={"w": np.zeros((2, 1))},
        likelihood=lambda out, latents: dist.TransformedDistribution(
            dist.Normal(out[:, 0], 1.0), squashed
        ),
    )  # fmt: skip
    found = model.mcmc.numpyro_nuts(**RUN | {"num_draws": 200}).uncertainty(X[:5])
    assert set(found.data_vars) == {"total", "mean", "y_quantile"}
    assert found["total"].shape == (5,) and (found["total"] > 0).all()


def test_what_has_no_parts_is_refused(post):
    with pytest.raises(ValueError, match="between 0 and 1"):
        post.uncertainty(X, quantiles=(0.5, 1.5))
    angles = cw.wrap(
        line, X, Y, example={"w": np.zeros((2, 1))},
        likelihood=lambda out, latents: dist.VonMises(out[:, 0], 1.0),
    )  # fmt: skip
    with pytest.raises(ValueError, match="angle"):
        angles.mcmc.numpyro_nuts(**RUN | {"num_draws": 20, "num_warmup": 20}).uncertainty(X)
    bare = cw.Model(lambda p: -jnp.sum(p**2), np.zeros(2)).mcmc.numpyro_nuts(
        **RUN | {"num_draws": 20, "num_warmup": 20}
    )
    with pytest.raises(ValueError, match="`uncertainty` needs a model that predicts"):
        bare.uncertainty(X)
