"""Optax's optimizers. A particle is a chain whose step is one update; only the last is kept."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import jax

from crewel.protocol import Algorithm, Position, Target


def _optimizer(kind: str, options: dict[str, Any]) -> Any:
    import optax

    return optax.with_extra_args_support(getattr(optax, kind)(**options))


def _init(kind: str, target: Target, key, position: Position, num_warmup: int, **options) -> Any:
    return position, _optimizer(kind, options).init(position)


def _step(kind: str, target: Target, key, state: Any, **options):
    import optax

    # The mean over rows, so that learning rates mean what they mean when a network is trained.
    def objective(z):
        return -target.log_density(z) / target.num_data

    position, inner = state
    loss, gradient = jax.value_and_grad(objective)(position)
    updates, inner = _optimizer(kind, options).update(
        gradient, inner, position, value=loss, grad=gradient, value_fn=objective
    )
    position = optax.apply_updates(position, updates)
    return (position, inner), position, {"loss": loss * target.num_data}


def _gradients(_: Mapping[str, Any]) -> tuple[float, float]:
    return 1, 1


def _row(kind: str, summary: str, reference: str, **row: Any) -> Algorithm:
    return Algorithm(
        name=f"optax_{kind}",
        family="optimize",
        summary=summary,
        reference=reference,
        requires="",
        module="optax",
        options_of=(f"optax.{kind}",),
        reserved=(),
        step=partial(_step, kind),
        warmup=partial(_init, kind),
        gradients=_gradients,
        **row,
    )


ROWS = (
    _row(
        "adam",
        "Adaptive moments",
        "Kingma & Ba 2015",
        defaults={"learning_rate": 1e-2},
        test={"num_steps": 2000},
    ),
    _row(
        "adamw",
        "Adam with decoupled weight decay",
        "Loshchilov & Hutter 2019",
        defaults={"learning_rate": 1e-2},
        test={"num_steps": 2000, "weight_decay": 0.0},
    ),
    _row(
        "sgd",
        "Gradient descent, with momentum where asked",
        "Robbins & Monro 1951",
        defaults={"learning_rate": 1e-2},
        test={"num_steps": 2000, "momentum": 0.9},
    ),
)
