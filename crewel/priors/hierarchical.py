"""Priors whose scales are themselves latents, centred and non-centred."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from jax.core import Tracer
from jax.tree_util import Partial

from crewel.core.protocol import Position, PyTree, Transform
from crewel.core.trees import by_value, named_leaves
from crewel.priors.ordered import Ordered


@dataclass(frozen=True)
class non_centred:  # noqa: N801  (used like a function)
    """A hierarchical prior that is sampled as `loc + scale * z`, with `z` standardized.

    Only the space in which the sampler moves changes. The draws are still the weights, and the
    prior, the likelihood and the initial states stay the same. It is better than the centered
    form where the data say little about single weights (Papaspiliopoulos et al. 2007; Betancourt
    & Girolami 2015).

    Args:
        prior: `(path, shape, latents) -> distribution` with `loc` and `scale`.

    Examples:
        >>> import numpyro.distributions as dist
        >>> prior = non_centred(lambda path, shape, latents: dist.Normal(0, latents["tau"]))
        >>> prior("Dense_0.kernel", (4, 3), {"tau": 2.0}).scale
        2.0
    """

    prior: Callable[[str, tuple[int, ...], Mapping[str, Any]], Any]

    def __call__(self, path: str, shape: tuple[int, ...], latents: Mapping[str, Any]) -> Any:
        """Return the distribution."""
        return self.prior(path, shape, latents)


@dataclass(frozen=True)
class _At:
    """A prior function at one leaf: `(function, latents) -> distribution`."""

    path: str
    shape: tuple[int, ...]
    centered: bool

    def __call__(self, function: Any, latents: Mapping[str, Any]) -> Any:
        return function(self.path, self.shape, latents)


def takes_latents(function: Callable[..., Any]) -> bool:
    """Whether a prior is `(path, shape, latents) -> distribution`.

    Examples:
        >>> takes_latents(lambda path, shape: None)
        False
    """
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return False
    return sum(parameter.kind < parameter.VAR_POSITIONAL for parameter in parameters) >= 3


def is_conditional(prior: Any) -> bool:
    """Whether a prior that `assign` returned depends on latents."""
    return isinstance(prior, Partial)


def given(prior: Any, latents: Mapping[str, Any]) -> Any:
    """The distribution of one leaf, given the latents."""
    if is_conditional(prior):
        return prior(latents)
    return prior.distribution if isinstance(prior, Ordered) else prior


def is_centred(prior: Any) -> bool:
    """Whether the sampler moves in the leaf's own space."""
    return not is_conditional(prior) or prior.func.centered


def conditional(
    function: Callable[..., Any], path: str, shape: tuple[int, ...], latents: Mapping[str, Any]
) -> tuple[Partial, Any]:
    """A hierarchical prior at one leaf, and its distribution at abstract latents.

    Raises:
        KeyError: it uses a latent that is not in `latents`.
        TypeError: it is not a distribution, or is non-centred and has no `loc` and `scale`.
        ValueError: its support depends on a latent.
    """
    centered = not isinstance(function, non_centred)
    prior = Partial(_At(path, shape, centered), by_value(function))
    seen = []

    def look(values: dict[str, PyTree]) -> tuple[()]:
        seen.append(prior(values))
        return ()

    try:
        jax.eval_shape(look, {name: jnp.zeros(d.shape()) for name, d in latents.items()})
    except KeyError as error:
        raise KeyError(
            f"The prior for `{path}` uses the latent {error}, but `latents` has {list(latents)}. "
            "Add a prior for it to `latents`."
        ) from error
    found = seen[0]
    if not isinstance(found, dist.Distribution):
        raise TypeError(
            f"The prior function returned a {type(found).__name__} for `{path}`; it must return a "
            "NumPyro distribution."
        )
    if any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(found.support)):
        raise ValueError(
            f"The support of the prior for `{path}` depends on a latent: {type(found).__name__}. "
            "A sampler needs fixed bounds; scale a distribution of fixed support instead."
        )
    base = _base(found)
    if not centered and not {"loc", "scale"} <= set(base.arg_constraints):
        raise TypeError(
            f"`non_centred` needs a distribution with `loc` and `scale` for `{path}`, such as "
            f"`Normal`; a {type(base).__name__} has {sorted(base.arg_constraints)}."
        )
    return prior, found


def _base(distribution: Any) -> Any:
    """The distribution below `expand` and `to_event`."""
    while isinstance(distribution, dist.ExpandedDistribution | dist.Independent):
        distribution = distribution.base_dist
    return distribution


def names_used(prior: Any, latents: Mapping[str, tuple[int, ...]]) -> tuple[str, list[str]]:
    """The class of a hierarchical prior's distribution, and the latents that it uses."""
    used: list[str] = []
    kind: list[str] = []

    class Recorder(dict[str, Any]):
        def __getitem__(self, name: str) -> Any:
            used.append(name)
            return super().__getitem__(name)

    def look(values: dict[str, PyTree]) -> tuple[()]:
        kind.append(type(_base(prior(Recorder(values)))).__name__)
        return ()

    jax.eval_shape(look, {name: jnp.zeros(shape) for name, shape in latents.items()})
    return kind[0], list(dict.fromkeys(used))


@dataclass(frozen=True)
class _Moved:
    """Move the non-centred leaves between their own space and the sampler's."""

    latents: tuple[str, ...]
    forwards: bool

    def __call__(self, base: Any, priors: Mapping[str, Any], tree: PyTree) -> Any:
        tree = base(tree) if self.forwards else tree
        latents = {name: tree[name] for name in self.latents}
        leaves = named_leaves(tree)
        for path, prior in priors.items():
            found = _base(prior(latents))
            leaf = leaves[path]
            wide = leaf.astype(jnp.promote_types(leaf.dtype, jnp.float32))
            if self.forwards:
                moved = found.loc + found.scale * wide
            else:
                moved = (wide - found.loc) / found.scale
            leaves[path] = moved.astype(leaf.dtype)
        moved = jax.tree.unflatten(jax.tree.structure(tree), leaves.values())
        return moved if self.forwards else base(moved)


@dataclass(frozen=True)
class _LogDet:
    latents: tuple[str, ...]

    def __call__(self, base: Transform, priors: Mapping[str, Any], position: Position) -> Any:
        params = base.forward(position)
        latents = {name: params[name] for name in self.latents}
        leaves = named_leaves(params)
        total = base.log_det(position)
        for path, prior in priors.items():
            log_scale = jnp.log(_base(prior(latents)).scale)
            total += jnp.broadcast_to(log_scale, leaves[path].shape).sum()
        return total


def transform(base: Transform, priors: Mapping[str, Any], latents: tuple[str, ...]) -> Transform:
    """`base`, followed by `loc + scale * z` for every non-centred leaf.

    Args:
        base: transform from the unconstrained space to the supports.
        priors: prior by path.
        latents: names of the latents, keys of the parameters.
    """
    moved = {path: prior for path, prior in priors.items() if not is_centred(prior)}
    return Transform(
        Partial(_Moved(latents, True), base.forward, moved),
        Partial(_Moved(latents, False), base.inverse, moved),
        Partial(_LogDet(latents), base, moved),
    )
