"""Mistakes that users reported to BlackJAX, NumPyro and posteriors, rewritten; see the page."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from support.checks import check

import crewel as cw

FILE = Path(__file__).name
RNG = np.random.default_rng(0)
HEIGHTS = (170 + 10 * RNG.normal(size=50)).astype(np.float32)


def scores(params):
    scale = jnp.exp(params["log_scale"])
    return (
        dist.Normal(params["mean"], scale).log_prob(HEIGHTS).sum()
        + dist.Normal(150, 50).log_prob(params["mean"])
        + dist.Normal(2, 1).log_prob(params["log_scale"])
    )


def test_a_potential_in_place_of_a_log_density():
    """BlackJAX 180: a notebook passed the potential of a PyMC model."""
    start = {"mean": 160.0, "log_scale": 2.0}
    found = check("tails", cw.Model(lambda params: -scores(params), start))
    assert found.status == "failed"
    assert "rises far out along `log_scale`, `mean`" in found.message
    assert "its sign is probably wrong" in found.message
    assert check("tails", cw.Model(scores, start)).status == "passed"


def test_a_flat_direction_is_not_taken_for_a_wrong_sign():
    def half(params):
        return dist.Normal(0, 1).log_prob(params["a"]) + 0 * params["b"]

    found = check("tails", cw.Model(half, {"a": 0.0, "b": 0.0}))
    assert found.status == "failed" and "does not decrease far out along `b`" in found.message
    assert "sign" not in found.message


X = RNG.uniform(0, 5, size=(100, 1)).astype(np.float32)
Y = (20 * X[:, 0] + 0.1 * RNG.normal(size=100)).astype(np.float32)


def line(prior):
    return cw.wrap(
        lambda params, x: x[:, 0] * params["slope"],
        X,
        Y,
        prior={"slope": prior},
        likelihood=lambda outputs, params: dist.Normal(outputs, params["noise"]),
        latents={"noise": dist.HalfNormal(10)},
        example={"slope": jnp.ones(())},
    )


def test_a_rate_where_a_scale_was_meant():
    """NumPyro 1360: the prior puts all its mass a thousand times below the slope."""
    found = check("prior predictive", line(dist.Exponential(87.3)))
    assert found.status == "warned" and "the prior rules the targets out" in found.message
    assert found.details["typical"] == pytest.approx(np.log(2) / 87.3 * 2.9, rel=0.5)
    assert found.details["targets"] == pytest.approx(np.sqrt((Y**2).mean()), rel=0.2)
    assert check("prior predictive", line(dist.Exponential(1 / 87.3))).status == "passed"


def test_missing_values_that_are_masked_after_the_likelihood():
    """NumPyro 871: zero times NaN is NaN in the gradient."""
    y = RNG.normal(size=30).astype(np.float32)
    y[20:] = np.nan
    data = {"y": y, "seen": np.isfinite(y)}

    def masked(params, batch):
        each = dist.Normal(params["mean"], 1.0).log_prob(batch["y"])
        return jnp.where(batch["seen"], each, 0.0)

    def filled(params, batch):
        y = jnp.where(batch["seen"], batch["y"], 0.0)
        return jnp.where(batch["seen"], dist.Normal(params["mean"], 1.0).log_prob(y), 0.0)

    def model(log_likelihood):
        return cw.Model(
            None,
            {"mean": 0.0},
            data=data,
            log_prior=lambda params: dist.Normal(0, 1).log_prob(params["mean"]),
            log_likelihood=log_likelihood,
        )

    found = check("gradient finite", model(masked))
    assert found.status == "failed"
    assert "with respect to `mean` is NaN in 1 of 1 entries" in found.message
    assert "make its input safe instead" in found.message
    assert check("log density at test point", model(masked)).status == "passed"
    assert check("gradient finite", model(filled)).status == "passed"


def test_a_plate_that_draws_a_subsample():
    """NumPyro 928: NUTS would see the same rows at every step."""
    y = RNG.normal(size=1000).astype(np.float32)

    def program(y, size):
        mean = numpyro.sample("mean", dist.Normal(0, 1))
        with numpyro.plate("rows", len(y), subsample_size=size):
            numpyro.sample("y", dist.Normal(mean, 1), obs=numpyro.subsample(y, event_dim=0))

    with pytest.raises(ValueError, match="`rows` draws 100 of 1000 rows anew"):
        cw.Model.from_numpyro(program, y, 100)
    assert cw.Model.from_numpyro(program, y, 1000).test_point.keys() == {"mean"}


def noise(params):
    """The log density of a scale, which must be positive."""
    prior = dist.LogNormal(-1, 1).log_prob(params["scale"])
    return prior + dist.Normal(0, params["scale"]).log_prob(HEIGHTS - 170).sum()


def test_a_positive_parameter_without_a_transform():
    """BlackJAX 400 and 252: the chain comes to the edge, where the density is NaN."""
    found = check("initial states", cw.Model(noise, {"scale": 1.0}))
    assert found.status == "warned"
    share = int(found.message.split("not finite at ")[1].split(" of 32")[0]) / 32
    assert abs(share - 0.5) < 4 * 0.5 / 32**0.5
    assert f"`log` first made it NaN, at {FILE}" in found.message
    assert "the value of `scale` (-" in found.message
    right = cw.Model(noise, {"scale": 1.0}, lambda u: jax.tree.map(jnp.exp, u))
    assert check("initial states", right).status == "passed"


def test_the_leaf_at_the_edge_is_the_one_that_is_named():
    def density(params):
        return noise(params) - 0.5 * jnp.sum(params["free"] ** 2)

    model = cw.Model(density, {"free": jnp.zeros(3), "scale": 1.0})
    assert "the value of `scale`" in check("initial states", model).message


def test_a_simulator_with_a_fixed_key():
    """NumPyro 1977: the noise of the simulator is one array, whatever the draw."""
    counts = RNG.poisson(20, size=10)

    def simulate(rate, key):
        steps = jax.random.normal(key, (10,))
        return rate * (1 + 0.1 * jnp.cumsum(steps))

    def log_density(params):
        mean = simulate(params["rate"], jax.random.PRNGKey(0))
        prior = dist.LogNormal(3, 1).log_prob(params["rate"])
        return dist.Normal(mean, 5.0).log_prob(counts).sum() + prior

    def right(params):
        mean = params["rate"] * (1 + 0.1 * jnp.cumsum(params["steps"]))
        prior = dist.LogNormal(3, 1).log_prob(params["rate"])
        prior += dist.Normal(0, 1).log_prob(params["steps"]).sum()
        return dist.Normal(mean, 5.0).log_prob(counts).sum() + prior

    found = check("same value twice", cw.Model(log_density, {"rate": 20.0}))
    assert found.status == "warned"
    assert f"draws random numbers, at {FILE}" in found.message
    assert "steps = jax.random.normal(key, (10,))" in found.message
    model = cw.Model(right, {"rate": 20.0, "steps": jnp.zeros(10)})
    assert check("same value twice", model).status == "passed"


@pytest.mark.parametrize("loop", ["scan", "cond"])
def test_random_numbers_within_a_loop_or_a_branch(loop):
    def draw(x):
        return x + jax.random.normal(jax.random.key(1))

    def log_density(params):
        if loop == "scan":
            x, _ = jax.lax.scan(lambda x, _: (draw(x), None), params["x"], length=3)
        else:
            x = jax.lax.cond(params["x"] > 0, draw, lambda x: x, params["x"])
        return -(x**2)

    assert check("same value twice", cw.Model(log_density, {"x": 1.0})).status == "warned"


def test_dropout_that_was_chosen_is_stated():
    import flax.linen as nn

    class Net(nn.Module):
        @nn.compact
        def __call__(self, x):
            x = nn.Dropout(0.5, deterministic=False)(nn.tanh(nn.Dense(4)(x)))
            return nn.Dense(1)(x)

    model = cw.wrap(Net(), X, Y, likelihood="gaussian", dropout=jax.random.key(0))
    found = check("same value twice", model)
    assert found.status == "passed" and "as you chose" in found.message


PIXELS = RNG.normal(size=(200, 5)).astype(np.float32)
DIGITS = RNG.integers(0, 10, 200)


def classifier(likelihood, outputs):
    return cw.wrap(
        lambda params, x: jnp.tanh(x @ params["a"]) @ params["b"],
        PIXELS,
        DIGITS,
        likelihood=likelihood,
        example={"a": jnp.ones((5, 8)), "b": jnp.ones((8, outputs))},
    )


def test_a_bernoulli_for_ten_classes():
    """BlackJAX 239: digits are not zero or one."""
    first = int(np.flatnonzero(DIGITS > 1)[0])
    with pytest.raises(ValueError, match=f"row {first} is {DIGITS[first]}, which lies outside"):
        classifier("bernoulli", 1)
    with pytest.raises(ValueError, match=r"shape \(200, 10\) and `y` has shape \(200,\)"):
        classifier(lambda outputs, params: dist.Bernoulli(logits=outputs), 10)
    assert check("targets", classifier("categorical", 10)).status == "passed"


USERS, FILMS = 10, 12
PAIRS = np.stack([RNG.integers(0, USERS, 120), RNG.integers(0, FILMS, 120)], 1)
STARS = RNG.normal(size=120).astype(np.float32)
TASTES = {"users": jnp.ones((USERS, 2)), "films": jnp.ones((FILMS, 2))}


def ratings(product):
    def log_likelihood(params, batch):
        users, films = batch["x"].T
        mean = product(params["users"][users], params["films"][films])
        return dist.Normal(mean, 0.5).log_prob(batch["y"])

    return cw.Model(
        None,
        TASTES,
        data={"x": PAIRS, "y": STARS},
        log_prior=lambda params: sum(dist.Normal(0, 1).log_prob(p).sum() for p in params.values()),
        log_likelihood=log_likelihood,
    )


def test_a_dot_product_over_the_rows():
    """NumPyro 1018: one number for all pairs, in place of one for each."""
    found = check("rows independent", ratings(lambda u, v: jnp.vdot(u, v)))
    assert found.status == "failed"
    assert "in a batch of 120 rows" in found.message
    assert "`jnp.dot` over the rows" in found.message
    assert check("rows independent", ratings(lambda u, v: (u * v).sum(-1))).status == "passed"
    with pytest.raises(ValueError, match=r"Normal of shape \(\) and `y` has shape \(120,\)"):
        cw.wrap(
            lambda params, x: jnp.vdot(params["users"][x[:, 0]], params["films"][x[:, 1]]),
            PAIRS,
            STARS,
            likelihood=lambda outputs, params: dist.Normal(outputs, 0.5),
            example=TASTES,
        )


def test_a_log_posterior_per_row():
    """posteriors 107: it asks for a density divided by the number of rows; others do not."""

    def model(size):
        def log_likelihood(params, batch):
            error = dist.Normal(batch["x"][:, 0] * params["slope"], 0.5)
            return error.log_prob(batch["y"]) / size

        return cw.Model(
            None,
            {"slope": 0.0},
            data={"x": X, "y": Y},
            log_prior=lambda params: dist.Normal(0, 20).log_prob(params["slope"]) / size,
            log_likelihood=log_likelihood,
        )

    found = check("rows unscaled", model(len(Y)))
    assert found.status == "warned"
    assert f"divided by 100, the number of rows, at {FILE}" in found.message
    assert check("rows unscaled", model(1)).status == "passed"


def test_a_missing_jacobian_cannot_be_seen():
    """BlackJAX 750: a density of the logarithm without its Jacobian is the density of another."""

    def implied(params):
        return dist.Normal(params["mean"], jnp.exp(params["log_scale"])).log_prob(HEIGHTS).sum()

    report = cw.Model(implied, {"mean": 160.0, "log_scale": 2.0}).debug(0, verbosity=0)
    assert not report.failed and not report.warned
