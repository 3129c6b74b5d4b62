"""What every algorithm must do: one file over the whole list of rows."""

from __future__ import annotations

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import support
from numpyro.distributions import constraints
from support import counting, errors

import crewel as cw
from crewel.core.options import backend_options, settings_of
from crewel.core.trees import named_leaves
from crewel.run import blocks

SAMPLERS = [row for row in cw.ALGORITHMS if row.family.name in ("mcmc", "sgmcmc")]
OPTIMIZERS = [row for row in cw.ALGORITHMS if row.family.name == "optimize" and row.test_budget]
FITS = [row for row in cw.ALGORITHMS if row.family.name == "vi"]
SMALL = {"num_warmup": 20, "num_steps": 20, "num_draws": 12, "thinning": 3, "progress": False}

# Stats that a row may have, by ArviZ's names, and two of our own for unadjusted methods.
STATS = {
    "lp", "energy", "acceptance_rate", "step_size", "n_steps", "diverging", "tree_depth",
    "energy_error", "log_evidence", "log_evidence_error", "log_q", "pareto_k",
}  # fmt: skip

# Of minibatches: the log density itself would take all rows.
BATCH_STATS = STATS - {"lp"} | {"lp_estimate", "log_weight", "batch_acceptance_rate"}
# What makes a row's contract take minutes: run by `make test-slow`.
SLOW = {"numpyro_hmcecs": "Hessians of each row compile slowly"}

# Errors beyond five standard errors have probability 6e-7 each. A method with a stated bias may
# be off by a tenth of a standard deviation more.
LIMIT, BIAS = 5.0, 0.1


def names(rows):
    """Rows as parameters; slow ones compile anew in each run, or long, and take minutes."""
    slow = [pytest.mark.slow]
    return [
        pytest.param(row, id=row.name, marks=slow * bool(row.recompiles or row.name in SLOW))
        for row in rows
    ]


def chains(row):
    """Few chains; for those that need each other, twice as many as any small model's parameters."""
    return 20 if row.cross_chain else 2


def counts_of(row, **kwargs):
    """Small counts, of the words that the row takes."""
    given = SMALL | {"num_chains": chains(row)} | kwargs
    return {k: v for k, v in given.items() if k in settings_of(row)}


def own(row, **kwargs):
    """The row's own options of its test budget, beside small counts."""
    words = settings_of(row)
    theirs = {k: v for k, v in row.test_budget.items() if k not in words}
    if row.cycle is not None:
        theirs["cycle_length"] = 24
    return theirs | batch(row) | counts_of(row, **kwargs)


def batch(row):
    """The size of the batches, of a row that takes them."""
    return {"batch_size": support.BATCH} if row.family.name == "sgmcmc" else {}


def small_for(row):
    """A quick model with all that the row needs."""
    if row.family.name == "sgmcmc":
        return support.rows().model
    return support.plain() if "gaussian_prior" in row.needs else support.apart()


def known_for(row):
    """A known posterior with all that the row needs."""
    if row.family.name == "sgmcmc":
        return support.rows()
    return support.linear() if "gaussian_prior" in row.needs else support.known()


def first(draws):
    return jax.tree.leaves(draws)[0]


def method(model, row):
    return getattr(getattr(model, row.family.name), row.name)


def same(a, b):
    return all(
        np.array_equal(x, y, equal_nan=x.dtype.kind == "f")
        for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    )


@pytest.mark.parametrize("row", names(SAMPLERS))
def test_moments(row):
    known = known_for(row)
    post = method(known.model, row)(seed=1, progress=False, **row.test_budget, **batch(row))
    draws = named_leaves(post.draws)
    for name, mean in known.mean.items():
        of_mean, of_sd = errors(draws[name], mean, known.sd[name])
        found_mean, found_sd = draws[name].mean((0, 1)), draws[name].std((0, 1))
        if "log_weight" in post.stats:  # then a standard error of equal weights says nothing
            found_mean, found_sd = weighted(draws[name], post.stats["log_weight"])
            of_mean = of_sd = np.full_like(of_mean, np.inf)
        slack = BIAS if row.bias else 0.0
        error = np.abs(np.ravel(found_mean - mean))
        ok = (np.abs(of_mean) < LIMIT) | (error < slack * np.ravel(known.sd[name]))
        assert ok.all(), f"mean of {name}: off by {of_mean} standard errors"
        error = np.abs(np.ravel(found_sd - known.sd[name]))
        ok = (np.abs(of_sd) < LIMIT) | (error < slack * np.ravel(known.sd[name]))
        assert ok.all(), f"sd of {name}: off by {of_sd} standard errors"
    if "log_evidence" in post.stats:
        off = np.abs(post.stats["log_evidence"] - known.log_evidence)
        assert (off < LIMIT * post.stats["log_evidence_error"]).all()


def weighted(draws, log_weight):
    """Mean and standard deviation over chains and draws that carry weights."""
    weight = np.exp(log_weight - log_weight.max())
    weight = (weight / weight.sum()).reshape(*weight.shape, *[1] * (draws.ndim - 2))
    mean = (weight * draws).sum((0, 1))
    return mean, np.sqrt((weight * (draws - mean) ** 2).sum((0, 1)))


@pytest.mark.parametrize("row", names(FITS))
def test_fits(row):
    """On a Gaussian with correlations: between its own scales and those of a mean-field fit."""
    model = cw.Model(lambda p: support._gaussian(p["x"]), {"x": jnp.zeros(3)})
    post = method(model, row)(seed=1, progress=False, **row.test_budget)
    draws = post.draws["x"].reshape(-1, 3)
    precision = np.linalg.inv(support.COVARIANCE)
    sd, least = np.sqrt(np.diag(support.COVARIANCE)), np.diag(precision) ** -0.5
    assert (np.abs(draws.mean(0) - support.LOCATION) < BIAS * sd).all(), draws.mean(0)
    assert (draws.std(0) > least - BIAS * sd).all(), draws.std(0)
    assert (draws.std(0) < sd + BIAS * sd).all(), draws.std(0)
    if "log_q" in post.stats:
        # The density is normalised, so this is the divergence, at most a mean-field fit's.
        divergence = (post.stats["log_q"] - post.stats["lp"]).mean()
        most = 0.5 * (np.log(np.diag(precision)).sum() + np.linalg.slogdet(support.COVARIANCE)[1])
        assert -0.01 < divergence < most + BIAS
    if post.losses is not None:
        assert post.losses.shape == (post.num_chains, row.test_budget["num_steps"])
        tenth = row.test_budget["num_steps"] // 10
        assert (post.losses[:, -tenth:].mean(1) < post.losses[:, :tenth].mean(1)).all()


@pytest.mark.once
@pytest.mark.parametrize("row", names(SAMPLERS + FITS + OPTIMIZERS))
def test_structure_is_kept(row):
    if row.family.name == "sgmcmc":
        model, counts, number = support.nested_rows(), own(row), (chains(row), 12)
    elif row.family.name != "optimize":
        model, counts, number = small_for(row), own(row), (chains(row), 12)
    else:
        model, number = support.plain(), (2, 1)
        counts = {"num_particles": 2, "num_steps": 5, "progress": False}
    post = method(model, row)(seed=0, **counts)
    assert jax.tree.structure(post.draws) == jax.tree.structure(model.test_point)
    for name, leaf in named_leaves(post.draws).items():
        like = named_leaves(model.test_point)[name]
        assert leaf.shape == (*number, *like.shape)
        assert leaf.dtype == like.dtype


@pytest.mark.parametrize("row", names(SAMPLERS + FITS))
def test_seeds_and_stats(row):
    model = small_for(row)
    post = method(model, row)(seed=3, **own(row))
    assert same(post.draws, method(model, row)(seed=3, **own(row)).draws)
    assert same(post.draws, method(model, row)(seed=jax.random.key(3), **own(row)).draws)
    other = method(model, row)(seed=4, **own(row))
    assert not np.array_equal(first(post.draws), first(other.draws))
    assert all(value.shape == (chains(row), 12) for value in post.stats.values())
    if row.family.name == "sgmcmc":
        assert set(post.stats) <= BATCH_STATS and "step_size" in post.stats
        return
    assert set(post.stats) <= STATS and "lp" in post.stats
    # `lp` is the density on the unconstrained space, so it must follow the draws.
    target = model.target()
    unconstrain = jax.vmap(jax.vmap(target.transform.inverse))
    expected = jax.vmap(jax.vmap(target.log_density))(unconstrain(post.draws))
    np.testing.assert_allclose(post.stats["lp"], expected, rtol=1e-3, atol=1e-3)


@pytest.mark.once
@pytest.mark.parametrize("row", names(row for row in SAMPLERS + FITS if row.resumable))
def test_pieces_equal_the_whole(row, monkeypatch):
    model = small_for(row)
    whole = method(model, row)(seed=5, **own(row))
    monkeypatch.setattr(blocks, "CHUNK_SECONDS", 0.0)  # one draw a chunk
    pieces = method(model, row)(seed=5, **own(row))
    assert same((whole.draws, whole.stats), (pieces.draws, pieces.stats))
    assert same(whole.losses, pieces.losses)
    resumed = method(model, row)(seed=5, **own(row, num_draws=7)).extend(5, progress=False)
    assert same((whole.draws, whole.stats), (resumed.draws, resumed.stats))


@pytest.mark.once
@pytest.mark.parametrize("row", names(SAMPLERS))
def test_thinning_keeps_every_third(row):
    every = method(small_for(row), row)(seed=6, **own(row, num_draws=36, thinning=1))
    third = method(small_for(row), row)(seed=6, **own(row))
    np.testing.assert_allclose(
        first(every.draws)[:, 2::3], first(third.draws), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("row", names(SAMPLERS + FITS))
def test_second_call_compiles_nothing(row):
    method(small_for(row), row)(seed=7, **own(row))
    with counting() as counts:
        method(small_for(row), row)(seed=8, **own(row))
    # A row that compiles anew says why, and is wrong once it no longer does.
    assert (counts == {"trace": 0, "compile": 0}) == (not row.recompiles), counts


@pytest.mark.once
@pytest.mark.parametrize(
    "row", names(r for r in SAMPLERS + FITS if "chain_method" in settings_of(r))
)
def test_chain_methods_agree(row):
    model = small_for(row)
    parallel = method(model, row)(seed=9, **own(row, chain_method="parallel"))
    sequential = method(model, row)(seed=9, **own(row, chain_method="sequential"))
    assert same(parallel.draws, sequential.draws)
    vectorized = method(model, row)(seed=9, **own(row, chain_method="vectorized"))
    # Another program, so other rounding, which grows from step to step: chains part later. Other
    # chains would be off by a standard deviation, about one.
    np.testing.assert_allclose(
        first(vectorized.draws)[:, 0], first(sequential.draws)[:, 0], rtol=0.05, atol=0.01
    )


@pytest.mark.parametrize("row", names(SAMPLERS + FITS + OPTIMIZERS))
def test_unknown_option_is_an_error(row):
    with pytest.raises(TypeError, match="Did you mean `progress`"):
        method(support.apart(), row)(seed=0, progres=False)
    with pytest.raises(TypeError, match=row.option_sources[0].replace(".", r"\.")):
        method(support.apart(), row)(seed=0, zzz=1)
    for word in row.unsupported:
        with pytest.raises(TypeError, match=f"`{word}` means nothing to `{row.name}`"):
            method(support.apart(), row)(seed=0, **{word: 1})


@pytest.mark.parametrize("row", names(SAMPLERS + FITS + OPTIMIZERS))
def test_options_are_the_backends(row):
    """No option of a row is swallowed: each is a parameter of what `option_sources` names."""
    for name in row.test_budget:
        assert name in settings_of(row) or name in backend_options(row)
    for filled_by_row in row.filled_by_row:
        assert filled_by_row not in backend_options(row)
    assert row.summary and row.reference
    assert row.name.split("_")[0] == (row.backend.name)
    engine = row.step or row.run
    assert inspect.isfunction(getattr(engine, "func", engine))


@pytest.mark.parametrize("row", names(OPTIMIZERS))
def test_optimizers_find_the_mode(row):
    # The modes of the Gaussian, and of Gamma(3, 2) itself: that of its logarithm is at 1.5.
    model = cw.Model(
        lambda p: support._gaussian(p["x"]) + 2 * jnp.log(p["rate"]) - 2 * p["rate"],
        {"x": jnp.zeros(3), "rate": 1.0},
        {"x": None, "rate": constraints.positive},
    )
    post = method(model, row)(seed=1, num_particles=3, progress=False, **row.test_budget)
    assert post.draws["x"].shape == (3, 1, 3)
    assert post.losses.shape == (3, row.test_budget["num_steps"])
    mode = np.broadcast_to(support.LOCATION, (3, 1, 3))
    np.testing.assert_allclose(post.draws["x"], mode, atol=0.02)
    np.testing.assert_allclose(post.draws["rate"], 1.0, atol=0.02)
    best = model.log_density({"x": jnp.asarray(support.LOCATION), "rate": jnp.ones(())})
    np.testing.assert_allclose(post.losses[:, -1], -best, atol=1e-3)
    with counting() as counts:
        method(model, row)(seed=2, num_particles=3, progress=False, **row.test_budget)
    assert counts == {"trace": 0, "compile": 0}
