"""Priors over the parameters of a network, chosen by path pattern, strictly."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from math import prod
from typing import Any

import jax
import jax.numpy as jnp
import numpyro.distributions as dist

from crewel.trees import named_leaves

Prior = Any


def fan_in(
    scale: float = 1.0, distribution: Callable[..., Any] = dist.Normal
) -> Callable[[str, tuple[int, ...]], Any]:
    """A zero-centred prior whose scale shrinks with the number of inputs of a unit.

    Weights get `distribution(0, scale / sqrt(fan_in))`, vectors and scalars (biases)
    `distribution(0, scale)`, so that the prior over functions keeps its size as layers widen
    (Neal 1996). The inputs are all axes but the last, or, of a leaf called `weight` (Equinox,
    PyTorch order), all but the first.

    Args:
        scale: standard deviation of a unit's pre-activation for inputs of unit variance;
            `2 ** 0.5` is He's choice for ReLU.
        distribution: a NumPyro location-scale family.

    Returns:
        A function `(path, shape) -> distribution`, as `wrap(prior=...)` takes it.

    Example:
        >>> fan_in(2.0)("Dense_0.kernel", (4, 50)).scale
        1.0
    """

    def prior(path: str, shape: tuple[int, ...]) -> Any:
        if len(shape) < 2:
            return distribution(0.0, scale)
        torch_order = path.rsplit(".", 1)[-1] == "weight"
        inputs = prod(shape[1:] if torch_order else shape[:-1])
        return distribution(0.0, scale / inputs**0.5)

    return prior


NAMED: dict[str, Callable[[], Any]] = {"fan_in": fan_in}


def _more_exact(one: str, other: str) -> bool:
    return fnmatchcase(one, other) and not fnmatchcase(other, one)


def _paths(shapes: Mapping[str, Any]) -> str:
    return "\n".join(f"  {path}  {shape}" for path, shape in shapes.items())


def choose(patterns: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]) -> dict[str, str]:
    """The pattern that holds for each path.

    Raises:
        ValueError: a pattern that matches nothing, a path that nothing matches, or a path that
            several patterns match of which none is more exact than the others.
    """
    chosen = {}
    for path in shapes:
        matching = [p for p in patterns if fnmatchcase(path, p)]
        best = [p for p in matching if all(q == p or _more_exact(p, q) for q in matching)]
        if not matching:
            raise ValueError(
                f"No prior pattern matches `{path}`; it would have no prior. Add a pattern, such "
                f"as `'*'` for all the rest. Patterns: {list(patterns)}. The parameters are:\n"
                f"{_paths(shapes)}"
            )
        if not best:
            raise ValueError(
                f"The prior patterns {matching} all match `{path}`, and none is more exact than "
                f"the others. Write one for `{path}` itself. The parameters are:\n{_paths(shapes)}"
            )
        chosen[path] = best[0]
    for pattern in patterns:
        if not any(fnmatchcase(path, pattern) for path in shapes):
            raise ValueError(
                f"The prior pattern `{pattern}` matches no parameter. The parameters are:\n"
                f"{_paths(shapes)}"
            )
    return chosen


def _one(prior: Prior, path: str, shape: tuple[int, ...]) -> Any:
    if isinstance(prior, str):
        if prior not in NAMED:
            raise ValueError(f"No prior is called `{prior}`; there is {', '.join(NAMED)}.")
        prior = NAMED[prior]()
    if not isinstance(prior, dist.Distribution):
        if not callable(prior):
            raise TypeError(
                f"The prior for `{path}` is a {type(prior).__name__}; it must be a NumPyro "
                "distribution or a function `(path, shape) -> distribution`."
            )
        prior = prior(path, shape)
        if not isinstance(prior, dist.Distribution):
            raise TypeError(
                f"The prior function returned a {type(prior).__name__} for `{path}`; it must "
                "return a NumPyro distribution."
            )
    own = prior.shape()
    try:
        fits = jnp.broadcast_shapes(own, shape) == shape
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(
            f"The prior for `{path}` has shape {own}, which does not fit the parameter's {shape}."
        )
    return prior


def assign(prior: Prior, params: Any) -> dict[str, Any]:
    """A distribution for every leaf of `params`, by path.

    Args:
        prior: one NumPyro distribution for all leaves; a name; a function
            `(path, shape) -> distribution`; or a dict of path patterns (`"*.kernel"`,
            `"Dense_1.*"`) to any of these.
        params: pytree of arrays.

    Raises:
        ValueError: see `choose`; or a prior whose shape does not fit its leaf.
        TypeError: a prior that is none of these.

    Example:
        >>> import jax.numpy as jnp, numpyro.distributions as dist
        >>> params = {"Dense_0": {"kernel": jnp.zeros((4, 3)), "bias": jnp.zeros(3)}}
        >>> list(assign({"*.kernel": dist.Normal(0, 1), "*.bias": "fan_in"}, params))
        ['Dense_0.bias', 'Dense_0.kernel']
    """
    shapes = {path: tuple(leaf.shape) for path, leaf in named_leaves(params).items()}
    if not isinstance(prior, Mapping):
        return {path: _one(prior, path, shape) for path, shape in shapes.items()}
    chosen = choose(prior, shapes)
    return {path: _one(prior[chosen[path]], path, shape) for path, shape in shapes.items()}


def log_prob(priors: Mapping[str, Any], tree: Any) -> jax.Array:
    """Summed log density of the leaves of `tree` under their priors."""
    leaves = named_leaves(tree)
    return jnp.asarray(sum(jnp.sum(prior.log_prob(leaves[p])) for p, prior in priors.items()))


def sample(priors: Mapping[str, Any], like: Any, key: Any) -> Any:
    """One draw of every leaf from its prior, in the structure and dtypes of `like`."""
    leaves, structure = jax.tree.flatten(like)
    keys = jax.random.split(key, max(len(leaves), 1))
    drawn = []
    for prior, leaf, leaf_key in zip(priors.values(), leaves, keys, strict=False):
        batch = leaf.shape[: len(leaf.shape) - prior.event_dim]
        drawn.append(prior.expand(batch).sample(leaf_key).astype(leaf.dtype))
    return jax.tree.unflatten(structure, drawn)


class PriorTable:
    """The priors of a model as a table: path, shape, prior. `dict(table.priors)` has the objects.

    Attributes:
        priors: distribution by path.
        shapes: shape by path.
    """

    def __init__(self, priors: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]):
        """Hold the priors and shapes."""
        self.priors = dict(priors)
        self.shapes = dict(shapes)

    def __getitem__(self, path: str) -> Any:
        """The distribution of one parameter."""
        return self.priors[path]

    def __repr__(self) -> str:
        """An aligned table."""
        rows = [("parameter", "shape", "prior")]
        rows += [(p, str(self.shapes[p]), describe(d)) for p, d in self.priors.items()]
        widths = [max(len(row[i]) for row in rows) for i in range(2)]
        return "\n".join(f"{a:<{widths[0]}}  {b:<{widths[1]}}  {c}" for a, b, c in rows)


def describe(prior: Any) -> str:
    """A distribution in one line: `Normal(loc=0, scale=1)`.

    Example:
        >>> import numpyro.distributions as dist
        >>> describe(dist.Normal(0.0, 2.0))
        'Normal(loc=0, scale=2)'
    """

    def text(value: Any) -> str:
        if jnp.ndim(value) == 0:
            return f"{float(value):.4g}"
        return f"array{tuple(jnp.shape(value))}"

    base = prior
    while hasattr(base, "base_dist") and not base.arg_constraints:
        base = base.base_dist
    fields = [name for name in base.arg_constraints if getattr(base, name, None) is not None]
    return f"{type(base).__name__}({', '.join(f'{f}={text(getattr(base, f))}' for f in fields)})"
