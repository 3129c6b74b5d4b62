"""Models that compute in 16 bits: rounding is no mistake, and mistakes are still found."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from support.checks import check

import crewel as cw
from crewel.checks.trace import flatten, narrowest

RNG = np.random.default_rng(0)
X = RNG.normal(size=(120, 5)).astype(np.float32)
Y = np.sin(X[:, 0]) + 0.1 * RNG.normal(size=120).astype(np.float32)
HALVES = [jnp.bfloat16, jnp.float16]


class Net(nn.Module):
    dtype: object
    act: object = nn.tanh

    @nn.compact
    def __call__(self, x):
        x = self.act(nn.Dense(16, dtype=self.dtype)(x))
        return nn.Dense(1, dtype=self.dtype)(x)


class Convolution(nn.Module):
    dtype: object

    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.Conv(4, (3,), dtype=self.dtype)(x[..., None]))
        return nn.Dense(3, dtype=self.dtype)(x.reshape(len(x), -1))


def by_hand(dtype):
    def likelihood(p, batch):
        mean = (batch["x"].astype(dtype) @ p["w"].astype(dtype)).astype(jnp.float32)
        return dist.Normal(mean, 0.1).log_prob(batch["y"])

    return cw.Model(
        None,
        {"w": jnp.zeros(5)},
        data={"x": X, "y": Y},
        log_prior=lambda p: dist.Normal(0, 1).log_prob(p["w"]).sum(),
        log_likelihood=likelihood,
    )


MODELS = {
    "network": lambda kind: cw.wrap(Net(kind), X, Y, likelihood="gaussian"),
    "relu": lambda kind: cw.wrap(Net(kind, nn.relu), X, Y, likelihood="student_t"),
    "convolution": lambda kind: cw.wrap(
        Convolution(kind), X, RNG.integers(0, 3, 120), likelihood="categorical"
    ),
    "by hand": by_hand,
}


@pytest.mark.parametrize("kind", HALVES, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("name", MODELS)
def test_rounding_is_no_mistake(name, kind):
    report = MODELS[name](kind).debug(0, verbosity=0)
    assert not report.failed and not report.warned, (report.failed, report.warned)
    differences = report["gradient and differences"]
    assert differences.status == "passed"
    assert f"({kind.__name__}, on 16 of 120 rows)" in differences.message
    slopes, found = differences.details["slopes"], differences.details["differences"]
    close = np.abs(slopes - found) < 0.2 * np.abs(slopes) + 5 * differences.details["errors"]
    assert close.any()


@pytest.mark.parametrize("kind", HALVES, ids=lambda kind: kind.__name__)
def test_a_gradient_that_stops_is_still_found(kind):
    def apply(p, x):
        h = jnp.tanh(x.astype(kind) @ p["a"].astype(kind))
        return jax.lax.stop_gradient(h) @ p["b"].astype(kind) + h @ p["c"].astype(kind)

    example = {"a": jnp.ones((5, 4)), "b": jnp.ones(4), "c": jnp.ones(4)}
    found = check(
        "gradient and differences", cw.wrap(apply, X, Y, likelihood="gaussian", example=example)
    )
    assert found.status == "failed"
    assert "`a`" in found.message and f"({kind.__name__}, on 16 of 120 rows)" in found.message


def test_the_narrowest_type_also_in_loops():
    def loop(x):
        return jax.lax.fori_loop(0, 3, lambda i, v: v + v.astype(jnp.float16).astype(v.dtype), x)

    assert narrowest(flatten(loop, jnp.ones(3))) == jnp.float16
    both = flatten(lambda x: x.astype(jnp.bfloat16) + x.astype(jnp.float16), jnp.ones(3))
    assert narrowest(both) == jnp.bfloat16
    assert narrowest(flatten(jnp.sin, jnp.ones(3))) is None


def test_overflow_of_float16_is_named():
    def log_density(p):
        return -(((300.0 * p["w"].astype(jnp.float16)) ** 2).astype(jnp.float32)).sum()

    model = cw.Model(log_density, {"w": jnp.full(3, 0.5)}, initial_state={"w": jnp.full(3, 0.5)})
    found = check("gradient finite", model)
    if found.status == "passed":  # 300² w is below 65,504 here
        model = cw.Model(
            log_density, {"w": jnp.full(3, 0.8)}, initial_state={"w": jnp.full(3, 0.8)}
        )
        found = check("gradient finite", model)
    assert found.status == "failed"
    assert "float16 holds no number above 65,504" in found.message
