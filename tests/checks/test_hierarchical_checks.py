"""Checks of models with hierarchical priors, and checks that raise exceptions themselves."""

import jax.numpy as jnp
import numpyro.distributions as dist
import pytest
from support.checks import GOOD, N, X, Y, check

import crewel as cw
from crewel.checks import RULES
from crewel.checks.debug import debug


def centred(path, shape, latents):
    return dist.Normal(0.0, latents["tau"])


def hierarchical(prior, example=None):
    def apply(params, x):
        return jnp.tanh(x @ params["a"]) @ params["b"]

    example = example or {"a": jnp.ones((3, 4)), "b": jnp.ones(4)}
    latents = {"tau": dist.HalfCauchy(1.0)}
    return cw.wrap(
        apply, X, Y, likelihood="gaussian", example=example, prior=prior, latents=latents
    )


@pytest.mark.parametrize("prior", [centred, cw.priors.non_centred(centred)])
def test_priors_that_depend_on_latents_are_checked(prior):
    report = hierarchical(prior).debug(0, verbosity=0)
    assert report, report.failed
    assert not any("exception" in one.details for one in report.checks)
    assert report["priors"].details["priors"]["a"].startswith("Normal given tau")
    shown = {leaf.path: leaf.prior for leaf in report.leaves}
    assert shown["b"].startswith("Normal given tau") and shown["tau"] == "HalfCauchy(scale=1)"
    assert report["prior support"].status == "passed"


def test_support_of_a_hierarchical_prior_is_checked():
    model = hierarchical(lambda path, shape, latents: dist.HalfNormal(latents["tau"]))
    wrong = cw.Model(
        model.log_density, model.test_point, latents=model.latents, priors=model.priors
    )
    found = check("prior support", wrong)
    assert found.status == "failed"
    assert "its prior HalfNormal given tau" in found.message


def broken(context):
    """Compare arrays of different lengths."""
    return jnp.ones(3) + jnp.ones(4)


def test_an_exception_of_a_check_is_not_shown_as_the_users(monkeypatch):
    broken.__code__ = broken.__code__.replace(co_filename=RULES[1].check.__code__.co_filename)
    rule = RULES[1]._replace(name="broken", check=broken)
    after = RULES[1]._replace(name="after", needs=("broken",))
    monkeypatch.setattr("crewel.checks.debug.RULES", (rule, after))
    report = debug(GOOD, 0, verbosity=0)
    assert report["broken"].status == "warned"
    assert "stopped with an exception of its own, TypeError" in report["broken"].message
    assert "says nothing about the model" in report["broken"].message
    assert report["after"].status == "skipped"


def test_what_the_models_functions_return_is_their_own_fault():
    report = cw.Model(lambda p: "no", {"w": jnp.ones(N)}).debug(0, verbosity=0)
    assert report["log density shape"].status == "failed"
    assert "str" in report["log density shape"].message


def test_a_latent_that_only_priors_use_is_no_mistake():
    def prior(path, shape, latents):
        return dist.Normal(0, latents["tau"])

    model = cw.wrap(
        lambda p, x: x @ p["w"],
        X,
        Y,
        likelihood="gaussian",
        example={"w": jnp.ones(3)},
        prior=prior,
        latents={"tau": dist.HalfCauchy(1.0), "spare": dist.HalfNormal(1.0)},
    )
    found = check("parameters informed", model)
    assert found.status == "warned" and found.details["leaves"] == ["spare"]
