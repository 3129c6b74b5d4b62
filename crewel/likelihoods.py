"""Likelihoods by name: from the network's outputs to a NumPyro distribution over `y`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from jax.tree_util import Partial

from crewel.core.meanings import POSITIVE
from crewel.core.protocol import Data
from crewel.core.trees import is_traced

# What `y` is: class numbers, counts, angles in radians, or real values.
CLASSES, COUNTS, ANGLES, VALUES = "classes", "counts", "angles", "values"

# From outputs and latents, and the batch if it takes one, to a distribution. NumPyro annotates the
# return type of, for example, `Categorical` as `Any | None`, so the type here is `Any`.
Fn: TypeAlias = (
    Callable[[Any, Mapping[str, Any]], Any] | Callable[[Any, Mapping[str, Any], Data], Any]
)


@dataclass(frozen=True)
class Likelihood:
    """A distribution over `y` given the network's outputs, with the latents that it needs.

    Attributes:
        fn: `(outputs, latents) -> distribution`, or `(outputs, latents, batch) -> distribution`,
            where `batch["x"]` are the inputs of the same rows.
        latents: priors of its latents, which `wrap(latents=...)` may replace.
        elementwise: whether each value of `y` has one output; outputs `(N, 1)` are then accepted
            for `y` of shape `(N,)`.
        kind: what `y` is: `"classes"`, `"counts"`, `"angles"` or `"values"`; `None` if it is to be
            inferred from the distribution, see `crewel.posterior.distribution.kind_of`.
    """

    fn: Fn
    latents: Mapping[str, dist.Distribution] = field(default_factory=dict)
    elementwise: bool = True
    kind: str | None = None

    @property
    def takes_batch(self) -> bool:
        """Whether `fn` has a third argument, for the batch."""
        return not _accepts(self.fn, 2) and _accepts(self.fn, 3)


def _accepts(fn: Callable[..., Any], number: int) -> bool:
    """Whether a function can be called with so many arguments; two if it does not say."""
    try:
        signature = inspect.signature(fn)
    except (TypeError, ValueError):  # some builtins have none
        return number == 2
    try:
        signature.bind(*[None] * number)
    except TypeError:
        return False
    return True


def _gaussian(outputs: jax.Array, latents: Mapping[str, Any]) -> dist.Distribution:
    return dist.Normal(outputs, latents["sigma"])


def _gaussian_fixed(
    sigma: float, outputs: jax.Array, latents: Mapping[str, Any]
) -> dist.Distribution:
    return dist.Normal(outputs, sigma)


def _heteroscedastic(outputs: jax.Array, latents: Mapping[str, Any]) -> dist.Distribution:
    if outputs.shape[-1] % 2:
        raise ValueError(
            "The likelihood `heteroscedastic` needs two outputs for each value of `y`, a mean and "
            f"a log scale; the network's outputs have shape {outputs.shape}."
        )
    loc, log_scale = jnp.split(outputs, 2, axis=-1)
    if loc.shape[-1] == 1:
        loc, log_scale = loc[..., 0], log_scale[..., 0]
    return dist.Normal(loc, jnp.clip(jnp.exp(log_scale), 1e-6, 1e6))


def _student_t(outputs: jax.Array, latents: Mapping[str, Any]) -> dist.Distribution:
    return dist.StudentT(latents["df"], outputs, latents["sigma"])


def _categorical(outputs: jax.Array, latents: Mapping[str, Any]) -> Any:
    return dist.Categorical(logits=outputs)


def _bernoulli(outputs: jax.Array, latents: Mapping[str, Any]) -> Any:
    return dist.Bernoulli(logits=outputs)


def _poisson(outputs: jax.Array, latents: Mapping[str, Any]) -> dist.Distribution:
    return dist.Poisson(jnp.exp(outputs))


def gaussian(sigma: float | None = None) -> Likelihood:
    """`y ~ Normal(outputs, sigma)`.

    Args:
        sigma: the standard deviation of the noise, in units of `y`; `None` learns it under a
            `HalfNormal(1)` prior, which `wrap(latents={"sigma": ...})` replaces.

    Raises:
        ValueError: `sigma` is not a positive, finite number.

    Examples:
        >>> gaussian(0.1).latents
        {}
    """
    if sigma is not None:
        if not is_traced(sigma) and not POSITIVE.fits(sigma):
            raise ValueError(
                f"`sigma` is {sigma!r}; a standard deviation must be {POSITIVE.text}. `None` "
                "learns it."
            )
        return Likelihood(Partial(_gaussian_fixed, sigma), kind=VALUES)
    return Likelihood(_gaussian, {"sigma": dist.HalfNormal(1.0)}, kind=VALUES)


def heteroscedastic() -> Likelihood:
    """`y ~ Normal(mean, exp(log_scale))`; the network outputs all means and then all log scales.

    The scale is clipped to between 1e-6 and 1e6, as in Sommer et al. 2025.
    """
    return Likelihood(_heteroscedastic, elementwise=False, kind=VALUES)


def student_t() -> Likelihood:
    """`y ~ StudentT(df, outputs, sigma)`, for data with outliers; `df` and `sigma` are learned.

    Priors: `df ~ Gamma(2, 0.1)` (Juarez & Steel 2010), `sigma ~ HalfNormal(1)`.
    """
    latents = {"df": dist.Gamma(2.0, 0.1), "sigma": dist.HalfNormal(1.0)}
    return Likelihood(_student_t, latents, kind=VALUES)


def categorical() -> Likelihood:
    """`y ~ Categorical(logits=outputs)`: class numbers `0..K-1`, one output per class."""
    return Likelihood(_categorical, elementwise=False, kind=CLASSES)


def bernoulli() -> Likelihood:
    """`y ~ Bernoulli(logits=outputs)`: zeros and ones."""
    return Likelihood(_bernoulli, kind=CLASSES)


def poisson() -> Likelihood:
    """`y ~ Poisson(exp(outputs))`: counts."""
    return Likelihood(_poisson, kind=COUNTS)


NAMED: dict[str, Callable[[], Likelihood]] = {
    "gaussian": gaussian,
    "heteroscedastic": heteroscedastic,
    "student_t": student_t,
    "categorical": categorical,
    "bernoulli": bernoulli,
    "poisson": poisson,
}


Choice: TypeAlias = str | Likelihood | Fn  # what `wrap(likelihood=...)` takes


def find(likelihood: Choice) -> Likelihood:
    """Turn a name, a function or a `Likelihood` into a `Likelihood`.

    Raises:
        ValueError: the name is unknown.
        TypeError: it is none of these, or a function of other arguments.

    Examples:
        >>> list(find("gaussian").latents)
        ['sigma']
    """
    if isinstance(likelihood, Likelihood):
        return likelihood
    if isinstance(likelihood, str):
        if likelihood not in NAMED:
            raise ValueError(
                f"No likelihood is called `{likelihood}`. Use one of {', '.join(NAMED)}, or pass a "
                "function `(outputs, latents) -> NumPyro distribution over y`."
            )
        return NAMED[likelihood]()
    what = _wrong(likelihood)
    if what:
        raise TypeError(
            f"`likelihood` is {what}; pass one of {', '.join(NAMED)}, or a function `(outputs, "
            "latents) -> NumPyro distribution over y` (it may take the batch as a third argument), "
            "for example "
            '`lambda outputs, latents: dist.Normal(outputs, latents["sigma"])`.'
        )
    return Likelihood(likelihood, elementwise=False)


def _wrong(likelihood: Any) -> str:
    """What it is, if it is not a function of outputs and latents; else an empty string."""
    if isinstance(likelihood, dist.Distribution):  # callable: it would draw samples
        return f"a `{type(likelihood).__name__}` distribution, which has no outputs in it"
    if isinstance(likelihood, type):
        return f"the class `{likelihood.__name__}`"
    for name, make in NAMED.items():
        if likelihood is make:
            return f"the function that makes one: call it, `likelihoods.{name}()`"
    if not callable(likelihood):
        return f"a {type(likelihood).__name__}"
    if _accepts(likelihood, 2) or _accepts(likelihood, 3):
        return ""
    return f"a function with the arguments `{inspect.signature(likelihood)}`"


def shape_hint(found: tuple[int, ...], y: tuple[int, ...]) -> str:
    """How to fix a likelihood whose shape is not that of `y`; the hint begins with a space.

    Args:
        found: the shape of the likelihood.
        y: the shape of `y`.

    Examples:
        >>> shape_hint((20,), (20, 1))
        ' `y` has a last axis of one: pass `y[:, 0]`.'
    """
    if found == (*y, 1):
        return " The outputs have a last axis of one: use `outputs[..., 0]`."
    if y == (*found, 1):
        return " `y` has a last axis of one: pass `y[:, 0]`."
    if len(y) == 2 and found == y[:1]:
        return " If `y` is one-hot, pass class numbers: `y.argmax(-1)`."
    if len(found) == 2 and found[0] == found[1] == y[0]:
        return (
            f" Shapes `({y[0]}, 1)` and `({y[0]},)` were broadcast against each other, so every "
            "datum is compared with every other. Use `outputs[..., 0]`, or pass `y[:, 0]`."
        )
    return ""
