"""Models of other languages: the same density as in the language itself, and its predictions."""

from __future__ import annotations

import importlib.util
import os

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from jax.flatten_util import ravel_pytree
from numpyro.contrib.control_flow import scan
from numpyro.handlers import mask, scale
from numpyro.infer import Predictive, log_likelihood
from numpyro.infer.util import potential_energy
from support import counting, errors

import crewel as cw

SHORT = {"num_chains": 2, "num_warmup": 300, "num_draws": 400, "progress": False}


def has(*names):
    return all(importlib.util.find_spec(name) is not None for name in names)


needs_tfp = pytest.mark.skipif(not has("tensorflow_probability"), reason="TFP is not installed")
needs_pymc = pytest.mark.skipif(not has("pymc"), reason="PyMC is not installed")
needs_flax = pytest.mark.skipif(not has("flax"), reason="Flax is not installed")


def point(model, seed):
    """A point of the unconstrained space, away from zero."""
    u = jax.jit(model.target().transform.inverse)(model.test_point)
    flat, back = ravel_pytree(u)
    return back(0.7 * jax.random.normal(jax.random.key(seed), flat.shape))


def line(x, y=None, *, scale=0.5):
    """A Bayesian line, whose posterior is known."""
    weights = numpyro.sample("weights", dist.Normal(0.0, 2.0).expand([2]).to_event(1))
    mu = numpyro.deterministic("mu", weights[0] + weights[1] * x)
    with numpyro.plate("rows", x.shape[0]):
        numpyro.sample("y", dist.Normal(mu, scale), obs=y)


X = np.linspace(-1.0, 2.0, 12).astype(np.float32)
Y = (0.3 - 0.8 * X + 0.5 * np.random.default_rng(0).normal(size=12)).astype(np.float32)


def exact(x, y, scale=0.5):
    """Mean and covariance of the weights of `line`."""
    design = np.stack([np.ones_like(x), x], 1).astype(float)
    covariance = np.linalg.inv(np.eye(2) / 4 + design.T @ design / scale**2)
    return covariance @ design.T @ y.astype(float) / scale**2, covariance


def schools(number, sigma, y=None):
    mu = numpyro.sample("mu", dist.Normal(0.0, 5.0))
    tau = numpyro.sample("tau", dist.HalfCauchy(5.0))
    with numpyro.plate("schools", number):
        theta = numpyro.sample("theta", dist.Normal(mu, tau))
        numpyro.sample("y", dist.Normal(theta, sigma), obs=y)
    numpyro.deterministic("twice", 2 * mu)


def dependent(y):
    """Bounds and sizes that depend on other latents and on the data."""
    a = numpyro.sample("a", dist.HalfNormal(2.0))
    b = numpyro.sample("b", dist.Uniform(-a, a + y.max()))
    c = numpyro.sample(
        "c", dist.TruncatedNormal(b, 1.0, low=b, high=a + 4.0).expand([3]).to_event(1)
    )
    numpyro.sample("y", dist.Normal(c.sum(), 1.0), obs=y)


def constrained(y):
    """Supports whose unconstrained shapes differ from their own."""
    weights = numpyro.sample("weights", dist.Dirichlet(jnp.ones(3)))
    numpyro.sample("corr", dist.LKJCholesky(3, 2.0))
    cuts = numpyro.sample("cuts", dist.ImproperUniform(dist.constraints.ordered_vector, (), (2,)))
    numpyro.sample("y", dist.Normal(weights[0] + cuts.sum(), 1.0), obs=y)


def series(y=None, length=6):
    phi = numpyro.sample("phi", dist.Uniform(-1.0, 1.0))

    def step(before, y):
        state = numpyro.sample("state", dist.TruncatedNormal(phi * before, 1.0, low=-2.0))
        numpyro.sample("y", dist.Normal(state, 0.5), obs=y)
        return state, state

    scan(step, 0.0, y, length=length)


def tempered(y):
    z = numpyro.sample("z", dist.Gamma(2.0, 1.0))
    numpyro.factor("penalty", -(z**2))
    with scale(scale=0.5), mask(mask=y > 0):
        numpyro.sample("y", dist.Normal(z, 1.0), obs=y)


DATA = np.array([0.5, -1.0, 2.0, 1.0, 0.3, 1.2], np.float32)
PROGRAMS = {
    "plates": (schools, (6, np.arange(5.0, 11.0)), {"y": 3 * DATA}),
    "dependent supports": (dependent, (DATA,), {}),
    "simplex, Cholesky, ordered": (constrained, (DATA,), {}),
    "scan": (series, (DATA,), {}),
    "factor, scale and mask": (tempered, (DATA,), {}),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_numpyro_density_is_numpyros_own(name):
    fn, args, kwargs = PROGRAMS[name]
    model = cw.Model.from_numpyro(fn, *args, **kwargs)
    target = model.target()

    @jax.jit
    def both(u):
        back = target.transform.inverse(target.transform.forward(u))
        ours = jax.value_and_grad(target.log_density)(u)
        return ours, jax.value_and_grad(lambda u: -potential_energy(fn, args, kwargs, u))(u), back

    for seed in range(3):
        u = point(model, seed)
        (value, gradient), (own, slope), back = both(u)
        np.testing.assert_allclose(value, own, rtol=1e-5)
        np.testing.assert_allclose(
            ravel_pytree(gradient)[0], ravel_pytree(slope)[0], rtol=1e-4, atol=1e-4
        )
        np.testing.assert_allclose(ravel_pytree(back)[0], ravel_pytree(u)[0], atol=1e-5)


@pytest.mark.parametrize("name", PROGRAMS)
def test_numpyro_prior_and_likelihood_add_up(name):
    fn, args, kwargs = PROGRAMS[name]
    model = cw.Model.from_numpyro(fn, *args, **kwargs)
    target = model.target()
    if name == "factor, scale and mask":
        assert target.log_prior is None and target.log_likelihood is None
        return

    @jax.jit
    def parts(u):
        params = target.constrain(u)
        each = target.log_likelihood(params, None)
        return target.log_prior(params), each, model.log_density(params)

    prior, each, whole = parts(point(model, 1))
    assert each.shape == (6,)
    np.testing.assert_allclose(prior + each.sum(), whole, rtol=1e-5)


def test_numpyro_parameters_are_the_latents_only():
    model = cw.Model.from_numpyro(schools, 6, np.arange(5.0, 11.0), y=3 * DATA)
    assert {name: leaf.shape for name, leaf in model.test_point.items()} == {
        "mu": (),
        "tau": (),
        "theta": (6,),
    }
    assert repr(model) == "<crewel.Model: 8 parameters in 3 leaves>"


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


def test_numpyro_code_stays_code():
    model = cw.Model.from_numpyro(schools, 6, np.arange(5.0, 11.0), y=None)
    assert model.test_point["y"].shape == (6,)  # not observed, so a parameter
    wide = cw.Model.from_numpyro(line, X, y=Y, scale=2.0)
    narrow = cw.Model.from_numpyro(line, X, y=Y)
    params = {"weights": jnp.array([0.1, 0.2])}
    assert float(wide.log_density(params)) != float(narrow.log_density(params))


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


def test_numpyro_ways_to_start():
    model = cw.Model.from_numpyro(dependent, DATA)
    assert model.initial_state == "uniform" and list(model.initializers) == ["prior"]
    drawn = jax.vmap(model.initializers["prior"])(jax.random.split(jax.random.key(0), 500))
    assert (drawn["b"] > -drawn["a"]).all() and (drawn["c"] > drawn["b"][:, None]).all()
    assert abs(drawn["a"].mean() - 2 * np.sqrt(2 / np.pi)) < 5 * 1.2 / np.sqrt(500)
    assert list(cw.Model.from_numpyro(constrained, DATA).initializers) == []  # it is improper
    start = {"weights": jnp.array([3.0, 4.0])}
    model = cw.Model.from_numpyro(line, X, y=Y, initial_state=start)
    post = model.optimize.optax_sgd(seed=0, num_steps=1, learning_rate=0.0, progress=False)
    np.testing.assert_allclose(post.draws["weights"], np.broadcast_to([3.0, 4.0], (8, 1, 2)))


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


def _discrete():
    k = numpyro.sample("k", dist.Bernoulli(0.5))
    numpyro.sample("z", dist.Normal(k, 1.0))


def _subsampled(x):
    z = numpyro.sample("z", dist.Normal(0.0, 1.0))
    with numpyro.plate("rows", 12, subsample_size=4):
        numpyro.sample("y", dist.Normal(z, 1.0), obs=x[:4])


def _branching(x, n):
    z = numpyro.sample("z", dist.Normal(0.0, 1.0).expand([int(n)]).to_event(1))
    numpyro.sample("y", dist.Normal(z.sum(), 1.0), obs=x)


@pytest.mark.parametrize(
    ("error", "match", "fn", "args"),
    [
        (ValueError, "`k` is a discrete latent.*MixtureSameFamily", _discrete, ()),
        (ValueError, "`rows` draws 4 of 12 rows anew.*crewel.wrap", _subsampled, (X,)),
        (ValueError, "no latent site.*`obs=`", lambda: numpyro.sample("y", dist.Normal(), obs=0.0),
         ()),
        (ValueError, "`z` has a `Delta`.*deterministic",
         lambda: numpyro.sample("z", dist.Delta(0.0)), ()),
        (TypeError, r"value of an array argument.*`int\(n\)`", _branching, (X, jnp.array(3))),
        (TypeError, "needs a function of NumPyro statements, got a int", 3, ()),
        (TypeError, "Argument `args.0` holds a set", line, ({1},)),
    ],
)  # fmt: skip
def test_numpyro_bad_models_say_what_to_do(error, match, fn, args):
    with pytest.raises(error, match=match):
        cw.Model.from_numpyro(fn, *args)


def test_report_of_a_program_asks_for_a_network(line_post):
    with pytest.raises(ValueError, match="needs a model that predicts"):
        line_post.report()
    assert list(line_post.summary().index) == ["weights[0]", "weights[1]"]


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


def pymc_model(pm):
    with pm.Model() as model:
        a = pm.HalfNormal("a", 2.0)
        b = pm.Uniform("b", -a, a + 1.0)
        weights = pm.Dirichlet("weights", np.ones(3))
        c = pm.TruncatedNormal("c", b, 1.0, lower=b, upper=a + 2.0, shape=3)
        pm.Deterministic("twice", 2 * a)
        pm.Normal("y", c.sum() + weights[0], 1.0, observed=DATA)
    return model


@pytest.fixture(scope="module")
def pymc_case():
    import pymc as pm

    pm_model = pymc_model(pm)
    return pm_model, cw.Model.from_pymc(pm_model)


@needs_pymc
def test_pymc_density_is_pymcs_own(pymc_case):
    pm_model, model = pymc_case
    assert sorted(model.test_point) == ["a", "b", "c", "weights"]
    target = model.target()
    logp = pm_model.compile_logp()
    for seed in range(3):
        u = point(model, seed)
        values = {
            pm_model.rvs_to_values[rv].name: np.asarray(u[rv.name], np.float64)
            for rv in pm_model.free_RVs
        }
        np.testing.assert_allclose(target.log_density(u), logp(values), rtol=1e-5)
        params = target.constrain(u)
        back = target.transform.inverse(params)
        np.testing.assert_allclose(ravel_pytree(back)[0], ravel_pytree(u)[0], atol=1e-5)
        each = target.log_likelihood(params, None)
        assert each.shape == (6,)
        np.testing.assert_allclose(
            target.log_prior(params) + each.sum(), model.log_density(params), rtol=1e-5
        )


@needs_pymc
def test_pymc_leaves_jax_as_it_was(pymc_case):
    assert not jax.config.jax_enable_x64
    assert "device_count=100" not in os.environ.get("XLA_FLAGS", "")
    assert all(leaf.dtype == np.float32 for leaf in jax.tree.leaves(pymc_case[1].test_point))


@needs_pymc
def test_pymc_posterior_and_predictions():
    import pymc as pm

    with pm.Model() as pm_model:
        weights = pm.Normal("weights", 0.0, 2.0, shape=2)
        pm.Normal("y", weights[0] + weights[1] * X, 0.5, observed=Y)
    post = cw.Model.from_pymc(pm_model).mcmc.numpyro_nuts(seed=0, num_draws=500, progress=False)
    mean, covariance = exact(X, Y)
    off_mean, off_sd = errors(post.draws["weights"], mean, np.sqrt(np.diag(covariance)))
    assert np.abs(off_mean).max() < 5 and np.abs(off_sd).max() < 5
    own = dist.Normal(post.draws["weights"] @ np.stack([np.ones(12), X]), 0.5).log_prob(Y)
    np.testing.assert_allclose(post.log_likelihood()["log_likelihood"]["y"], own, atol=1e-4)
    with pytest.raises(ValueError, match="pymc.sample_posterior_predictive"):
        post.predict()
    if int(pm.__version__.split(".")[0]) >= 6:  # older ones take no DataTree
        made = pm.sample_posterior_predictive(
            post.to_datatree(), model=pm_model, progressbar=False, random_seed=0
        )
        y = made["posterior_predictive"]["y"].values
        noise = (y - post.draws["weights"] @ np.stack([np.ones(12), X])) / 0.5
        assert abs(noise.std() - 1) < 5 / np.sqrt(2 * noise.size)


@needs_pymc
def test_pymc_errors():
    import pymc as pm

    with pm.Model() as pm_model:
        k = pm.Bernoulli("k", 0.5)
        pm.Normal("z", k, 1.0)
    with pytest.raises(ValueError, match="`k` are discrete.*marginalize"):
        cw.Model.from_pymc(pm_model)
    with pytest.raises(TypeError, match="needs a `pymc.Model`, got a int"):
        cw.Model.from_pymc(3)
    with pm.Model() as pm_model:
        z = pm.HalfNormal("z", 1.0)
        pm.Potential("penalty", -(z**2))
        pm.Normal("y", z, 1.0, observed=1.0)
    model = cw.Model.from_pymc(pm_model)
    assert model.target().log_prior is None  # a potential is neither prior nor likelihood
    np.testing.assert_allclose(
        model.log_density({"z": 0.5}),
        dist.HalfNormal(1.0).log_prob(0.5) - 0.25 + dist.Normal(0.5, 1.0).log_prob(1.0),
        rtol=1e-5,
    )


@pytest.mark.skipif(has("oryx"), reason="Oryx is installed: tests/lane_bayeux")
def test_oryx_and_bayeux_say_which_lane_they_need():
    with pytest.raises(ImportError, match=r"JAX up to 0.5 .*pip install 'crewel\[oryx\]'"):
        cw.Model.from_oryx(lambda key: key, observed={})
    model = cw.Model(lambda p: -(p**2), 0.0)
    with pytest.raises(ImportError, match=r"JAX up to 0.5 .*pip install 'crewel\[bayeux\]'"):
        model.to_bayeux()
    with pytest.raises(TypeError, match="needs a `bayeux.Model`, got a int"):
        cw.Model.from_bayeux(3)
