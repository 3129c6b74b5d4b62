"""Several networks, by name, bridged as one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
from jax.tree_util import Partial

from crewel.bridges import networks as libraries
from crewel.bridges.networks import Bridged
from crewel.core.protocol import Key, Params, PyTree
from crewel.core.trees import Static


def each(networks: Mapping[str, Any], x: PyTree) -> dict[str, Any]:
    """Call every network on the same inputs; return the outputs by name."""
    return {name: network(x) for name, network in networks.items()}


@dataclass(frozen=True)
class _Run:
    combine: Static

    def __call__(self, runs: Any, params: Params, state: PyTree, x: PyTree, training: bool) -> Any:
        new = dict(state)

        def network(name: str):
            def call(inputs: PyTree):
                out, new[name] = runs[name](params[name], new[name], inputs, training)
                return out

            return call

        return self.combine({name: network(name) for name in runs}, x), new


def _init(inits: Mapping[str, Any], key: Key) -> dict[str, Any]:
    keys = jax.random.split(key, len(inits))
    return {name: init(k) for (name, init), k in zip(inits.items(), keys, strict=True)}


def _rebuild(rebuilds: Mapping[str, Any], params: Params, state: PyTree) -> dict[str, Any]:
    return {name: make(params[name], state[name]) for name, make in rebuilds.items()}


def bridge(
    networks: Mapping[str, Any],
    x: PyTree,
    *,
    combine: Callable[..., PyTree] | None = None,
    example: Mapping[str, Any] | None = None,
    key: Key,
    call: Mapping[str, Any] | None = None,
    dropout: Mapping[str, Key] | None = None,
) -> Bridged:
    """Bridge several networks; the parameters are a dict of each network's, by name.

    Args:
        networks: networks of any libraries, by name.
        x: a few rows.
        combine: `(networks, x) -> outputs`, where `networks` holds functions of their inputs
            (default: `each`).
        example: examples by name, for those that need one.
        key: PRNG key for the initializations.
        call: keywords of the calls, by name.
        dropout: keys of the dropout masks, by name.

    Raises:
        TypeError: `example`, `call` or `dropout` is not a dict by name.
        ValueError: `combine` never calls one of the networks.
    """
    by_name: dict[str, Any] = {"example": example, "call": call, "dropout": dropout}
    for keyword, value in by_name.items():
        if value is not None and not (isinstance(value, Mapping) and set(value) <= set(networks)):
            raise TypeError(
                f"With several networks, `{keyword}` is a dict by their names, {list(networks)}, "
                "with an entry for each network that needs one."
            )
    by_name = {keyword: value or {} for keyword, value in by_name.items()}
    keys = dict(zip(networks, jax.random.split(key, len(networks)), strict=True))
    made: dict[str, Bridged] = {}

    def bridged_at_first_call(name: str):
        def network(inputs: PyTree):
            if name not in made:
                own = {keyword: value.get(name) for keyword, value in by_name.items()}
                made[name] = libraries.bridge(networks[name], inputs, key=keys[name], **own)
            return made[name].run(made[name].params, made[name].state, inputs, False)[0]

        return network

    combine = each if combine is None else combine
    combine({name: bridged_at_first_call(name) for name in networks}, x)
    missed = [name for name in networks if name not in made]
    if missed:
        raise ValueError(
            f"`combine` never calls {missed}; it must call every network, as "
            "`networks[name](inputs)`. Leave a network that it does not need out of the dict."
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
