"""Variational inference: what each family of approximations must find, in closed form."""

import functools

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
import support

import crewel as cw

MEAN_FIELD = {
    "numpyro_auto_normal": {"num_particles": 50},
    "numpyro_auto_diagonal": {"num_particles": 50},
    "blackjax_meanfield_vi": {"num_samples": 50},
    "tfp_factored_surrogate_posterior": {"sample_size": 50},
}
FULL = {
    "numpyro_auto_multivariate": {"num_particles": 50},
    "numpyro_auto_low_rank": {"num_particles": 50, "rank": 2},
    "numpyro_auto_laplace": {},
    "blackjax_fullrank_vi": {"num_samples": 50},
}
PRECISION = np.linalg.inv(support.COVARIANCE)
# The divergence of the best Gaussian without correlations from this one.
MEAN_FIELD_DIVERGENCE = 0.5 * (
    np.log(np.diag(PRECISION)).sum() + np.linalg.slogdet(support.COVARIANCE)[1]
)


@functools.cache
def gaussian():
    return cw.Model(lambda p: support.gaussian_log_density(p["x"]), {"x": jnp.zeros(3)})


@functools.cache
def fit(name, **options):
    run = getattr(gaussian().vi, name)
    return run(seed=2, num_chains=2, num_steps=2000, num_draws=2000, progress=False, **options)


def gap(post):
    """Mean of `log_q - lp`, and its standard error: the divergence, for a normalised target."""
    difference = post.stats["log_q"] - post.stats["lp"]
    return difference.mean(), difference.std() / difference.size**0.5


@pytest.mark.parametrize("name", MEAN_FIELD)
def test_mean_field_finds_the_conditional_scales(name):
    post = fit(name, **MEAN_FIELD[name])
    draws = post.draws["x"].reshape(-1, 3)
    # Of 4000 draws a scale has a standard error of 1.1 %; the fit's last step is as far again.
    np.testing.assert_allclose(draws.std(0), np.diag(PRECISION) ** -0.5, rtol=0.07)
    assert np.abs(np.corrcoef(draws.T) - np.eye(3)).max() < 5 / 4000**0.5
    divergence, error = gap(post)
    assert abs(divergence - MEAN_FIELD_DIVERGENCE) < 5 * error + 0.02
    # The target is normalised, so the loss, minus the lower bound, is that divergence too.
    assert abs(post.losses[:, -200:].mean() - MEAN_FIELD_DIVERGENCE) < 0.03


@pytest.mark.parametrize("name", FULL)
def test_full_rank_finds_the_covariance(name):
    post = fit(name, **FULL[name])
    draws = post.draws["x"].reshape(-1, 3)
    error = np.cov(draws.T) - support.COVARIANCE
    # The standard error of a covariance, sqrt((s_ii s_jj + s_ij^2) / n).
    variance = np.diag(support.COVARIANCE)
    of_one = np.sqrt((np.outer(variance, variance) + support.COVARIANCE**2) / 4000)
    assert (np.abs(error) < 5 * of_one + 0.02).all(), error
    divergence, error = gap(post)
    assert -5 * error - 1e-5 < divergence < 0.03


@pytest.mark.parametrize("name", ["numpyro_auto_iaf", "numpyro_auto_bnaf"])
def test_flows_find_correlations(name):
    divergence, _ = gap(fit(name, num_particles=10))
    assert divergence < 0.25 * MEAN_FIELD_DIVERGENCE


def test_laplace_is_the_curvature_at_the_mode():
    # Of a Gamma(3, 2) in the logarithm: mode log(3 / 2), curvature 3.
    model = cw.Model(
        lambda p: dist.Gamma(3.0, 2.0).log_prob(p["rate"]),
        {"rate": 1.0},
        {"rate": dist.constraints.positive},
    )
    post = model.vi.numpyro_auto_laplace(seed=0, num_chains=2, num_draws=2000, progress=False)
    log_rate = np.log(post.draws["rate"])
    np.testing.assert_allclose(log_rate.mean(), np.log(1.5), atol=5 * 3**-0.5 / 4000**0.5)
    np.testing.assert_allclose(log_rate.std(), 3**-0.5, rtol=5 / (2 * 4000) ** 0.5)
    q = dist.Normal(np.log(1.5), 3**-0.5).log_prob(log_rate)
    np.testing.assert_allclose(post.stats["log_q"], q, atol=1e-2)


def test_weights_give_the_evidence():
    # Linear regression has a Gaussian posterior, so every weight is the evidence itself.
    known = support.linear()
    post = known.model.vi.numpyro_auto_laplace(seed=0, num_chains=2, num_draws=50, progress=False)
    weights = post.stats["lp"] - post.stats["log_q"]
    np.testing.assert_allclose(weights, known.log_evidence, atol=1e-3)
    for name, mean in known.mean.items():
        np.testing.assert_allclose(
            post.draws[name].mean((0, 1)), mean, atol=5 * known.sd[name].max() / 10
        )


def test_multipathfinder_resamples_its_pool():
    post = gaussian().vi.blackjax_multipathfinder(seed=0, num_draws=500, progress=False)
    pool = post.state
    weights = np.exp(pool.log_weights)
    assert weights.shape == (8 * 200,)
    np.testing.assert_allclose(weights.sum(), 1, rtol=1e-4)
    assert (post.stats["pareto_k"] == np.asarray(pool.pareto_k)).all()
    drawn = np.unique(post.draws["x"].reshape(-1, 3), axis=0)
    everything = np.asarray(pool.positions["x"]).reshape(-1, 3)
    assert {tuple(row) for row in drawn} <= {tuple(row) for row in everything}
    # As often as their weights say: 4000 draws, the largest weight's count is binomial.
    best = everything[weights.argmax()]
    count = (post.draws["x"] == best).all(-1).sum()
    assert abs(count - 4000 * weights.max()) < 5 * (4000 * weights.max()) ** 0.5


def test_svgd_needs_two_particles():
    with pytest.raises(ValueError, match=r"at least two particles.*`num_chains` of 2 or more"):
        gaussian().vi.blackjax_svgd(seed=0, num_chains=1, num_steps=1, progress=False)


def test_a_fit_is_a_warm_start():
    post = fit("numpyro_auto_laplace")
    start = gaussian().mcmc.numpyro_nuts(
        seed=0, init=post, num_chains=2, num_warmup=0, num_draws=1, step_size=1e-6, progress=False
    )
    # A step so short stays where the fit's last draws are.
    np.testing.assert_allclose(start.draws["x"][:, 0], post.draws["x"][:, -1], atol=1e-3)


def test_own_optimizer():
    import optax

    post = gaussian().vi.blackjax_meanfield_vi(
        seed=0, num_chains=1, num_steps=3, num_draws=1, optimizer=optax.sgd(0.0), progress=False
    )
    inner = post.state.inner
    assert (np.asarray(inner.rho) == -2.0).all()  # which is where BlackJAX begins


def test_nutpie_needs_a_warm_up():
    with pytest.raises(ValueError, match="cannot run without a warm-up"):
        gaussian().mcmc.nutpie(seed=0, num_warmup=0, num_draws=1, progress=False)


FULL_RANK = ["numpyro_auto_multivariate", "blackjax_fullrank_vi", "numpyro_auto_laplace"]


def _rotated(dims, spread):
    """A Gaussian whose scales run from 1 / spread to spread, in random directions."""
    rng = np.random.default_rng(0)
    turn = np.linalg.qr(rng.normal(size=(dims, dims)))[0]
    scales = np.geomspace(1 / spread, spread, dims)
    location = rng.normal(size=dims)
    precision = jnp.asarray((turn / scales**2) @ turn.T)
    model = cw.Model(lambda x: -0.5 * (x - location) @ precision @ (x - location), jnp.zeros(dims))
    return model, location, np.sqrt(np.diag((turn * scales**2) @ turn.T))


@pytest.mark.parametrize("name", FULL_RANK)
@pytest.mark.parametrize("dims", [20, pytest.param(100, marks=pytest.mark.slow)])
def test_defaults_reach_an_ill_conditioned_gaussian(name, dims):
    """Every fit is within a tenth of each scale, and 5 standard errors of 1,000 draws."""
    model, location, sd = _rotated(dims, spread=10.0)
    post = getattr(model.vi, name)(seed=0, progress=False)
    error = 1 / np.sqrt(post.num_draws)
    off = np.abs(post.draws.mean(1) - location) / sd
    assert (off < 0.1 + 5 * error).all(), off.max()
    off = np.abs(post.draws.std(1) / sd - 1)
    assert (off < 0.1 + 5 * error / np.sqrt(2)).all(), off.max()


@pytest.mark.slow
@pytest.mark.parametrize("name", FULL_RANK[:2])
def test_defaults_reach_the_best_gaussian_on_eight_schools(name):
    """Of a much longer fit; the posterior itself is not Gaussian."""
    y = jnp.array([28.0, 8.0, -3.0, 7.0, -1.0, 1.0, 18.0, 12.0])
    error = jnp.array([15.0, 10.0, 16.0, 11.0, 9.0, 11.0, 10.0, 18.0])

    def log_density(p):
        effect = p["mu"] + p["tau"] * p["raw"]
        return (
            dist.Normal(0, 5).log_prob(p["mu"])
            + dist.HalfCauchy(5).log_prob(p["tau"])
            + dist.Normal(0, 1).log_prob(p["raw"]).sum()
            + dist.Normal(effect, error).log_prob(y).sum()
        )

    test_point = {"mu": 0.0, "tau": 1.0, "raw": jnp.zeros(8)}
    positive = {"mu": None, "tau": dist.constraints.positive, "raw": None}
    model = cw.Model(log_density, test_point, positive)
    call = {"num_draws": 4000, "progress": False}
    found = getattr(model.vi, name)(seed=0, **call)
    best = model.vi.numpyro_auto_multivariate(
        seed=1, num_chains=1, num_steps=20_000, num_particles=20, **call
    )
    for path in ("mu", "tau", "raw"):
        one, other = np.asarray(found.draws[path]), np.asarray(best.draws[path])
        if path == "tau":
            one, other = np.log(one), np.log(other)
        off = np.abs(one.std(1) / other.std(1) - 1)
        assert (off < 0.1 + 5 / np.sqrt(2 * 4000)).all(), (path, off)
        off = np.abs(one.mean(1) - other.mean(1)) / other.std(1)
        assert (off < 0.1 + 10 / np.sqrt(4000)).all(), (path, off)
