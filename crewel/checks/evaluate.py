"""Evaluate a density and its gradient for the checks, and measure the time that it takes."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from crewel.checks.quick import quick
from crewel.core.compiling import compile_all, program, quickly
from crewel.core.protocol import Data, Params, Position, Target


def compiled(fn: Callable[..., Any], static: Hashable, *args: Any) -> Callable[..., Any]:
    """Compile `fn` for arguments like these, or take it from the package's cache.

    Args:
        fn: a module-level function.
        static: its first argument, which is code.
        args: its other arguments, pytrees of arrays.
    """
    made = program(fn, static, *args)
    compile_all(made)
    return made


def _gradient(_: None, target: Target, position: Position) -> tuple[jax.Array, Position]:
    return jax.value_and_grad(target.log_density)(position)


def gradient(target: Target, position: Position) -> tuple[jax.Array, Position]:
    """The log density and its gradient at one unconstrained position."""
    return _fast(target, position)(target, position)


def _fast(target: Target, position: Position) -> Callable[..., tuple[jax.Array, Position]]:
    with quickly():
        return compiled(_gradient, None, target, position)


@quick
def inverse(target: Target, params: Params) -> Position:
    """Map parameters to the unconstrained space."""
    return target.transform.inverse(params)


def gradient_seconds(target: Target, position: Position, *, optimized: bool) -> float:
    """Seconds for one gradient, the shortest of up to five runs.

    Args:
        target: the density.
        position: where.
        optimized: whether it is compiled as in a run, or fast as for most checks.
    """
    run = compiled(_gradient, None, target, position) if optimized else _fast(target, position)
    best, spent = np.inf, 0.0
    for _ in range(5):
        clock = time.perf_counter()
        jax.block_until_ready(run(target, position))
        took = time.perf_counter() - clock
        best, spent = min(best, took), spent + took
        if spent > 0.2:
            break
    return best


@quick
def parts(target: Target, position: Position) -> dict[str, Any]:
    """The log density and the parts that the model defines; `likelihood` has shape `(N,)`."""
    params = target.constrain(position)
    found = {"total": target.log_density(position), "params": params}
    if target.jacobian:
        found["jacobian"] = target.transform.log_det(position)
    if target.log_prior is not None:
        found["prior"] = target.log_prior(params)
    if target.log_likelihood is not None and target.data is not None:
        found["likelihood"] = target.log_likelihood(params, target.data)
    return found


def take(data: Data, rows: np.ndarray) -> Data:
    """Some rows of the data, or the same rows several times."""

    def one(leaf: jax.Array) -> Any:
        # On the host, because JAX would compile a program for each shape.
        on_host = getattr(leaf, "is_fully_addressable", True)
        on_host = on_host and not jnp.issubdtype(leaf.dtype, jax.dtypes.extended)
        return np.asarray(leaf)[rows] if on_host else leaf[rows]

    return jax.tree.map(one, data)


def row_values(target: Target, params: Params, batch: Data) -> jax.Array:
    """The log likelihood of each row, for a model that defines it."""
    assert target.log_likelihood is not None
    return target.log_likelihood(params, batch)
