"""Algorithms as parameters of tests: which are run in full, on which model, with which counts."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest

import crewel as cw
from crewel.core.options import settings_of
from crewel.core.protocol import Algorithm
from crewel.core.trees import named_leaves
from support import models, posteriors
from support.errors import LIMIT, errors, weighted
from support.posteriors import Known

SAMPLERS = [row for row in cw.ALGORITHMS if row.family.name in ("mcmc", "sgmcmc")]
FITS = [row for row in cw.ALGORITHMS if row.family.name == "vi"]
OPTIMIZERS = [row for row in cw.ALGORITHMS if row.family.name == "optimize" and row.test_budget]

# What makes a row's contract take minutes: run by `make test-slow`.
SLOW = {
    "numpyro_hmcecs": "Hessians of each row compile slowly",
    "numpyro_sa": "needs very many steps",
}

# A method with a stated bias may be off by a tenth of a standard deviation.
BIAS = 0.1
SMALL = {"num_warmup": 20, "num_steps": 20, "num_draws": 12, "thinning": 3, "progress": False}


def engine(row: Algorithm) -> tuple[Any, ...]:
    """What tells one engine from another: the functions that run a row, without its own options.

    Rows of the same engine differ in numbers and in a callable of their backend, and so a test of
    how an engine is driven need not be repeated for each of them.
    """
    return row.backend.name, row.family.name, *_functions((row.run, row.step, row.warmup))


def _functions(part: Any) -> list[Any]:
    if isinstance(part, tuple):
        return [found for inner in part for found in _functions(inner)]
    while isinstance(part, functools.partial):
        part = part.func
    return [part] if inspect.isfunction(part) else []


def first_of_engines(rows: Iterable[Algorithm]) -> frozenset[str]:
    """The name of the first row of each engine."""
    first: dict[Any, str] = {}
    for row in rows:
        first.setdefault(engine(row), row.name)
    return frozenset(first.values())


IN_FULL = first_of_engines(cw.ALGORITHMS)
OF_FAMILIES = frozenset({row.family.name: row.name for row in reversed(cw.ALGORITHMS)}.values())


def _is_slow(row: Algorithm) -> bool:
    return bool(row.recompiles or row.name in SLOW)


def every(rows: Iterable[Algorithm]) -> list[Any]:
    """All rows as parameters, for tests that compile nothing."""
    return [pytest.param(row, id=row.name) for row in rows]


def full(rows: Iterable[Algorithm]) -> list[Any]:
    """All rows as parameters; all but the first of each engine, and slow ones, are `slow`."""
    return [
        pytest.param(
            row, id=row.name, marks=[pytest.mark.slow] * (_is_slow(row) or row.name not in IN_FULL)
        )
        for row in rows
    ]


def of_families(rows: Iterable[Algorithm]) -> list[Any]:
    """All rows as parameters, for what the driver does alone; all but one per family are `slow`."""
    return [
        pytest.param(row, id=row.name, marks=[pytest.mark.slow] * (row.name not in OF_FAMILIES))
        for row in rows
    ]


def short(rows: Iterable[Algorithm]) -> list[Any]:
    """The rows that `full` leaves to `make test-slow` because another one has their engine."""
    return [
        pytest.param(row, id=row.name, marks=pytest.mark.once)
        for row in rows
        if row.name not in IN_FULL and not _is_slow(row)
    ]


def method(model: cw.Model, row: Algorithm) -> Any:
    """The row as a method of the model."""
    return getattr(getattr(model, row.family.name), row.name)


def chains(row: Algorithm) -> int:
    """Few chains; for those that need each other, twice as many as any small model's parameters."""
    return 20 if row.cross_chain else 2


def own(row: Algorithm, **kwargs: Any) -> dict[str, Any]:
    """The row's own options of its test budget, with small counts of the settings that it takes."""
    settings = settings_of(row)
    options = {k: v for k, v in row.test_budget.items() if k not in settings}
    if row.cycle is not None:
        options["cycle_length"] = 24
    counts = SMALL | {"num_chains": chains(row)} | kwargs
    return options | batch(row) | {k: v for k, v in counts.items() if k in settings}


def budget(row: Algorithm) -> dict[str, Any]:
    """The keywords with which the row finds known moments."""
    return dict(row.test_budget) | batch(row) | {"progress": False}


def batch(row: Algorithm) -> dict[str, Any]:
    """The size of the batches, of a row that takes them."""
    return {"batch_size": posteriors.BATCH} if row.family.name == "sgmcmc" else {}


def small_for(row: Algorithm) -> cw.Model:
    """A quick model with all that the row needs."""
    if row.family.name == "sgmcmc":
        return posteriors.rows().model
    return models.plain() if "gaussian_prior" in row.needs else models.apart()


def known_for(row: Algorithm) -> Known:
    """A known posterior with all that the row needs."""
    if row.family.name == "sgmcmc":
        return posteriors.rows()
    return posteriors.linear() if "gaussian_prior" in row.needs else posteriors.known()


def quick_for(row: Algorithm) -> Known:
    """A quick model with all that the row needs, and its moments."""
    if row.family.name == "sgmcmc":
        return posteriors.rows()
    model = small_for(row)
    shapes = {name: np.shape(leaf) for name, leaf in named_leaves(model.test_point).items()}
    mean = {name: np.zeros(shape) for name, shape in shapes.items()}
    sd = {name: np.full(shape, np.sqrt(0.5)) for name, shape in shapes.items()}
    if "rate" in shapes:
        mean["rate"], sd["rate"] = np.array(1.5), np.array(np.sqrt(0.75))
    # Eight parameters, each normal before the data and of half the variance after them.
    return Known(model, mean, sd, log_evidence=-8 / 2 * np.log(2.0))


def assert_moments(row: Algorithm, post: Any, known: Known) -> None:
    """Means and standard deviations, and the evidence where the row estimates it, are right."""
    draws = named_leaves(post.draws)
    for name, mean in known.mean.items():
        of_mean, of_sd = errors(draws[name], mean, known.sd[name])
        found_mean, found_sd = draws[name].mean((0, 1)), draws[name].std((0, 1))
        if "log_weight" in post.stats:  # then a standard error of equal weights says nothing
            found_mean, found_sd = weighted(draws[name], post.stats["log_weight"])
            of_mean = of_sd = np.full_like(of_mean, np.inf)
        slack = (BIAS if row.bias else 0.0) * np.ravel(known.sd[name])
        for what, found, exact, error in (
            ("mean", found_mean, mean, of_mean),
            ("sd", found_sd, known.sd[name], of_sd),
        ):
            off = np.abs(np.ravel(found - exact))
            ok = (np.abs(error) < LIMIT) | (off < slack)
            assert ok.all(), f"{what} of {name}: off by {error} standard errors"
    if "log_evidence" in post.stats:
        off = np.abs(post.stats["log_evidence"] - known.log_evidence)
        assert (off < LIMIT * post.stats["log_evidence_error"]).all()


@functools.cache
def fit_model() -> cw.Model:
    """A Gaussian with correlations."""
    return cw.Model(lambda p: posteriors.gaussian_log_density(p["x"]), {"x": jnp.zeros(3)})


def assert_fit(row: Algorithm, post: Any) -> None:
    """A fit to `fit_model` is between its own scales and those of a mean-field fit."""
    draws = post.draws["x"].reshape(-1, 3)
    precision = np.linalg.inv(posteriors.COVARIANCE)
    sd, least = np.sqrt(np.diag(posteriors.COVARIANCE)), np.diag(precision) ** -0.5
    assert (np.abs(draws.mean(0) - posteriors.LOCATION) < BIAS * sd).all(), draws.mean(0)
    assert (draws.std(0) > least - BIAS * sd).all(), draws.std(0)
    assert (draws.std(0) < sd + BIAS * sd).all(), draws.std(0)
    if "log_q" in post.stats:
        # The density is normalized, so this is the divergence, at most a mean-field fit's.
        divergence = (post.stats["log_q"] - post.stats["lp"]).mean()
        determinant = np.linalg.slogdet(posteriors.COVARIANCE)[1]
        assert -0.01 < divergence < 0.5 * (np.log(np.diag(precision)).sum() + determinant) + BIAS
    if post.losses is not None:
        assert post.losses.shape == (post.num_chains, row.test_budget["num_steps"])
        tenth = row.test_budget["num_steps"] // 10
        first, last = post.losses[:, :tenth], post.losses[:, -tenth:]
        # A fit that starts at its optimum has losses that differ by their errors only.
        error = np.hypot(first.std(1), last.std(1)) / np.sqrt(tenth)
        assert (last.mean(1) < first.mean(1) + LIMIT * error).all()


@functools.cache
def mode_model() -> cw.Model:
    """A density whose mode is known, of a correlated Gaussian and a positive parameter."""
    return cw.Model(
        lambda p: posteriors.gaussian_log_density(p["x"]) + 2 * jnp.log(p["rate"]) - 2 * p["rate"],
        {"x": jnp.zeros(3), "rate": 1.0},
        {"x": None, "rate": dist.constraints.positive},
    )


def assert_mode(row: Algorithm, post: Any) -> None:
    """Three particles of `mode_model` are at its mode, and their losses are its density there.

    The mode is that of Gamma(3, 2) itself; its logarithm has one at 1.5.
    """
    best = {"x": posteriors.LOCATION, "rate": np.ones(())}
    assert post.losses.shape == (3, row.test_budget["num_steps"])
    np.testing.assert_allclose(post.draws["x"], np.broadcast_to(best["x"], (3, 1, 3)), atol=0.02)
    np.testing.assert_allclose(post.draws["rate"], 1.0, atol=0.02)
    value = mode_model().log_density(jax.tree.map(jnp.asarray, best))
    np.testing.assert_allclose(post.losses[:, -1], -value, atol=1e-3)


def assert_structure(model: cw.Model, draws: Any, number: tuple[int, int]) -> None:
    """Draws have the structure, shapes and types of the test point, for chains and draws."""
    assert jax.tree.structure(draws) == jax.tree.structure(model.test_point)
    for name, leaf in named_leaves(draws).items():
        like = named_leaves(model.test_point)[name]
        assert leaf.shape == (*number, *like.shape), name
        assert leaf.dtype == like.dtype, name


def first(draws: Any) -> np.ndarray:
    """One leaf."""
    return jax.tree.leaves(draws)[0]


def same(a: Any, b: Any) -> bool:
    """Whether all leaves are equal bit for bit."""
    return all(
        np.array_equal(x, y, equal_nan=x.dtype.kind == "f")
        for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    )
