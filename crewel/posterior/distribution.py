"""What a distribution says about `y`: its kind, probabilities of classes, mean, density of rows."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpyro.distributions as dist

from crewel.core.protocol import Array
from crewel.likelihoods import ANGLES, CLASSES, COUNTS, VALUES, shape_hint

_BERNOULLI = ("BernoulliProbs", "BernoulliLogits")
_CATEGORICAL = ("CategoricalProbs", "CategoricalLogits")
# Old versions of NumPyro lack them. Those that censor one side have a flag for each value.
ONE_SIDED = ("LeftCensoredDistribution", "RightCensoredDistribution")
CENSORED = (*ONE_SIDED, "IntervalCensoredDistribution")


def base_of(distribution: Any) -> Any:
    """The distribution below `to_event`, `mask` and `expand`.

    Examples:
        >>> import jax.numpy as jnp, numpyro.distributions as dist
        >>> type(base_of(dist.Bernoulli(jnp.ones(3) / 2).to_event(1))).__name__
        'BernoulliProbs'
    """
    wrappers = dist.Independent | dist.MaskedDistribution | dist.ExpandedDistribution
    while isinstance(distribution, wrappers):
        distribution = distribution.base_dist
    return distribution


def kind_of(distribution: Any) -> str:
    """The kind of `y` that a distribution implies: see `crewel.likelihoods.Likelihood`.

    Examples:
        >>> import jax.numpy as jnp, numpyro.distributions as dist
        >>> kind_of(dist.Poisson(2.0)), kind_of(dist.Normal(0, 1).mask(True))
        ('counts', 'values')
    """
    base = base_of(distribution)
    if num_classes(base):
        return CLASSES
    support: Any = base.support
    if getattr(support, "base_constraint", support) is dist.constraints.circular:
        return ANGLES
    return COUNTS if support.is_discrete else VALUES


def is_a(distribution: Any, names: tuple[str, ...]) -> bool:
    """Whether it is one of NumPyro's distributions of these names, or of a class made from one."""
    return any(each.__name__ in names for each in type(distribution).__mro__)


def num_classes(base: Any) -> int:
    """The number of classes of a distribution over class numbers; 0 for any other."""
    if is_a(base, _CATEGORICAL):  # what it was made from: the other is lazy
        return (base.logits if is_a(base, ("CategoricalLogits",)) else base.probs).shape[-1]
    if is_a(base, ("MixtureSameFamily",)):
        return num_classes(base.component_distribution)
    if is_a(base, ("MixtureGeneral",)):
        found = {num_classes(part) for part in base.component_distributions}
        return found.pop() if len(found) == 1 else 0
    return 2 if base.support is dist.constraints.boolean else 0


def class_probabilities(distribution: dist.Distribution) -> jax.Array:
    """The probability of each class: the shape of `y` with a last axis of classes.

    Examples:
        >>> import jax.numpy as jnp, numpyro.distributions as dist
        >>> class_probabilities(dist.Bernoulli(jnp.full(3, 0.25))).tolist()[0]
        [0.75, 0.25]
    """
    base, shape = base_of(distribution), distribution.shape()
    if is_a(base, _BERNOULLI):
        one = jnp.broadcast_to(base.probs, shape)
        return jnp.stack([1 - one, one], -1)
    if is_a(base, _CATEGORICAL):
        probs = base.probs
    else:  # a mixture, or with additional zeros
        classes = (jnp.full(base.shape(), k) for k in range(num_classes(base)))
        probs = jnp.stack([jnp.exp(base.log_prob(k)) for k in classes], -1)
    return jnp.broadcast_to(probs, (*shape, probs.shape[-1]))


def mean_of(distribution: dist.Distribution) -> jax.Array | None:
    """The mean of each value of `y`; `None` where NumPyro does not have it.

    The mean of a censored distribution is that of the values before they are censored.

    Examples:
        >>> import numpyro.distributions as dist
        >>> squashed = dist.transforms.SigmoidTransform()
        >>> mean_of(dist.TransformedDistribution(dist.Normal(0, 1), squashed)) is None
        True
    """
    return _moment(distribution, "mean")


def variance_of(distribution: dist.Distribution) -> jax.Array | None:
    """The variance of each value of `y`, as `mean_of`.

    Examples:
        >>> import numpyro.distributions as dist
        >>> float(variance_of(dist.Normal(0.0, 2.0)))
        4.0
    """
    return _moment(distribution, "variance")


def _moment(distribution: dist.Distribution, name: str) -> jax.Array | None:
    base, shape = base_of(distribution), distribution.shape()
    if is_a(base, CENSORED):
        found = _moment(base.base_dist, name) if is_a(base, ONE_SIDED) else None
        return None if found is None else jnp.broadcast_to(found, shape)
    try:
        return jnp.broadcast_to(getattr(distribution, name), shape)
    except NotImplementedError:
        return None


def row_log_prob(distribution: dist.Distribution, y: Array) -> jax.Array:
    """Log density of each row, `(N,)`.

    Raises:
        ValueError: `y` does not have the shape of the distribution: it would be broadcast, and
            each row be compared with every other; or the rows are the distribution's event.
    """
    if distribution.shape() != jnp.shape(y):
        hint = shape_hint(distribution.shape(), jnp.shape(y))
        raise ValueError(
            f"`y` has shape {jnp.shape(y)} and its likelihood {distribution.shape()}; they must "
            f"be equal, one value per datum.{hint}"
        )
    values = jnp.asarray(distribution.log_prob(y))
    if jnp.ndim(values) == 0:
        raise ValueError(
            f"The likelihood, of shape {distribution.shape()}, returns one log density for all "
            f"{jnp.shape(y)[0]:,} rows, because the rows are its event, as after `.to_event(1)` on "
            "values of shape `(N,)`. It must return one value per row: leave out `.to_event`, or "
            "use it only for the axes within a row."
        )
    return values.reshape(values.shape[0], -1).sum(-1)
