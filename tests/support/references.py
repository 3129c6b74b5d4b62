"""Posteriors that take longer to sample, exact or from long reference runs; for the slow tests."""

from __future__ import annotations

import functools
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from data.make_logistic_reference import data as logistic_data
from jax.tree_util import Partial

import crewel as cw
from support.models import each, under_normal
from support.posteriors import Known, linear

DATA = Path(__file__).parents[1] / "data"


def _quadratic(params, rows):
    return dist.MultivariateNormal(rows["loc"], precision_matrix=rows["precision"]).log_prob(params)


def gaussian() -> Known:
    """20 dimensions, correlations up to 0.9, standard deviations from 0.3 to 1.5."""
    sd = np.linspace(0.3, 1.5, 20)
    covariance = np.outer(sd, sd) * 0.9 ** np.abs(np.subtract.outer(np.arange(20), np.arange(20)))
    mean = np.linspace(-1.0, 1.0, 20)
    prior_sd = 1.2 * np.sqrt(np.linalg.eigvalsh(covariance)[-1])
    # The likelihood is what makes this posterior out of an independent normal prior.
    precision = np.linalg.inv(covariance) - np.eye(20) / prior_sd**2
    loc = np.linalg.solve(precision, np.linalg.solve(covariance, mean))
    rows = {"loc": loc[None], "precision": precision[None]}
    model = under_normal(_quadratic, jnp.zeros(20), rows, 0.0, prior_sd)
    return Known(model, {"x": mean}, {"x": sd}, values=lambda draws: {"x": draws})


def _schools_prior(params):
    return (
        dist.Normal(0.0, 5.0).log_prob(params["mu"])
        + dist.HalfCauchy(5.0).log_prob(params["tau"])
        + dist.Normal(0.0, 1.0).log_prob(params["raw"]).sum()
    )


def _schools_sample(key):
    keys = jax.random.split(key, 3)
    return {
        "mu": 5.0 * jax.random.normal(keys[0]),
        "tau": dist.HalfCauchy(5.0).sample(keys[1]),
        "raw": jax.random.normal(keys[2], (8,)),
    }


def _schools(params, rows):
    effect = params["mu"] + params["tau"] * params["raw"]
    return dist.Normal(effect, rows["sigma"]).log_prob(rows["y"])


def eight_schools() -> Known:
    """Non-centred, against posteriordb's reference."""
    stored = json.loads((DATA / "eight_schools_reference.json").read_text())
    model = cw.Model(
        None,
        {"mu": 0.0, "tau": 1.0, "raw": jnp.zeros(8)},
        {"mu": None, "tau": dist.constraints.positive, "raw": None},
        data={name: np.asarray(rows, float) for name, rows in stored["data"].items()},
        log_prior=_schools_prior,
        log_likelihood=_schools,
        initializers={"prior": _schools_sample},
        initial_state="uniform",
    )

    def of(what):
        found = {name: row[what] for name, row in stored["reference"].items()}
        theta = np.array([found.pop(f"theta[{i}]") for i in range(1, 9)])
        return found | {"theta": theta}

    def values(draws):
        theta = draws["mu"][..., None] + draws["tau"][..., None] * draws["raw"]
        return {"mu": draws["mu"], "tau": draws["tau"], "theta": theta}

    return Known(model, of("mean"), of("sd"), mcse=of("mcse_mean"), values=values)


CONCENTRATION = np.array([1.5, 2.0, 3.0, 1.0])
COUNTS = np.array([[3, 0, 5, 1], [1, 2, 4, 0], [4, 1, 3, 2]])


def _multinomial(params, counts):
    return dist.Multinomial(counts.sum(-1), probs=params["shares"]).log_prob(counts)


def dirichlet_multinomial() -> Known:
    """Shares on a simplex, with their exact Dirichlet posterior."""
    prior = dist.Dirichlet(jnp.asarray(CONCENTRATION))
    model = cw.Model(
        None,
        {"shares": jnp.ones(4) / 4},
        {"shares": dist.constraints.simplex},
        data=COUNTS.astype(float),
        log_prior=Partial(lambda prior, params: prior.log_prob(params["shares"]), prior),
        log_likelihood=_multinomial,
        initializers={"prior": Partial(lambda prior, key: {"shares": prior.sample(key)}, prior)},
        initial_state="uniform",
    )
    after = CONCENTRATION + COUNTS.sum(0)
    mean = after / after.sum()
    sd = np.sqrt(mean * (1 - mean) / (after.sum() + 1))
    return Known(model, {"shares": mean}, {"shares": sd})


def _logistic(params, rows):
    logits = rows["x"] @ params["weights"] + params["offset"]
    return dist.Bernoulli(logits=logits).log_prob(rows["y"])


def logistic_regression() -> Known:
    """Against a long run of NumPyro's NUTS by itself."""
    stored = json.loads((DATA / "logistic_reference.json").read_text())
    x, y = logistic_data()
    point = {"offset": jnp.zeros(()), "weights": jnp.zeros(3)}
    model = under_normal(_logistic, point, {"x": x, "y": y}, each(0.0, point), each(2.0, point))
    mean, sd, mcse = (
        {name: np.squeeze(row[what]) for name, row in stored.items()}
        for what in ("mean", "sd", "mcse_mean")
    )
    return Known(model, mean, sd, mcse=mcse)


POSTERIORS = {
    "gaussian": functools.cache(gaussian),
    "eight_schools": functools.cache(eight_schools),
    "dirichlet_multinomial": functools.cache(dirichlet_multinomial),
    "linear_regression": linear,
    "logistic_regression": functools.cache(logistic_regression),
}
