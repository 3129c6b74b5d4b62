"""Flax linen modules."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
from jax.tree_util import Partial

from crewel.bridges.networks import Bridged, is_initializer
from crewel.bridges.networks.randomness import needed_key
from crewel.core.protocol import Key, Params, PyTree
from crewel.core.trees import Static, by_value


def _alone(
    layer: Any, args: tuple[Any, ...], kwargs: Any, rngs: Any, mutable: Any, **fields: Any
) -> Any:
    """Call a layer with other fields on its own variables, and update those."""
    copy = layer.copy(parent=None, name=None, **fields)
    out, new = copy.apply(layer.variables, *args, **kwargs, rngs=rngs, mutable=mutable)
    for collection in mutable:
        for name, value in new.get(collection, {}).items():
            layer.put_variable(collection, name, value)
    return out


@dataclass(frozen=True)
class _AsAsked:
    """Switch BatchNorm and Dropout, whatever flags the user's module passes to them."""

    training: bool
    dropout: bool

    def __call__(self, next_fun: Any, args: tuple[Any, ...], kwargs: Any, context: Any) -> Any:
        from flax import linen as nn

        layer = context.module
        ours = isinstance(layer, nn.BatchNorm | nn.Dropout) and context.method_name == "__call__"
        if not ours or layer.is_initializing():
            return next_fun(*args, **kwargs)
        if isinstance(layer, nn.Dropout):
            if not self.dropout:
                return args[0]
            if layer.deterministic is False:
                return next_fun(args[0])
            rngs = {layer.rng_collection: layer.make_rng(layer.rng_collection)}
            return _alone(layer, args[:1], {}, rngs, [], deterministic=False)
        mask = {"mask": kwargs["mask"]} if "mask" in kwargs else {}
        # Without momentum the running statistics become exactly those of the batch.
        wanted = {"use_running_average": not self.training, "momentum": 0.0}
        if all(getattr(layer, name) == value for name, value in wanted.items()):
            return next_fun(args[0], **mask)
        return _alone(layer, args[:1], mask, {}, ["batch_stats"] * self.training, **wanted)


@dataclass(frozen=True)
class _Run:
    module: Static
    call: tuple[tuple[str, Any], ...]
    dropout: bool

    def __call__(
        self, key: Key | None, params: Params, state: PyTree, x: PyTree, training: bool
    ) -> tuple[PyTree, PyTree]:
        from flax import linen as nn

        # Flax takes the stream `params` for all that it does not find.
        rngs = {} if key is None else {"dropout": key, "params": jax.random.fold_in(key, 1)}
        with nn.intercept_methods(_AsAsked(training, self.dropout)):
            out, new = self.module.value.apply(
                {"params": params, **state},
                x,
                rngs=rngs,
                mutable=list(state),
                **dict(self.call),
            )
        return out, new if training else state


@dataclass(frozen=True)
class _Init:
    module: Static
    call: tuple[tuple[str, Any], ...]

    def __call__(self, x: PyTree, key: Key) -> PyTree:
        streams = dict(zip(("params", "dropout"), jax.random.split(key), strict=True))
        return self.module.value.init(streams, x, **dict(self.call))


def _plain(variables: Any) -> tuple[Any, dict[str, Any]]:
    """Parameters and other collections, as dicts of arrays without Flax's boxes."""
    from flax.core import meta, unfreeze

    variables = meta.unbox(unfreeze(variables))
    if not (isinstance(variables, Mapping) and "params" in variables):
        return variables, {}
    return variables["params"], {k: v for k, v in variables.items() if k != "params"}


def _read(run: Partial, params: Params, state: dict[str, Any], x: PyTree) -> dict[str, Any]:
    """The collections without those that `sow` appends to: these are only written."""
    after = jax.eval_shape(lambda params: run(params, state, x, True)[1], params)
    form = {name: jax.tree.structure(held) for name, held in after.items()}
    return {n: held for n, held in state.items() if form.get(n) == jax.tree.structure(held)}


def _params(init: Callable[..., PyTree], key: Key) -> Params:
    return _plain(init(key))[0]


def _rebuild(params: Params, state: PyTree) -> Any:
    return {"params": params, **state}


def bridge(
    network: Any,
    x: PyTree,
    *,
    example: PyTree,
    key: Key,
    call: Mapping[str, Any],
    dropout: Key | None,
) -> Bridged:
    """Bridge a linen module; parameters are its collection `params`, with Flax's names.

    Args:
        network: the module. If it is bound, `module.bind(variables)`, its variables are the
            example.
        x: a few rows.
        example: variables, the collection `params` alone, or a function of a key that returns
            one of them.
        key: PRNG key for the initialization.
        call: keywords of each call.
        dropout: key of the masks, for every `Dropout`; `None` switches every one off.

    Raises:
        ValueError: the outputs depend on random numbers although dropout is off.
    """
    if network.scope is not None:
        network, bound = network.unbind()
        example = bound if example is None else example
    static = Static(network), tuple(call.items())
    init = Partial(_Init(*static), x)
    if is_initializer(example):
        init, example = by_value(example), None
    params, state = _plain(jax.jit(init)(key) if example is None else example)
    given = example is not None and bool(state)
    if example is not None and not given:
        shapes = jax.eval_shape(init, key)
        state = _plain(jax.jit(init)(key))[1] if set(shapes) > {"params"} else {}
    run = _Run(*static, dropout is not None)
    if dropout is None:
        dropout = needed_key(lambda key: Partial(run, key), params, state, x)
    state = _read(Partial(run, dropout), params, state, x)
    return Bridged(
        params,
        Partial(run, dropout),
        Partial(_rebuild),
        Partial(_params, init),
        state,
        given,
    )
