"""How a program of a model language predicts: one run of the program for each draw."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax

from crewel import conversions
from crewel.predict import over_draws
from crewel.trees import named_leaves


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
        run: `(program, params, key) -> {site: value}`, what the program generates under
            parameters `params`. Where a language cannot, it raises, and so does `pointwise`.
        pointwise: `(program, params) -> {site: log likelihood of each datum}`.
        rebind: `(program, args, kwargs) -> program`, the same program on other arguments, or
            `None` where it takes none.
    """

    program: Any
    run: Callable[[Any, Any, jax.Array], dict[str, Any]]
    pointwise: Callable[[Any, Any], dict[str, Any]]
    rebind: Callable[[Any, tuple, dict[str, Any]], Any] | None = None

    def on(self, args: tuple, kwargs: dict[str, Any]) -> Simulation:
        """The program on other arguments; on its own where none are given.

        Raises:
            TypeError: the program takes no arguments.
        """
        if not args and not kwargs:
            return self
        if self.rebind is None:
            raise TypeError(
                "This model takes no arguments: `post.predict()` generates its observed sites "
                "anew. To predict elsewhere, evaluate your own function over `post.draws`."
            )
        return replace(self, program=self.rebind(self.program, args, kwargs))


def predict(
    post: Any, args: tuple, kwargs: dict[str, Any], *, batch_size: int | None, seed: int
) -> Any:
    """The group `predictions` of a program: every site that is no parameter, by name."""
    made = over_draws(
        "simulation",
        post.model.simulation.on(args, kwargs),
        post.params,
        (),
        key=jax.random.key(seed),
        batch_size=batch_size,
    )
    return conversions.to_datatree({"predictions": named_leaves(made)}, dims={})


def log_likelihood(post: Any) -> Any:
    """The group `log_likelihood` of a program: each datum of every observed site."""
    values = named_leaves(over_draws("pointwise", post.model.simulation, post.params, ()))
    return conversions.to_datatree({"log_likelihood": values}, dims={})
