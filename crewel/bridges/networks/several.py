"""Several networks, by name, as one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
from jax.tree_util import Partial

from crewel.bridges import networks as libraries
from crewel.bridges.networks import Bridged
from crewel.core.trees import Static


def each(networks: Mapping[str, Any], x: Any) -> dict[str, Any]:
    """Every network on the same inputs: outputs by name."""
    return {name: network(x) for name, network in networks.items()}


@dataclass(frozen=True)
class _Run:
    combine: Static

    def __call__(self, runs: Any, params: Any, state: Any, x: Any, training: bool) -> Any:
        new = dict(state)

        def network(name):
            def call(inputs):
                out, new[name] = runs[name](params[name], new[name], inputs, training)
                return out

            return call

        return self.combine({name: network(name) for name in runs}, x), new


def _init(inits: Mapping[str, Any], key: Any) -> dict[str, Any]:
    keys = jax.random.split(key, len(inits))
    return {name: init(k) for (name, init), k in zip(inits.items(), keys, strict=True)}


def _rebuild(rebuilds: Mapping[str, Any], params: Any, state: Any) -> dict[str, Any]:
    return {name: make(params[name], state[name]) for name, make in rebuilds.items()}


def bridge(
    networks: Mapping[str, Any],
    x: Any,
    *,
    combine: Any = None,
    example: Mapping[str, Any] | None = None,
    key: Any,
    call: Mapping[str, Any] | None = None,
    dropout: Mapping[str, Any] | None = None,
) -> Bridged:
    """Networks by name; the parameters are a dict of theirs.

    Args:
        networks: networks of any libraries.
        x: a few rows.
        combine: `(networks, x) -> outputs`, with the networks as functions of their inputs
            (default: `each`).
        example: examples by name, for those that need one.
        key: for the initialisations.
        call: keywords of the calls, by name.
        dropout: keys of dropout masks, by name.

    Raises:
        TypeError: `example`, `call` or `dropout` is not by name.
        ValueError: a network that `combine` never calls.
    """
    words = {"example": example, "call": call, "dropout": dropout}
    for word, value in words.items():
        if value is not None and not (isinstance(value, Mapping) and set(value) <= set(networks)):
            raise TypeError(
                f"With several networks `{word}` is a dict by their names, {list(networks)}, of "
                "those that need one."
            )
    words = {word: value or {} for word, value in words.items()}
    keys = dict(zip(networks, jax.random.split(key, len(networks)), strict=True))
    made: dict[str, Bridged] = {}

    def meet(name):
        def called(inputs):
            if name not in made:
                own = {word: value.get(name) for word, value in words.items()}
                made[name] = libraries.bridge(networks[name], inputs, key=keys[name], **own)
            return made[name].run(made[name].params, made[name].state, inputs, False)[0]

        return called

    combine = each if combine is None else combine
    combine({name: meet(name) for name in networks}, x)
    missed = [name for name in networks if name not in made]
    if missed:
        raise ValueError(
            f"`combine` never calls {missed}; it must call every network, "
            "`networks[name](inputs)`, or the others leave it out of the dict."
        )
    made = {name: made[name] for name in networks}
    inits = {name: one.init for name, one in made.items()}
    return Bridged(
        {name: one.params for name, one in made.items()},
        Partial(_Run(Static(combine)), {name: one.run for name, one in made.items()}),
        Partial(_rebuild, {name: one.rebuild for name, one in made.items()}),
        None if None in inits.values() else Partial(_init, inits),
        {name: one.state for name, one in made.items()},
        all(one.given for one in made.values() if jax.tree.leaves(one.state)),
    )
