"""How a program of a model language predicts: one run of the program for each draw."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import numpy as np

from crewel.core.protocol import Array, Data, Key, Params, PyTree
from crewel.core.trees import named_leaves
from crewel.posterior.over_draws import over_draws


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["program"],
    meta_fields=["run", "pointwise", "rebind"],
)
@dataclass(frozen=True)
class Simulation:
    """A program that can be run forwards; its functions belong to the language's bridge.

    Attributes:
        program: the program and its arguments: a pytree, code is structure, arrays are leaves.
        run: `(program, params, key) -> {site: value}`, what the program generates given `params`.
            If the language cannot do this, `run` raises; the same holds for `pointwise`.
        pointwise: `(program, params) -> {site: log likelihood of each datum}`.
        rebind: `(program, args, kwargs) -> program`, the same program on other arguments, or
            `None` if it takes none.
    """

    program: PyTree
    run: Callable[[PyTree, Params, Key], dict[str, PyTree]]
    pointwise: Callable[[PyTree, Params], dict[str, jax.Array]]
    rebind: Callable[[PyTree, tuple[Any, ...], Mapping[str, Any]], PyTree] | None = None

    def on(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Simulation:
        """The program on other arguments, or on its own if none are given.

        Raises:
            TypeError: the program takes no arguments.
        """
        if not args and not kwargs:
            return self
        if self.rebind is None:
            raise TypeError(
                "This model takes no arguments. Called without any, it generates or scores its "
                "observed sites; for other data, evaluate your own function over `post.draws`."
            )
        return replace(self, program=self.rebind(self.program, args, dict(kwargs)))

    def predict(
        self,
        draws: Params,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        *,
        key: Key,
        batch_size: int | None,
    ) -> dict[str, np.ndarray]:
        """Every site that is not a parameter, by name."""
        simulation = self.on(args, kwargs)
        return named_leaves(over_draws(_run, simulation, draws, (), key=key, batch_size=batch_size))

    def log_likelihood(
        self, draws: Params, data: Data, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> dict[str, np.ndarray]:
        """The log likelihood of each datum of every observed site, by name."""
        return named_leaves(over_draws(_pointwise, self.on(args, kwargs), draws, ()))

    def dims(self, made: Mapping[str, np.ndarray]) -> dict[str, list[str]]:
        """No names: the axes are the program's own."""
        return {}

    def coords(self, made: Mapping[str, Array]) -> dict[str, list[Any]]:
        """No labels."""
        return {}


def _run(_: None, simulation: Simulation, params: Params, keys: Key, batch: PyTree) -> PyTree:
    return jax.vmap(lambda p, key: simulation.run(simulation.program, p, key))(params, keys)


def _pointwise(_: None, simulation: Simulation, params: Params, keys: Key, batch: PyTree) -> PyTree:
    return jax.vmap(lambda p: simulation.pointwise(simulation.program, p))(params)
