"""The width of JAX's floats in one thread, whatever that of the session is."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import jax
import jax.numpy as jnp


def is_double() -> bool:
    """Whether floats are 64 bits wide in this thread.

    Examples:
        >>> with precision(double=True):
        ...     print(is_double())
        True
    """
    return jnp.result_type(float).itemsize == 8


def precision(double: bool) -> AbstractContextManager[Any]:
    """A context in which floats are 64 bits wide, or 32, in this thread only."""
    if double == is_double():
        return nullcontext()
    if hasattr(jax, "enable_x64"):
        return jax.enable_x64(double)
    from jax.experimental import enable_x64  # type: ignore[attr-defined]  # JAX 0.5

    return enable_x64(double)
