"""jaxopt's solvers, one update at a time; a particle that has converged stays where it is.

jaxopt is no longer developed; Optax and Optimistix have a successor for each of its solvers.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import jax

from crewel.core.families import OPTIMIZE
from crewel.core.protocol import Algorithm, Backend, Key, Options, Position, State, Stats, Target

BACKEND = Backend("jaxopt", "jaxopt", extra="jaxopt")


def _solver(kind: str, target: Target, options: Options) -> Any:
    import jaxopt

    def objective(z: Position):
        return -target.log_density(z) / target.num_data

    return getattr(jaxopt, kind)(objective, **options)


def _init(
    kind: str, target: Target, key: Key, position: Position, num_warmup: int, **options: Any
) -> State:
    return position, _solver(kind, target, options).init_state(position)


def _step(
    kind: str, target: Target, key: Key, state: State, **options: Any
) -> tuple[State, Position, Stats]:
    solver = _solver(kind, target, options)
    position, inner = jax.lax.cond(
        state[1].error > solver.tol,
        lambda position, inner: tuple(solver.update(position, inner)),
        lambda position, inner: (position, inner),
        *state,
    )
    return (position, inner), position, {"loss": -target.log_density(position)}


_GRADIENTS = (1, float("inf"))  # a line search may take any number


def _row(name: str, kind: str, summary: str, reference: str, **row: Any) -> Algorithm:
    return Algorithm(
        name=f"jaxopt_{name}",
        family=OPTIMIZE,
        summary=summary,
        reference=reference,
        backend=BACKEND,
        option_sources=(f"jaxopt.{kind}",),
        # `num_steps` replaces `maxiter`; what follows it is for derivatives of the solution, and
        # for compiling and logging.
        filled_by_row=(
            "fun",
            "value_and_grad",
            "has_aux",
            "maxiter",
            "implicit_diff",
            "implicit_diff_solve",
            "jit",
            "unroll",
            "verbose",
        ),
        step=partial(_step, kind),
        warmup=partial(_init, kind),
        gradients=_GRADIENTS,
        **row,
    )


ROWS = (
    _row(
        "bfgs",
        "BFGS",
        "BFGS with a dense inverse Hessian and a zoom line search",
        "Nocedal & Wright 2006, chapter 6",
        test_budget={"num_steps": 100, "tol": 1e-5},
    ),
    _row(
        "gradient_descent",
        "GradientDescent",
        "Accelerated gradient descent with a line search",
        "Beck & Teboulle 2009",
        test_budget={"num_steps": 1000, "tol": 1e-5},
    ),
    _row(
        "lbfgs",
        "LBFGS",
        "Limited-memory BFGS with a zoom line search",
        "Liu & Nocedal 1989",
        test_budget={"num_steps": 100, "tol": 1e-5},
    ),
    _row(
        "nonlinear_cg",
        "NonlinearCG",
        "Conjugate gradients with a zoom line search",
        "Nocedal & Wright 2006, chapter 5",
        test_budget={"num_steps": 200, "tol": 1e-5},
    ),
)
