"""NumPyro's automatic guides: the warm-up is SVI, and the guide yields the draws.

A guide sees a model with one latent site, the whole position as a vector. A full-rank Gaussian is
fitted in whitened coordinates. The guide, the optimizer
and the loss are code and are built while they are traced; only parameters are state.
"""

from __future__ import annotations

from functools import partial
from operator import attrgetter
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from crewel.adapters.numpyro import BACKEND
from crewel.adapters.whitening import (
    WHITENED_RATE,
    Coordinates,
    Own,
    by_curvature,
    falling,
)
from crewel.core.families import VI
from crewel.core.protocol import Algorithm, Key, Options, Position, SteppedWarmup, Target


class _Fit(NamedTuple):
    """State of a fit: SVI's state, the last step's loss, the coordinates of the guide."""

    svi: Any
    loss: jax.Array
    coordinates: Coordinates


_WHITENED = ("AutoMultivariateNormal", "AutoLaplaceApproximation")  # full-rank Gaussians
_RATES = {
    "AutoMultivariateNormal": WHITENED_RATE,
    "AutoIAFNormal": 3e-3,  # at 1e-2 it diverges on a network of 172 weights
}


def _svi(
    kind: str, target: Target, coordinates: Coordinates, options: Options, num_steps: int = 1
) -> Any:
    import numpyro
    from numpyro import distributions as dist
    from numpyro import infer

    origin = coordinates.origin

    def model():
        everywhere = dist.ImproperUniform(dist.constraints.real_vector, (), origin.shape)
        u = jnp.asarray(numpyro.sample("z", everywhere))
        value = target.log_density(coordinates.position(u)) + coordinates.log_det
        numpyro.factor("log_density", value)

    options = dict(options)
    optim = options.pop("optim")
    if optim is None:
        rate = falling(_RATES.get(kind, 1e-2), num_steps)
        optim = numpyro.optim.Adam(rate)  # pyright: ignore[reportArgumentType]
    of_loss = {k: options.pop(k) for k in ("num_particles", "vectorize_particles") if k in options}
    start = infer.init_to_value(values={"z": origin})
    guide = getattr(infer.autoguide, kind)(model, init_loc_fn=start, **options)
    return infer.SVI(model, guide, optim, infer.Trace_ELBO(**of_loss))


def _init(
    kind: str, target: Target, key: Key, position: Position, num_warmup: int, **options: Any
) -> _Fit:
    chosen = by_curvature(target, key, position) if kind in _WHITENED else Own(position)
    state = _svi(kind, target, chosen, options, num_warmup).init(key)
    return _Fit(state._replace(rng_key=None), jnp.zeros(()), chosen)


def _ready(
    kind: str, target: Target, key: Key, fit: _Fit, options: Options, num_steps: int = 1
) -> Any:
    # `init` tells SVI and guide the shapes; what it computes is unused and compiled away.
    svi = _svi(kind, target, fit.coordinates, options, num_steps)
    svi.init(key)
    return svi


def _update(
    kind: str, target: Target, key: Key, fit: _Fit, num_warmup: int, **options: Any
) -> _Fit:
    svi = _ready(kind, target, key, fit, options, num_warmup)
    state, loss = svi.update(fit.svi._replace(rng_key=key))
    return fit._replace(svi=state._replace(rng_key=None), loss=loss)


def _drawn(
    target: Target, fit: _Fit, u: jax.Array, log_q: jax.Array
) -> tuple[Position, dict[str, jax.Array]]:
    position = fit.coordinates.position(u)
    log_q = log_q - fit.coordinates.log_det
    return position, {"lp": target.log_density(position), "log_q": log_q}


def _step(kind: str, target: Target, key: Key, fit: _Fit, **options: Any):
    from numpyro import handlers
    from numpyro.infer.util import log_density

    svi = _ready(kind, target, key, fit, options)
    guide = handlers.seed(svi.guide, key)
    log_q, trace = log_density(guide, (), {}, svi.get_params(fit.svi))
    return fit, *_drawn(target, fit, trace["z"]["value"], jnp.asarray(log_q))


class _Laplace(NamedTuple):
    """State of a Laplace fit: the search for the mode, then the Gaussian there once it is known."""

    fit: _Fit
    known: jax.Array
    loc: jax.Array
    scale_tril: jax.Array


def _laplace_init(
    kind: str, target: Target, key: Key, position: Position, *args: Any, **options: Any
) -> _Laplace:
    fit = _init(kind, target, key, position, *args, **options)
    flat = ravel_pytree(position)[0]
    return _Laplace(fit, jnp.zeros((), bool), flat, jnp.zeros((flat.size, flat.size), flat.dtype))


def _laplace_update(
    kind: str, target: Target, key: Key, state: _Laplace, *args: Any, **options: Any
) -> _Laplace:
    fit = _update(kind, target, key, state.fit, *args, **options)
    # The loss is that of a point, which has no volume for the coordinates to change.
    return state._replace(fit=fit._replace(loss=fit.loss + fit.coordinates.log_det))


def _laplace_step(kind: str, target: Target, key: Key, state: _Laplace, **options: Any):
    from numpyro import distributions as dist

    svi = _ready(kind, target, key, state.fit, options)

    def curve(_):
        posterior = svi.guide.get_posterior(svi.get_params(state.fit.svi))
        return jnp.ones((), bool), posterior.loc, posterior.scale_tril

    # Compute the Hessian once, at the first draw; `cond` under `vmap` would do so at every draw.
    gaussian = jax.lax.while_loop(lambda state: ~state[0], curve, state[1:])
    state = _Laplace(state.fit, *gaussian)
    # No validation: where the Hessian is singular, the scale is zero and `log_q` is not finite.
    q = dist.MultivariateNormal(state.loc, scale_tril=state.scale_tril, validate_args=False)
    z = q.sample(key)
    return state, *_drawn(target, state.fit, z, q.log_prob(z))


def _row(
    name: str,
    kind: str,
    summary: str,
    reference: str,
    bias: str,
    *,
    engine: tuple[Any, Any, Any] = (_init, _update, _step),
    loss: Any = attrgetter("loss"),
    defaults: Options = MappingProxyType({}),
    **row: Any,
) -> Algorithm:
    init, update, step = (partial(part, kind) for part in engine)
    return Algorithm(
        name=f"numpyro_auto_{name}",
        family=VI,
        summary=summary,
        reference=reference,
        backend=BACKEND,
        option_sources=(
            f"numpyro.infer.autoguide.{kind}",
            "numpyro.infer.SVI",
            "numpyro.infer.Trace_ELBO",
        ),
        filled_by_row=(
            "model",
            "guide",
            "loss",
            "prefix",
            "init_loc_fn",
            "create_plates",
            "forward_mode_differentiation",
            "multi_sample_guide",
            "sum_sites",
        ),
        step=step,
        warmup=SteppedWarmup(init, update, loss),
        defaults={"optim": None} | dict(defaults),  # Adam, with a step size that falls to zero
        bias=bias,
        **row,
    )


# Adam starts in (-2, 2) at its default rate; ten draws per step keep the noise below the tolerance.
_BUDGET = {"num_steps": 2000, "num_particles": 10}

ROWS = (
    _row(
        "normal",
        "AutoNormal",
        "Mean-field Gaussian, fitted by the evidence lower bound (ADVI)",
        "Kucukelbir, Tran, Ranganath, Gelman & Blei 2017",
        "A Gaussian without correlations is too narrow where the posterior is correlated.",
        test_budget=_BUDGET,
    ),
    _row(
        "diagonal",
        "AutoDiagonalNormal",
        "Mean-field Gaussian over the whole position as one vector",
        "Kucukelbir, Tran, Ranganath, Gelman & Blei 2017",
        "A Gaussian without correlations is too narrow where the posterior is correlated.",
        test_budget=_BUDGET,
    ),
    _row(
        "multivariate",
        "AutoMultivariateNormal",
        "Full-rank Gaussian, fitted by the evidence lower bound (full-rank ADVI)",
        "Kucukelbir, Tran, Ranganath, Gelman & Blei 2017",
        "A Gaussian has light tails and no skewness.",
        defaults={"init_scale": 1.0, "num_particles": 10},  # in whitened coordinates
        test_budget=_BUDGET,
    ),
    _row(
        "low_rank",
        "AutoLowRankMultivariateNormal",
        "Gaussian with a diagonal plus low-rank covariance (rank: square root of the dimension)",
        "Miller, Foti & Adams 2017; Ong, Nott & Smith 2018",
        "A Gaussian that misses all correlations beyond its rank.",
        test_budget=_BUDGET | {"rank": 2},
    ),
    _row(
        "laplace",
        "AutoLaplaceApproximation",
        "Gaussian at the mode of the unconstrained density, with the curvature there",
        "Tierney & Kadane 1986; MacKay 1992",
        "The curvature at the mode ignores both the mass around the mode and other modes.",
        engine=(_laplace_init, _laplace_update, _laplace_step),
        loss=attrgetter("fit.loss"),
        test_budget={"num_steps": 2000},
    ),
    _row(
        "iaf",
        "AutoIAFNormal",
        "Inverse autoregressive flow",
        "Kingma, Salimans, Jozefowicz, Chen, Sutskever & Welling 2016",
        "A flow of finite depth whose fit is a local optimum; tails stay Gaussian.",
        test_budget=_BUDGET,
    ),
    _row(
        "bnaf",
        "AutoBNAFNormal",
        "Block neural autoregressive flow",
        "De Cao, Titov & Aziz 2019",
        "A flow of finite depth whose fit is a local optimum.",
        test_budget=_BUDGET,
    ),
)
