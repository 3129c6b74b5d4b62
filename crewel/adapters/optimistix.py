"""Optimistix's minimizers, one step at a time; a particle that has converged stays where it is."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from crewel.core.families import OPTIMIZE
from crewel.core.protocol import (
    Algorithm,
    Backend,
    Key,
    Options,
    Position,
    PyTree,
    State,
    Stats,
    Target,
)

BACKEND = Backend("optimistix", "optimistix", extra="optimistix")

_TAGS: frozenset[object] = frozenset()


def residual_form(residuals: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """The option that we add to a least-squares solver's own.

    Args:
        residuals: `params -> r`, a pytree of arrays for which the log density is
            `-sum(r**2) / 2` up to a constant. The prior contributes residuals too.
    """
    return residuals


def _problem(target: Target, options: Options) -> tuple[Callable[..., Any], dict[str, Any]]:
    """The function the solver gets, `(position, args) -> (value, aux)`, and its own options."""
    own = dict(options)
    residuals = own.pop("residuals", None)
    if residuals is None:
        return lambda z, _: (-target.log_density(z) / target.num_data, None), own
    return lambda z, _: (residuals(target.constrain(z)), None), own


def _solver(kind: str, options: Options) -> Any:
    import optimistix

    return getattr(optimistix, kind)(**options)


def _begin(kind: str, target: Target, position: Position, options: Options) -> State:
    """The solver, the problem, and the initial state, split into arrays and the rest."""
    import equinox

    problem, own = _problem(target, options)
    solver = _solver(kind, own)
    shape, _ = jax.eval_shape(problem, position, None)
    state = solver.init(problem, position, None, {}, shape, None, _TAGS)
    arrays, rest = equinox.partition(state, equinox.is_array)
    return solver, problem, arrays, rest


def _init(
    kind: str, target: Target, key: Key, position: Position, num_warmup: int, **options: Any
) -> Any:
    return position, _begin(kind, target, position, options)[2], jnp.zeros((), bool)


def _step(
    kind: str, target: Target, key: Key, state: State, **options: Any
) -> tuple[State, Position, Stats]:
    import equinox

    position, arrays, done = state
    # Rebuild the part of the state that is code; whatever else this computes is compiled away.
    solver, problem, _, rest = _begin(kind, target, position, options)

    def advance(position: Position, arrays: PyTree) -> tuple[Position, PyTree, jax.Array]:
        inner = equinox.combine(arrays, rest)
        position, inner, _ = solver.step(problem, position, None, {}, inner, _TAGS)
        done, _ = solver.terminate(problem, position, None, {}, inner, _TAGS)
        return position, equinox.filter(inner, equinox.is_array), done

    def stay(position: Position, arrays: PyTree) -> tuple[Position, PyTree, jax.Array]:
        return position, arrays, jnp.ones((), bool)

    position, arrays, done = jax.lax.cond(done, stay, advance, position, arrays)
    return (position, arrays, done), position, {"loss": -target.log_density(position)}


def _row(
    name: str,
    kind: str,
    summary: str,
    reference: str,
    *,
    option_sources: tuple[str, ...] = (),
    **row: Any,
) -> Algorithm:
    return Algorithm(
        name=f"optimistix_{name}",
        family=OPTIMIZE,
        summary=summary,
        reference=reference,
        backend=BACKEND,
        option_sources=(f"optimistix.{kind}", *option_sources),
        filled_by_row=(),
        step=partial(_step, kind),
        warmup=partial(_init, kind),
        defaults={"rtol": 1e-5, "atol": 1e-5},
        **row,
    )


ROWS = (
    _row(
        "bfgs",
        "BFGS",
        "BFGS with a dense inverse Hessian and backtracking",
        "Nocedal & Wright 2006, chapter 6",
        gradients=(1, 2),
        test_budget={"num_steps": 200},
    ),
    _row(
        "lbfgs",
        "LBFGS",
        "Limited-memory BFGS with backtracking",
        "Liu & Nocedal 1989",
        gradients=(1, 2),
        test_budget={"num_steps": 200},
    ),
    _row(
        "levenberg_marquardt",
        "LevenbergMarquardt",
        "Damped Gauss-Newton, for log densities given by squared `residuals`",
        "Levenberg 1944; Marquardt 1963",
        option_sources=("crewel.adapters.optimistix.residual_form",),
    ),
    _row(
        "nonlinear_cg",
        "NonlinearCG",
        "Conjugate gradients with backtracking",
        "Shewchuk 1994",
        gradients=(1, 2),
        test_budget={"num_steps": 1000},
    ),
)
