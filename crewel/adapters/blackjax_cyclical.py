"""Stochastic-gradient samplers of BlackJAX that move in cycles: they explore, and then sample."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from crewel.adapters import step_size as steps
from crewel.adapters.blackjax_sgmcmc import KICKS, SGHMC, SGLD, kicks, row
from crewel.adapters.sgmcmc import Kind
from crewel.core.protocol import Options


def cosine(
    size: jax.Array,
    step: jax.Array,
    temperature: float | jax.Array,
    *,
    cycle_length: int,
    exploration: float,
    **_: Any,
) -> tuple[jax.Array, jax.Array]:
    """The cosine schedule of Zhang et al. 2020: long steps without noise, then short noisy ones."""
    through = (step % cycle_length) / cycle_length
    size = size * (jnp.cos(jnp.pi * through) + 1) / 2
    return size, jnp.where(through < exploration, 0.0, temperature)


def _cycle(options: Options) -> tuple[int, int]:
    length, exploration = options["cycle_length"], options["exploration"]
    if isinstance(length, bool) or not isinstance(length, int) or length < 1:
        raise ValueError(f"`cycle_length` must be an integer of at least 1, got {length!r}.")
    if not 0 <= exploration < 1:
        raise ValueError(f"`exploration` must be at least 0 and less than 1, got {exploration!r}.")
    return length, -int(-exploration * length // 1)


def _cyclical_auto(
    auto: Callable[..., jax.Array],
    limit: Callable[[jax.Array], jax.Array],
    found: steps.Pilot,
    *,
    exploration: float,
    **options: Any,
) -> jax.Array:
    # The first step that samples meets the criterion, and the longest step is stable.
    share = (jnp.cos(jnp.pi * exploration) + 1) / 2
    return jnp.minimum(auto(found, **options) / share, limit(found.curvature))


def _cyclical(kind: Kind, limit: Callable[[jax.Array], jax.Array]) -> Kind:
    return kind._replace(auto=partial(_cyclical_auto, kind.auto, limit), at=cosine)


CYCLICAL_SGLD = _cyclical(SGLD, lambda curvature: 1 / curvature)
CYCLICAL_SGHMC = _cyclical(SGHMC, lambda curvature: 1 / jnp.sqrt(curvature))

_CYCLE = {"cycle_length": 500, "exploration": 0.8}

ROWS = (
    row(
        "cyclical_sgld",
        "sgld",
        CYCLICAL_SGLD,
        "SGLD in cycles of long steps that explore and short steps that sample",
        "Zhang, Li, Zhang, Chen & Wilson 2020",
        defaults=_CYCLE,
        unsupported=frozenset({"num_warmup"}),
        cycle=_cycle,
        test_budget={"step_size": 2e-3, "cycle_length": 4000, "exploration": 0.5, "num_draws": 2000}
        | {"thinning": 10},
    ),
    row(
        "cyclical_sghmc",
        "sghmc",
        CYCLICAL_SGHMC,
        "SGHMC in cycles of long steps that explore and short steps that sample",
        "Zhang, Li, Zhang, Chen & Wilson 2020",
        defaults=_CYCLE | KICKS,
        unsupported=frozenset({"num_warmup"}),
        cycle=_cycle,
        test_budget={"step_size": 0.02, "cycle_length": 1000, "exploration": 0.5, "num_draws": 2000}
        | {"thinning": 2},
        gradients=kicks,
    ),
)
