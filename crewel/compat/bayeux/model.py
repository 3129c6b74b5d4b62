"""bayeux's `Model`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import crewel
from crewel.compat.bayeux.methods import METHODS, Method

_FIELDS = (
    "log_density",
    "test_point",
    "transform_fn",
    "inverse_transform_fn",
    "inverse_log_det_jacobian",
    "initial_state",
)


def _nothing(point: Any) -> Any:
    return point


class _Namespace:
    """The methods of one family, for one model."""

    def __init__(self, methods: dict[str, Method]):
        self.__dict__.update(methods)
        self.methods = list(methods)

    def __repr__(self) -> str:
        return "\n".join(self.methods)


@dataclass(repr=False)
class Model(Method):
    """A log density, a point it accepts, and how R^n maps to its support.

    Args:
        log_density: `params -> scalar`.
        test_point: a pytree with the structure and shapes of the parameters.
        transform_fn: from R^n to the support, for one point: a function, or a TFP bijector.
        inverse_transform_fn: its inverse; derived automatically if it is not given.
        inverse_log_det_jacobian: the log-determinant of the inverse at constrained parameters;
            derived automatically if it is not given.
        initial_state: constrained points, leaves `(chain, ...)`.

    Examples:
        >>> import jax
        >>> model = Model(lambda x: -(x**2), 0.0)
        >>> params, state, loss = model.optimize.optax_adam(jax.random.key(0), num_iters=200)
        >>> params.shape, loss.shape
        ((8,), (8, 200))
    """

    transform_fn: Any = _nothing
    inverse_transform_fn: Any = None
    inverse_log_det_jacobian: Any = None
    initial_state: Any = None

    def __post_init__(self):
        """Bind every method whose backend is installed."""
        given = self.made
        self.made = cache(partial(_made, self, given))
        fields = {name: getattr(self, name) for name in _FIELDS}
        for family, classes in METHODS.items():
            methods = {c.name: c(**fields, made=self.made) for c in classes.values()}
            if methods:
                setattr(self, family, _Namespace(methods))

    @property
    def methods(self) -> dict[str, list[str]]:
        """Names of the methods, by namespace."""
        return {f: getattr(self, f).methods for f in METHODS if hasattr(self, f)}

    def get_kwargs(self, **kwargs: Any) -> dict[Any, dict[str, Any]]:
        """The keywords as given: a model without a method has no callable to look up."""
        return {"extra_parameters": kwargs}

    def __repr__(self) -> str:
        """Namespaces and methods."""
        lines = [
            [family, *(f"\t.{name}" for name in names)] for family, names in self.methods.items()
        ]
        return "\n".join(sum(lines, []))

    @classmethod
    def from_numpyro(cls, numpyro_fn: Callable[[], Any], initial_state: Any = None) -> Model:
        """Wrap a NumPyro model without arguments; see `crewel.Model.from_numpyro`."""
        return _wrapped(cls, crewel.Model.from_numpyro(numpyro_fn), initial_state)

    @classmethod
    def from_tfp(cls, pinned_joint_distribution: Any, initial_state: Any = None) -> Model:
        """Wrap a pinned joint distribution of TFP; see `crewel.Model.from_tfp`."""
        return _wrapped(cls, crewel.Model.from_tfp(pinned_joint_distribution), initial_state)

    @classmethod
    def from_pymc(cls, pm_model: Any, initial_state: Any = None) -> Model:
        """Wrap a PyMC model; see `crewel.Model.from_pymc`."""
        return _wrapped(cls, crewel.Model.from_pymc(pm_model), initial_state)


def _made(model: Model, given: Any, transformed: bool) -> crewel.Model:
    """The model as a `crewel.Model`, with or without its transform."""
    if given is not None:
        made = given if transformed else crewel.Model(given.log_density, given.test_point)
        made.initial_state = model.initial_state
        return made
    if not transformed:
        return crewel.Model(model.log_density, model.test_point, initial_state=model.initial_state)
    return crewel.Model(
        model.log_density,
        model.test_point,
        None if model.transform_fn is _nothing else model.transform_fn,
        inverse_transform_fn=model.inverse_transform_fn,
        inverse_log_det_jacobian=model.inverse_log_det_jacobian,
        initial_state=model.initial_state,
    )


def _wrapped(cls: type[Model], made: crewel.Model, initial_state: Any) -> Model:
    transform = made.target().transform
    return cls(
        made.log_density,
        made.test_point,
        transform.forward,
        transform.inverse,
        initial_state=initial_state,
        made=made,
    )
