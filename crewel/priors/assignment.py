"""Priors over the parameters of a network, assigned strictly by path pattern."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpyro.distributions as dist

from crewel.core.protocol import Key, Params, PyTree
from crewel.core.trees import named_leaves
from crewel.priors.hierarchical import conditional, given, is_conditional, takes_latents
from crewel.priors.patterns import choose

# What `wrap(prior=...)` takes: a distribution, patterns, a function of path and shape, or a name.
Prior: TypeAlias = dist.Distribution | Mapping[str, Any] | Callable[..., Any] | str


def fan_in(
    scale: float = 1.0, distribution: Callable[..., dist.Distribution] = dist.Normal
) -> Callable[[str, tuple[int, ...]], dist.Distribution]:
    """A zero-centered prior whose scale shrinks with the number of inputs of a unit.

    Weights get `distribution(0, scale / sqrt(fan_in))`; vectors and scalars (biases) get
    `distribution(0, scale)`. The prior over functions then keeps its size as layers widen
    (Neal 1996). The inputs are all axes but the last; for a leaf called `weight` (Equinox, in
    PyTorch's order) they are all but the first. A row of an `embedding` has one input.

    Args:
        scale: standard deviation of a unit's pre-activation for inputs of unit variance;
            `2 ** 0.5` is He's choice for ReLU.
        distribution: a NumPyro location-scale family.

    Returns:
        A function `(path, shape) -> distribution`, as `wrap(prior=...)` takes it.

    Examples:
        >>> fan_in(2.0)("Dense_0.kernel", (4, 50)).scale
        1.0
    """

    def prior(path: str, shape: tuple[int, ...]) -> dist.Distribution:
        leaf = path.rsplit(".", 1)[-1]
        if len(shape) < 2 or leaf.startswith("embedding"):
            return distribution(0.0, scale)
        inputs = prod(shape[1:] if leaf == "weight" else shape[:-1])
        return distribution(0.0, scale / inputs**0.5)

    return prior


NAMED: dict[str, Callable[[], Any]] = {"fan_in": fan_in}


def _numbers(distribution: dist.Distribution) -> dist.Distribution:
    """Make the parameters float arrays, so that one program serves `Normal`s of any parameters."""

    def number(leaf: Any) -> Any:
        kind = jnp.result_type(leaf)
        weak = not hasattr(leaf, "dtype") or jnp.issubdtype(kind, jnp.integer)
        return jnp.asarray(leaf, jnp.result_type(float) if weak else kind)

    return jax.tree.map(number, distribution)


def _usable(distribution: dist.Distribution, path: str) -> None:
    if isinstance(distribution, dist.ImproperUniform):
        raise ValueError(
            f"The prior for `{path}` is improper: it cannot be drawn from, and the posterior may "
            "not exist. Use a wide one instead, such as `Normal(0, 100)`."
        )
    if distribution.support is not None and distribution.support.is_discrete:
        raise TypeError(
            f"The prior for `{path}` is a {type(distribution).__name__}, which is discrete, but "
            "gradients need continuous parameters. Sum it out in the likelihood."
        )


def _one(prior: Any, path: str, shape: tuple[int, ...], latents: Mapping[str, Any]) -> Any:
    if isinstance(prior, str):
        if prior not in NAMED:
            raise ValueError(f"No prior is called `{prior}`. Use one of: {', '.join(NAMED)}.")
        prior = NAMED[prior]()
    if isinstance(prior, dist.Distribution):
        found = prior
    else:
        if not callable(prior) or isinstance(prior, type):
            what = prior.__name__ if isinstance(prior, type) else f"a {type(prior).__name__}"
            raise TypeError(
                f"The prior for `{path}` is {what}; it must be a NumPyro distribution, such as "
                "`Normal(0, 1)`, or a function `(path, shape) -> distribution`."
            )
        if takes_latents(prior):
            prior, found = conditional(prior, path, shape, latents)
        else:
            prior = found = prior(path, shape)
    if not isinstance(found, dist.Distribution):
        raise TypeError(
            f"The prior function returned a {type(found).__name__} for `{path}`; it must "
            "return a NumPyro distribution."
        )
    _usable(found, path)
    own = found.shape()
    try:
        fits = jnp.broadcast_shapes(own, shape) == shape
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(
            f"The prior for `{path}` has shape {own}, which does not fit the parameter's {shape}."
        )
    return prior if is_conditional(prior) else _numbers(prior)


def assign(
    prior: Prior, params: Params, latents: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """A prior for every leaf of `params`, by path.

    Args:
        prior: one NumPyro distribution for all leaves; a name; a function
            `(path, shape) -> distribution` or `(path, shape, latents) -> distribution`; or a
            dict of path patterns (`"*.kernel"`, `"Dense_1.*"`) to any of these.
        params: pytree of arrays.
        latents: distributions of the latents, by name, which hierarchical priors may use.

    Returns:
        Distributions by path; for a hierarchical prior, a function `latents -> distribution`.

    Raises:
        ValueError: the shape of a prior does not fit its leaf, a prior is improper, or the
            patterns do not fit the paths (see `crewel.priors.patterns.choose`).
        TypeError: a prior is none of these, or is discrete.

    Examples:
        >>> import jax.numpy as jnp, numpyro.distributions as dist
        >>> params = {"Dense_0": {"kernel": jnp.zeros((4, 3)), "bias": jnp.zeros(3)}}
        >>> list(assign({"*.kernel": dist.Normal(0, 1), "*.bias": "fan_in"}, params))
        ['Dense_0.bias', 'Dense_0.kernel']
    """
    shapes = {path: tuple(jnp.shape(leaf)) for path, leaf in named_leaves(params).items()}
    if not isinstance(prior, Mapping):
        return {path: _one(prior, path, shape, latents or {}) for path, shape in shapes.items()}
    for name in prior:
        if name in (latents or {}) and name not in shapes:
            raise ValueError(
                f"`{name}` is not a parameter of the network but a latent of the likelihood: its "
                f"prior belongs in `latents={{{name!r}: ...}}`, not in `prior`."
            )
    chosen = choose(prior, shapes)
    return {
        path: _one(prior[chosen[path]], path, shape, latents or {})
        for path, shape in shapes.items()
    }


def of_latents(latents: Mapping[str, Any]) -> dict[str, Any]:
    """Check the distributions of the latents outside the network, and return them.

    Raises:
        TypeError: one is not a distribution, or is discrete.
        ValueError: one is improper.
    """
    for name, prior in latents.items():
        if not isinstance(prior, dist.Distribution):
            raise TypeError(
                f"`latents` at `{name}` is {prior!r}; it must be a NumPyro distribution, the "
                "latent's prior. A fixed number belongs in the likelihood, for instance "
                "`likelihood=crewel.likelihoods.gaussian(0.1)`."
            )
        _usable(prior, name)
    return {name: _numbers(prior) for name, prior in latents.items()}


def log_prob(priors: Mapping[str, Any], tree: PyTree, latents: Mapping[str, Any]) -> jax.Array:
    """Summed log density of the leaves of `tree` under their priors, in 32 bits or more."""
    leaves = named_leaves(tree)
    total = jnp.zeros(())
    for path, prior in priors.items():
        leaf = leaves[path]
        wide = leaf.astype(jnp.promote_types(leaf.dtype, jnp.float32))
        total += jnp.sum(given(prior, latents).log_prob(wide))
    return total


def sample(priors: Mapping[str, Any], like: PyTree, key: Key) -> Any:
    """One draw of every leaf from its prior, in the structure and dtypes of `like`.

    Latents are drawn before the leaves whose priors depend on them.
    """
    leaves = named_leaves(like)
    keys = dict(zip(leaves, jax.random.split(key, max(len(leaves), 1)), strict=False))
    drawn: dict[str, Any] = {}
    for path in sorted(leaves, key=lambda path: is_conditional(priors[path])):
        leaf, prior = leaves[path], given(priors[path], drawn)
        batch = leaf.shape[: len(leaf.shape) - prior.event_dim]
        drawn[path] = prior.expand(batch).sample(keys[path]).astype(leaf.dtype)
    return jax.tree.unflatten(jax.tree.structure(like), [drawn[path] for path in leaves])


def gaussian_prior(priors: Mapping[str, Any], like: PyTree) -> tuple[Any, Any] | None:
    """`(location, scale)` in the structure of `like` if every prior is a `Normal`, else `None`.

    Examples:
        >>> import numpyro.distributions as dist
        >>> gaussian_prior({"w": dist.Normal(0.0, 2.0)}, {"w": 0.5})
        ({'w': 0.0}, {'w': 2.0})
    """
    if any(type(prior) is not dist.Normal for prior in priors.values()):
        return None
    structure = jax.tree.structure(like)
    chosen = [priors[path] for path in named_leaves(like)]
    return (
        jax.tree.unflatten(structure, [prior.loc for prior in chosen]),
        jax.tree.unflatten(structure, [prior.scale for prior in chosen]),
    )
