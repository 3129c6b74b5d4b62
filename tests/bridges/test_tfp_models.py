"""TFP's joint distributions: density, Jacobian, predictions."""

from __future__ import annotations

import jax
import numpy as np
import numpyro.distributions as dist
import pytest
from jax.flatten_util import ravel_pytree
from support import counting
from support.programs import DATA, needs_tfp, point

import crewel as cw


def joint(kind):
    """One hierarchical model in each of TFP's ways to write it."""
    from tensorflow_probability.substrates.jax import distributions as tfd

    def coroutine():
        a = yield tfd.JointDistributionCoroutine.Root(tfd.HalfNormal(2.0, name="a"))
        b = yield tfd.Sample(tfd.Uniform(-a, a + 1.0), 2, name="b")
        yield tfd.Sample(tfd.Normal(b[..., 0], 1.0), 6, name="y")

    if kind == "sequential":
        return tfd.JointDistributionSequential(
            [
                tfd.HalfNormal(2.0),
                lambda a: tfd.Sample(tfd.Uniform(-a, a + 1.0), 2),
                lambda b: tfd.Sample(tfd.Normal(b[..., 0], 1.0), 6),
            ]
        )
    if kind == "named":
        return tfd.JointDistributionNamed(
            {
                "a": tfd.HalfNormal(2.0),
                "b": lambda a: tfd.Sample(tfd.Uniform(-a, a + 1.0), 2),
                "y": lambda b: tfd.Sample(tfd.Normal(b[..., 0], 1.0), 6),
            }
        )
    batched = kind == "batched"
    made = tfd.JointDistributionCoroutineAutoBatched if batched else tfd.JointDistributionCoroutine
    return made(coroutine)


def pin(distribution, kind, y):
    if kind == "sequential":
        return distribution.experimental_pin(None, None, y)
    return distribution.experimental_pin(y=y)


def by_hand(a, b, y):
    """The density of `joint`."""
    return (
        dist.HalfNormal(2.0).log_prob(a)
        + dist.Uniform(-a, a + 1.0).log_prob(b).sum()
        + dist.Normal(b[0], 1.0).log_prob(y).sum()
    )


@needs_tfp
@pytest.mark.parametrize("kind", ["sequential", "named", "coroutine", "batched"])
def test_tfp_density_structure_and_jacobian(kind):
    pinned = pin(joint(kind), kind, DATA)
    model = cw.Model.from_tfp(pinned)
    assert type(model.test_point) is type(pinned.sample_unpinned(seed=jax.random.PRNGKey(0)))
    target = model.target()
    flat, back = ravel_pytree(point(model, 2))
    params = target.constrain(back(flat))
    a, b = jax.tree.leaves(params)
    np.testing.assert_allclose(model.log_density(params), by_hand(a, b, DATA), rtol=1e-5)
    np.testing.assert_allclose(
        target.log_prior(params) + target.log_likelihood(params, None).sum(),
        by_hand(a, b, DATA),
        rtol=1e-5,
    )
    matrix = jax.jacobian(lambda v: ravel_pytree(target.constrain(back(v)))[0])(flat)
    np.testing.assert_allclose(
        target.log_density(back(flat)),
        by_hand(a, b, DATA) + np.linalg.slogdet(matrix)[1],
        rtol=1e-5,
    )


@needs_tfp
def test_tfp_runs_predicts_and_takes_new_data():
    distribution = joint("coroutine")

    def run(y, seed):
        post = cw.Model.from_tfp(distribution.experimental_pin(y=y)).mcmc.numpyro_nuts(
            seed=seed, num_chains=2, num_warmup=300, num_draws=500, progress=False
        )
        return post, post.predict()["predictions"]["y"].values

    first, _ = run(DATA, 0)
    with counting() as counts:
        post, y = run(5 + DATA, 1)
    assert counts["compile"] == 0
    assert type(post.draws).__name__ == "StructTuple"
    assert (post.draws.b < post.draws.a[..., None] + 1).all()
    assert first.draws.b[..., 0].mean() + 1 < post.draws.b[..., 0].mean()
    noise = y - post.draws.b[..., :1]
    assert abs(noise.mean()) < 5 / np.sqrt(6000) and abs(noise.std() - 1) < 5 / np.sqrt(12000)
    with pytest.raises(TypeError, match="takes no arguments"):
        post.predict(DATA)
    with pytest.raises(ValueError, match="whole pinned part"):
        post.log_likelihood()


@needs_tfp
def test_tfp_errors():
    with pytest.raises(TypeError, match=r"experimental_pin\(y=y\)"):
        cw.Model.from_tfp(joint("named"))
    model = cw.Model.from_tfp(pin(joint("sequential"), "sequential", DATA))
    post = model.mcmc.numpyro_nuts(seed=0, num_chains=1, num_warmup=5, num_draws=5, progress=False)
    with pytest.raises(ValueError, match="names for the parts"):
        post.predict()
