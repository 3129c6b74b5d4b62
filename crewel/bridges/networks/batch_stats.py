"""What happens to batch statistics: an explicit choice, because the results depend on it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.tree_util import Partial

from crewel.bridges.networks import Bridged
from crewel.bridges.networks.randomness import moved
from crewel.core.protocol import Array, Data, Key, Params, PyTree
from crewel.core.trees import leaf_paths

CHOICES = ("frozen", "per_draw")


class Network(NamedTuple):
    """A network as functions of its parameters alone; all are `jax.tree_util.Partial`.

    Attributes:
        params: example parameters, a pytree of arrays.
        apply: `(params, x) -> outputs` on training rows, as the density needs them.
        predict: the same for any rows.
        rebuild: `params ->` the library's own object.
        init: `key -> params`, or `None`.
    """

    params: Params
    apply: Callable[[Params, PyTree], PyTree]
    predict: Callable[[Params, PyTree], PyTree]
    rebuild: Callable[[Params], Any]
    init: Callable[[Key], Params] | None


def _frozen(run: Partial, state: PyTree, params: Params, x: PyTree) -> PyTree:
    return run(params, state, x, False)[0]


def _training(run: Partial, state: PyTree, params: Params, x: PyTree) -> PyTree:
    return run(params, state, x, True)[0]


def _of_rows(run: Partial, state: PyTree, rows: Data, params: Params) -> PyTree:
    return run(params, state, rows, True)[1]


def _per_draw(run: Partial, state: PyTree, rows: Data, params: Params, x: PyTree) -> PyTree:
    return run(params, _of_rows(run, state, rows, params), x, False)[0]


def _rebuild(rebuild: Callable[..., Any], state: PyTree, params: Params) -> Any:
    return rebuild(params, state)


def _rebuild_per_draw(
    rebuild: Callable[..., Any], run: Partial, state: PyTree, rows: Data, params: Params
) -> Any:
    return rebuild(params, _of_rows(run, state, rows, params))


def _same(one: PyTree, other: PyTree) -> bool:
    """Whether outputs are equal up to rounding, also that of 16 bits."""

    def close(a: Array, b: Array) -> bool:
        a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
        size = np.abs(a[np.isfinite(a)]).max(initial=0.0)
        return np.allclose(a, b, rtol=0.0, atol=0.02 * size, equal_nan=True)

    return jax.tree.all(jax.tree.map(close, one, other))


def _twice(rows: PyTree) -> PyTree:
    """The first half of rows, twice: what depends on one row only is the same in that half."""

    def repeat(leaf: Array) -> Array:
        half = max(1, len(leaf) // 2)
        return leaf[np.arange(len(leaf)) % half]

    return jax.tree.map(repeat, rows)


def _first_half(outputs: PyTree) -> PyTree:
    return jax.tree.map(lambda leaf: leaf[: max(1, len(leaf) // 2)], outputs)


class _Behaviour(NamedTuple):
    """What calls of a network do with its state.

    Attributes:
        differs: whether outputs in training differ from those with the given state.
        obeys: whether, outside training, the output for a row depends on that row and the state.
        repeats: whether the state that a call in training leaves gives its outputs again.
    """

    differs: bool
    obeys: bool
    repeats: bool


def _observe(made: Bridged, x: PyTree, together: bool) -> _Behaviour:
    params = moved(made.params, jax.random.key(1))
    few = x if together else jax.tree.map(lambda leaf: leaf[:8], x)

    @partial(jax.jit, static_argnums=2)
    def run(state: PyTree, x: PyTree, training: bool) -> tuple[PyTree, PyTree]:
        return made.run(params, state, x, training)

    given, kept = run(made.state, few, False)
    trained, left = run(made.state, few, True)
    again = run(left, few, False)[0]
    if together:
        obeys = jax.tree.all(jax.tree.map(np.array_equal, kept, made.state))
    else:
        repeated = run(made.state, _twice(few), False)[0]
        obeys = _same(_first_half(repeated), _first_half(given))
    constant = _same(jax.tree.map(lambda leaf: 0 * leaf + leaf[:1], given), given)  # tells nothing
    return _Behaviour(constant or not _same(trained, given), obeys, _same(again, trained))


def settle(made: Bridged, x: PyTree, batch_stats: str | None, *, together: bool = False) -> Network:
    """The network with its batch statistics frozen, or computed anew for each draw.

    State that makes no difference between the two, such as fixed random features, stays what it is
    and needs no choice.

    Args:
        made: the bridged network.
        x: training inputs.
        batch_stats: `"frozen"` always uses the statistics that came with the network.
            `"per_draw"` computes them for each draw of the parameters: from the training rows
            that the density sees, and from all training rows for predictions. `None` if the
            network has none.
        together: whether `x` is one object rather than rows.

    Raises:
        ValueError: the choice is missing or not needed, or the network does not obey it.
    """
    names = leaf_paths(made.state)
    if not names and batch_stats is not None:
        raise ValueError(
            f"`batch_stats` is {batch_stats!r}, but this network has no batch statistics. "
            "Leave it out."
        )
    if names and _chosen(made, _observe(made, x, together), batch_stats, names) == "per_draw":
        return Network(
            made.params,
            Partial(_training, made.run, made.state),
            Partial(_per_draw, made.run, made.state, x),
            Partial(_rebuild_per_draw, made.rebuild, made.run, made.state, x),
            made.init,
        )
    frozen = Partial(_frozen, made.run, made.state)
    return Network(
        made.params, frozen, frozen, Partial(_rebuild, made.rebuild, made.state), made.init
    )


def _chosen(made: Bridged, behaviour: _Behaviour, batch_stats: str | None, names: list[str]) -> str:
    """The choice, which must be one that the network obeys; `"frozen"` where none is needed."""
    listed = ", ".join(f"`{name}`" for name in names[:4]) + (" ..." if len(names) > 4 else "")
    if behaviour.obeys and not behaviour.differs and batch_stats in (None, "frozen"):
        return "frozen"
    if batch_stats not in CHOICES:
        raise ValueError(
            f"The network keeps batch statistics ({listed}), but `batch_stats` is "
            f"{batch_stats!r}. Choose: `batch_stats='frozen'` keeps those that come with the "
            "trained network; `batch_stats='per_draw'` computes them from the training rows for "
            "each draw of the weights. The posteriors differ, so there is no default."
        )
    if batch_stats == "frozen" and not made.given:
        raise ValueError(
            f"`batch_stats='frozen'` needs statistics to freeze ({listed}): pass the trained "
            "network's variables as `example=`, or use `batch_stats='per_draw'`. The initial "
            "statistics, mean 0 and variance 1, can be passed as `example=` too."
        )
    if not behaviour.obeys:
        raise ValueError(
            f"`batch_stats={batch_stats!r}`, but the network does not use given statistics "
            f"({listed}): its own code asks for those of the batch, so the output for a row "
            "depends on the other rows. Switch that off with `call=`, for instance "
            "`call={'train': False}`."
        )
    if batch_stats == "per_draw" and not behaviour.differs:
        raise ValueError(
            "`batch_stats='per_draw'`, but the outputs in training are the same as those with "
            f"given statistics ({listed}): they are not statistics of the rows, or the network's "
            "own code asks for the running averages. Leave `batch_stats` out, or change a flag "
            "with `call=`, for instance `call={'train': True}`."
        )
    if batch_stats == "per_draw" and not behaviour.repeats:
        raise ValueError(
            f"`batch_stats='per_draw'`, but what a call in training leaves ({listed}) does not "
            "give the same outputs again: it is more than the statistics of the batch, for "
            "instance the vectors of spectral normalization. Use `batch_stats='frozen'`."
        )
    return batch_stats
