"""The report on convergence in function space: statistics, chains judged one by one, a verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from crewel import metrics
from crewel.core.text import name_chains
from crewel.metrics.lppd import mean_over_rows
from crewel.posterior import function_table
from crewel.posterior.function_space import (
    as_predictions,
    function_ess,
    function_mcse,
    function_rhat,
    within_chain_rhat,
)

RHAT_LIMIT = 1.01  # Vehtari et al. 2021
ESS_LIMIT_PER_CHAIN = 100  # the same, 400 for four chains
STEADY_LIMIT = 1.1  # for the halves of one chain; Gelman and Rubin 1992


@dataclass(frozen=True, eq=False, repr=False)
class FunctionReport:
    """The result of `report`, which prints as a table.

    Attributes:
        num_chains: C.
        num_draws: D, per chain.
        rhat: R-hat per input, shape (M,).
        within_rhat: R-hat between the halves of each chain, shape (C, M).
        ess: Bulk ESS per input, shape (M,).
        mcse: MCSE of the mean prediction per input, shape (M,).
        sd: Standard deviation of the prediction per input over all draws, shape (M,).
        chain_lppd: LPPD of each chain alone, shape (C,), nats per row; None without likelihoods.
        cumulative_lppd: LPPD of the first 1, ..., C chains, shape (C,), or None; the last entry
            pools all chains.
        baseline_lppd: LPPD of the constant predictor, or None.
        non_finite_chains: Chains with a prediction that is NaN or infinite.
        dead_chains: Chains whose LPPD is not above `baseline_lppd`.
        missing: What could not be computed and why, one sentence each.
        verdict: The conclusion and what to do, in one line.
        of: What was judged, in the singular: a prediction, or a parameter.
    """

    num_chains: int
    num_draws: int
    rhat: np.ndarray
    within_rhat: np.ndarray
    ess: np.ndarray
    mcse: np.ndarray
    sd: np.ndarray
    chain_lppd: np.ndarray | None
    cumulative_lppd: np.ndarray | None
    baseline_lppd: float | None
    non_finite_chains: tuple[int, ...]
    dead_chains: tuple[int, ...]
    missing: tuple[str, ...]
    verdict: str
    of: str = "prediction"

    def __repr__(self) -> str:
        """The report as a table."""
        return function_table.text(self)


def report(
    f: ArrayLike,
    log_likelihood: ArrayLike | None = None,
    baseline_log_likelihood: ArrayLike | None = None,
    *,
    weights: ArrayLike | None = None,
    of: str = "prediction",
    faults: Sequence[str] = (),
) -> FunctionReport:
    """Judge chains by what they predict.

    Args:
        f: Predictions at M chosen inputs, shape (C, D, M).
        log_likelihood: Pointwise log likelihood of held-out rows, shape (C, D, N), for the LPPD of
            each chain.
        baseline_log_likelihood: Log likelihood of the same rows under a constant predictor (the
            mean and standard deviation of the training targets, or the class frequencies), shape
            (N,), or its mean. Chains that are not better are dead.
        weights: Weights of the rows in the LPPD, shape (N,); equal if `None`.
        of: What `f` holds, in the singular: predictions, or the parameters of a model that has
            none.
        faults: What else is known to be wrong with the run, for the verdict.

    Returns:
        A `FunctionReport`. Few chains or draws are not an error; `missing` lists what they rule
        out.

    Raises:
        ValueError: Wrong shapes, or a baseline without `log_likelihood`.

    Examples:
        >>> import numpy as np
        >>> from crewel.posterior import function_report
        >>> f = np.random.default_rng(0).normal(size=(4, 500, 2))
        >>> f[3, :, 1] += 5.0
        >>> function_report.report(f).verdict.split(":")[0]
        'R-hat above 1.01 at 1 of 2 predictions'
    """
    f = as_predictions(f)
    chain_lppd = cumulative = baseline = None
    dead = ()
    missing = _missing(f, log_likelihood is not None, baseline_log_likelihood is not None, of)
    if log_likelihood is not None:
        values = np.asarray(log_likelihood)
        if values.shape[:2] != f.shape[:2]:
            raise ValueError(
                f"`log_likelihood` has shape {values.shape} and `f` {f.shape}: their first two "
                "axes, chains and draws, must be equal."
            )
        cumulative = metrics.cumulative_lppd(values, over="chain", weights=weights)
        chain_lppd = np.array([metrics.lppd(chain[None], weights=weights) for chain in values])
    if baseline_log_likelihood is not None:
        baseline = _baseline(baseline_log_likelihood, log_likelihood, weights)
    if baseline is not None and chain_lppd is not None:
        dead = _where(~(chain_lppd > baseline))  # a chain whose LPPD is NaN is dead
    rhat, within, ess = function_rhat(f), within_chain_rhat(f), function_ess(f)
    non_finite = _where(~np.isfinite(f).all(axis=(1, 2)))
    with np.errstate(invalid="ignore"):
        sd = f.std(axis=(0, 1))
    return FunctionReport(
        num_chains=f.shape[0],
        num_draws=f.shape[1],
        rhat=rhat,
        within_rhat=within,
        ess=ess,
        mcse=function_mcse(f),
        sd=sd,
        chain_lppd=chain_lppd,
        cumulative_lppd=cumulative,
        baseline_lppd=baseline,
        non_finite_chains=non_finite,
        dead_chains=dead,
        missing=missing,
        verdict="; ".join(
            _verdict(f.shape[0], rhat, within, ess, non_finite, dead, of, list(faults))
        ),
        of=of,
    )


def _verdict(
    num_chains: int,
    rhat: np.ndarray,
    within: np.ndarray,
    ess: np.ndarray,
    non_finite: Sequence[int],
    dead: Sequence[int],
    of: str,
    problems: list[str],
) -> list[str]:
    """The problems found, worst first, each with what to do; `problems` are known already."""
    number = len(rhat)
    if non_finite:
        verb = "has" if len(non_finite) == 1 else "have"
        problems.append(
            f"{name_chains(non_finite, num_chains)} {verb} {of}s that are not finite: rerun "
            "with a smaller step size"
        )
    if dead:
        verb, them = ("is", "it") if len(dead) == 1 else ("are", "them")
        problems.append(
            f"{name_chains(dead, num_chains)} {verb} no better than a constant predictor: "
            + (f"leave {them} out" if len(dead) < num_chains else "check data and prior")
            + " or warm start"
        )
    high, far = rhat > RHAT_LIMIT, rhat > STEADY_LIMIT
    drift = within > STEADY_LIMIT
    if far.any() and (within[:, far] <= STEADY_LIMIT).all():  # false where it is NaN
        problems.append(
            f"R-hat above {RHAT_LIMIT} at {high.sum()} of {number} {of}s: chains disagree, "
            "each steady in its own mode; warm start, or add chains until the "
            "cumulative LPPD is flat"
        )
    elif high.any():
        problems.append(
            f"R-hat above {RHAT_LIMIT} at {high.sum()} of {number} {of}s: chains disagree; "
            "run longer or warm start"
        )
    elif drift.any():
        drifting = _where(drift.any(axis=1))
        verb = "drifts" if len(drifting) == 1 else "drift"
        problems.append(f"{name_chains(drifting, num_chains)} still {verb}: run longer")
    limit = ESS_LIMIT_PER_CHAIN * num_chains
    if (low := (ess < limit) & ~high).any():  # chains that disagree always have a low ESS
        problems.append(f"ESS below {limit} at {low.sum()} of {number} {of}s: run longer")
    if problems:
        return problems
    judged = np.isfinite(rhat).sum()
    if judged == 0:
        return ["no problem found, but R-hat is not defined: run more chains or draws to judge"]
    where = f"{judged} of {number} {of}s"
    return [f"no problem found: R-hat at most {RHAT_LIMIT}, ESS at least {limit}, at {where}"]


def _missing(f: np.ndarray, has_likelihood: bool, has_baseline: bool, of: str) -> tuple[str, ...]:
    num_chains, num_draws, number = f.shape
    were = f"are {num_draws}" if num_draws > 1 else "is 1"
    missing = []
    if num_chains < 2:
        missing.append("R-hat between chains: it needs at least 2 chains, there is 1")
    if num_draws < 4:
        missing.append(f"R-hat, ESS, MCSE: they need at least 4 draws per chain, there {were}")
    if num_draws < 8:
        missing.append(f"R-hat within a chain: it needs at least 8 draws, there {were}")
    if constant := int(np.sum(np.all(f == f[:1, :1], axis=(0, 1)))):
        missing.append(f"R-hat at {constant} of {number} {of}s: the {of} never changes")
    if of != "prediction":
        return tuple(missing)
    if not has_likelihood:
        missing.append("LPPD: no `log_likelihood` was given")
    elif not has_baseline:
        missing.append("dead chains: no `baseline_log_likelihood` was given")
    return tuple(missing)


def _baseline(
    baseline: ArrayLike, log_likelihood: ArrayLike | None, weights: ArrayLike | None
) -> float:
    if log_likelihood is None:
        raise ValueError("`baseline_log_likelihood` was given without `log_likelihood`: give both.")
    baseline, shape = np.asarray(baseline, np.float64), np.shape(log_likelihood)
    if baseline.shape not in ((), shape[2:]):
        raise ValueError(
            f"`baseline_log_likelihood` has shape {baseline.shape} and `log_likelihood` {shape}: "
            f"the baseline must be a scalar or one number per row, shape {shape[2:]}."
        )
    return float(mean_over_rows(baseline, weights) if baseline.ndim else baseline)


def _where(mask: ArrayLike) -> tuple[int, ...]:
    return tuple(int(i) for i in np.flatnonzero(mask))
