"""Haiku's transformed functions."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
from jax.tree_util import Partial

from crewel.bridges.networks import Bridged, is_initializer
from crewel.bridges.networks.randomness import needed_key
from crewel.core.protocol import Key, Params, PyTree
from crewel.core.trees import Static, by_value

_BATCH_NORM = ("inputs", "is_training", "test_local_stats", "scale", "offset")


@dataclass(frozen=True)
class _AsAsked:
    """Switch BatchNorm, whatever flags the user's function passes to it."""

    training: bool

    def __call__(self, next_f: Any, args: tuple[Any, ...], kwargs: Any, context: Any) -> Any:
        import haiku as hk

        if not isinstance(context.module, hk.BatchNorm) or context.method_name != "__call__":
            return next_f(*args, **kwargs)
        given = dict(zip(_BATCH_NORM, args, strict=False)) | kwargs
        return next_f(**given | {"is_training": self.training, "test_local_stats": False})


@dataclass(frozen=True)
class _Run:
    apply: Static
    stateful: bool
    takes_rng: bool
    call: tuple[tuple[str, Any], ...]

    def __call__(
        self, fresh: Any, key: Key | None, params: Params, state: PyTree, x: PyTree, training: bool
    ) -> tuple[PyTree, PyTree]:
        import haiku as hk

        states = [{**state, **fresh} if training else state] if self.stateful else []
        rng = [key] if self.takes_rng else []
        with hk.intercept_methods(_AsAsked(training)):
            out = self.apply(params, *states, *rng, x, **dict(self.call))
        return out if self.stateful else (out, state)


@dataclass(frozen=True)
class _Init:
    init: Static
    call: tuple[tuple[str, Any], ...]

    def __call__(self, x: PyTree, key: Key) -> PyTree:
        import haiku as hk

        # Only a call in training creates the statistics of BatchNorm.
        with hk.intercept_methods(_AsAsked(True)):
            return self.init(key, x, **dict(self.call))


def _averages(state: Mapping[str, Any]) -> dict[str, Any]:
    """The statistics of BatchNorm. From fresh ones, one batch makes them exactly that batch's."""
    names = ("mean_ema", "var_ema")
    return {path: held for path, held in state.items() if path.rsplit("/", 1)[-1] in names}


@dataclass(frozen=True)
class _Params:
    stateful: bool

    def __call__(self, init: Callable[[Key], PyTree], key: Key) -> PyTree:
        made = init(key)
        return made[0] if self.stateful else made


@dataclass(frozen=True)
class _Rebuild:
    stateful: bool

    def __call__(self, params: Params, state: PyTree) -> Any:
        return (params, state) if self.stateful else params


def bridge(
    network: Any,
    x: PyTree,
    *,
    example: PyTree,
    key: Key,
    call: Mapping[str, Any],
    dropout: Key | None,
) -> Bridged:
    """Bridge what `hk.transform` and its variants return; parameters stay Haiku's two-level dict.

    Args:
        network: the result of `transform`, `transform_with_state` or `multi_transform` with one
            `apply`, with or without `without_apply_rng`.
        x: a few rows.
        example: `params`, `(params, state)`, or a function of a key that returns one of them.
        key: PRNG key for the initialization.
        call: keywords of each call.
        dropout: the `rng` of each call; `None` if nothing is drawn.

    Raises:
        TypeError: there are several `apply` functions.
        ValueError: `dropout` is given, but the network takes no `rng`; or it is not given, and
            the outputs depend on random numbers.
    """
    import haiku as hk

    if not callable(network.apply):
        raise TypeError(
            f"`multi_transform` gave {len(jax.tree.leaves(network.apply))} `apply` functions, but "
            "a model needs one. Pick it, `wrap(hk.Transformed(net.init, net.apply[0]), ...)`, or "
            "combine them, `wrap(lambda params, x: ..., x, y, example=params)`."
        )
    stateful = isinstance(network, hk.TransformedWithState | hk.MultiTransformedWithState)
    takes_rng = "rng" in inspect.signature(network.apply).parameters
    if dropout is not None and not takes_rng:
        raise ValueError("`dropout` needs an `rng`: leave out `hk.without_apply_rng`.")
    keywords = tuple(call.items())
    init = Partial(_Init(Static(network.init), keywords), x)
    fresh = jax.jit(init)(key)[1] if stateful else {}
    if is_initializer(example):
        init, example = by_value(example), None
    made = init(key) if example is None else example
    given = example is not None and isinstance(made, tuple)
    params, state = made if isinstance(made, tuple) else (made, fresh)
    run, averages = _Run(Static(network.apply), stateful, takes_rng, keywords), _averages(fresh)
    if dropout is None:
        try:
            dropout = needed_key(lambda key: Partial(run, averages, key), params, state, x)
        except Exception as error:
            if takes_rng or type(error).__name__ != "MissingRNGError":
                raise
            raise ValueError(
                "The network asks for a key in each call, and `hk.without_apply_rng` gives it "
                "none. Leave `hk.without_apply_rng` out: a key without effect on the outputs is "
                "then given, and `dropout=key` fixes random numbers that have one."
            ) from error
    return Bridged(
        params,
        Partial(run, averages, dropout),
        Partial(_Rebuild(stateful)),
        Partial(_Params(stateful), init),
        state,
        given,
    )
