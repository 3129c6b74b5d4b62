"""A `Posterior` as an ArviZ `DataTree`: dotted names, named dims, coordinates."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from crewel.core.protocol import Array, Data, Params, Stats
from crewel.core.trees import named_leaves

if TYPE_CHECKING:
    from xarray import DataTree

# Axes of a layer's matrix, by the leaf's own name; a vector next to it runs over the outputs.
_MATRIX_DIMS = {
    "kernel": ("in", "out"),
    "w": ("in", "out"),
    "weight": ("out", "in"),  # Equinox and PyTorch order
}
_VECTORS = ("bias", "b")


def layer_dims(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, list[str]]:
    """Dimension names of parameters: `Dense_0.kernel` is `(Dense_0_in, Dense_0_out)`.

    Args:
        shapes: event shape by path.

    Examples:
        >>> layer_dims({"Dense_0.bias": (3,), "Dense_0.kernel": (2, 3), "tau": (5,)})
        {'Dense_0.kernel': ['Dense_0_in', 'Dense_0_out'], 'Dense_0.bias': ['Dense_0_out']}
    """
    dims: dict[str, list[str]] = {}
    outputs: dict[str, int] = {}
    for path, shape in shapes.items():
        layer, _, leaf = path.rpartition(".")
        if leaf in _MATRIX_DIMS and len(shape) == 2:
            dims[path] = [f"{layer}_{axis}".lstrip("_") for axis in _MATRIX_DIMS[leaf]]
            outputs[layer] = shape[_MATRIX_DIMS[leaf].index("out")]
    for path, shape in shapes.items():
        layer, _, leaf = path.rpartition(".")
        if leaf in _VECTORS and shape == (outputs.get(layer),):
            dims[path] = [f"{layer}_out".lstrip("_")]
    return dims


def to_datatree(
    groups: Mapping[str, Mapping[str, Array]],
    *,
    dims: Mapping[str, list[str]],
    coords: Mapping[str, list[Any]] | None = None,
) -> DataTree:
    """An ArviZ `DataTree` of groups of arrays `(chain, draw, ...)`.

    Args:
        groups: arrays by group and name.
        dims: names of the axes after chain and draw, by variable.
        coords: labels along axes, by the axis' name.
    """
    import arviz_base

    groups = {name: dict(group) for name, group in groups.items()}
    with warnings.catch_warnings():
        # Members of an ensemble are chains of one draw, so the order of the axes is right.
        warnings.filterwarnings("ignore", "Found chain dimension to be longer than draw")
        named, labelled = dict(dims), dict(coords or {})
        return arviz_base.from_dict(
            groups, dims=named, coords=labelled, pred_dims=named, pred_coords=labelled
        )


def posterior_groups(draws: Params, stats: Stats) -> dict[str, dict[str, np.ndarray]]:
    """The groups `posterior` and `sample_stats` of a run."""
    # Types that NumPy itself lacks (bfloat16) are widened, because ArviZ cannot compute with them.
    named = {
        name: leaf.astype(np.float32) if leaf.dtype.kind == "V" else np.asarray(leaf)
        for name, leaf in named_leaves(draws).items()
    }
    groups = {"posterior": named}
    if stats:
        groups["sample_stats"] = {name: np.asarray(value) for name, value in stats.items()}
    return groups


def prediction_dims(variables: Mapping[str, Array]) -> dict[str, list[str]]:
    """Dims of predictions `(chain, draw, row, ...)`: `row` first, then a separate name each.

    Examples:
        >>> import numpy as np
        >>> prediction_dims({"outputs": np.zeros((4, 100, 20, 3)), "y": np.zeros((4, 100, 20))})
        {'outputs': ['row', 'outputs_dim_1'], 'y': ['row']}
    """
    return {
        name: ["row", *(f"{name}_dim_{i}" for i in range(1, leaf.ndim - 2))]
        for name, leaf in variables.items()
        if leaf.ndim > 2
    }


def of_run(draws: Params, stats: Stats, data: Data) -> DataTree:
    """The `DataTree` of a run: draws, statistics, and the training targets where there are any."""
    groups: dict[str, dict[str, np.ndarray]] = posterior_groups(draws, stats)
    dims = layer_dims({name: leaf.shape[2:] for name, leaf in groups["posterior"].items()})
    if isinstance(data, dict) and hasattr(data.get("y"), "shape"):
        groups["observed_data"] = {"y": np.asarray(data["y"])}
        dims |= prediction_dims({"y": groups["observed_data"]["y"][None, None]})
    return to_datatree(groups, dims=dims)
