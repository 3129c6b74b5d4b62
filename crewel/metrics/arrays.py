"""Shapes of the arrays that scores take, and reading them in blocks."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike

BLOCK = 2**22  # numbers held in float64 at a time: 32 MiB


def as_draws(draws: ArrayLike, name: str) -> np.ndarray:
    """An array `(chain, draw, row, ...)`, or an error that names it."""
    draws = np.asarray(draws)
    if draws.ndim < 3 or draws.size == 0:
        raise ValueError(
            f"`{name}` has shape {draws.shape} but must be (chains, draws, rows, ...) with no "
            "empty axis. For one chain add an axis in front, `draws[None]`."
        )
    return draws


def as_log_likelihood(log_likelihood: ArrayLike) -> np.ndarray:
    """An array `(chain, draw, row)`, or an error."""
    values = as_draws(log_likelihood, "log_likelihood")
    if values.ndim != 3:
        raise ValueError(
            f"`log_likelihood` has shape {values.shape} but must be (chains, draws, rows). "
            "Sum it over the output axes of a row first."
        )
    return values


def check_rows(log_likelihood: np.ndarray, y: np.ndarray) -> None:
    """Raise where likelihoods and targets differ in rows."""
    if log_likelihood.shape[2] != len(y):
        raise ValueError(
            f"`log_likelihood` has shape {log_likelihood.shape}, {log_likelihood.shape[2]} rows, "
            f"but `y` has shape {y.shape}: score both on the same rows."
        )


def row_blocks(draws: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """Slices of the row axis, each with its rows in float64, at most `BLOCK` numbers."""
    step = max(1, BLOCK // draws[:, :, :1].size)
    for start in range(0, draws.shape[2], step):
        rows = slice(start, start + step)
        yield rows, draws[:, :, rows].astype(np.float64)
