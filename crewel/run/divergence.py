"""What to tell the user about a chain whose steps are no longer finite."""

from __future__ import annotations

import jax
import jax.flatten_util
import jax.numpy as jnp

from crewel.core.compiling import compile_all, program
from crewel.core.protocol import Algorithm, Position, Target


def _norm(_: None, target: Target, position: Position) -> jax.Array:
    gradient = jax.grad(target.log_density)(position)
    flat = jax.flatten_util.ravel_pytree(gradient)[0]
    most = jnp.abs(flat).max() + 1e-30
    return most * jnp.linalg.norm(flat / most)  # large numbers do not overflow when squared


def gradient_norm(target: Target, position: Position) -> float:
    """The Euclidean norm of the gradient on all rows, at an unconstrained position."""
    norm = program(_norm, None, target, position)
    compile_all(norm)
    return float(norm(target, position))


def message(row: Algorithm, chain: int, steps: int, num_warmup: int, norm: float) -> str:
    """Which step diverged, and what to do.

    Args:
        row: the algorithm.
        chain: the first chain that diverged.
        steps: its finite steps, including the warm-up.
        num_warmup: number of warm-up steps.
        norm: norm of the gradient at its last finite position.
    """
    step, phase = (steps, "warm-up") if steps < num_warmup else (steps - num_warmup, "sampling")
    return (
        f"`{row.name}` diverged: step {step} of the {phase} took chain {chain} to values that are "
        f"NaN or infinite. The gradient's norm at the position before was {norm:.3g}. Use a "
        "smaller `step_size`, or start from a mode: `init=model.optimize...`."
    )
