"""TensorFlow Probability's factored surrogate, fitted step by step with an Optax optimizer."""

from __future__ import annotations

from operator import attrgetter
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from crewel.adapters.tfp import BACKEND
from crewel.adapters.tfp_kernels import seed
from crewel.adapters.whitening import falling
from crewel.core.families import VI
from crewel.core.protocol import Algorithm, Key, Options, Position, PyTree, SteppedWarmup, Target

_TFP = "tensorflow_probability.substrates.jax"
_OF_LOSS = ("sample_size", "importance_sample_size", "discrepancy_fn", "gradient_estimator")


class _Fit(NamedTuple):
    """State of a fit; `start` is the initial position, kept for its shapes."""

    parameters: Any
    optimizer: Any
    loss: jax.Array
    start: Position


def _surrogate(start: Position, options: Options) -> tuple[Any, Any]:
    """`init(seed) -> parameters` and `build(parameters) -> distribution` over `{"z": vector}`."""
    from tensorflow_probability.substrates.jax.experimental import vi

    z = ravel_pytree(start)[0]
    own = {k: v for k, v in options.items() if k not in (*_OF_LOSS, "optimizer")}
    first = {"scale": 1e-2} | (own.pop("initial_parameters", None) or {}) | {"loc": z}
    return vi.build_factored_surrogate_posterior_stateless(
        event_shape={"z": z.shape}, initial_parameters={"z": first}, dtype=z.dtype, **own
    )


def _optimizer(options: Options, num_steps: int) -> Any:
    import optax

    return options["optimizer"] or optax.adam(falling(1e-2, num_steps))


def _init(target: Target, key: Key, position: Position, num_warmup: int, **options: Any) -> _Fit:
    parameters = _surrogate(position, options)[0](seed(key))
    state = _optimizer(options, num_warmup).init(parameters)
    return _Fit(parameters, state, jnp.zeros(()), position)


def _update(target: Target, key: Key, fit: _Fit, num_warmup: int, **options: Any) -> _Fit:
    import optax
    from tensorflow_probability.substrates.jax import vi

    build = _surrogate(fit.start, options)[1]
    unravel = ravel_pytree(fit.start)[1]
    density = jnp.vectorize(lambda z: target.log_density(unravel(z)), signature="(d)->()")
    of_loss = {k: options[k] for k in _OF_LOSS if k in options}

    def log_prob(
        z: jax.Array,
    ) -> jax.Array:  # TFP passes `z` by keyword, which `density` does not accept
        return density(z)

    def objective(parameters: PyTree) -> jax.Array:
        q = build(*parameters)
        return jnp.mean(vi.monte_carlo_variational_loss(log_prob, q, seed=seed(key), **of_loss))

    loss, gradient = jax.value_and_grad(objective)(fit.parameters)
    updates, state = _optimizer(options, num_warmup).update(gradient, fit.optimizer, fit.parameters)
    return _Fit(optax.apply_updates(fit.parameters, updates), state, loss, fit.start)


def _step(target: Target, key: Key, fit: _Fit, **options: Any):
    q = _surrogate(fit.start, options)[1](*fit.parameters)
    draw = q.sample(seed=seed(key))
    position = ravel_pytree(fit.start)[1](draw["z"])
    return fit, position, {"lp": target.log_density(position), "log_q": q.log_prob(draw)}


ROWS = (
    Algorithm(
        name="tfp_factored_surrogate_posterior",
        family=VI,
        summary="Mean-field Gaussian, fitted by the evidence lower bound (ADVI)",
        reference="Kucukelbir, Tran, Ranganath, Gelman & Blei 2017",
        backend=BACKEND,
        option_sources=(
            f"{_TFP}.experimental.vi.build_factored_surrogate_posterior_stateless",
            f"{_TFP}.vi.monte_carlo_variational_loss",
        ),
        filled_by_row=(
            "event_shape",
            "bijector",
            "batch_shape",
            "dtype",
            "validate_args",
            "name",
            "target_log_prob_fn",
            "surrogate_posterior",
            "use_reparameterization",
            "stopped_surrogate_posterior",
            "seed",
        ),
        step=_step,
        warmup=SteppedWarmup(_init, _update, attrgetter("loss")),
        defaults={"optimizer": None},  # as in `fit_surrogate_posterior`; Adam, falling from 1e-2
        bias="A Gaussian without correlations is too narrow where the posterior is correlated.",
        test_budget={"num_steps": 2000, "sample_size": 10},
    ),
)
