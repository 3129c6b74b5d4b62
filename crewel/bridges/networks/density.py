"""How a network, its priors and its likelihood become functions of a model's parameters.

Each is a `jax.tree_util.Partial` of a small callable whose fields are static. Its arrays are
leaves, so models over other data of the same shape share compiled programs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from jax.tree_util import Partial

from crewel.bridges.networks.batch_stats import Network
from crewel.bridges.networks.layout import Layout
from crewel.core.protocol import Array, Data, Key, Params, PyTree
from crewel.core.together import Places
from crewel.core.trees import by_value
from crewel.likelihoods import Likelihood
from crewel.posterior.predict import NetworkPredictive
from crewel.priors import assignment as priors


@dataclass(frozen=True)
class _Outputs:
    layout: Layout

    def __call__(
        self, apply: Callable[[Params, PyTree], PyTree], params: Params, x: PyTree
    ) -> PyTree:
        return jax.tree.map(_wide, apply(self.layout.split(params)[0], x))


def _wide(leaf: jax.Array) -> jax.Array:
    """Half-precision outputs in 32 bits: a log density summed in 16 bits is noise."""
    half = jnp.issubdtype(leaf.dtype, jnp.floating) and leaf.dtype.itemsize < 4
    return leaf.astype(jnp.float32) if half else leaf


@dataclass(frozen=True)
class _OutputsAt:
    """Outputs at some places of one `x`, or for another `x`."""

    outputs: _Outputs

    def __call__(
        self, apply: Callable[[Params, PyTree], PyTree], whole: PyTree, params: Params, x: PyTree
    ) -> PyTree:
        if not isinstance(x, Places):
            return self.outputs(apply, params, x)
        return jax.tree.map(lambda leaf: leaf[x.index], self.outputs(apply, params, whole))


@dataclass(frozen=True)
class _Distribution:
    layout: Layout
    squeeze: bool
    takes_batch: bool

    def __call__(
        self,
        likelihood: Callable[..., dist.Distribution],
        params: Params,
        outputs: PyTree,
        x: PyTree,
    ) -> dist.Distribution:
        latents = self.layout.split(params)[1]
        outputs = outputs[..., 0] if self.squeeze else outputs
        batch = ({"x": x},) if self.takes_batch else ()
        return likelihood(outputs, latents, *batch)


@dataclass(frozen=True)
class _Native:
    layout: Layout

    def __call__(self, rebuild: Any, params: Params) -> Any:
        return rebuild(self.layout.split(params)[0])


@dataclass(frozen=True)
class _LogPrior:
    layout: Layout

    def __call__(self, table: Mapping[str, Any], params: Params) -> jax.Array:
        return priors.log_prob(table, params, self.layout.split(params)[1])


@dataclass(frozen=True)
class _SampleNetwork:
    layout: Layout

    def __call__(
        self, init: Callable[[Key], Params], table: Mapping[str, Any], like: PyTree, key: Key
    ) -> Params:
        network_key, latent_key = jax.random.split(key)
        latents = self.layout.split(priors.sample(table, like, latent_key))[1]
        weights = self.layout.split(like)[0]
        fresh = jax.tree.map(lambda new, old: new.astype(old.dtype), init(network_key), weights)
        return self.layout.join(fresh, latents)


def predictives(
    net: Network,
    layout: Layout,
    likelihood: Likelihood,
    x: PyTree,
    y: Array,
    *,
    together: bool = False,
) -> tuple[NetworkPredictive, NetworkPredictive]:
    """The network's outputs and the distribution of `y`, as functions of all parameters.

    Args:
        net: the network.
        layout: where its parameters are within the model's.
        likelihood: from outputs to the distribution of `y`.
        x: training inputs.
        y: training targets.
        together: whether `x` is one object, and training rows are `Places` in it.

    Returns:
        One for predictions on any rows, and one for the density, which only sees training rows.
    """
    outputs = jax.eval_shape(net.apply, net.params, x)
    squeeze = (
        likelihood.elementwise
        and hasattr(outputs, "shape")
        and len(outputs.shape) == y.ndim + 1
        and outputs.shape[-1] == 1
    )

    def of_rows(apply: Callable[[Params, PyTree], PyTree]) -> Partial:
        outputs = _Outputs(layout)
        return Partial(_OutputsAt(outputs), apply, x) if together else Partial(outputs, apply)

    distribution = _Distribution(layout, squeeze, likelihood.takes_batch)
    predictive = NetworkPredictive(
        apply=of_rows(net.predict),
        likelihood=Partial(distribution, by_value(likelihood.fn)),
        rebuild=Partial(_Native(layout), net.rebuild),
    )
    training = replace(predictive, apply=of_rows(net.apply), rebuild=None)
    return predictive, training


def log_prior(layout: Layout, table: Mapping[str, Any]) -> Partial:
    """`params -> scalar`, with the priors of `table` by path."""
    return Partial(_LogPrior(layout), table)


def _pointwise(training: NetworkPredictive, params: Params, batch: Data) -> jax.Array:
    values = training.pointwise(params, batch["x"], batch["y"])
    return values * batch["weights"] if "weights" in batch else values


def log_likelihood(training: NetworkPredictive) -> Partial:
    """`(params, batch) -> (n,)`, one value per row, times its weight if rows have weights."""
    return Partial(_pointwise, training)


def initializers(
    net: Network, layout: Layout, table: Mapping[str, Any], like: PyTree
) -> dict[str, Partial]:
    """Functions `key -> params` by name: the network's own initialization if any, and the prior."""
    from_prior = {"prior": Partial(priors.sample, table, like)}
    if net.init is None:
        return from_prior
    return {"network": Partial(_SampleNetwork(layout), net.init, table, like), **from_prior}
