"""What runs, posteriors and checks use of a model, so that they need not import `Model`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import jax
import numpy as np

from crewel.core.protocol import Array, Data, Key, Params, PyTree, Target


class Predictive(Protocol):
    """How a model predicts. Networks and programs each have an implementation."""

    def predict(
        self,
        draws: Params,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        *,
        key: Key,
        batch_size: int | None,
    ) -> dict[str, np.ndarray]:
        """Predictions under every draw, by name, `(chain, draw, ...)`."""
        ...

    def log_likelihood(
        self, draws: Params, data: Data, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> dict[str, np.ndarray]:
        """Pointwise log likelihood under every draw, by observed site, `(chain, draw, ...)`."""
        ...

    def dims(self, made: Mapping[str, np.ndarray]) -> dict[str, list[str]]:
        """Names of the axes after chain and draw, where they have any."""
        ...

    def coords(self, made: Mapping[str, Array]) -> dict[str, list[Any]]:
        """Labels along those axes by the axis' name, where there are any."""
        ...


class ModelLike(Protocol):
    """A model as the lower rooms see it; `crewel.Model` explains each attribute."""

    @property
    def test_point(self) -> Params:
        """Parameters of the right structure, shapes and dtypes, inside their support."""
        ...

    @property
    def weak(self) -> tuple[str, ...]:
        """Paths of the leaves that were given as Python numbers."""
        ...

    @property
    def data(self) -> Data:
        """Arrays with a leading axis of rows, or `None`."""
        ...

    @property
    def initial_state(self) -> PyTree | str | None:
        """Where chains start, or the name of an initializer."""
        ...

    @property
    def initializers(self) -> Mapping[str, Callable[[Key], Params]]:
        """Functions `key -> parameters` by name; the first is the default."""
        ...

    @property
    def predictive(self) -> Predictive | None:
        """How to predict, or `None` if the model cannot."""
        ...

    @property
    def priors(self) -> Mapping[str, Any] | None:
        """Distribution by path, or `None` if the model does not name them."""
        ...

    @property
    def latents(self) -> tuple[str, ...]:
        """Names of the parameters that are not a network's weights."""
        ...

    def target(self, *, jacobian: bool = True) -> Target:
        """The density in the unconstrained space."""
        ...

    def log_density(self, params: Params) -> jax.Array:
        """The log density at constrained parameters."""
        ...
