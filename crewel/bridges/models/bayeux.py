"""Convert to and from `bayeux.Model`; density, transform and test point stay the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from crewel.core.protocol import Params, PyTree
from crewel.model import Model
from crewel.transforms.bijections import is_tfp


def _bayeux() -> Any:
    try:
        import bayeux
    except (ImportError, AttributeError) as error:  # `import oryx` fails so on JAX 0.6 and later
        raise ImportError(
            "bayeux is missing or cannot be imported. Its last release, 0.1.15, needs JAX 0.5 or "
            f"older (this is {jax.__version__}). Use a separate environment on Python 3.11: "
            "pip install 'crewel[bayeux]'. That extra cannot be combined with `crewel[all]`."
        ) from error
    return bayeux


def _over_batches(fn: Callable[[Any], Any], like: PyTree) -> Callable[[Any], Any]:
    """Map `fn`, a function of one sample, over the leading axes that its input adds to `like`.

    bayeux calls transforms on one sample inside its densities, and on all chains at once outside.
    """
    first = jax.tree.leaves(like)[0]

    def call(tree: PyTree):
        mapped = fn
        for _ in range(jnp.ndim(jax.tree.leaves(tree)[0]) - jnp.ndim(first)):
            mapped = jax.vmap(mapped)
        return mapped(tree)

    return call


def to_bayeux(model: Model, initial_state: Any) -> Any:
    """See `crewel.Model.to_bayeux`."""
    bayeux = _bayeux()
    transform = model.target().transform
    given = model.initial_state if initial_state is None else initial_state
    given = None if isinstance(given, str) else given
    first = jax.tree.leaves(model.test_point)[0]
    if given is not None and jnp.ndim(jax.tree.leaves(given)[0]) == jnp.ndim(first):
        raise ValueError(
            "bayeux needs one initial state per chain, but the model's `initial_state` has no "
            "chain axis. Pass `to_bayeux(initial_state=...)` with a leading axis of chains."
        )

    def log_density(*args: Any, **params: Any):
        return model.log_density(*args) if args else model.log_density(params)

    def ildj(params: Params):
        return -transform.log_det(transform.inverse(params))

    unconstrained = jax.eval_shape(transform.inverse, model.test_point)
    return bayeux.Model(
        log_density,
        model.test_point,
        transform_fn=_over_batches(transform.forward, unconstrained),
        inverse_transform_fn=_over_batches(transform.inverse, model.test_point),
        inverse_log_det_jacobian=_over_batches(ildj, model.test_point),
        initial_state=given,
    )


def from_bayeux(bx_model: Any, initial_state: Any) -> Model:
    """See `crewel.Model.from_bayeux`."""
    if not hasattr(bx_model, "inverse_log_det_jacobian"):
        raise TypeError(f"`from_bayeux` needs a `bayeux.Model`, got a {type(bx_model).__name__}.")
    functions = {}
    if not is_tfp(bx_model.transform_fn):
        ildj = bx_model.inverse_log_det_jacobian
        if ildj is None:  # bayeux derives it when it needs it
            from oryx.core import ildj as oryx_ildj

            ildj = oryx_ildj(bx_model.transform_fn)
        functions = {
            "inverse_transform_fn": bx_model.inverse_transform_fn,
            "inverse_log_det_jacobian": ildj,
        }
    return Model(
        bx_model.log_density,
        bx_model.test_point,
        bx_model.transform_fn,
        initial_state=bx_model.initial_state if initial_state is None else initial_state,
        **functions,
    )
