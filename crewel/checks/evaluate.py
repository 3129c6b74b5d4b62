"""Evaluate a density and its gradient for the checks, and measure the time that it takes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from crewel.checks.quick import quick
from crewel.core.compiling import compile_all, program
from crewel.core.protocol import Data, Params, Position, Target


def compiled(fn: Callable[..., Any], *args: Any) -> Callable[..., Any]:
    """Compile `fn` for arguments like these, or take it from the package's cache.

    Args:
        fn: a module-level function whose first argument is static and unused.
        args: pytrees of arrays.
    """
    made = program(fn, None, *args)
    compile_all(made)
    return made


def _gradient(_: None, target: Target, position: Position) -> tuple[jax.Array, Position]:
    return jax.value_and_grad(target.log_density)(position)


def gradient(target: Target, position: Position) -> tuple[jax.Array, Position]:
    """The log density and its gradient at one unconstrained position."""
    return compiled(_gradient, target, position)(target, position)


@quick
def inverse(target: Target, params: Params) -> Position:
    """Map parameters to the unconstrained space."""
    return target.transform.inverse(params)


def timed_gradient(target: Target, position: Position) -> tuple[float, tuple[jax.Array, Position]]:
    """Seconds for one gradient, the shortest of up to five runs; and its result."""
    run = compiled(_gradient, target, position)
    best, spent = np.inf, 0.0
    result: tuple[jax.Array, Position] | None = None
    for _ in range(5):
        clock = time.perf_counter()
        result = jax.block_until_ready(run(target, position))
        took = time.perf_counter() - clock
        best, spent = min(best, took), spent + took
        if spent > 0.2:
            break
    assert result is not None
    return best, result


def row_values(target: Target, params: Params, batch: Data) -> jax.Array:
    """The log likelihood of each row, for a model that defines it."""
    assert target.log_likelihood is not None
    return target.log_likelihood(params, batch)
