"""Compile functions that a check calls a few times."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import jax

from crewel.core.compiling import Options, quick_options

R = TypeVar("R")


def quick(fn: Callable[..., R], static_argnums: tuple[int, ...] = ()) -> Callable[..., R]:
    """`jax.jit` that compiles fast, where the arguments are small enough for slow code.

    Args:
        fn: a function that is not called within another compiled function.
        static_argnums: as in `jax.jit`.
    """

    @functools.cache
    def made(options: Options) -> Callable[..., R]:
        return jax.jit(fn, static_argnums=static_argnums, compiler_options=dict(options) or None)

    @functools.wraps(fn)
    def run(*args: Any) -> R:
        return made(quick_options(args))(*args)

    return run
