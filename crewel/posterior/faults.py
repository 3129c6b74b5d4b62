"""What can be wrong with a run. Each function is one rule of `crewel.posterior.verdict`.

A rule returns `None` if it does not apply, an empty string if there is no fault, or sentences that
say what is wrong, where, why, and what to do.
"""

from __future__ import annotations

import numpy as np

from crewel.core.text import count, name_chains, number
from crewel.core.trees import named_leaves
from crewel.metrics.lppd import mean_over_rows
from crewel.posterior import evidence
from crewel.posterior.evidence import Evidence
from crewel.posterior.function_report import ESS_LIMIT_PER_CHAIN, RHAT_LIMIT

STILL = 0.98  # of steps that leave a chain where it is, above which it hardly moves
REJECTED = 0.1  # mean acceptance rate below which a chain hardly moves
SATURATED = 0.05  # of draws whose trees have the greatest depth
ENERGY = 0.02  # variance of the energy error per dimension; samplers are tuned to 5e-4
UNTUNED = 10.0  # times the desired variance of the energy error: the warm-up was too short
FALLING = 0.01  # fall of the loss in the last tenth of a fit, relative to its whole fall
PARETO_K = 0.7  # Vehtari, Simpson, Gelman, Yao & Gabry 2024
DEPTHS = ("max_tree_depth", "max_num_doublings", "maxdepth")


def not_finite(ev: Evidence) -> str | None:
    """Every value that is looked at is finite."""
    draws = ev.post.draws
    bad = np.zeros(ev.chains, bool)
    last = {name: leaf[:, -1] for name, leaf in named_leaves(draws).items()}
    for leaf in (*last.values(), *(v[..., None] for v in ev.entries.values())):
        finite = np.isfinite(np.asarray(leaf, np.float64))
        bad |= ~finite.reshape(ev.chains, -1).all(1)
    if "lp" in ev.stats:
        bad |= ~np.isfinite(ev.stats["lp"]).all(1)
    if not bad.any():
        return ""
    which = _which(bad)
    names = [name for name, leaf in last.items() if not np.isfinite(leaf.astype(float)).all()]
    where = f" (`{names[0]}` among others)" if names else ""
    do = (
        "Lower the learning rate, or start elsewhere with `init=`."
        if ev.post.losses is not None
        else "Lower the step size, or find the cause with `model.debug(seed=0)`."
    )
    return f"{which.capitalize()} hold values that are NaN or infinite{where}. {do}"


def frozen(ev: Evidence) -> str | None:
    """Every chain moves, and its step size is positive."""
    if not ev.family.keeps_draws or ev.post.num_draws < 4 or ev.post.losses is not None:
        return None
    still = np.ones(ev.chains)
    for values in ev.entries.values():
        still = np.minimum(still, (np.diff(values, axis=1) == 0).mean(1))
    sizes = ev.stats.get("step_size")
    zero = np.zeros(ev.chains, bool)
    if sizes is not None and np.issubdtype(sizes.dtype, np.floating):
        zero = ~(np.asarray(sizes) > 0).all(1)
    stuck = (still > STILL) | zero
    if not stuck.any():
        return ""
    which = _which(stuck)
    why = " The step size is zero or not finite: the warm-up failed." if zero.any() else ""
    return (
        f"{which.capitalize()} hardly moved: {100 * still[stuck].max():.0f} % of the steps left "
        f"{'it' if stuck.sum() == 1 else 'them'} in place.{why} These draws are not from the "
        "posterior. Start from a better point (`init=` an optimizer's result), use another seed "
        "or a longer warm-up, or another sampler."
    )


def diverging(ev: Evidence) -> str | None:
    """No draw after the warm-up diverged."""
    if "diverging" not in ev.stats or not ev.family.keeps_draws:
        return None
    flags = np.asarray(ev.stats["diverging"])
    if not flags.any():
        return ""
    share = flags.mean()
    text = f"{int(flags.sum()):,} of {flags.size:,} draws ({100 * share:.2g} %) diverged"
    return (
        f"{text}: the sampler cannot follow the density there, so regions are missing or "
        "distorted. Take smaller steps (a higher target acceptance rate or a smaller "
        "`step_size`), write the model in a non-centred form, or use tighter priors."
    )


def energy(ev: Evidence) -> str | None:
    """The energy error of a sampler without an accept step is small."""
    if "energy_error" not in ev.stats or "acceptance_rate" in ev.stats:
        return None
    errors = np.asarray(ev.stats["energy_error"], np.float64)
    size = sum(leaf[0, 0].size for leaf in named_leaves(ev.post.draws).values())
    kept = ~np.isnan(errors)  # a rejected step has none
    total = (np.where(kept, errors, 0.0) ** 2).sum(1)
    variance = np.where(kept.any(1), total / np.maximum(kept.sum(1), 1) / size, np.inf)
    # What the user or the row asked for is not a fault, but chains well above it were not tuned.
    desired = float(ev.post.call.options.get("desired_energy_var_end", 0.0))
    limit = max(ENERGY, UNTUNED * desired)
    bad = ~(variance < limit)
    if not bad.any():
        return ""
    which = _which(bad)
    return (
        f"The energy errors of {which} have a variance of {number(variance.max())} per "
        f"dimension, above {number(limit)}: the steps are too long, and without an accept step the "
        "draws are biased. Use a smaller step size, a lower desired energy variance, a longer "
        "warm-up, or an adjusted sampler."
    )


def saturated(ev: Evidence) -> str | None:
    """Few trees of NUTS have the greatest depth allowed."""
    options = ev.post.call.options
    depth = next((options[name] for name in DEPTHS if name in options), None)
    if "n_steps" not in ev.stats or "tree_depth" not in ev.stats:
        return None
    depth = depth if depth is not None else 10
    depth = depth[1] if isinstance(depth, tuple) else depth
    full = np.asarray(ev.stats["n_steps"]) >= 2 ** int(depth) - 1
    if full.mean() <= SATURATED:
        return ""
    name = next((name for name in DEPTHS if name in ev.post.options), "max_tree_depth")
    return (
        f"{100 * full.mean():.0f} % of the trees reached the greatest depth, {depth}: trajectories "
        f"are cut short and chains mix slowly. Raise `{name}`, or rescale the parameters."
    )


def rejecting(ev: Evidence) -> str | None:
    """Every chain accepts some of its proposals."""
    if "acceptance_rate" not in ev.stats or not ev.family.keeps_draws:
        return None
    rate = np.nanmean(np.asarray(ev.stats["acceptance_rate"], np.float64), axis=1)
    bad = ~(rate >= REJECTED)
    if not bad.any():
        return ""
    which, options = _which(bad), ev.post.call.options
    do = "Use a smaller `step_size` or a longer warm-up."
    if "num_steps" in options and options.get("trajectory_length", ...) is not None:
        do = (
            "With `num_steps` given, the step size is `trajectory_length / num_steps` and is not "
            "adapted: leave `num_steps` out, or pass `trajectory_length=None` as well."
        )
    return (
        f"{which.capitalize()} accept {100 * np.nanmin(rate):.1f} % of proposals: the steps are "
        f"too long. {do}"
    )


def dead(ev: Evidence) -> str | None:
    """Every chain predicts the training rows better than a constant does."""
    if ev.predictions is None:
        return None
    likelihood = ev.predictions[1]
    rows = np.logaddexp.reduce(likelihood, axis=1) - np.log(likelihood.shape[1])
    lppd = mean_over_rows(rows, ev.weights)
    bad = ~(lppd > ev.constant)
    if not bad.any():
        return ""
    which = _which(bad)
    number_of, members = int(bad.sum()), ev.family.chains.removeprefix("num_")
    do = (
        "Leave them out, or start all from an optimizer's result."
        if number_of < ev.chains
        else "Check the data's scale and the priors (`model.debug(seed=0)`), train longer, or "
        "start from an optimizer's result (`init=`)."
    )
    return (
        f"{which.replace('chain', members[:-1]).capitalize()} predict the training rows no better "
        f"than a constant: {number(lppd[bad].max())} nats per row against {number(ev.constant)}. "
        f"{do}"
    )


def unmixed(ev: Evidence) -> str | None:
    """Chains agree: R-hat of predictions, or of parameters where there are none."""
    what, values = ev.judged
    if not _kept(ev) or values.shape[1] < 4 or ev.chains < 2:
        return None
    found = evidence.rhat(values)
    limit = max(RHAT_LIMIT, evidence.rhat_of_chance(*values.shape))
    high = found > limit
    if not high.any():
        return ""
    share = f"R-hat is above {limit:.3g} at {high.sum()} of {len(found)} {what}"
    if ev.post.losses is not None:
        return (
            f"The fits disagree: {share}, {np.nanmax(found):.3g} at worst. Raise `num_steps`, or "
            "lower the learning rate."
        )
    return (
        f"The chains disagree: {share}, {np.nanmax(found):.3g} at worst. They have not converged, "
        "or each stays in a mode of its own. Run longer, start from an optimizer's result "
        "(`init=`), or use another sampler."
    )


def few_effective(ev: Evidence) -> str | None:
    """The effective sample size suffices for estimates."""
    what, values = ev.judged
    if not _kept(ev) or ev.post.losses is not None or values.shape[1] < 8:
        return None
    limit = ESS_LIMIT_PER_CHAIN * ev.chains
    if values.shape[0] * values.shape[1] < 2 * limit:
        return None  # too few draws were asked for to tell
    found = evidence.ess(values)
    low = found < limit
    if not low.any():
        return ""
    return (
        f"The effective sample size is below {limit} at {low.sum()} of {len(found)} {what}, "
        f"{np.nanmin(found):.0f} at worst: estimates are noisy. Run longer."
    )


def _which(bad: np.ndarray) -> str:
    """The chains at which `bad` is true, in words."""
    return name_chains([int(chain) for chain in np.flatnonzero(bad)], len(bad))


def _kept(ev: Evidence) -> bool:
    """Whether every draw was kept."""
    return ev.post.call.keeps_draws


def losses(ev: Evidence) -> str | None:
    """A loss is finite and has stopped falling."""
    found = ev.post.losses
    if found is None or found.shape[1] < 20:
        return None
    found = np.asarray(found, np.float64)
    bad = ~np.isfinite(found[:, -1])
    if bad.any():
        which = _which(bad)
        return f"The loss of {which} is not finite. Lower the learning rate."
    tenth = max(2, found.shape[1] // 10)
    late, before = found[:, -tenth:], found[:, -2 * tenth : -tenth]
    fall = before.mean(1) - late.mean(1)
    noise = np.sqrt((before.var(1) + late.var(1)) / tenth)
    whole = np.abs(found[:, :tenth].mean(1) - late.mean(1))
    falling = (fall > 3 * noise) & (fall > FALLING * whole)
    if not falling.any():
        return ""
    steps = found.shape[1]
    return (
        f"The loss of {int(falling.sum())} of {count(len(found), 'fit')} still falls after "
        f"{steps:,} steps: by {number(fall[falling].max())} in the last tenth. Raise `num_steps`."
    )


def _pareto_k(log_weights: np.ndarray) -> float:
    """Pareto k of one fit; minus infinity where the weights have no tail, infinity if not finite.

    arviz-stats returns NaN or raises where the largest weights are equal, as they are to rounding
    after a fit that is exact.
    """
    from arviz_stats.base import array_stats  # pyright: ignore[reportPrivateImportUsage]

    if not np.isfinite(log_weights).all():
        return np.inf
    if np.ptp(log_weights) < np.log(2):  # No weight is twice another.
        return -np.inf
    try:
        with np.errstate(all="ignore"):
            # It takes minus the log weights, as log likelihoods are in leave-one-out.
            k = float(array_stats.psislw(-log_weights)[1])
    except ValueError:
        return -np.inf
    return -np.inf if np.isnan(k) else k


def pareto_k(ev: Evidence) -> str | None:
    """A fit is close to the posterior: Pareto k of its importance weights."""
    if "pareto_k" in ev.stats:
        k = np.asarray(ev.stats["pareto_k"])[:, 0]
    elif "log_q" in ev.stats:
        weights = np.asarray(ev.stats["lp"], np.float64) - np.asarray(ev.stats["log_q"], np.float64)
        if weights.shape[1] < 20:
            return None
        k = np.array([_pareto_k(each) for each in weights])
    else:
        return None
    bad = ~(k < PARETO_K)
    if not bad.any():
        return ""
    return (
        f"Pareto k of {int(bad.sum())} of {count(len(k), 'fit')} is {number(k[bad].max())}, above "
        f"{PARETO_K}: the approximation misses a part of the posterior, often its tails. Take a "
        "richer family, or go on with MCMC from it (`init=`)."
    )
