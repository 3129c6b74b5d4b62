"""Posteriors side by side on held-out rows, and the mixture of them that predicts best."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from crewel import metrics
from crewel.core.keys import as_key
from crewel.core.options import backend_options
from crewel.core.protocol import Array, PyTree, Seed
from crewel.core.text import names
from crewel.posterior import arviz
from crewel.posterior.diagnostics import HeldOut, held_out
from crewel.posterior.posterior import Posterior
from crewel.posterior.predict import require_network

if TYPE_CHECKING:
    import pandas as pd
    from xarray import DataTree


def compare(
    posteriors: Mapping[str, Posterior],
    x: PyTree,
    y: Array,
    *,
    reference: str | None = None,
    seed: Seed = 0,
) -> pd.DataFrame:
    """Score posteriors of any family on the same held-out rows.

    Args:
        posteriors: posteriors by name, of networks that predict the same `y`.
        x: inputs, `(N, ...)`.
        y: targets, `(N, ...)`.
        reference: the name of the posterior that the others are compared with, such as a long run
            of NUTS; for classes only.
        seed: an integer or a PRNG key, for draws of `y`.

    Returns:
        A `pandas.DataFrame` with a row per posterior, the best first. `lppd` has its standard
        error over rows, `lppd_se`; the other scores are those of `Posterior.metrics`. With a
        `reference` there are `agreement`, the share of rows with the same most probable class, and
        `total_variation`, half the sum of absolute differences of the probabilities, the mean over
        rows (Izmailov et al. 2021). `weight` is that of the best mixture of all on these rows
        (stacking, Yao et al. 2018). `seconds` are those of the run, and `gradients` what it took,
        NaN where the number of a step varies.

    Raises:
        ValueError: there is no posterior, they do not predict the same kind of `y`, or `reference`
            is not one of the names or `y` is not a class.

    Examples:
        >>> import crewel as cw, jax.numpy as jnp
        >>> x = jnp.linspace(-1, 1, 20)[:, None]
        >>> model = cw.wrap(lambda p, x: x @ p["w"], x, 2 * x[:, 0], likelihood="gaussian",
        ...                 example={"w": jnp.zeros((1, 1))})
        >>> with cw.settings(verdict="off"):
        ...     short = model.mcmc.numpyro_nuts(seed=0, num_draws=50, progress=False)
        ...     point = model.optimize.optax_adam(seed=0, num_particles=2, progress=False)
        >>> frame = cw.compare({"nuts": short, "adam": point}, x, 2 * x[:, 0])
        >>> round(float(frame["weight"].sum()), 6)
        1.0
    """
    import pandas as pd

    _require_alike(posteriors)
    if reference is not None and reference not in posteriors:
        raise ValueError(f"`reference` is {reference!r}; the names are {names(posteriors)}.")
    found = _held_out(posteriors, x, y, seed, "`compare`")
    pointwise = _of_rows(found)
    rows: dict[str, dict[str, Any]] = {}
    weights = metrics.stacking_weights(pointwise)
    for (name, post), values, weight in zip(posteriors.items(), pointwise, weights, strict=True):
        scores = found[name].scores
        spread = values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.nan
        near = {} if reference is None else _nearness(found[name], found[reference])
        rows[name] = {
            "lppd": scores.pop("lppd"), "lppd_se": spread, **scores, **near, "weight": weight,
            "seconds": post.timing.get("total", np.nan), "gradients": _gradients(post),
        }  # fmt: skip
    return pd.DataFrame.from_dict(rows, orient="index").sort_values("lppd", ascending=False)


def _held_out(
    posteriors: Mapping[str, Posterior], x: PyTree, y: Array, seed: Seed, what: str
) -> dict[str, HeldOut]:
    return {n: held_out(post, x, y, seed=seed, what=what) for n, post in posteriors.items()}


def _of_rows(found: Mapping[str, HeldOut]) -> np.ndarray:
    """The log predictive density of each row under each posterior, `(posterior, row)`."""
    return np.stack([metrics.pointwise_lppd(e.made["log_likelihood"]) for e in found.values()])


def _nearness(found: HeldOut, reference: HeldOut) -> dict[str, float]:
    """How near the class probabilities are to those of the reference."""
    if "probabilities" not in found.made:
        raise ValueError("`reference` needs a `y` that is a class: there are no probabilities.")
    one, other = (
        each.made["probabilities"].mean(axis=(0, 1), dtype=np.float64)
        for each in (found, reference)
    )
    return {
        "agreement": float((one.argmax(-1) == other.argmax(-1)).mean()),
        "total_variation": float(0.5 * np.abs(one - other).sum(-1).mean()),
    }


def _gradients(post: Posterior) -> float:
    """The gradients of a run whose steps take the same number; NaN for others."""
    call = post.call
    each = call.row.gradients_of(backend_options(call.row) | dict(call.options))
    if each is None or each[0] != each[1]:
        return np.nan
    steps = call.settings.get("num_steps", call.num_warmup + post.num_draws * call.thinning)
    return float(post.num_chains * steps * each[0])


def _require_alike(posteriors: Mapping[str, Posterior]) -> None:
    """Raise unless there are posteriors, all of networks with the same kind of `y` and classes."""
    if not posteriors:
        raise ValueError("There is no posterior: pass a dict of them by name.")
    kinds = {}
    for name, post in posteriors.items():
        predictive = require_network(post.model.predictive, f"`{name}`")
        labels = None if predictive.classes is None else predictive.classes.names
        kinds[name] = predictive.kind, labels
    if len(set(kinds.values())) > 1:
        listed = ", ".join(f"`{name}` {kind[0]}" for name, kind in kinds.items())
        raise ValueError(f"The posteriors must predict the same kind of `y` and classes: {listed}.")


@dataclass(frozen=True, eq=False)
class Stack:
    """Posteriors that predict together, each with a weight; made by `crewel.stack`.

    Attributes:
        posteriors: posteriors by name.
        weights: their weights by name, which sum to 1.
    """

    posteriors: Mapping[str, Posterior]
    weights: Mapping[str, float]

    def predict(self, x: PyTree, *, num_draws: int = 1000, seed: Seed = 0) -> DataTree:
        """Predictions of the mixture.

        Args:
            x: inputs, `(N, ...)`.
            num_draws: draws of the mixture, from the posteriors in proportion to their weights.
            seed: an integer or a PRNG key.

        Returns:
            The `DataTree` of `Posterior.predict`, with one chain; `outputs` only if they have one
            shape in all networks.
        """
        keys = jax.random.split(as_key(seed), len(self.posteriors) + 1)
        counts = _apportioned(np.array(list(self.weights.values())), num_draws)
        random = np.random.default_rng(np.asarray(jax.random.key_data(keys[-1])).ravel())
        parts: list[dict[str, np.ndarray]] = []
        for post, count, key in zip(self.posteriors.values(), counts, keys, strict=False):
            if count:
                made = post.predict(x, seed=key)["predictions"]
                flat = {n: v.values.reshape(-1, *v.shape[2:]) for n, v in made.data_vars.items()}
                rows = _drawn(random, len(flat["y"]), int(count))
                parts.append({str(name): value[rows] for name, value in flat.items()})
        shared = [
            name
            for name in parts[0]
            if len({part[name].shape[1:] if name in part else None for part in parts}) == 1
        ]
        made = {name: np.concatenate([part[name] for part in parts])[None] for name in shared}
        predictive = next(iter(self.posteriors.values())).model.predictive
        assert predictive is not None
        dims, coords = predictive.dims(made), predictive.coords(made)
        return arviz.to_datatree({"predictions": made}, dims=dims, coords=coords)

    def lppd(self, x: PyTree, y: Array, *, seed: Seed = 0) -> float:
        """The log pointwise predictive density of the mixture on held-out rows, nats per row."""
        values = _of_rows(_held_out(self.posteriors, x, y, seed, "`lppd`"))
        with np.errstate(divide="ignore"):
            logs = np.log(np.array(list(self.weights.values())))[:, None] + values
        return float(np.logaddexp.reduce(logs, axis=0).mean())

    def __repr__(self) -> str:
        """Return the weights."""
        listed = ", ".join(f"{name} {weight:.2f}" for name, weight in self.weights.items())
        return f"<crewel.Stack: {listed}>"


def stack(
    posteriors: Mapping[str, Posterior],
    x: PyTree = None,
    y: Array | None = None,
    *,
    weights: Mapping[str, float] | None = None,
    seed: Seed = 0,
) -> Stack:
    """The mixture of posteriors that predicts held-out rows best.

    Args:
        posteriors: posteriors by name, of networks that predict the same `y`.
        x: held-out inputs, on which the weights are found: not those that the mixture is scored on.
        y: held-out targets.
        weights: weights by name, in place of `x` and `y`; they are scaled to sum to 1.
        seed: an integer or a PRNG key.

    Returns:
        A `Stack`, which predicts.

    Raises:
        ValueError: as `compare`; neither rows nor weights are given, or both; or the weights are
            not one per posterior, or negative.

    Examples:
        >>> import crewel as cw, jax.numpy as jnp
        >>> x = jnp.linspace(-1, 1, 20)[:, None]
        >>> model = cw.wrap(lambda p, x: x @ p["w"], x, 2 * x[:, 0], likelihood="gaussian",
        ...                 example={"w": jnp.zeros((1, 1))})
        >>> with cw.settings(verdict="off"):
        ...     post = model.mcmc.numpyro_nuts(seed=0, num_draws=50, progress=False)
        ...     more = post.extend(50, progress=False)
        >>> both = cw.stack({"a": post, "b": more}, weights={"a": 1, "b": 3})
        >>> both.predict(x)["predictions"]["y"].shape
        (1, 1000, 20)
    """
    _require_alike(posteriors)
    if (weights is None) == (y is None):
        raise ValueError("Give either held-out rows `x` and `y`, or `weights`.")
    if y is not None:
        values = _of_rows(_held_out(posteriors, x, y, seed, "`stack`"))
        found = metrics.stacking_weights(values).tolist()
        return Stack(posteriors, dict(zip(posteriors, found, strict=True)))
    assert weights is not None
    if set(weights) != set(posteriors) or min(weights.values()) < 0 or not sum(weights.values()):
        raise ValueError(
            f"`weights` must have a weight of at least 0 for each of {names(posteriors)}, and not "
            f"all zero; got {dict(weights)}."
        )
    total = sum(weights.values())
    return Stack(posteriors, {name: weights[name] / total for name in posteriors})


def _apportioned(weights: np.ndarray, number: int) -> np.ndarray:
    """Whole numbers in proportion to the weights, which sum to `number` (largest remainders)."""
    counts = np.floor(weights * number).astype(int)
    order = np.argsort(counts - weights * number, kind="stable")
    counts[order[: number - counts.sum()]] += 1
    return counts


def _drawn(random: np.random.Generator, available: int, number: int) -> np.ndarray:
    """So many of the available draws: each as often as the others, give or take one."""
    whole, rest = divmod(number, available)
    return np.concatenate(
        [np.tile(np.arange(available), whole), random.permutation(available)[:rest]]
    )
