"""Mistakes that look like others: the message names the one that was made."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from support.checks import N, W, X, Y, check, log_prior, network

import crewel as cw

FILE = Path(__file__).name
LINE = {"w": jnp.ones(3)}


def regress(apply, example=None, x=X, **kwargs):
    kwargs = {"likelihood": "gaussian", **kwargs}
    return cw.wrap(apply, x, kwargs.pop("y", Y), example=example or LINE, **kwargs)


def noisy(params, x):
    return (x + np.random.normal(size=x.shape).astype(np.float32)) @ params["w"]


class Counting:
    calls = 0

    def __call__(self, params, x):
        self.calls += 1
        return self.calls * x @ params["w"]


@pytest.mark.parametrize(("apply", "op"), [(noisy, "add"), (Counting(), "mul")])
def test_a_network_that_is_not_a_function_stops_the_checks(apply, op):
    report = regress(apply).debug(0, verbosity=0)
    assert [one.name for one in report.failed] == ["same value twice"]
    message = report.failed[0].message
    assert message.startswith(
        f"The log density is not a function of its inputs: `{op}` has another operand the second "
        f"time, at {FILE}:"
    )
    assert report["rows independent"].status == report["likelihood shape"].status == "skipped"
    assert check("same value twice", network()).status == "passed"


def hidden(round_):
    def apply(params, x):
        return round_(x @ params["a"]) @ params["b"]

    return regress(apply, {"a": jnp.ones((3, 4)), "b": jnp.ones(4)})


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("round", jnp.round),
        ("argmax", lambda h: jax.nn.one_hot(h.argmax(-1), 4)),
        ("stop_gradient", jax.lax.stop_gradient),
        ("astype(int32)", lambda h: h.astype(jnp.int32).astype(jnp.float32)),
    ],
)
def test_the_operation_whose_derivative_is_zero_is_named(name, function):
    found = check("parameters informed", hidden(function))
    assert found.status == "warned"
    assert "`a` is exactly zero" in found.message
    assert f"The derivative of `{name}`, at {FILE}:" in found.message
    assert "ReLU" not in found.message


def test_a_dead_relu_is_still_called_one():
    message = check("parameters informed", hidden(lambda h: jax.nn.relu(h - 100.0))).message
    assert "a dead ReLU layer" in message and "derivative of" not in message


def test_division_of_integers_is_named():
    x = np.tile(np.arange(N, dtype=np.uint8)[:, None], (1, 3))
    model = regress(lambda p, x: jnp.tanh(x // 255 @ p["w"]), x=x)
    message = check("parameters informed", model).message
    assert f"The inputs are zero for all rows after `div`, at {FILE}:" in message
    assert "x // 255" in message and "use `/`" in message


def test_a_likelihood_that_captures_the_data():
    def likelihood(params, batch):
        return dist.Normal(X @ params["w"], 1.0).log_prob(Y)

    model = cw.Model(None, W, data={"x": X, "y": Y}, log_prior=log_prior, log_likelihood=likelihood)
    found = check("rows independent", model)
    assert found.status == "failed"
    assert "ignores the batch" in found.message
    assert "has shape (20,), not (10,)" in found.message

    def mixed(params, batch):
        return dist.Normal(batch["x"] @ params["w"], 1.0).log_prob(Y)

    model = cw.Model(None, W, data={"x": X, "y": Y}, log_prior=log_prior, log_likelihood=mixed)
    found = check("rows independent", model)
    assert found.status == "failed" and "ignores the batch" in found.message


def test_rows_as_the_event_of_a_likelihood():
    model = regress(
        lambda p, x: x @ p["w"], likelihood=lambda out, latents: dist.Normal(out, 1.0).to_event(1)
    )
    report = model.debug(0, verbosity=0)
    message = report.failed[0].message
    assert "one log density for all 20 rows" in message and "leave out `.to_event`" in message
    assert "IndexError" not in str(report)


@pytest.mark.parametrize(
    "mixing", [lambda x: jnp.broadcast_to(x[0], x.shape), lambda x: jnp.cumsum(x, 0)]
)
def test_rows_that_see_earlier_rows(mixing):
    found = check("rows independent", regress(lambda p, x: mixing(x) @ p["w"]))
    assert found.status == "failed"
    assert "or `x[0]` in place of each row" in found.message


def test_an_error_after_the_users_function_returned_names_that_function():
    def inflated(outputs, latents):
        return dist.ZeroInflatedDistribution(dist.Categorical(logits=outputs), gate=0.5)

    y = np.zeros(N, np.float32)  # not integers, with which NumPyro cannot index
    model = regress(
        lambda p, x: x @ p["w"],
        likelihood=inflated,
        y=y,
        example={"w": jnp.ones((3, 3))},
    )
    report = model.debug(0, verbosity=0)
    message = report.failed[0].message
    assert f"In what is built by {FILE}:" in message and "in inflated" in message
    assert "discrete.py" not in str(report)
