"""What happens to batch statistics: an explicit choice, because the results depend on it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.tree_util import Partial

from crewel.bridges.networks import Bridged
from crewel.core.protocol import Data, Key, Params, PyTree
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


def _changed(made: Bridged, x: PyTree, training: bool) -> bool:
    @jax.jit
    def after(params: Params, state: PyTree, x: PyTree):
        return made.run(params, state, x, training)[1]

    both = jax.tree.leaves(made.state), jax.tree.leaves(after(made.params, made.state, x))
    return any(bool(jnp.any(old != new)) for old, new in zip(*both, strict=True))


def settle(made: Bridged, x: PyTree, batch_stats: str | None) -> Network:
    """The network with its batch statistics frozen, or computed anew for each draw.

    Args:
        made: the bridged network.
        x: training inputs.
        batch_stats: `"frozen"` always uses the statistics that came with the network.
            `"per_draw"` computes them for each draw of the parameters: from the training rows
            that the density sees, and from all training rows for predictions. `None` if the
            network has none.

    Raises:
        ValueError: the choice is missing or not needed, or the network does not obey it.
    """
    names = leaf_paths(made.state)
    if not names:
        if batch_stats is not None:
            raise ValueError(
                f"`batch_stats` is {batch_stats!r}, but this network has no batch statistics. "
                "Leave it out."
            )
        frozen = Partial(_frozen, made.run, made.state)
        rebuild = Partial(_rebuild, made.rebuild, made.state)
        return Network(made.params, frozen, frozen, rebuild, made.init)
    listed = ", ".join(f"`{name}`" for name in names[:4]) + (" ..." if len(names) > 4 else "")
    if batch_stats not in CHOICES:
        raise ValueError(
            f"The network keeps batch statistics ({listed}), but `batch_stats` is "
            f"{batch_stats!r}. Choose: `batch_stats='frozen'` keeps those that come with the "
            "trained network; `batch_stats='per_draw'` computes them from the training rows for "
            "each draw of the weights. The posteriors differ, so there is no default."
        )
    few = jax.tree.map(lambda leaf: leaf[:32], x)
    if batch_stats == "frozen":
        if not made.given:
            raise ValueError(
                f"`batch_stats='frozen'` needs statistics to freeze ({listed}): pass the trained "
                "network's variables as `example=`, or use `batch_stats='per_draw'`. The initial "
                "statistics, mean 0 and variance 1, can be passed as `example=` too."
            )
        if _changed(made, few, False):
            raise ValueError(
                f"`batch_stats='frozen'`, but a call of the network changes {listed}: its own "
                "code asks for the statistics of the batch. Switch that off with `call=`, for "
                "instance `call={'train': False}`."
            )
        frozen = Partial(_frozen, made.run, made.state)
        rebuild = Partial(_rebuild, made.rebuild, made.state)
        return Network(made.params, frozen, frozen, rebuild, made.init)
    if not _changed(made, few, True):
        raise ValueError(
            f"`batch_stats='per_draw'`, but a call of the network leaves {listed} unchanged: its "
            "own code asks for the running averages. Change that with `call=`, for instance "
            "`call={'train': True}`."
        )
    return Network(
        made.params,
        Partial(_training, made.run, made.state),
        Partial(_per_draw, made.run, made.state, x),
        Partial(_rebuild_per_draw, made.rebuild, made.run, made.state, x),
        made.init,
    )
