"""What a verdict looks at: a few values of every draw, and a few predictions, in bounded time."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np
from numpyro.diagnostics import effective_sample_size, split_gelman_rubin
from scipy.special import fdtri, ndtri

from crewel.core.compiling import Program, compile_all, program
from crewel.core.model_like import ModelLike
from crewel.core.precision import is_double, precision
from crewel.core.protocol import Data, Params, PyTree
from crewel.core.trees import named_leaves, some_rows
from crewel.metrics.lppd import mean_over_rows
from crewel.posterior import baseline
from crewel.posterior.observed import rows_of
from crewel.posterior.predict import NetworkPredictive

if TYPE_CHECKING:
    from crewel.posterior.posterior import Posterior
    from crewel.run.call import Call

ENTRIES = 30  # parameters that are looked at, of all draws
DRAWS = 200  # per chain, whose predictions are looked at, at most
ROWS = 20  # rows whose predictions are judged
VALUES = 400  # of their predictions, at most
SCORED = 200  # rows whose log likelihood is compared with that of a constant
TOGETHER = 16  # draws per call of the program
SECONDS = 0.1  # that predictions may take


class Evidence:
    """A posterior as its verdict sees it. Everything is computed when it is first asked for."""

    def __init__(self, post: Posterior):
        """Hold the posterior."""
        self.post = post
        self.family = post.call.row.family
        self.stats = post.stats
        self.chains = post.num_chains

    @cached_property
    def entries(self) -> dict[str, np.ndarray]:
        """A few entries of the draws by name, each `(chain, draw)`, spread over the leaves."""
        leaves = named_leaves(self.post.draws)
        per_leaf = max(1, ENTRIES // len(leaves))
        chosen = list(leaves.items())
        if len(chosen) > ENTRIES:
            chosen = [chosen[i] for i in np.linspace(0, len(chosen) - 1, ENTRIES).astype(int)]
        found = {}
        for name, leaf in chosen:
            flat = leaf.reshape(*leaf.shape[:2], -1)
            places = np.unique(np.linspace(0, flat.shape[2] - 1, per_leaf).astype(int))
            for place in places:
                index = np.unravel_index(place, leaf.shape[2:]) if leaf.ndim > 2 else ()
                at = f"[{', '.join(map(str, map(int, index)))}]" if index else ""
                found[name + at] = np.asarray(flat[:, :, place], np.float64)
        return found

    @cached_property
    def predictions(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Predictions `(chain, draw, value)` and log likelihoods `(chain, draw, row)`.

        At the training rows, for draws that are spread evenly, as many as time allows; `None`
        where the model does not predict, or the draws are not its parameters.
        """
        predictive = _network(self.post.model, self.post.call)
        if predictive is None:
            return None
        draws = self.post.draws
        run = _compiled(
            self.post.model, self.post.call, self.chains, self.post.num_draws, self.rows
        )
        clock = time.perf_counter()
        order, size = _order(self.post.num_draws)
        done: list[int] = []
        made: list[tuple[np.ndarray, ...]] = []
        for start in range(0, len(order), size):
            these = order[start : start + size]
            padded = np.resize(these, size)
            params = jax.tree.map(lambda leaf, p=padded: jnp.asarray(leaf[:, p]), draws)
            found = map(np.asarray, run(predictive, *self.rows, params))
            number = len(these)
            made.append(tuple(part[:, :number] for part in found))
            done += list(these)
            if time.perf_counter() - clock > SECONDS:
                break
        values, likelihood = (np.concatenate(parts, axis=1) for parts in zip(*made, strict=True))
        sort = np.argsort(done)
        return values[:, sort].astype(np.float64), likelihood[:, sort].astype(np.float64)

    @cached_property
    def judged(self) -> tuple[str, np.ndarray]:
        """What mixing is judged on, and its values `(chain, draw, value)`."""
        if self.predictions is not None:
            return "predictions", self.predictions[0]
        return "parameters", np.stack(list(self.entries.values()), axis=-1)

    @cached_property
    def rows(self) -> tuple[Data, Data]:
        """The rows whose predictions are judged, and those that are scored."""
        predictive = self.post.model.predictive
        assert isinstance(predictive, NetworkPredictive)
        return _rows(self.post.model, predictive)

    @property
    def scored(self) -> Data:
        """The rows whose log likelihood is compared with that of a constant."""
        return self.rows[1]

    @property
    def weights(self) -> np.ndarray | None:
        """The weights of the scored rows, if rows have weights."""
        return self.scored.get("weights")

    @cached_property
    def constant(self) -> float:
        """The LPPD of the best constant predictor on the scored rows."""
        data, predictive = self.post.model.data, self.post.model.predictive
        assert isinstance(predictive, NetworkPredictive)
        found = baseline.log_likelihood(predictive, self.post.model.test_point, data, self.scored)
        return float(mean_over_rows(found, self.weights))


def prepare(model: ModelLike, call: Call) -> None:
    """Compile what the verdict of a run needs, in a thread, while the run is under way."""
    predictive = _network(model, call)
    if predictive is None:
        return
    kept = call.num_draws if call.keeps_draws else 1
    double = is_double()

    def compiled() -> None:
        # What is wrong with the network's predictions shows at the end, and in the main thread.
        with precision(double), suppress(Exception):
            _compiled(model, call, call.num_chains, kept, _rows(model, predictive))

    threading.Thread(target=compiled).start()


def _network(model: ModelLike, call: Call) -> NetworkPredictive | None:
    """How the model predicts from draws; `None` if it does not, or they are something else."""
    predictive, collected = model.predictive, call.settings.get("collect") is not None
    return predictive if isinstance(predictive, NetworkPredictive) and not collected else None


def _rows(model: ModelLike, predictive: NetworkPredictive) -> tuple[Data, Data]:
    """Rows whose predictions are judged, and rows that are scored."""
    given = predictive, model.test_point, model.data
    return rows_of(*given, ROWS), rows_of(*given, SCORED)


def _order(num_draws: int) -> tuple[np.ndarray, int]:
    """The draws to look at, in order, and how many at once."""
    order = _spread(np.unique(np.linspace(0, num_draws - 1, DRAWS).astype(int)))
    return order, min(TOGETHER, len(order))


def _compiled(
    model: ModelLike, call: Call, num_chains: int, num_draws: int, rows: tuple[Data, Data]
) -> Program:
    """The program that looks at some draws of each chain."""
    shape = num_chains, _order(num_draws)[1]
    params = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct((*shape, *leaf.shape), leaf.dtype), model.test_point
    )
    predictive = _network(model, call)
    assert predictive is not None
    made = program(_look, None, predictive, *rows, params)
    compile_all(made)
    return made


def _look(
    _: None, predictive: NetworkPredictive, looked: PyTree, scored: PyTree, params: Params
) -> tuple[jax.Array, jax.Array]:
    """Predictions and log likelihoods under draws with leading axes `(chain, draw)`."""

    def one(p: Params) -> tuple[jax.Array, jax.Array]:
        leaves = jax.tree.leaves(predictive.point(p, looked["x"]))
        values = jnp.concatenate([jnp.ravel(leaf).astype(jnp.float32) for leaf in leaves])
        return some_rows(values, VALUES), predictive.pointwise(p, scored["x"], scored["y"])

    return jax.vmap(jax.vmap(one))(params)


def _spread(places: np.ndarray) -> np.ndarray:
    """The same places in an order whose every beginning is spread over all of them."""
    bits = max(1, int(len(places) - 1).bit_length())
    codes = [int(f"{i:0{bits}b}"[::-1], 2) for i in range(2**bits)]
    return places[[code for code in codes if code < len(places)]]


def rhat(values: np.ndarray) -> np.ndarray:
    """Rank-normalized split R-hat, the larger of that of the values and of their distances.

    That of Vehtari, Gelman, Simpson, Carpenter & Buerkner 2021, with NumPyro's statistic.

    Args:
        values: `(chain, draw, value)`, of four draws or more.

    Returns:
        `(value,)`; NaN where a value never changes.

    Examples:
        >>> import numpy as np
        >>> x = np.random.default_rng(0).normal(size=(4, 200, 2))
        >>> x[0, :, 1] += 3
        >>> rhat(x) > 1.1
        array([False,  True])
    """
    folded = np.abs(values - np.median(values, axis=(0, 1)))
    with np.errstate(all="ignore"):
        both = [split_gelman_rubin(_ranked(part)) for part in (values, folded)]
    return np.fmax(*both)


def rhat_of_chance(num_chains: int, num_draws: int, number: int) -> float:
    """The R-hat that the worst of `number` values exceeds once in 1,000 runs if all is well.

    For independent draws, the variance between the half chains over that within them has an F
    distribution. With few draws, chance alone exceeds the usual limit of 1.01.

    Examples:
        >>> round(rhat_of_chance(4, 1000, 30), 4), round(rhat_of_chance(4, 50, 30), 4)
        (1.0039, 1.0817)
    """
    halves, length = 2 * num_chains, num_draws // 2
    # Twice: of the values and of their distances from the median.
    level = 1e-3 / (2 * number)
    ratio = fdtri(halves - 1, halves * (length - 1), 1 - level)
    return float(np.sqrt((length - 1 + ratio) / length))


def ess(values: np.ndarray) -> np.ndarray:
    """Bulk effective sample size of rank-normalized split chains, `(value,)`.

    Args:
        values: `(chain, draw, value)`, of four draws or more.
    """
    ranked = _ranked(values)
    half = ranked.shape[1] // 2
    with np.errstate(all="ignore"):
        return np.asarray(
            effective_sample_size(np.concatenate([ranked[:, :half], ranked[:, -half:]]))
        )


def _ranked(values: np.ndarray) -> np.ndarray:
    """Normal scores of the ranks over all chains and draws."""
    flat = values.reshape(-1, values.shape[-1])
    order = flat.argsort(0, kind="stable")
    ordered = np.take_along_axis(flat, order, 0)
    places = np.arange(len(flat))[:, None]
    starts = np.ones(flat.shape, bool)  # of runs of ties, which share their mean rank
    starts[1:] = ordered[1:] != ordered[:-1]
    first = np.maximum.accumulate(np.where(starts, places, 0), 0)
    ends = np.where(np.roll(starts, -1, 0), places, len(flat))
    last = np.minimum.accumulate(ends[::-1], 0)[::-1]
    ranks = np.empty(flat.shape)
    np.put_along_axis(ranks, order, (first + last) / 2 + 1, 0)
    return ndtri((ranks - 0.375) / (len(flat) + 0.25)).reshape(values.shape)
