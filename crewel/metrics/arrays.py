"""Check the shapes of the arrays to score, and read them in blocks."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from crewel.core.labels import Classes, classes_of, encode

BLOCK = 2**22  # numbers held in float64 at a time: 32 MiB


def as_draws(draws: ArrayLike, name: str) -> np.ndarray:
    """Return an array `(chain, draw, row, ...)`, or raise an error that names it."""
    draws = np.asarray(draws)
    if draws.ndim < 3 or draws.size == 0:
        raise ValueError(
            f"`{name}` has shape {draws.shape} but must be (chains, draws, rows, ...) with no "
            "empty axis. For one chain add an axis in front, `draws[None]`."
        )
    return draws


def as_log_likelihood(log_likelihood: ArrayLike) -> np.ndarray:
    """Return an array `(chain, draw, row)`, or raise."""
    values = as_draws(log_likelihood, "log_likelihood")
    if values.ndim != 3:
        raise ValueError(
            f"`log_likelihood` has shape {values.shape} but must be (chains, draws, rows). "
            "Sum it over the output axes of each row first."
        )
    return values


def check_rows(log_likelihood: np.ndarray, y: np.ndarray) -> None:
    """Raise if likelihoods and targets have different numbers of rows."""
    if log_likelihood.shape[2] != len(y):
        raise ValueError(
            f"`log_likelihood` has shape {log_likelihood.shape}, {log_likelihood.shape[2]} rows, "
            f"but `y` has shape {y.shape}: score both on the same rows."
        )


def class_names(probabilities: Any) -> Classes | None:
    """The labels along the last axis of probabilities that `post.predict` returned, if any."""
    dims, coords = getattr(probabilities, "dims", ()), getattr(probabilities, "coords", {})
    if not dims or dims[-1] not in coords:
        return None
    names = tuple(np.asarray(coords[dims[-1]]).tolist())
    return None if names == tuple(range(len(names))) else Classes(names)


def as_labels(y: Any, names: Classes | None) -> np.ndarray:
    """Class numbers of labels, which may be strings if the probabilities have names."""
    if names is not None:
        return encode(y, names)
    if classes_of(y) is not None and np.asarray(y).dtype.kind != "b":
        raise TypeError(
            "`y` holds labels, but `probabilities` does not name its classes. Pass the "
            "`probability` of `post.predict(x)` of a model that was wrapped with labels, or class "
            "numbers."
        )
    return np.asarray(y)


def row_blocks(draws: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield slices of the row axis and their rows in float64, at most `BLOCK` numbers each."""
    step = max(1, BLOCK // draws[:, :, :1].size)
    for start in range(0, draws.shape[2], step):
        rows = slice(start, start + step)
        yield rows, draws[:, :, rows].astype(np.float64)
