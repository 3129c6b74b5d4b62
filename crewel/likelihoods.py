"""Likelihoods by name: from the network's outputs to a NumPyro distribution over `y`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jax.numpy as jnp
import numpyro.distributions as dist
from jax.tree_util import Partial


@dataclass(frozen=True)
class Likelihood:
    """A distribution over `y` given the network's outputs, with the latents that it needs.

    Attributes:
        fn: `(outputs, latents) -> distribution`.
        extra: priors of its latents, which `wrap(extra=...)` may replace.
        elementwise: one output a value of `y`: outputs `(N, 1)` serve `y` of shape `(N,)`.
    """

    fn: Callable[..., Any]
    extra: Mapping[str, Any] = field(default_factory=dict)
    elementwise: bool = True


def _gaussian(outputs, latents):
    return dist.Normal(outputs, latents["sigma"])


def _gaussian_fixed(sigma, outputs, latents):
    return dist.Normal(outputs, sigma)


def _heteroscedastic(outputs, latents):
    if outputs.shape[-1] % 2:
        raise ValueError(
            "The likelihood `heteroscedastic` needs two outputs for each value of `y`, a mean and "
            f"a log scale; the network's outputs have shape {outputs.shape}."
        )
    loc, log_scale = jnp.split(outputs, 2, axis=-1)
    if loc.shape[-1] == 1:
        loc, log_scale = loc[..., 0], log_scale[..., 0]
    return dist.Normal(loc, jnp.clip(jnp.exp(log_scale), 1e-6, 1e6))


def _student_t(outputs, latents):
    return dist.StudentT(latents["df"], outputs, latents["sigma"])


def _categorical(outputs, latents):
    return dist.Categorical(logits=outputs)


def _bernoulli(outputs, latents):
    return dist.Bernoulli(logits=outputs)


def _poisson(outputs, latents):
    return dist.Poisson(jnp.exp(outputs))


def gaussian(sigma: float | None = None) -> Likelihood:
    """`y ~ Normal(outputs, sigma)`.

    Args:
        sigma: the noise's standard deviation, in units of `y`; `None`: learned, under a
            `HalfNormal(1)` prior that `wrap(extra={"sigma": ...})` replaces.

    Examples:
        >>> gaussian(0.1).extra
        {}
    """
    if sigma is not None:
        return Likelihood(Partial(_gaussian_fixed, sigma))
    return Likelihood(_gaussian, {"sigma": dist.HalfNormal(1.0)})


def heteroscedastic() -> Likelihood:
    """`y ~ Normal(mean, exp(log_scale))`, both outputs of the network (first means, then scales).

    The scale is kept within 1e-6 and 1e6, as Sommer et al. 2025 do.
    """
    return Likelihood(_heteroscedastic, elementwise=False)


def student_t() -> Likelihood:
    """`y ~ StudentT(df, outputs, sigma)`, for data with outliers; `df` and `sigma` are learned.

    Priors: `df ~ Gamma(2, 0.1)` (Juarez & Steel 2010), `sigma ~ HalfNormal(1)`.
    """
    return Likelihood(_student_t, {"df": dist.Gamma(2.0, 0.1), "sigma": dist.HalfNormal(1.0)})


def categorical() -> Likelihood:
    """`y ~ Categorical(logits=outputs)`: class numbers `0..K-1`, one output a class."""
    return Likelihood(_categorical, elementwise=False)


def bernoulli() -> Likelihood:
    """`y ~ Bernoulli(logits=outputs)`: `y` of zeros and ones."""
    return Likelihood(_bernoulli)


def poisson() -> Likelihood:
    """`y ~ Poisson(exp(outputs))`: counts."""
    return Likelihood(_poisson)


NAMED: dict[str, Callable[[], Likelihood]] = {
    "gaussian": gaussian,
    "heteroscedastic": heteroscedastic,
    "student_t": student_t,
    "categorical": categorical,
    "bernoulli": bernoulli,
    "poisson": poisson,
}


def find(likelihood: Any) -> Likelihood:
    """A `Likelihood` from a name, a function or a `Likelihood`.

    Raises:
        ValueError: an unknown name.
        TypeError: something else.

    Examples:
        >>> list(find("gaussian").extra)
        ['sigma']
    """
    if isinstance(likelihood, Likelihood):
        return likelihood
    if isinstance(likelihood, str):
        if likelihood not in NAMED:
            raise ValueError(
                f"No likelihood is called `{likelihood}`; there are {', '.join(NAMED)}; or pass "
                "a function `(outputs, latents) -> NumPyro distribution over y`."
            )
        return NAMED[likelihood]()
    if not callable(likelihood):
        raise TypeError(
            f"`likelihood` is a {type(likelihood).__name__}; pass one of {', '.join(NAMED)}, or a "
            "function `(outputs, latents) -> NumPyro distribution over y`."
        )
    return Likelihood(likelihood, elementwise=False)
