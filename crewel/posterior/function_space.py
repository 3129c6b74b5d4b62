"""Convergence of a network's posterior, judged by its predictions.

The hidden units of a network can be permuted (and their signs or scales exchanged) without changing
its function, so two chains can agree on every prediction and on no weight: R-hat of the weights
says nothing about convergence. R-hat, ESS and MCSE of the *predictions* at chosen inputs do.

Notation: `f` holds the network's outputs at M chosen inputs (several outputs per input flattened),
with shape (C, D, M) for C chains of D draws. The statistics are ArviZ's.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from crewel import metrics
from crewel.core.text import name_chains
from crewel.posterior import function_report

RHAT_LIMIT = 1.01  # Vehtari et al. 2021
ESS_LIMIT_PER_CHAIN = 100  # the same, 400 for four chains
STEADY_LIMIT = 1.1  # for the halves of one chain; Gelman and Rubin 1992


def function_rhat(f: ArrayLike) -> np.ndarray:
    """Rank-normalized split R-hat of the prediction at each input. Best is 1.

    ArviZ's estimate of Vehtari et al. 2021, "Rank-normalization, folding, and localization: an
    improved R-hat for assessing convergence of MCMC".

    Args:
        f: Predictions, shape (C, D, M).

    Returns:
        Shape (M,). NaN where it is not defined: one chain, fewer than 4 draws, or a prediction that
        never changes or is not finite.

    Raises:
        ValueError: The shape is not (C, D, M), or an axis is empty.

    Examples:
        >>> import numpy as np
        >>> from crewel.posterior import function_space
        >>> f = np.random.default_rng(0).normal(size=(4, 100, 2))
        >>> f[3, :, 1] += 5.0  # chain 3 found another function
        >>> function_space.function_rhat(f) > 1.1
        array([False,  True])
    """
    return _statistic("rhat", f)


def within_chain_rhat(f: ArrayLike) -> np.ndarray:
    """R-hat between the two halves of each chain: high if the chain still drifts.

    The halves of each chain are passed to `function_rhat` as two chains. The result is near 1 for
    chains that are steady in different modes, where `function_rhat` is far from 1, which is the
    usual case for networks (chain-wise R-hat of Sommer et al. 2024, "Connecting the dots: is
    mode-connectedness the key to feasible sample-based inference in Bayesian neural networks?").

    Args:
        f: Predictions, shape (C, D, M).

    Returns:
        Shape (C, M). NaN with fewer than 8 draws, and as in `function_rhat`.

    Raises:
        ValueError: The shape is not (C, D, M), or an axis is empty.

    Examples:
        >>> import numpy as np
        >>> from crewel.posterior import function_space
        >>> f = np.random.default_rng(0).normal(size=(2, 400, 1))
        >>> f[1, :, 0] += np.linspace(0.0, 9.0, 400)
        >>> function_space.within_chain_rhat(f) > 1.1
        array([[False],
               [ True]])
    """
    f = _predictions(f)
    half = f.shape[1] // 2
    if half == 0:
        return np.full((f.shape[0], f.shape[2]), np.nan)
    return np.stack([function_rhat(np.stack([chain[:half], chain[-half:]])) for chain in f])


def function_ess(f: ArrayLike) -> np.ndarray:
    """Bulk effective sample size of the prediction at each input, over all chains.

    ArviZ's estimate of Vehtari et al. 2021.

    Args:
        f: Predictions, shape (C, D, M).

    Returns:
        Shape (M,), in draws. NaN with fewer than 4 draws or values that are not finite; a
        prediction that never changes counts as C D independent draws.

    Raises:
        ValueError: The shape is not (C, D, M), or an axis is empty.

    Examples:
        >>> import numpy as np
        >>> from crewel.posterior import function_space
        >>> f = np.random.default_rng(0).normal(size=(4, 100, 1))
        >>> f = np.repeat(f, 10, axis=1)  # every draw ten times
        >>> function_space.function_ess(f) < 1000  # of 4000 draws
        array([ True])
    """
    return _statistic("ess", f)


def function_mcse(f: ArrayLike) -> np.ndarray:
    """Monte Carlo standard error of the mean prediction at each input.

    ArviZ's estimate, `sd / sqrt(ESS of the mean)`.

    Args:
        f: Predictions, shape (C, D, M).

    Returns:
        Shape (M,), in units of `f`. NaN with fewer than 4 draws or values that are not finite.

    Raises:
        ValueError: The shape is not (C, D, M), or an axis is empty.

    Examples:
        >>> import numpy as np
        >>> from crewel.posterior import function_space
        >>> f = np.random.default_rng(0).normal(size=(4, 2500, 1))
        >>> function_space.function_mcse(f).round(2)  # 1 / sqrt(10000)
        array([0.01])
    """
    return _statistic("mcse", f)


def _statistic(name: str, f: ArrayLike) -> np.ndarray:
    # Imported here: ArviZ takes seconds to import, and `import crewel` must not.
    from arviz_stats.base import array_stats  # pyright: ignore[reportPrivateImportUsage]

    with np.errstate(all="ignore"):  # predictions that never change, or are not finite
        return np.asarray(getattr(array_stats, name)(_predictions(f), chain_axis=0, draw_axis=1))


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

    def __repr__(self) -> str:
        """The report as a table."""
        return function_report.text(self)


def report(
    f: ArrayLike,
    log_likelihood: ArrayLike | None = None,
    baseline_log_likelihood: ArrayLike | None = None,
) -> FunctionReport:
    """Judge chains by what they predict.

    Args:
        f: Predictions at M chosen inputs, shape (C, D, M).
        log_likelihood: Pointwise log likelihood of held-out rows, shape (C, D, N), for the LPPD of
            each chain.
        baseline_log_likelihood: Log likelihood of the same rows under a constant predictor (the
            mean and standard deviation of the training targets, or the class frequencies), shape
            (N,), or its mean. Chains that are not better are dead.

    Returns:
        A `FunctionReport`. Few chains or draws are not an error; `missing` lists what they rule
        out.

    Raises:
        ValueError: Wrong shapes, or a baseline without `log_likelihood`.

    Examples:
        >>> import numpy as np
        >>> from crewel.posterior import function_space
        >>> f = np.random.default_rng(0).normal(size=(4, 500, 2))
        >>> f[3, :, 1] += 5.0
        >>> function_space.report(f).verdict.split(":")[0]
        'R-hat above 1.01 at 1 of 2 predictions'
    """
    f = _predictions(f)
    chain_lppd = cumulative = baseline = None
    dead = ()
    missing = _missing(f, log_likelihood is not None, baseline_log_likelihood is not None)
    if log_likelihood is not None:
        values = np.asarray(log_likelihood)
        if values.shape[:2] != f.shape[:2]:
            raise ValueError(
                f"`log_likelihood` has shape {values.shape} and `f` {f.shape}: their first two "
                "axes, chains and draws, must be equal."
            )
        cumulative = metrics.cumulative_lppd(values, over="chain")
        chain_lppd = np.array([metrics.lppd(chain[None]) for chain in values])
    if baseline_log_likelihood is not None:
        baseline = _baseline(baseline_log_likelihood, log_likelihood)
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
        verdict="; ".join(_verdict(f.shape[0], rhat, within, ess, non_finite, dead)),
    )


def _verdict(
    num_chains: int,
    rhat: np.ndarray,
    within: np.ndarray,
    ess: np.ndarray,
    non_finite: Sequence[int],
    dead: Sequence[int],
) -> list[str]:
    """The problems found, worst first, each with what to do."""
    problems, number = [], len(rhat)
    if non_finite:
        verb = "has" if len(non_finite) == 1 else "have"
        problems.append(
            f"{name_chains(non_finite, num_chains)} {verb} predictions that are not finite: rerun "
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
            f"R-hat above {RHAT_LIMIT} at {high.sum()} of {number} predictions: chains disagree in "
            "function space, each steady in its own mode; warm start, or add chains until the "
            "cumulative LPPD is flat"
        )
    elif high.any():
        problems.append(
            f"R-hat above {RHAT_LIMIT} at {high.sum()} of {number} predictions: chains disagree in "
            "function space; run longer or warm start"
        )
    elif drift.any():
        drifting = _where(drift.any(axis=1))
        verb = "drifts" if len(drifting) == 1 else "drift"
        problems.append(f"{name_chains(drifting, num_chains)} still {verb}: run longer")
    limit = ESS_LIMIT_PER_CHAIN * num_chains
    if (low := (ess < limit) & ~high).any():  # chains that disagree always have a low ESS
        problems.append(f"ESS below {limit} at {low.sum()} of {number} predictions: run longer")
    if problems:
        return problems
    judged = np.isfinite(rhat).sum()
    if judged == 0:
        return ["no problem found, but R-hat is not defined: run more chains or draws to judge"]
    where = f"{judged} of {number} predictions"
    return [f"no problem found: R-hat at most {RHAT_LIMIT}, ESS at least {limit}, at {where}"]


def _missing(f: np.ndarray, has_likelihood: bool, has_baseline: bool) -> tuple[str, ...]:
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
        missing.append(f"R-hat at {constant} of {number} predictions: the prediction never changes")
    if not has_likelihood:
        missing.append("LPPD: no `log_likelihood` was given")
    elif not has_baseline:
        missing.append("dead chains: no `baseline_log_likelihood` was given")
    return tuple(missing)


def _baseline(baseline: ArrayLike, log_likelihood: ArrayLike | None) -> float:
    if log_likelihood is None:
        raise ValueError("`baseline_log_likelihood` was given without `log_likelihood`: give both.")
    baseline, shape = np.asarray(baseline, np.float64), np.shape(log_likelihood)
    if baseline.shape not in ((), shape[2:]):
        raise ValueError(
            f"`baseline_log_likelihood` has shape {baseline.shape} and `log_likelihood` {shape}: "
            f"the baseline must be a scalar or one number per row, shape {shape[2:]}."
        )
    return float(baseline.mean())


def _where(mask: ArrayLike) -> tuple[int, ...]:
    return tuple(int(i) for i in np.flatnonzero(mask))


def _predictions(f: ArrayLike) -> np.ndarray:
    f = np.asarray(f)
    if f.ndim != 3 or f.size == 0:
        raise ValueError(
            f"`f` has shape {f.shape} but must be (chains, draws, inputs) with no empty axis. "
            "Flatten the axes after draws, `f.reshape(*f.shape[:2], -1)`."
        )
    return f.astype(np.float64)
