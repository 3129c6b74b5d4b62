"""How the debugger shows an exception of the user's code."""

from pathlib import Path

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest

import crewel as cw

X = np.linspace(-1.0, 1.0, 12, dtype=np.float32)[:, None]
Y = 2 * X[:, 0]


def line():
    return cw.wrap(
        lambda params, x: x @ params["w"],
        X,
        Y,
        likelihood="gaussian",
        example={"w": jnp.zeros((1, 1))},
    )


@pytest.fixture(scope="module")
def model():
    return line()


def matmul(p):
    weights = p["w"]
    return jnp.sum(weights @ jnp.ones((4, 2)))  # the line that a user must see


def branch(p):
    if p["w"][0] > 0:
        return jnp.sum(p["w"])
    return -jnp.sum(p["w"])


def test_exceptions_show_the_users_own_line():
    report = cw.Model(matmul, {"w": jnp.ones(3)}).debug(0, verbosity=0)
    check = report["log density shape"]
    assert check.status == "failed"
    assert f"{Path(__file__).name}:" in check.message
    assert "in matmul: `return jnp.sum(weights @ jnp.ones((4, 2)))" in check.message
    assert "site-packages" not in check.message
    assert len(check.message) < 500


def test_python_branches_get_a_hint():
    report = cw.Model(branch, {"w": jnp.ones(3)}).debug(0, verbosity=0)
    message = report["log density shape"].message
    assert 'in branch: `if p["w"][0] > 0:`' in message
    assert "use `jnp.where`" in message


def test_exceptions_inside_a_likelihood_show_the_users_line():
    def likelihood(params, batch):
        loc = batch["x"][:, 0] * params["w"]
        return dist.Normal(loc, 1.0).log_prob(batch["y"][:5])

    model = cw.Model(
        None,
        {"w": jnp.ones(())},
        data={"x": X, "y": Y},
        log_prior=lambda p: -(p["w"] ** 2),
        log_likelihood=likelihood,
    )
    message = model.debug(0, verbosity=0)["log density shape"].message
    assert 'in likelihood: `return dist.Normal(loc, 1.0).log_prob(batch["y"][:5])`' in message


def test_exceptions_can_be_raised():
    model = cw.Model(matmul, {"w": jnp.ones(3)})
    with pytest.raises(TypeError) as caught:
        model.debug(0, verbosity=0, catch_exceptions=False)
    assert any(frame.name == "matmul" for frame in caught.traceback)


def test_an_interrupt_is_no_finding():
    def density(p):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cw.Model(density, {"w": jnp.ones(3)}).debug(0, verbosity=0)
