"""What TFP's kernels must learn while they warm up, and what tempering is for."""

import jax.numpy as jnp
import numpy as np
import support

import crewel as cw
from crewel.posterior import evidence

SCALES = jnp.array([0.01, 1.0, 100.0])


def test_nuts_learns_the_scales():
    model = cw.Model(lambda p: -0.5 * jnp.sum((p["x"] / SCALES) ** 2), {"x": jnp.zeros(3)})
    post = model.mcmc.tfp_nuts(seed=0, num_chains=2, num_warmup=600, num_draws=300, progress=False)
    # A step that resolves 0.01 needs thousands to cross 100; with all scales alike, a few.
    assert post.stats["n_steps"].mean() < 16
    assert post.stats["diverging"].sum() == 0
    np.testing.assert_allclose(post.draws["x"].std((0, 1)), SCALES, rtol=5 / (2 * 300) ** 0.5)
    # The target is 0.8; averaged step sizes of short windows come out a little too small.
    assert 0.7 < post.stats["acceptance_rate"].mean() < 0.95


def test_mala_reaches_its_acceptance_rate():
    # Which it does only where the stored drift follows the step size.
    model = cw.Model(lambda p: -0.5 * jnp.sum(p["x"] ** 2), {"x": jnp.zeros(10)})
    post = model.mcmc.tfp_mala(seed=0, num_chains=2, num_warmup=500, num_draws=500, progress=False)
    assert abs(post.stats["acceptance_rate"].mean() - 0.574) < 0.08
    assert (post.stats["step_size"] == post.stats["step_size"][:, :1]).all()


def test_replicas_visit_both_modes():
    # 12 standard deviations apart, weights 0.3 and 0.7: HMC alone stays where it starts.
    def log_density(p):
        low = jnp.log(0.3) - 0.5 * (p["x"] + 6) ** 2
        return jnp.logaddexp(low, jnp.log(0.7) - 0.5 * (p["x"] - 6) ** 2)

    run = cw.Model(log_density, {"x": 0.0}).mcmc.tfp_replica_exchange
    post = run(
        seed=0,
        num_chains=4,
        num_warmup=500,
        num_draws=4000,
        inverse_temperatures=(1.0, 0.3, 0.1, 0.03),
        progress=False,
    )
    upper = (post.draws["x"] > 0).mean(1)
    error = upper.std(ddof=1) / 2  # of four independent chains
    assert error < 0.1
    assert abs(upper.mean() - 0.7) < 5 * error


def test_hmc_does_not_resonate():
    """With eight steps each time, chains on a normal density return to where they were."""
    model = cw.Model(lambda x: -0.5 * x**2, 0.0)
    post = model.mcmc.tfp_hmc(seed=0, num_warmup=500, num_draws=1000, progress=False)
    assert set(np.unique(post.stats["n_steps"])) == set(range(4, 13))
    assert abs(post.stats["n_steps"].mean() - 8) < 5 * np.sqrt(80 / 12 / 4000)
    assert evidence.rhat(post.draws[..., None])[0] < 1.01
    off_mean, off_sd = support.errors(post.draws, 0.0, 1.0)
    assert abs(off_mean) < 5 and abs(off_sd) < 5
