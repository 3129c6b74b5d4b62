"""`wrap`: make a `Model` from a network, data, a prior and a likelihood."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpyro.distributions as dist

from crewel import likelihoods
from crewel.bridges import networks
from crewel.bridges.networks import batch_stats as statistics
from crewel.bridges.networks import density, row_axis, several, subset, validation
from crewel.bridges.networks.layout import Layout
from crewel.core import frames, labels
from crewel.core.keys import as_key
from crewel.core.protocol import Array, Key, Params, PyTree, Seed
from crewel.core.row_format import RowFormat
from crewel.core.rows_last import FEWEST, rows_last
from crewel.core.together import Places
from crewel.core.trees import named_leaves
from crewel.model import Model
from crewel.priors import assignment as priors
from crewel.priors import hierarchical
from crewel.priors.table import PriorTable
from crewel.transforms.transform import build


def wrap(
    network: Any,
    x: PyTree,
    y: Array,
    *,
    prior: priors.Prior | None = None,
    likelihood: likelihoods.Choice,
    latents: Mapping[str, dist.Distribution] | None = None,
    example: PyTree | Callable[[Key], PyTree] = None,
    bayesian: str | Sequence[str] | None = None,
    batch_stats: Literal["frozen", "per_draw"] | None = None,
    dropout: Seed | Mapping[str, Seed] | None = None,
    call: Mapping[str, Any] | None = None,
    combine: Callable[..., PyTree] | None = None,
    weights: Array | None = None,
    rows: Literal["independent", "together"] = "independent",
    layout: Literal["auto", "rows_first", "rows_last"] = "auto",
    seed: Seed = 0,
) -> Model:
    """Make a network Bayesian: a `Model` of its parameters and the latents of the likelihood.

    Args:
        network: a module of Flax (linen or NNX) or Equinox; what `haiku.transform` returns; a
            function `apply(params, x) -> outputs`; a pair `(init, apply)`; or a dict of these by
            name.
        x: inputs, an array `(N, ...)` or a pytree of arrays with N rows each. The columns of a
            data frame are remembered, and those of new inputs put in their order. With
            `rows="together"`, any pytree of arrays.
        y: targets, an array `(N, ...)`. For a likelihood of classes they may be labels: strings,
            booleans, or a categorical column of pandas, whose categories keep their order. Others
            are sorted; predictions have the labels as coordinates.
        prior: a NumPyro distribution for every parameter (default: `Normal(0, 1)`); a dict of
            path patterns, `{"*.kernel": ..., "*.bias": ...}`; a function `(path, shape) ->
            distribution`, or `(path, shape, latents) -> distribution` for scales that are in
            `latents` (see `crewel.priors.non_centred`); or the name `"fan_in"`.
        likelihood: `"gaussian"`, `"heteroscedastic"`, `"student_t"`, `"categorical"`,
            `"bernoulli"`, `"poisson"`, one of `crewel.likelihoods`, or a function
            `(outputs, latents) -> distribution` over `y`, of exactly the shape of `y`. It may take
            a third argument, the batch: `batch["x"]` are the inputs of the same rows.
        latents: priors of latents outside the network, by name; the likelihood and the prior get
            their values as `latents`.
        example: parameters in the library's own form, for example trained ones, or a function
            `key -> parameters` that initializes each chain. A plain function needs one.
        bayesian: path patterns of the parameters to sample, or `"last"` for the last layer; the
            rest keep the values of the example. By default all are sampled.
        batch_stats: `"frozen"` or `"per_draw"`, for a network that keeps batch statistics.
        dropout: a key (or seed) switches the network's dropout on, with fixed masks; `None`, the
            default, switches it off.
        call: keywords of every call of the network, for example `{"train": False}`.
        combine: `(networks, x) -> outputs` of several networks, where `networks` holds functions
            of their inputs. By default each is called on `x`, and the likelihood gets a dict of
            outputs.
        weights: a weight for every row, `(N,)`: how many times the row counts in the density.
            Rows of weight zero are left out of it.
        rows: `"together"` if the outputs of a row depend on other rows, as in a graph: `x` is then
            one object, the network returns N rows for it, and there are no minibatches.
        layout: whether the rows are the first or the last axis of the network's values as they
            are computed. `"auto"` takes the last on a CPU where that is faster, as for fully
            connected networks, whose gradients then take about half the time. Inputs, outputs
            and parameters keep their axes, and results are equal up to rounding.
        seed: integer or PRNG key for the network's initialization.

    Returns:
        A `Model`. `model.priors` is the table of its priors. Chains can start with
        `init="network"` (the default if the network can initialize itself or `example` is a
        function), `"prior"` or `"uniform"`.

    Raises:
        TypeError: an argument is not a network, a prior or a likelihood, a parameter is not a
            float, or `x` or `y` does not hold real numbers.
        ValueError: `x` and `y` differ in their rows or hold NaN, a weight is negative, a pattern
            does not fit, the likelihood's shape is not that of `y`, or `batch_stats` is missing.

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
    together = validation.together(rows)
    row_axis.require_choice(layout)
    frames.same_index(x, y)
    row_format = None if together else RowFormat.of(x)
    row_weights = {} if weights is None else {"weights": validation.weights(weights, x, y)}
    chosen = likelihoods.find(likelihood)
    classes = labels.classes_of(y) if chosen.kind in (None, likelihoods.CLASSES) else None
    y = frames.arrays_of(y, "y") if classes is None else labels.encode(y, classes)
    x, y = jax.tree.map(jnp.asarray, (frames.arrays_of(x, "x"), y))
    validation.data(x, y, together=together)
    key = as_key(seed)
    if together and chosen.takes_batch:
        raise ValueError(
            "With `rows='together'` the likelihood takes `(outputs, latents)`. Let the network "
            "return whatever else it needs, as a dict of outputs."
        )
    latents = priors.of_latents({**chosen.latents, **(latents or {})})

    few = x if together else jax.tree.map(lambda leaf: leaf[:8], x)
    keywords = {"example": example, "key": key, "call": call, "dropout": _masks(dropout)}
    bridged = _bridged(network, few, combine, keywords)
    net = statistics.settle(bridged, x, batch_stats, together=together)
    slots = Layout.of(net.params, tuple(latents))
    net = subset.select(net, bayesian, _shapes(slots.join(net.params, {})), few)
    validation.parameters(slots.join(net.params, {}))
    net = net._replace(params=jax.tree.map(jnp.asarray, net.params))

    own = slots.join(net.params, {})
    inside = priors.assign(dist.Normal(0.0, 1.0) if prior is None else prior, own, latents)
    like = slots.join(net.params, {name: jnp.zeros(d.shape()) for name, d in latents.items()})
    table = {
        path: latents[path] if path in latents else inside[path] for path in named_leaves(like)
    }
    test_point = slots.join(net.params, slots.split(priors.sample(table, like, key))[1])

    predictive, training = density.predictives(net, slots, chosen, x, y, together=together)
    if together:
        validation.places(training, test_point, x, y)
        x = Places(jnp.arange(len(y)))
    found = validation.likelihood(
        training,
        test_point,
        x,
        y,
        tuple(latents),
        takes_batch=chosen.takes_batch,
        classes=classes,
    )
    kind = chosen.kind or found
    data = {"x": x, "y": y, **row_weights}
    pointwise = density.log_likelihood(training)
    in_batch = _in_batch(batch_stats, dropout)
    why = "`rows='together'`" if together else in_batch
    if row_axis.is_last(layout, pointwise, test_point, data, why):
        fewest = 1 if layout == "rows_last" else FEWEST
        pointwise = rows_last(pointwise, fewest)
        predictive = replace(predictive, apply=rows_last(predictive.apply, fewest))
    return Model(
        None,
        test_point,
        _transform(table, slots, test_point),
        data=data,
        log_prior=density.log_prior(slots, table),
        log_likelihood=pointwise,
        gaussian_prior=priors.gaussian_prior(table, like),
        initializers=density.initializers(net, slots, table, like),
        predictive=replace(
            predictive,
            kind=kind,
            rows=row_format,
            classes=classes if kind == likelihoods.CLASSES else None,
            together=in_batch,
        ),
        latents=tuple(latents),
        priors=PriorTable({**inside, **latents}, _shapes(like)),
    )


def _bridged(
    network: Any, x: PyTree, combine: Callable[..., PyTree] | None, keywords: dict[str, Any]
) -> networks.Bridged:
    """One network, or several by name."""
    if isinstance(network, Mapping):
        return several.bridge(network, x, combine=combine, **keywords)
    if combine is not None:
        raise TypeError("`combine` joins several networks: pass them as a dict by name.")
    return networks.bridge(network, x, **keywords)


def _shapes(params: Params) -> dict[str, tuple[int, ...]]:
    return {path: tuple(jnp.shape(leaf)) for path, leaf in named_leaves(params).items()}


def _masks(dropout: Seed | Mapping[str, Seed] | None) -> Key | dict[str, Key] | None:
    """A key for dropout masks, or one for each of several networks."""
    if isinstance(dropout, Mapping):
        return {name: _mask(key) for name, key in dropout.items()}
    return None if dropout is None else _mask(dropout)


def _mask(dropout: Seed) -> Key:
    if isinstance(dropout, float | bool):
        raise TypeError(
            f"`dropout` is {dropout}, but it is the key (or seed) of the masks, as in `dropout=0`; "
            "without it, dropout is off. The rate belongs to the network's layers."
        )
    return as_key(dropout)


def _in_batch(batch_stats: str | None, dropout: Any) -> str:
    """The settings under which a row's density depends on its batch, in words."""
    chosen = ["`batch_stats='per_draw'`"] if batch_stats == "per_draw" else []
    return " and ".join(chosen + ([] if dropout is None else ["`dropout=`"]))


def _transform(table: Mapping[str, Any], layout: Layout, test_point: Params) -> PyTree:
    """The transform from the unconstrained space to the supports of the priors."""
    latents = layout.split(test_point)[1]
    supports = [hierarchical.given(prior, latents).support for prior in table.values()]
    tree = jax.tree.unflatten(jax.tree.structure(test_point), supports)
    if all(hierarchical.is_centred(prior) for prior in table.values()):
        return tree
    return hierarchical.transform(build(tree, test_point), table, layout.latents)
