"""`wrap`: a network, data, a prior and a likelihood make a `Model`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from jax.tree_util import Partial

from crewel import likelihoods
from crewel.bridges import networks
from crewel.bridges.networks import batch_stats as statistics
from crewel.bridges.networks import several, subset, validation
from crewel.bridges.networks.layout import Layout
from crewel.core.keys import as_key
from crewel.core.trees import by_value, named_leaves
from crewel.model import Model
from crewel.posterior.predict import NetworkPredictive
from crewel.priors import assignment as priors
from crewel.priors import hierarchical
from crewel.priors.table import PriorTable
from crewel.transforms.transform import build


@dataclass(frozen=True)
class _Outputs:
    layout: Layout

    def __call__(self, apply: Any, params: Any, x: Any) -> Any:
        return jax.tree.map(_wide, apply(self.layout.split(params)[0], x))


def _wide(leaf: Any) -> Any:
    """Outputs of half precision in 32 bits: a log density summed in 16 is noise."""
    half = jnp.issubdtype(leaf.dtype, jnp.floating) and leaf.dtype.itemsize < 4
    return leaf.astype(jnp.float32) if half else leaf


@dataclass(frozen=True)
class _Distribution:
    layout: Layout
    squeeze: bool

    def __call__(self, likelihood: Any, params: Any, outputs: Any) -> Any:
        latents = self.layout.split(params)[1]
        return likelihood(outputs[..., 0] if self.squeeze else outputs, latents)


@dataclass(frozen=True)
class _Native:
    layout: Layout

    def __call__(self, rebuild: Any, params: Any) -> Any:
        return rebuild(self.layout.split(params)[0])


@dataclass(frozen=True)
class _LogPrior:
    layout: Layout

    def __call__(self, chosen: Any, params: Any) -> Any:
        return priors.log_prob(chosen, params, self.layout.split(params)[1])


def _log_likelihood(predictive: NetworkPredictive, params: Any, batch: Any) -> Any:
    return predictive.pointwise(params, batch["x"], batch["y"])


@dataclass(frozen=True)
class _SampleNetwork:
    layout: Layout

    def __call__(self, init: Any, chosen: Any, like: Any, key: Any) -> Any:
        network_key, latent_key = jax.random.split(key)
        latents = self.layout.split(priors.sample(chosen, like, latent_key))[1]
        weights = self.layout.split(like)[0]
        fresh = jax.tree.map(lambda new, old: new.astype(old.dtype), init(network_key), weights)
        return self.layout.join(fresh, latents)


def _network(network: Any, x: Any, batch_stats: str | None, **words: Any) -> statistics.Network:
    few = jax.tree.map(lambda leaf: leaf[:8], x)
    combine = words.pop("combine")
    if isinstance(network, Mapping):
        made = several.bridge(network, few, combine=combine, **words)
    elif combine is None:
        made = networks.bridge(network, few, **words)
    else:
        raise TypeError("`combine` joins several networks: pass them as a dict by name.")
    return statistics.settle(made, x, batch_stats)


def wrap(
    network: Any,
    x: Any,
    y: Any,
    *,
    prior: Any = None,
    likelihood: Any,
    latents: Mapping[str, Any] | None = None,
    example: Any = None,
    bayesian: str | Sequence[str] | None = None,
    batch_stats: str | None = None,
    dropout: Any = None,
    call: Mapping[str, Any] | None = None,
    combine: Callable[..., Any] | None = None,
    seed: Any = 0,
) -> Model:
    """Make a network Bayesian: a `Model` over its parameters and the latents of the likelihood.

    Args:
        network: a module of Flax (linen or NNX) or Equinox; what `haiku.transform` returns; a
            function `apply(params, x) -> outputs`; a pair `(init, apply)`; or a dict of these by
            name.
        x: inputs, `(N, ...)`, or a pytree of such.
        y: targets, `(N, ...)`.
        prior: a NumPyro distribution for every parameter (default: `Normal(0, 1)`); a dict of
            path patterns, `{"*.kernel": ..., "*.bias": ...}`; a function `(path, shape) ->
            distribution`, or `(path, shape, latents) -> distribution` for scales that are in
            `latents` (see `crewel.priors.non_centred`); or a name: `"fan_in"`.
        likelihood: `"gaussian"`, `"heteroscedastic"`, `"student_t"`, `"categorical"`,
            `"bernoulli"`, `"poisson"`, one of `crewel.likelihoods`, or a function
            `(outputs, latents) -> distribution` over `y`, of exactly the shape of `y`.
        latents: priors of latents that are not in the network, by name; the likelihood and the
            prior find their values in `latents`.
        example: parameters in the library's own form, such as trained ones; or a function
            `key -> ` such, with which every chain's start is made. A plain function needs one.
        bayesian: path patterns of the parameters to sample, or `"last"` for the last layer; the
            rest keep the values of the example. Default: all.
        batch_stats: `"frozen"` or `"per_draw"`, for a network that keeps batch statistics.
        dropout: a key (or seed) switches the network's dropout on, with masks that stay the same;
            `None`, the default, switches it off.
        call: keywords of every call of the network: `{"train": False}`.
        combine: of several networks, `(networks, x) -> outputs`, with the networks as functions
            of their inputs; default: each on `x`, and a dict of outputs for the likelihood.
        seed: for the network's initialisation.

    Returns:
        A `Model`. `model.priors` is the table of priors; `init="network"` (the default where the
        network can initialise itself, or `example` is a function), `"prior"` and `"uniform"` are
        its ways to start.

    Raises:
        TypeError: an object that is no network, prior or likelihood; a parameter that is no float.
        ValueError: rows of `x` and `y` differ in number or hold NaN; a pattern that does not fit;
            a likelihood of another shape than `y`; batch statistics without a choice.

    Examples:
        >>> import jax.numpy as jnp, numpyro.distributions as dist
        >>> x = jnp.linspace(-1, 1, 20)[:, None]
        >>> line = lambda params, x: x @ params["w"]
        >>> model = wrap(line, x, 2 * x[:, 0], likelihood="gaussian",
        ...              example={"w": jnp.zeros((1, 1))})
        >>> model.priors
        parameter  shape   prior
        w          (1, 1)  Normal(loc=0, scale=1)
        sigma      ()      HalfNormal(scale=1)
    """
    x, y = jax.tree.map(jnp.asarray, (x, y))
    validation.data(x, y)
    key = as_key(seed)
    chosen = likelihoods.find(likelihood)
    latents = priors.of_latents({**chosen.latents, **(latents or {})})
    net = _network(
        network,
        x,
        batch_stats,
        combine=combine,
        example=example,
        key=key,
        call=call,
        dropout=_masks(dropout),
    )
    layout = Layout.of(net.params, tuple(latents))
    shapes = {
        path: tuple(jnp.shape(leaf))
        for path, leaf in named_leaves(layout.join(net.params, {})).items()
    }
    net = subset.select(net, bayesian, shapes, jax.tree.map(lambda leaf: leaf[:8], x))
    validation.parameters(layout.join(net.params, {}))
    weights = jax.tree.map(jnp.asarray, net.params)
    inside = priors.assign(
        dist.Normal(0.0, 1.0) if prior is None else prior, layout.join(weights, {}), latents
    )
    like = layout.join(weights, {name: jnp.zeros(d.shape()) for name, d in latents.items()})
    named = named_leaves(like)
    table = {path: latents[path] if path in latents else inside[path] for path in named}
    test_point = layout.join(weights, layout.split(priors.sample(table, like, key))[1])

    outputs = jax.eval_shape(net.apply, weights, x)
    squeeze = (
        chosen.elementwise
        and hasattr(outputs, "shape")
        and len(outputs.shape) == y.ndim + 1
        and outputs.shape[-1] == 1
    )
    predictive = NetworkPredictive(
        apply=Partial(_Outputs(layout), net.predict),
        likelihood=Partial(_Distribution(layout, squeeze), by_value(chosen.fn)),
        rebuild=Partial(_Native(layout), net.rebuild),
    )
    density = replace(predictive, apply=Partial(_Outputs(layout), net.apply), rebuild=None)
    found = validation.likelihood(density, test_point, x, y)
    predictive = replace(predictive, kind=chosen.kind or found)
    initializers = {"prior": Partial(priors.sample, table, like)}
    if net.init is not None:
        start = Partial(_SampleNetwork(layout), net.init, table, like)
        initializers = {"network": start, **initializers}
    return Model(
        None,
        test_point,
        _transform(table, layout, test_point),
        data={"x": x, "y": y},
        log_prior=Partial(_LogPrior(layout), table),
        log_likelihood=Partial(_log_likelihood, density),
        gaussian_prior=priors.gaussian_prior(table, like),
        initializers=initializers,
        predictive=predictive,
        latents=tuple(latents),
        priors=PriorTable(
            {**inside, **latents}, {path: leaf.shape for path, leaf in named.items()}
        ),
    )


def _masks(dropout: Any) -> Any:
    """One key of dropout masks, or one for each of several networks."""
    if isinstance(dropout, Mapping):
        return {name: as_key(key) for name, key in dropout.items()}
    return None if dropout is None else as_key(dropout)


def _transform(table: Mapping[str, Any], layout: Layout, test_point: Any) -> Any:
    """From the unconstrained space to the supports of the priors."""
    latents = layout.split(test_point)[1]
    supports = [hierarchical.given(prior, latents).support for prior in table.values()]
    tree = jax.tree.unflatten(jax.tree.structure(test_point), supports)
    if all(hierarchical.is_centred(prior) for prior in table.values()):
        return tree
    return hierarchical.transform(build(tree, test_point), table, layout.latents)
