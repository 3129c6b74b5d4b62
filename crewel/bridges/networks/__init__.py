"""Turn a network of any library into pure functions of its parameters.

A bridge is one file with `bridge(network, x, *, example, key, call, dropout) -> Bridged`. The
bridge for a network is inferred from the module names of its class and base classes, so no library
is imported to find it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from crewel.bridges import NETWORKS, load
from crewel.bridges.networks.randomness import agree
from crewel.core.protocol import Key, Params, PyTree
from crewel.core.trees import named_leaves


class Bridged(NamedTuple):
    """A network as pure functions; each is a `jax.tree_util.Partial` whose numbers are leaves.

    Attributes:
        params: example parameters, a pytree of arrays.
        run: `(params, state, x, training) -> (outputs, state)`. With `training`, it uses the
            statistics of the batch `x` and returns exactly those; otherwise it uses `state`.
        rebuild: `(params, state) ->` the library's own object.
        init: `key -> params`, or `None` if there is only the example.
        state: batch statistics, without leaves if the network has none.
        given: whether the values in `state` are the user's rather than fresh ones.
    """

    params: Params
    run: Callable[[Params, PyTree, PyTree, bool], tuple[PyTree, PyTree]]
    rebuild: Callable[[Params, PyTree], Any]
    init: Callable[[Key], Params] | None = None
    state: PyTree = ()
    given: bool = True


def is_initializer(example: Any) -> bool:
    """Whether `example` is a function `key -> parameters` rather than parameters."""
    return callable(example) and jax.tree_util.all_leaves([example])


def library(network: Any) -> str | None:
    """The prefix in `NETWORKS` of the library that `network` belongs to, or `None`.

    Examples:
        >>> library(lambda params, x: x) is None
        True
    """
    # Equinox creates stateful models as pairs `(model, state)`.
    head = network[0] if type(network) is tuple and network else network
    prefixes = sorted(NETWORKS, key=len, reverse=True)
    # A library may be built on another; the bridge for the more derived class comes first.
    for cls in type(head).__mro__:
        for prefix in prefixes:
            if f"{cls.__module__}.".startswith(f"{prefix}."):
                return prefix
    return None


def _unknown(network: Any) -> TypeError:
    kind = f"{type(network).__module__}.{type(network).__qualname__}"
    what = f"the class `{network.__qualname__}`" if isinstance(network, type) else f"a `{kind}`"
    return TypeError(
        f"Cannot wrap {what}. `wrap` takes a module instance of {', '.join(NETWORKS)}; a function "
        "`apply(params, x) -> outputs` with `example=params`; a pair of functions `(init, apply)`; "
        "or a dict of these by name. Wrap any other network by hand, as a function: "
        "`crewel.wrap(lambda params, x: ..., x, y, example=params, ...)`, with the parameters as a "
        "pytree of float arrays."
    )


def _no_example() -> ValueError:
    return ValueError(
        "A plain function needs example parameters: `wrap(apply, x, y, example=params, ...)`. They "
        "are a pytree of float arrays, as `apply(params, x)` takes it, or a function "
        "`key -> params`. A pair `(init, apply)` needs none."
    )


def bridge(
    network: Any,
    x: PyTree,
    *,
    example: PyTree = None,
    key: Key,
    call: Mapping[str, Any] | None = None,
    dropout: Key | None = None,
) -> Bridged:
    """Turn `network` into pure functions.

    Args:
        network: a module of a known library, a function `apply(params, x)`, or a pair
            `(init, apply)`.
        x: a few rows of inputs.
        example: parameters in the library's own form, or a function `key -> parameters`.
        key: PRNG key for the initialization.
        call: keywords of each call of the network.
        dropout: PRNG key of the dropout masks; `None` switches dropout off.

    Raises:
        TypeError: no bridge handles the object, or a function takes `(x, params)`.
        ValueError: `dropout` is given, but the outputs do not depend on it; or the network fails
            and has no parameters.
    """
    name = None if isinstance(network, type) else library(network)
    pair = type(network) is tuple and len(network) == 2 and all(map(callable, network))
    if name is None and (isinstance(network, type) or not (callable(network) or pair)):
        raise _unknown(network)
    if name is None and not pair and example is None:
        raise _no_example() if hasattr(network, "__name__") else _unknown(network)
    make = load(name)
    either: Any = network
    apply = None if name is not None else either[1] if pair else either
    try:
        made = make(network, x, example=example, key=key, call=dict(call or {}), dropout=dropout)
        _require_runs(made, apply, x, call or {})
    except Exception as error:
        error.add_note(
            f"crewel: while calling the network on rows like `x`: {jax.tree.map(jnp.shape, x)}. "
            "If the call takes more than `x`, for example a training flag, pass that with "
            "`call={'train': False}`; `dropout=key` makes it draw masks."
        )
        raise
    if dropout is not None and _ignores(made, dropout, x):
        raise ValueError(
            "`dropout` is given, but the network's outputs do not depend on that key. Leave it "
            "out, or switch the network's dropout on with `call=`."
        )
    return made


def _require_runs(
    made: Bridged, apply: Callable[..., Any] | None, x: PyTree, call: Mapping[str, Any]
) -> None:
    """Run the network on shapes alone; `apply` is the function, if it is a plain one."""
    try:
        jax.eval_shape(lambda params: made.run(params, made.state, x, False)[0], made.params)
    except Exception as error:
        _require_arrays(made.params, error)
        if not jax.tree.leaves(made.params):
            raise ValueError(
                "The network has no parameters to sample, and fails without them. Check `example=`."
            ) from error
        if apply is not None and _is_swapped(apply, made.params, x, call):
            raise TypeError(
                "The network takes its arguments as `(x, params)`; it must be "
                "`apply(params, x) -> outputs`. Pass `lambda params, x: network(x, params)`."
            ) from error
        raise


def _require_arrays(params: Params, cause: Exception) -> None:
    for path, leaf in named_leaves(params).items():
        if not (hasattr(leaf, "dtype") or isinstance(leaf, float | int)):
            raise TypeError(
                f"`example` holds `{path}`, a {type(leaf).__name__}; parameters are arrays. Keep "
                "everything else in the function (`equinox.partition` takes a module apart)."
            ) from cause


def _is_swapped(
    apply: Callable[..., Any], params: Params, x: PyTree, call: Mapping[str, Any]
) -> bool:
    """Whether a function that fails on `(params, x)` runs on `(x, params)`."""
    try:
        jax.eval_shape(lambda x, params: apply(x, params, **call), x, params)
    except Exception:
        return False
    return True


def _ignores(made: Bridged, dropout: Key, x: PyTree) -> bool:
    def with_key(key: Key) -> Callable[..., Any]:
        return jax.tree.map(lambda leaf: key if leaf is dropout else leaf, made.run)

    return agree(with_key, made.params, made.state, x)
