"""Flax NNX modules."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from jax.tree_util import Partial

from crewel.bridges.networks import Bridged, is_initializer
from crewel.bridges.networks.randomness import agree, refuse_unless
from crewel.core.protocol import Key, Params, PyTree
from crewel.core.trees import Static, by_value


def _split(module: Any) -> tuple[Any, Any, Any, Any]:
    """Structure, parameters, batch statistics and the rest, as nested dicts of arrays."""
    from flax import nnx

    graph, *states = nnx.split(module, nnx.Param, nnx.BatchStat, ...)
    return graph, *map(nnx.to_pure_dict, states)


def _streams(module: Any) -> list[Any]:
    """The sources of random numbers in a module."""
    from flax import nnx

    return [node for _, node in nnx.iter_graph(module) if isinstance(node, nnx.RngStream)]


@dataclass(frozen=True)
class _Merge:
    """Build a new module with the parameters in it; the user's module is never changed."""

    graph: Static
    dropout: bool

    def __call__(
        self, rest: PyTree, key: Key | None, params: Params, state: PyTree, training: bool = False
    ) -> Any:
        from flax import nnx

        module = nnx.merge(self.graph.value, *map(nnx.State, (params, state, rest)))
        set_all = module.set_attributes
        set_all(nnx.BatchNorm, raise_if_not_found=False, use_running_average=not training)
        if training:  # without momentum the running statistics become exactly those of the batch
            set_all(nnx.BatchNorm, raise_if_not_found=False, momentum=0.0)
        set_all(raise_if_not_found=False, deterministic=not self.dropout)
        if key is not None:
            streams = _streams(module)
            keys: dict[str, Any] = dict.fromkeys((stream.tag for stream in streams), key)
            if any(stream.key.shape for stream in streams):  # layers stacked for a scan: a key each
                keys["policy"] = "match_shape"
            nnx.reseed(module, **keys)
        return module


@dataclass(frozen=True)
class _Run:
    merge: _Merge
    call: tuple[tuple[str, Any], ...]

    def __call__(
        self,
        rest: PyTree,
        key: Key | None,
        params: Params,
        state: PyTree,
        x: PyTree,
        training: bool,
    ) -> Any:
        module = self.merge(rest, key, params, state, training)
        out = module(x, **dict(self.call))
        return out, _split(module)[2]


def _params(make: Callable[..., PyTree], key: Key) -> Params:
    return _split(make(key))[1]


def bridge(
    network: Any,
    x: PyTree,
    *,
    example: PyTree,
    key: Key,
    call: Mapping[str, Any],
    dropout: Key | None,
) -> Bridged:
    """Bridge an NNX module; parameters are its `nnx.Param`, as a nested dict by attribute.

    Args:
        network: the module; its values are the example.
        x: a few rows.
        example: another module of the same structure whose values are used, a nested dict of
            parameters, or a function `key -> module` that initializes each chain:
            `lambda key: MLP(rngs=nnx.Rngs(key))`. A module itself cannot be initialized again.
        key: unused.
        call: keywords of each call.
        dropout: key of the masks, for every layer; `None` switches every one off.

    Raises:
        ValueError: the outputs depend on random numbers although dropout is off.
    """
    from flax import nnx

    init = Partial(_params, by_value(example)) if is_initializer(example) else None
    if isinstance(example, nnx.Module):
        network, example = example, None
    graph, params, state, rest = _split(network)
    if init is None and example is not None:
        params = nnx.to_pure_dict(example) if isinstance(example, nnx.State) else example
    merge = _Merge(Static(graph), dropout is not None)
    run = _Run(merge, tuple(call.items()))
    if dropout is None and _streams(network):
        refuse_unless(agree(lambda key: Partial(run, rest, key), params, state, x))
    return Bridged(
        params,
        Partial(run, rest, dropout),
        Partial(merge, rest, dropout),
        init,
        state,
    )
