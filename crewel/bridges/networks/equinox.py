"""Equinox modules."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce
from operator import getitem
from typing import Any

import jax
import jax.numpy as jnp
from jax.tree_util import Partial

from crewel.bridges.networks import Bridged, is_initializer
from crewel.bridges.networks.randomness import needed_key
from crewel.core.protocol import Key, Params, PyTree
from crewel.core.trees import Static, by_value, named_leaves


def _split(module: Any) -> tuple[Any, Any, Any]:
    """Parameters (float arrays), other arrays, and everything that is not an array."""
    import equinox as eqx

    arrays, static = eqx.partition(module, eqx.is_array)
    return *eqx.partition(arrays, eqx.is_inexact_array), static


def _keys(module: Any) -> list[tuple[Any, ...]]:
    """The path to every leaf: attributes, indices and keys."""
    paths = [path for path, _ in jax.tree_util.tree_flatten_with_path(module)[0]]
    names = ("name", "idx", "key")
    return [
        tuple(next(getattr(step, name) for name in names if hasattr(step, name)) for step in path)
        for path in paths
    ]


def _nested(module: Any) -> dict[Any, Any]:
    """The leaves of a module as a nested dict: `params["layers"][0]["weight"]`."""
    tree: dict[Any, Any] = {}
    for path, leaf in zip(_keys(module), jax.tree.leaves(module), strict=True):
        node = tree
        for key in path[:-1]:
            node = node.setdefault(key, {})
        node[path[-1]] = leaf
    return tree


def _copy(state: Any) -> Any:
    """The same state in an object of its own: whoever sets a value makes an object useless."""
    return jax.tree.map(lambda leaf: leaf, state)


@dataclass(frozen=True)
class _Merge:
    """Put parameters into the module."""

    static: Static
    structure: Static
    keys: tuple[tuple[Any, ...], ...]

    def __call__(self, others: Any, params: Params, state: PyTree = None) -> Any:
        import equinox as eqx

        leaves = [reduce(getitem, path, params) for path in self.keys]
        module = jax.tree.unflatten(self.structure.value, leaves)
        module = eqx.combine(module, others, self.static.value)
        return module if state is None else (module, _copy(state))


def _layers(module: Any, kind: Any) -> list[Any]:
    leaves = jax.tree.leaves(module, is_leaf=lambda node: isinstance(node, kind))
    return [leaf for leaf in leaves if isinstance(leaf, kind)]


def _switch(module: Any, kind: Any, inference: bool) -> Any:
    import equinox as eqx

    return jax.tree.map(
        lambda node: eqx.nn.inference_mode(node, inference) if isinstance(node, kind) else node,
        module,
        is_leaf=lambda node: isinstance(node, kind),
    )


def _fresh(leaf: Any) -> Any:
    """A statistic that the next batch replaces: its first-time flag set, its count and sum zero."""
    return jnp.ones_like(leaf) if leaf.dtype == bool else jnp.zeros_like(leaf)


def _is_unset(leaf: Any) -> bool:
    """Whether a flag or a count of BatchNorm says that no batch was seen yet."""
    return not jnp.issubdtype(leaf.dtype, jnp.inexact) and bool((leaf == _fresh(leaf)).all())


def _held(norms: list[Any], state: Any) -> list[Any]:
    """What BatchNorm layers keep: averages, and a flag or a count of batches."""
    import equinox as eqx

    return jax.tree.leaves([state.get(index) for index in _layers(norms, eqx.nn.StateIndex)])


@dataclass(frozen=True)
class _Run:
    merge: _Merge
    stateful: bool
    call: tuple[tuple[str, Any], ...]

    def __call__(
        self, others: Any, key: Key | None, params: Params, state: PyTree, x: PyTree, training: bool
    ) -> tuple[PyTree, PyTree]:
        import equinox as eqx

        module = self.merge(others, params)
        rows = jax.tree.leaves(x)[0].shape[0]
        keys = None if key is None else jax.random.split(key, rows)
        axis = None
        norms = _layers(module, eqx.nn.BatchNorm) if training else []
        if norms:
            axis = norms[0].axis_name
            module = _switch(module, eqx.nn.BatchNorm, False)
            state = _copy(state)
            for index in _layers(norms, eqx.nn.StateIndex):
                state = state.set(index, jax.tree.map(_fresh, state.get(index)))

        def row(x: PyTree, key: Key | None, state: PyTree):
            keywords = dict(self.call) | ({} if key is None else {"key": key})
            if self.stateful:
                return module(x, state, **keywords)
            return module(x, **keywords), ()

        axes = (0, None if key is None else 0, None)
        out, after = jax.vmap(row, axes, (0, None), axis_name=axis)(x, keys, state)
        return out, after if self.stateful else state


def _refuse_aliases(module: Any) -> None:
    """Refuse an array at two places: to Equinox, these are two parameters.

    Raises:
        ValueError: there is one; the message names the places.
    """
    import equinox as eqx

    seen: dict[int, str] = {}
    for path, leaf in named_leaves(eqx.filter(module, eqx.is_inexact_array)).items():
        if id(leaf) in seen:
            raise ValueError(
                f"`{seen[id(leaf)]}` and `{path}` are the same array in this Equinox module, which "
                "makes two parameters of it, each with a prior. Tie them with `eqx.nn.Shared`, or "
                "give each an array of its own."
            )
        seen[id(leaf)] = path


def _takes_key(module: Any) -> bool:
    arguments = inspect.signature(module).parameters.values()
    return any(a.name == "key" or a.kind is a.VAR_KEYWORD for a in arguments)


def _params(make: Callable[..., PyTree], key: Key) -> Params:
    made = make(key)
    return _nested(_split(made[0] if isinstance(made, tuple) else made)[0])


def bridge(
    network: Any,
    x: PyTree,
    *,
    example: PyTree,
    key: Key,
    call: Mapping[str, Any],
    dropout: Key | None,
) -> Bridged:
    """Bridge an Equinox module, a function of one row that `jax.vmap` maps over rows.

    Its float arrays are the parameters, as a nested dict by attribute and index.

    Args:
        network: the module, or the pair `(module, state)` of `eqx.nn.make_with_state`.
        x: a few rows.
        example: another module of the same structure (or a pair) whose values are used, or a
            function `key -> module` that initializes each chain. A module itself cannot be
            initialized again.
        key: unused.
        call: keywords of each call.
        dropout: key, split so that each row's call gets its own as `key=`; `None` switches
            dropout off with `eqx.nn.inference_mode`.

    Raises:
        TypeError: the module keeps state, but comes without it.
        ValueError: BatchNorm layers name several axes; `dropout` is given, but the call takes no
            key; or it is not given, and the outputs depend on random numbers.
    """
    import equinox as eqx

    init = Partial(_params, by_value(example)) if is_initializer(example) else None
    if init is None and example is not None:
        network = example
    module, state = network if isinstance(network, tuple) else (network, None)
    state = _copy(state)
    if state is None and _layers(module, eqx.nn.StateIndex):
        raise TypeError(
            "This Equinox module keeps state, for example batch statistics. Wrap the pair "
            "`(module, state)`: `wrap(eqx.nn.make_with_state(Network)(...), ...)`."
        )
    norms = _layers(module, eqx.nn.BatchNorm)
    names = sorted({str(norm.axis_name) for norm in norms})
    if len(names) > 1:
        raise ValueError(
            f"The BatchNorm layers of this Equinox module name several axes, {names}. The rows of "
            "a batch are one axis: give all layers the same `axis_name`."
        )
    if dropout is not None and not _takes_key(module):
        raise ValueError(
            "`dropout` is given, but the module's `__call__` takes no `key`. Add that argument and "
            "pass it to the dropout layers, or leave `dropout` out."
        )
    _refuse_aliases(module)
    module = eqx.nn.inference_mode(module)
    if dropout is not None:
        module = _switch(module, eqx.nn.Dropout, False)
    params, others, static = _split(module)
    merge = _Merge(Static(static), Static(jax.tree.structure(params)), tuple(_keys(params)))
    run = _Run(merge, state is not None, tuple(call.items()))
    nested = _nested(params)
    if dropout is None:
        dropout = needed_key(lambda key: Partial(run, others, key), nested, state, x)
    return Bridged(
        nested,
        Partial(run, others, dropout),
        Partial(merge, others),
        init,
        state,
        given=not any(_is_unset(leaf) for leaf in ([] if state is None else _held(norms, state))),
    )
