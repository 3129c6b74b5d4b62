"""Pinned joint distributions of TensorFlow Probability, with the pinned values as arguments."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.tree_util import Partial

from crewel.core.protocol import Data, Key, Params, Position, Transform
from crewel.model import Model
from crewel.posterior.simulate import Simulation


class _Held:
    """A joint distribution as static structure, equal only to itself."""

    def __init__(self, joint: Any):
        self.joint = joint

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Held) and self.joint is other.joint

    def __hash__(self) -> int:
        return id(self.joint)


@partial(jax.tree_util.register_dataclass, data_fields=["pins"], meta_fields=["held"])
@dataclass(frozen=True)
class _Program:
    """A joint distribution and its pinned values, which are the leaves.

    Attributes:
        pins: pinned values by name.
        held: the distribution.
    """

    pins: dict[str, Any]
    held: _Held

    @property
    def pinned(self) -> Any:
        return self.held.joint.experimental_pin(**self.pins)

    @property
    def bijector(self) -> Any:
        return self.pinned.experimental_default_event_space_bijector()


def _raw(key: jax.Array) -> jax.Array:
    # TFP's released version does not accept typed keys.
    return jax.random.key_data(key)


def _sum(parts: Any) -> jax.Array:
    return jnp.asarray(sum(jnp.sum(part) for part in jax.tree.leaves(parts)))


def _log_joint(program: _Program, params: Params) -> jax.Array:
    return program.pinned.unnormalized_log_prob(params)


def _log_prior(program: _Program, params: Params) -> jax.Array:
    return _sum(program.pinned.unnormalized_log_prob_parts(params).unpinned)


def _log_likelihood(program: _Program, params: Params, batch: Data = None) -> jax.Array:
    parts = program.pinned.unnormalized_log_prob_parts(params).pinned
    return jnp.stack([jnp.sum(part) for part in jax.tree.leaves(parts)])


def _pointwise(program: _Program, params: Params) -> dict[str, Any]:
    raise ValueError(
        "TFP gives the log likelihood of a whole pinned part, but `log_likelihood` needs one value "
        "per datum. Evaluate the likelihood's `log_prob` over `post.draws`."
    )


def _run(program: _Program, params: Params, key: Key) -> dict[str, Any]:
    if hasattr(params, "_asdict"):
        params = params._asdict()
    elif not isinstance(params, dict):
        raise ValueError(
            "Prediction needs names for the parts of the joint distribution. Use "
            "`JointDistributionNamed` or `JointDistributionCoroutine` with `name=` on each part."
        )
    made = program.held.joint.sample(seed=_raw(key), **params)
    made = made if isinstance(made, dict) else made._asdict()
    return {name: made[name] for name in program.pins}


def _sample_prior(program: _Program, key: Key) -> Any:
    return program.pinned.sample_unpinned(seed=_raw(key))


def _forward(program: _Program, u: Position) -> Any:
    return program.bijector.forward(u)


def _inverse(program: _Program, params: Params) -> Any:
    return program.bijector.inverse(params)


def _log_det(program: _Program, u: Position) -> jax.Array:
    # All dimensions are declared event dimensions; else TFP broadcasts the parts to one shape.
    return _sum(program.bijector.forward_log_det_jacobian(u, jax.tree.map(jnp.ndim, u)))


def _example(program: _Program) -> Any:
    """Parameters in the middle of their supports."""
    u = jax.eval_shape(lambda p: _inverse(p, _sample_prior(p, jax.random.key(0))), program)
    return _forward(program, jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), u))


def model(pinned: Any, initial_state: Any) -> Model:
    """See `crewel.Model.from_tfp`."""
    if not (hasattr(pinned, "pins") and hasattr(pinned, "distribution")):
        raise TypeError(
            f"`from_tfp` needs a pinned joint distribution, got a {type(pinned).__name__}. Pin the "
            "data: `joint.experimental_pin(y=y)`."
        )
    program = _Program(jax.tree.map(jnp.asarray, dict(pinned.pins)), _Held(pinned.distribution))
    transform = Transform(*(Partial(f, program) for f in (_forward, _inverse, _log_det)))
    return Model(
        Partial(_log_joint, program),
        _example(program),
        transform,
        initial_state="uniform" if initial_state is None else initial_state,
        log_prior=Partial(_log_prior, program),
        log_likelihood=Partial(_log_likelihood, program),
        initializers={"prior": Partial(_sample_prior, program)},
        predictive=Simulation(program, _run, _pointwise),
    )
