"""`wrap`: a network, data, a prior and a likelihood make a `Model`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jax.tree_util import Partial

from crewel import bridges, likelihoods, priors
from crewel.model import Model
from crewel.predict import Predictive
from crewel.trees import named_leaves


@dataclass(frozen=True)
class _Layout:
    """Where the network's parameters and the extra latents are in the model's parameters.

    A network whose parameters are a dict takes the latents in beside its layers; any other pytree
    goes under the key `network` where there are latents.
    """

    extra: tuple[str, ...]
    merged: bool

    def join(self, network: Any, latents: Mapping[str, Any]) -> Any:
        if not self.extra:
            return network
        return {**(network if self.merged else {"network": network}), **latents}

    def split(self, params: Any) -> tuple[Any, dict[str, Any]]:
        if not self.extra:
            return params, {}
        latents = {name: params[name] for name in self.extra}
        rest = {name: value for name, value in params.items() if name not in latents}
        return rest if self.merged else rest["network"], latents


@dataclass(frozen=True)
class _Outputs:
    layout: _Layout

    def __call__(self, apply: Any, params: Any, x: Any) -> Any:
        return apply(self.layout.split(params)[0], x)


@dataclass(frozen=True)
class _Distribution:
    layout: _Layout
    squeeze: bool

    def __call__(self, likelihood: Any, params: Any, outputs: Any) -> Any:
        latents = self.layout.split(params)[1]
        return likelihood(outputs[..., 0] if self.squeeze else outputs, latents)


def _log_likelihood(predictive: Predictive, params: Any, batch: Any) -> Any:
    return predictive.log_likelihood(params, batch["x"], batch["y"])


def _sample_prior(prior: Any, like: Any, key: Any) -> Any:
    return priors.sample(prior, like, key)


@dataclass(frozen=True)
class _SampleNetwork:
    layout: _Layout

    def __call__(self, init: Any, prior: Any, like: Any, key: Any) -> Any:
        network_key, latent_key = jax.random.split(key)
        latents = self.layout.split(priors.sample(prior, like, latent_key))[1]
        return self.layout.join(init(network_key), latents)


def _rows(name: str, tree: Any) -> int:
    counts = {np.shape(leaf)[:1] for leaf in jax.tree.leaves(tree)}
    if len(counts) != 1 or counts == {()}:
        raise ValueError(f"`{name}` must be an array, or a pytree of arrays, with one row a datum.")
    return counts.pop()[0]


def _check_data(x: Any, y: Any) -> None:
    if _rows("x", x) != _rows("y", y):
        raise ValueError(f"`x` has {_rows('x', x)} rows and `y` has {_rows('y', y)}.")
    for name, tree in (("x", x), ("y", y)):
        for leaf in jax.tree.leaves(tree):
            bad = ~np.isfinite(np.asarray(leaf, float)) if leaf.dtype.kind == "f" else np.array([])
            if bad.any():
                where = np.argwhere(bad)[0]
                raise ValueError(
                    f"`{name}` has {int(bad.sum())} values that are NaN or infinite, the first in "
                    f"row {where[0]}. Drop or impute those rows; unobserved ones can be masked "
                    "in a likelihood function with `distribution.mask(...)`."
                )


def _check_likelihood(likelihood: likelihoods.Likelihood, predictive: Any, params: Any, x, y):
    """The distribution must have exactly the shape of `y`; broadcasting hides wrong answers."""
    seen: dict[str, Any] = {}

    def look(params, x):
        outputs = predictive.outputs(params, x)
        distribution = predictive.distribution(params, outputs)
        if not isinstance(distribution, dist.Distribution):
            raise TypeError(
                f"`likelihood` returned a {type(distribution).__name__}; it must return a NumPyro "
                "distribution over `y`."
            )
        seen["outputs"] = jax.tree.map(jnp.shape, outputs)
        seen["shape"], seen["name"] = distribution.shape(), type(distribution).__name__

    jax.eval_shape(look, params, x)
    if seen["shape"] != y.shape:
        hint = ""
        if seen["shape"] == (*y.shape, 1):
            hint = " The outputs have a last axis of one: use `outputs[..., 0]`."
        elif y.shape == (*seen["shape"], 1):
            hint = " `y` has a last axis of one: pass `y[:, 0]`."
        elif len(y.shape) == 2 and seen["shape"] == y.shape[:1]:
            hint = " If `y` is one-hot, pass class numbers: `y.argmax(-1)`."
        elif seen["shape"] == (y.shape[0], y.shape[0]):
            hint = (
                " Shapes `(N,)` and `(N, 1)` were broadcast against each other to `(N, N)`: the "
                "density would sample, and be wrong. Use `outputs[..., 0]`."
            )
        raise ValueError(
            f"The likelihood is a {seen['name']} of shape {seen['shape']} and `y` has shape "
            f"{y.shape}; they must be equal, one value a datum. The network's outputs have shape "
            f"{seen['outputs']}.{hint}"
        )
    if likelihood.classes:
        classes = seen["outputs"][-1]
        if y.dtype.kind not in "iu":
            raise TypeError(
                f"`y` has dtype {y.dtype}; a categorical likelihood needs class numbers: "
                "`y.astype(int)`."
            )
        wrong = np.flatnonzero((np.asarray(y) < 0) | (np.asarray(y) >= classes))
        if wrong.size:
            raise ValueError(
                f"`y` in row {wrong[0]} is {int(y[wrong[0]])}; with {classes} outputs the classes "
                f"are 0 to {classes - 1}."
            )


def wrap(
    network: Any,
    x: Any,
    y: Any,
    *,
    prior: Any = None,
    likelihood: Any,
    extra: Mapping[str, Any] | None = None,
    example: Any = None,
    seed: int = 0,
) -> Model:
    """Make a network Bayesian: a `Model` over its parameters and the latents of the likelihood.

    Args:
        network: a Flax linen module, or a function `apply(params, x) -> outputs`.
        x: inputs, `(N, ...)`, or a pytree of such.
        y: targets, `(N, ...)`.
        prior: a NumPyro distribution for every parameter (default: `Normal(0, 1)`); a dict of
            path patterns, `{"*.kernel": ..., "*.bias": ...}`; a function `(path, shape) ->
            distribution`; or a name: `"fan_in"`.
        likelihood: `"gaussian"`, `"heteroscedastic"`, `"student_t"`, `"categorical"`,
            `"bernoulli"`, `"poisson"`, one of `crewel.likelihoods`, or a function
            `(outputs, latents) -> distribution` over `y`, of exactly the shape of `y`.
        extra: priors of latents that are not in the network, by name; the likelihood finds
            their values in `latents`.
        example: parameters: needed for a plain function; else instead of initialised ones.
        seed: for the network's initialisation.

    Returns:
        A `Model`. `model.priors` is the table of priors; `init="network"` (the default where the
        network can initialise itself), `"prior"` and `"uniform"` are its ways to start.

    Raises:
        TypeError: an object that is no network, prior or likelihood; a parameter that is no float.
        ValueError: rows of `x` and `y` differ in number or hold NaN; a prior pattern that does
            not fit; a likelihood of another shape than `y`.

    Example:
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
    _check_data(x, y)
    chosen = likelihoods.find(likelihood)
    latents = {**chosen.extra, **(extra or {})}
    net = bridges.bridge(network, x, example=example, seed=seed)
    weights = jax.tree.map(jnp.asarray, net.params)
    clash = sorted(set(latents) & set(weights)) if isinstance(weights, dict) else []
    if clash:
        raise ValueError(f"`extra` has the names {clash}, which the network's parameters have too.")
    layout = _Layout(tuple(latents), isinstance(weights, dict))
    inside = priors.assign(
        dist.Normal(0.0, 1.0) if prior is None else prior, layout.join(weights, {})
    )
    like = layout.join(weights, {name: jnp.zeros(d.shape()) for name, d in latents.items()})
    chosen_priors = {
        path: latents[path] if path in latents else inside[path] for path in named_leaves(like)
    }
    drawn = priors.sample(chosen_priors, like, jax.random.key(seed))
    test_point = layout.join(weights, layout.split(drawn)[1])
    outputs = jax.eval_shape(net.apply, weights, x)
    squeeze = (
        chosen.elementwise
        and hasattr(outputs, "shape")
        and len(outputs.shape) == y.ndim + 1
        and outputs.shape[-1] == 1
    )
    predictive = Predictive(
        outputs=Partial(_Outputs(layout), net.apply),
        distribution=Partial(_Distribution(layout, squeeze), Partial(chosen.fn)),
    )
    _check_likelihood(chosen, predictive, test_point, x, y)
    samplers = {"prior": Partial(_sample_prior, chosen_priors, like)}
    if net.init is not None:
        start = Partial(_SampleNetwork(layout), net.init, chosen_priors, like)
        samplers = {"network": start, **samplers}
    constraints = [prior.support for prior in chosen_priors.values()]
    return Model(
        None,
        test_point,
        jax.tree.unflatten(jax.tree.structure(like), constraints),
        data={"x": x, "y": y},
        log_prior=Partial(priors.log_prob, chosen_priors),
        log_likelihood=Partial(_log_likelihood, predictive),
        samplers=samplers,
        predictive=predictive,
        latents=tuple(latents),
        priors=priors.PriorTable(
            chosen_priors, {path: leaf.shape for path, leaf in named_leaves(like).items()}
        ),
    )
