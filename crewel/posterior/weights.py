"""Draws that carry weights: a warning, and draws of equal weight."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import jax
import numpy as np

from crewel.core.keys import as_key
from crewel.core.protocol import Seed
from crewel.core.warning import warn

if TYPE_CHECKING:
    from crewel.posterior.posterior import Posterior
    from crewel.posterior.result import Result

WEIGHT = "log_weight"  # among the statistics


def warn_of(post: Result) -> None:
    """Warn if the draws carry weights."""
    if WEIGHT in post.stats:
        warn(
            f"Draws of `{post.algorithm}` carry weights that averages over them ignore. "
            "`post.resampled()` returns draws of equal weight."
        )


def resampled(post: Posterior, seed: Seed) -> Posterior:
    """Resample in proportion to the weights; see `Posterior.resampled`."""
    if WEIGHT not in post.stats:
        return post
    stats = dict(post.stats)
    log_weight = stats.pop(WEIGHT)
    weight = np.exp(log_weight - log_weight.max(1, keepdims=True))
    random = np.random.default_rng(np.asarray(jax.random.key_data(as_key(seed))).ravel())
    number = post.num_draws
    chosen = np.stack([random.choice(number, number, p=w / w.sum()) for w in weight])
    chains = np.arange(post.num_chains)[:, None]
    draws, stats = jax.tree.map(lambda leaf: leaf[chains, chosen], (post.draws, stats))
    return replace(post, draws=draws, stats=stats, state=None, surplus=None)
