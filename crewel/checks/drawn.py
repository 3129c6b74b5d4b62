"""Initial states as a call draws them, many at once, with the log density at each."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from crewel.checks.evaluate import compiled, parts
from crewel.core.compiling import quickly
from crewel.core.model_like import ModelLike
from crewel.core.protocol import Key, Params, Position, Target
from crewel.run import initial

DRAWN = 32  # states that are drawn at once


def _attempts(
    _: None, target: Target, sampler: Any, keys: Key, test_point: Params, numbers: jax.Array
) -> Position:
    """The states of every chain at each attempt, `(attempt, chain, ...)`, as `find` draws them."""

    def one(where: tuple[jax.Array, Key]) -> Position:
        number, key = where
        again = jax.random.key_data(jax.random.fold_in(key, number))
        data = jnp.where(number == 0, jax.random.key_data(key), again)
        key = jax.random.wrap_key_data(data, impl=jax.random.key_impl(key))
        return initial.propose(target, sampler, key, test_point)

    return jax.lax.map(lambda n: jax.lax.map(lambda key: one((n, key)), keys), numbers)


def attempts(model: ModelLike, target: Target, way: str, keys: Key, first: int) -> Position:
    """States of the chains at attempts `first`, `first + 1`, ...: NumPy leaves `(attempt, chain)`.

    Args:
        model: the model.
        target: the density.
        way: the name of one of the model's initializers, or `"uniform"`.
        keys: one PRNG key per chain.
        first: the first attempt.
    """
    numbers = np.arange(first, first + max(1, DRAWN // len(keys)))
    args = target, initial.sampler_of(model, way), keys, model.test_point, numbers
    with quickly():
        return jax.tree.map(np.asarray, compiled(_attempts, None, *args)(*args))


def density(target: Target, positions: Position, *index: int) -> float:
    """The log density at one of several positions."""
    return float(parts(target, jax.tree.map(lambda leaf: leaf[index], positions))["total"])


def start(model: ModelLike, target: Target, way: str, keys: Key, tries: int) -> initial.Start:
    """The states from which a call starts: each chain's first one with a finite log density.

    Args:
        model: the model.
        target: the density.
        way: the name of one of the model's initializers, or `"uniform"`.
        keys: one PRNG key per chain.
        tries: how often to draw a state, at most.
    """
    drawn = attempts(model, target, way, keys, 0)
    found = jax.tree.map(lambda leaf: leaf[0].copy(), drawn)
    values = np.array([density(target, drawn, 0, chain) for chain in range(len(keys))])
    each = len(jax.tree.leaves(drawn)[0])
    for number in range(1, tries):
        bad = np.flatnonzero(~np.isfinite(values))
        if not bad.size:
            break
        if number % each == 0:
            drawn = attempts(model, target, way, keys, number)
        for chain in map(int, bad):
            values[chain] = density(target, drawn, number % each, chain)
            for leaf, new in zip(jax.tree.leaves(found), jax.tree.leaves(drawn), strict=True):
                leaf[chain] = new[number % each, chain]
    return initial.Start(found, values, {}, np.nan)
