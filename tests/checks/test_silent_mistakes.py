"""Mistakes that sample without an error: each has a check that finds it."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from support.checks import N, W, X, Y, check, log_likelihood, log_prior, network, regression

import crewel as cw

FILE = Path(__file__).name
ROWS = 60
RNG = np.random.default_rng(0)
INPUTS = RNG.normal(size=(ROWS, 3)).astype(np.float32)
LABELS = RNG.integers(0, 3, ROWS)
BINARY = RNG.integers(0, 2, ROWS)
TARGETS = (INPUTS @ np.array([1.0, -2.0, 0.5])).astype(np.float32)


def net(outputs, last=lambda out: out):
    def apply(params, x):
        return last(jnp.tanh(x @ params["a"]) @ params["b"])

    shape = (8, outputs) if outputs else (8,)
    return apply, {"a": jnp.ones((3, 8)), "b": jnp.ones(shape)}


def model(outputs, y, likelihood, last=lambda out: out, x=INPUTS, **kwargs):
    apply, example = net(outputs, last)
    return cw.wrap(apply, x, y, likelihood=likelihood, example=example, **kwargs)


def exp_normal(outputs, latents):
    return dist.TransformedDistribution(dist.Normal(outputs, 0.1), dist.transforms.ExpTransform())


HEALTHY = {
    "gaussian": lambda: model(0, TARGETS, "gaussian"),
    "categorical": lambda: model(3, LABELS, "categorical"),
    "bernoulli": lambda: model(0, BINARY, "bernoulli"),
    "poisson": lambda: model(0, LABELS, "poisson"),
    "heteroscedastic": lambda: model(2, TARGETS, "heteroscedastic"),
    "student_t": lambda: model(0, TARGETS, "student_t"),
    "log probabilities": lambda: model(3, LABELS, "categorical", jax.nn.log_softmax),
    "probs": lambda: model(0, BINARY, lambda o, p: dist.Bernoulli(probs=jax.nn.sigmoid(o))),
    "cauchy": lambda: model(0, TARGETS, lambda o, p: dist.Cauchy(o, 1.0)),
    "angles": lambda: model(0, np.sin(TARGETS), lambda o, p: dist.VonMises(o, 2.0)),
    "without a mean": lambda: model(0, np.exp(np.sin(TARGETS)), exp_normal),
    "gamma": lambda: model(0, np.exp(np.sin(TARGETS)), lambda o, p: dist.Gamma(2.0, jnp.exp(o))),
    "more zeros": lambda: model(0, LABELS, lambda o, p: dist.ZeroInflatedPoisson(0.2, jnp.exp(o))),
    "regression": regression,
    "network": network,
}
NEW = (
    *("same value twice", "targets", "network inputs", "likelihood parameters"),
    *("prior predictive", "rows unscaled"),
)


@pytest.mark.parametrize("name", HEALTHY)
def test_healthy_models_pass_each_new_check(name):
    made = HEALTHY[name]()
    for one in NEW:
        found = check(one, made)
        assert found.status in ("passed", "skipped"), found


@pytest.mark.parametrize("likelihood", ["bernoulli", lambda o, p: dist.Bernoulli(logits=o)])
def test_sigmoid_before_logits(likelihood):
    found = check("likelihood parameters", model(0, BINARY, likelihood, jax.nn.sigmoid))
    assert found.status == "warned"
    assert "applies a sigmoid again" in found.message


def test_softmax_twice():
    found = check("likelihood parameters", model(3, LABELS, "categorical", jax.nn.softmax))
    assert found.status == "warned"
    assert "a softmax was applied" in found.message


def test_outputs_that_ignore_the_inputs():
    constant = cw.wrap(
        lambda p, x: jnp.ones_like(INPUTS) @ p["w"] + 0 * len(x),
        INPUTS,
        TARGETS,
        likelihood="gaussian",
        example=W,
    )
    found = check("network inputs", constant)
    assert found.status == "warned" and "do not depend on `x`" in found.message
    saturated = model(0, TARGETS, "gaussian", x=1e6 + INPUTS)
    found = check("prior predictive", saturated)
    assert found.status == "warned"
    assert "the same for all rows" in found.message and "`x` is about 1e+06" in found.message


def test_a_scale_that_is_negative_half_the_time():
    wrong = model(
        0, TARGETS, lambda o, p: dist.Normal(o, p["sigma"]), latents={"sigma": dist.Normal(0, 1)}
    )
    found = check("likelihood parameters", wrong)
    assert found.status == "failed"
    assert "`Normal.scale` violates its constraint, `positive`" in found.message
    share = found.details["invalid"]["Normal.scale: positive"]
    assert abs(share - 0.5) < 4 * 0.5 / 32**0.5


def test_probabilities_outside_zero_and_one():
    found = check("likelihood parameters", model(0, BINARY, lambda o, p: dist.Bernoulli(probs=o)))
    assert found.status == "failed" and "`BernoulliProbs.probs`" in found.message


def test_targets_that_do_not_vary():
    found = check("targets", model(0, np.full(ROWS, 3.0, np.float32), "gaussian"))
    assert found.status == "warned" and "`y` is 3 in all 60 rows" in found.message


def test_more_outputs_than_classes():
    found = check("targets", model(7, LABELS, "categorical"))
    assert found.status == "warned"
    assert "7 classes, but `y` holds none above 2 in 60 rows" in found.message


@pytest.mark.parametrize("y", [LABELS.astype(np.float32), BINARY.astype(np.float32)])
def test_a_gaussian_on_class_labels(y):
    found = check("targets", model(0, y, "gaussian"))
    assert found.status == "warned"
    fix = "bernoulli" if y.max() == 1 else "categorical"
    assert f'use `likelihood="{fix}"`' in found.message


def test_small_integers_that_wrap():
    x = RNG.integers(0, 256, (ROWS, 3)).astype(np.uint8)
    apply, example = net(0)
    wrong = cw.wrap(
        lambda p, x: apply(p, (x * 2 - 255) / 255),
        x,
        TARGETS,
        likelihood="gaussian",
        example=example,
    )
    found = check("network inputs", wrong)
    assert found.status == "failed"
    assert f"the result of `mul`, at {FILE}:" in found.message and "uint8" in found.message
    right = cw.wrap(
        lambda p, x: apply(p, (x.astype(float) * 2 - 255) / 255),
        x,
        TARGETS,
        likelihood="gaussian",
        example=example,
    )
    assert check("network inputs", right).status == "passed"


@pytest.mark.parametrize(
    "divide", [lambda ll: ll / N, lambda ll: ll * (1 / N), lambda ll: (3 + ll) / float(N)]
)
def test_a_log_likelihood_divided_by_the_number_of_rows(divide):
    found = check("rows unscaled", regression(lambda p, b: divide(log_likelihood(p, b))))
    assert found.status == "warned"
    assert f"divided by 20, the number of rows, at {FILE}:" in found.message


def test_other_divisions_are_no_mistake():
    def density(params, data):
        scaled = data["x"] / N
        return log_prior(params) + dist.Normal(scaled @ params["w"], 1.0).log_prob(data["y"]).sum()

    assert check("rows unscaled", cw.Model(density, W, data={"x": X, "y": Y})).status == "passed"


WIDE = {"a": dist.Normal(0, 100.0), "b": dist.Normal(0, 100.0)}


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda p: model(3, LABELS, "categorical", prior=p), "a probability of exactly one"),
        (
            lambda p: model(0, TARGETS, "gaussian", prior=p),
            "the prior says almost nothing",
        ),
    ],
)
def test_a_prior_far_from_the_targets(make, words):
    found = check("prior predictive", make(WIDE))
    assert found.status == "warned" and words in found.message


@pytest.mark.parametrize(
    ("last", "y", "words"),
    [
        (jax.nn.relu, TARGETS, "never negative, but "),
        (lambda o: -jax.nn.softplus(o), TARGETS, "never positive, but "),
        (jax.nn.sigmoid, 50 * TARGETS, "between 0 and 1, but "),
        (jnp.tanh, 50 * TARGETS, "between -1 and 1, but "),
    ],
)
def test_an_activation_that_cannot_reach_the_targets(last, y, words):
    found = check("prior predictive", model(0, y, "gaussian", last))
    assert found.status == "warned" and words in found.message
    beyond = np.mean(y < 0) if "negative" in words else np.mean(y > 0)
    if "never" in words:
        assert f"but {beyond:.0%} of the targets are: " in found.message


def test_an_activation_that_reaches_the_targets():
    noise = 0.02 * RNG.normal(size=ROWS).astype(np.float32)
    for last in (jax.nn.sigmoid, jax.nn.softplus, jax.nn.relu):
        y = np.asarray(last(TARGETS)) + noise
        assert check("prior predictive", model(0, y, "gaussian", last)).status == "passed"


def test_labels_that_begin_at_one():
    found = check("targets", model(4, LABELS + 1, "categorical"))
    assert found.status == "warned"
    assert "`y` holds the labels 1, 2, 3, but classes are numbered from 0" in found.message
    assert "`y - 1` and 3 outputs" in found.message
    assert check("targets", model(3, LABELS, "categorical")).status == "passed"
