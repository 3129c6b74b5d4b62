"""The parts of the uncertainty of predictions: what the draws share, and how they disagree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from crewel import metrics
from crewel.core.protocol import Key, Params, PyTree
from crewel.likelihoods import ANGLES, CLASSES
from crewel.posterior.arviz import prediction_dims
from crewel.posterior.distribution import class_probabilities, mean_of, variance_of
from crewel.posterior.over_draws import over_draws
from crewel.posterior.predict import NetworkPredictive, require_network
from crewel.posterior.result import Result

if TYPE_CHECKING:
    from xarray import Dataset


def uncertainty(
    post: Result,
    x: PyTree,
    *,
    quantiles: Sequence[float],
    key: Key,
    batch_size: int | None,
) -> Dataset:
    """What `Posterior.uncertainty` returns; its arguments are documented there."""
    import xarray as xr

    predictive = require_network(post.model.predictive, "`uncertainty`")
    if predictive.kind == ANGLES:
        raise ValueError(
            "`y` is an angle, which has no variance. Take quantiles of "
            "`post.predict(x)['predictions']['y']` about its circular mean."
        )
    levels = np.asarray(quantiles, np.float64)
    if levels.ndim != 1 or not ((levels > 0) & (levels < 1)).all():
        raise ValueError(f"`quantiles` must be numbers between 0 and 1, got {quantiles!r}.")
    x = predictive.read(x, post.model.test_point)
    params = post.params
    if predictive.kind == CLASSES:
        found = over_draws(_classes, predictive, params, x, batch_size=batch_size)
        parts, last = _of_classes(found["probability"]), "class"
        coords: Mapping[str, Any] = {}
        if predictive.classes is not None:
            coords = {"class": list(predictive.classes.names)}
        wide = "probability"
    else:
        found = over_draws(_values, predictive, params, x, key=key, batch_size=batch_size)
        parts, last = _of_values(found, levels), "quantile"
        coords, wide = {"quantile": levels}, "y_quantile"
    dims = prediction_dims({"y": parts["total"][None, None]})["y"]
    variables = {
        name: ((*dims, last) if name == wide else dims, value) for name, value in parts.items()
    }
    return xr.Dataset(variables, coords=coords)


def _classes(
    _: None, predictive: NetworkPredictive, params: Params, keys: Key, x: PyTree
) -> dict[str, PyTree]:
    def one(p: Params) -> PyTree:
        return class_probabilities(predictive.at(p, x)[1])

    return {"probability": jax.vmap(one)(params)}


def _values(
    _: None, predictive: NetworkPredictive, params: Params, keys: Key, x: PyTree
) -> dict[str, PyTree]:
    def one(p: Params, key: Key) -> dict[str, PyTree]:
        found = predictive.at(p, x)[1]
        mean, variance = mean_of(found), variance_of(found)
        return {"mean": mean, "variance": variance, "y": found.sample(key)}

    return jax.vmap(one)(params, keys)


def _of_classes(draws: np.ndarray) -> dict[str, np.ndarray]:
    mean = draws.mean(axis=(0, 1), dtype=np.float64)
    return metrics.uncertainty(draws) | {"probability": mean}


def _of_values(found: Mapping[str, Any], levels: np.ndarray) -> dict[str, np.ndarray]:
    y = found["y"]
    means, variances = found["mean"], found["variance"]
    if means is None or variances is None:
        parts = {"total": y.var(axis=(0, 1), dtype=np.float64)}
    else:
        parts = metrics.variance_split(means, variances)
    mean = (y if means is None else means).mean(axis=(0, 1), dtype=np.float64)
    quantile = np.moveaxis(np.quantile(y, levels, axis=(0, 1)), 0, -1)
    # A variable that is named like its axis, `quantile`, would be a coordinate.
    return parts | {"mean": mean, "y_quantile": quantile}
