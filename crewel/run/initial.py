"""Where chains start, and a check of the log density there before any work is done."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from crewel.core.compiling import compile_all, program
from crewel.core.model_like import ModelLike
from crewel.core.protocol import Key, Params, Position, PyTree, Target
from crewel.core.trees import leaf_paths, strong
from crewel.posterior.posterior import Posterior

TRIES = 100


class Start(NamedTuple):
    """Initial states and the log density there.

    Attributes:
        positions: unconstrained, leaves `(chain, *event)`.
        log_density: `(chain,)`.
        gradients_finite: booleans `(chain,)` by leaf name.
        at_test_point: log density at the model's test point.
    """

    positions: Position
    log_density: np.ndarray
    gradients_finite: dict[str, np.ndarray]
    at_test_point: float


def require_finite(start: Start) -> None:
    """Raise if sampling cannot begin.

    Raises:
        ValueError: the log density, or its gradient, is NaN or infinite at the test point or at
            a chain's initial state; the message names the chain and the leaf.
    """
    ask = " `model.debug(seed=0)` shows which leaf or datum is to blame."
    if not np.isfinite(start.at_test_point):
        raise ValueError(
            f"The log density at `test_point` is {start.at_test_point}: the test point is outside "
            f"the support, or the density is wrong.{ask}"
        )
    bad = np.flatnonzero(~np.isfinite(start.log_density))
    if bad.size:
        raise ValueError(
            f"The log density is {start.log_density[bad[0]]} at the initial state of {bad.size} of "
            f"{len(start.log_density)} chains (the first is chain {bad[0]}), after {TRIES} tries "
            f"if it was drawn at random. Pass another `init=`, for example a point of finite "
            f"density.{ask}"
        )
    for name, finite in start.gradients_finite.items():
        if not finite.all():
            raise ValueError(
                f"The gradient of the log density with respect to `{name}` is NaN or infinite at "
                f"the initial state of chain {np.flatnonzero(~finite)[0]}, where the density "
                f"itself is finite.{ask}"
            )


def uniform(key: Key, like: PyTree) -> PyTree:
    """A tree of the shapes of `like`, uniform within (-2, 2).

    Leaves of the same shape are drawn together, each from its own key: a generator of random
    numbers for each of a hundred scalars would take most of the time to compile.
    """
    leaves, structure = jax.tree.flatten(like)
    keys = jax.random.split(key, len(leaves))
    places: dict[tuple[int, ...], list[int]] = {}
    for place, leaf in enumerate(leaves):
        places.setdefault(leaf.shape, []).append(place)
    drawn = list(leaves)
    for shape, some in places.items():

        def one(key: Key, shape: tuple[int, ...] = shape) -> jax.Array:
            return jax.random.uniform(key, shape, jnp.float32, -2, 2)

        for place, value in zip(some, jax.vmap(one)(keys[np.asarray(some)]), strict=True):
            drawn[place] = value.astype(leaves[place].dtype)
    return structure.unflatten(drawn)


def _evaluate(target: Target, positions: Position, test_point: Params) -> Start:
    """Log density and gradients at the test point and at every chain's start."""

    def one(position: Position) -> tuple[jax.Array, dict[str, jax.Array]]:
        value, gradient = jax.value_and_grad(target.log_density)(position)
        finite = [jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient)]
        return value, dict(zip(leaf_paths(gradient), finite, strict=True))

    first = target.transform.inverse(test_point)
    everywhere = jax.tree.map(lambda a, b: jnp.concatenate([a[None], b]), first, positions)
    # `map`, not `vmap`: the program of one chain is the fastest to compile, and this runs once.
    values, finite = jax.lax.map(one, everywhere)
    finite = jax.tree.map(lambda leaf: leaf[1:], finite)
    return Start(strong(positions), values[1:], finite, values[0])


def sampler_of(model: ModelLike, way: str) -> Callable[[Key], Params] | None:
    """The function that draws initial states in this way; `None` if they are uniform.

    Raises:
        ValueError: the model has no such way.
    """
    known = [*model.initializers, "uniform"]
    if way not in known:
        raise ValueError(
            f"`init={way!r}` is not among this model's ways to start: {', '.join(known)}. "
            "Use one of these, a pytree or an earlier result."
        )
    return model.initializers.get(way)


def propose(
    target: Target, sampler: Callable[[Key], Params] | None, key: Key, test_point: Params
) -> Position:
    """One position drawn by `sampler`, or uniformly."""
    inverse = target.transform.inverse
    if sampler is None:
        return uniform(key, jax.eval_shape(inverse, test_point))
    return inverse(sampler(key))


def _draw(
    _: None,
    target: Target,
    sampler: Callable[[Key], Params] | None,
    keys: Key,
    test_point: Params,
) -> Start:
    positions = jax.lax.map(lambda key: propose(target, sampler, key, test_point), keys)
    return _evaluate(target, strong(positions), test_point)


def _given(_: None, target: Target, params: Params, test_point: Params) -> Start:
    return _evaluate(target, strong(jax.vmap(target.transform.inverse)(params)), test_point)


def _redraw(draw: Callable[[Key], Start], keys: Key, tries: int) -> Start:
    """Draw each chain's start until its log density is finite, at most `tries` times."""
    start = draw(keys)
    for attempt in range(1, tries):
        bad = ~np.isfinite(np.asarray(start.log_density))
        if not bad.any():
            break
        again = draw(jax.vmap(lambda key, n=attempt: jax.random.fold_in(key, n))(keys))

        def choose(old: jax.Array, new: jax.Array, bad: np.ndarray = bad) -> jax.Array:
            return jnp.where(bad.reshape(-1, *[1] * (new.ndim - 1)), new, old)

        chosen = jax.tree.map(choose, start[:3], again[:3])
        start = Start(chosen[0], chosen[1], chosen[2], start.at_test_point)
    return start


def explicit(init: PyTree, test_point: Params, num_chains: int) -> Params:
    """Check an `init=` pytree against the test point and give it a chain axis.

    Raises:
        ValueError: its structure or the shape of a leaf does not fit; the message names the leaf.
    """
    if jax.tree.structure(init) != jax.tree.structure(test_point):
        raise ValueError(
            "`init` has another structure than the model's test point. Its leaves are "
            f"{leaf_paths(init)}, the model's are {leaf_paths(test_point)}."
        )
    chained: set[bool] = set()
    for name, leaf, like in zip(
        leaf_paths(test_point), jax.tree.leaves(init), jax.tree.leaves(test_point), strict=True
    ):
        shape = np.shape(leaf)
        if shape not in (like.shape, (num_chains, *like.shape)):
            raise ValueError(
                f"`init` at `{name}` has shape {shape}; it must be {like.shape}, the same for "
                f"all chains, or {(num_chains, *like.shape)}, one per chain."
            )
        chained.add(shape != like.shape)
    if len(chained) > 1:
        raise ValueError(
            "`init` has a chain axis in some leaves and none in others. Give it to all leaves, or "
            "to none."
        )
    return jax.tree.map(
        lambda leaf, like: jnp.broadcast_to(
            jnp.asarray(leaf, like.dtype), (num_chains, *like.shape)
        ),
        init,
        test_point,
    )


def from_draws(draws: Params, num_chains: int) -> Params:
    """Points for `num_chains` chains from draws `(chain, draw, ...)`, the latest first.

    Points with a value that is not finite are skipped. If there are fewer points than chains,
    points are reused.

    Raises:
        ValueError: no point is finite.
    """
    flat = jax.tree.map(
        lambda leaf: np.swapaxes(np.asarray(leaf), 0, 1)[::-1].reshape(-1, *leaf.shape[2:]), draws
    )
    finite = np.all(
        [
            np.isfinite(leaf.astype(np.float32)).reshape(len(leaf), -1).all(1)
            for leaf in jax.tree.leaves(flat)
        ],
        axis=0,
    )
    usable = np.flatnonzero(finite)
    if usable.size == 0:
        raise ValueError(
            "`init` is an earlier result without a point whose values are all finite. Pass another."
        )
    chosen = np.resize(usable, num_chains)
    return jax.tree.map(lambda leaf: jnp.asarray(leaf[chosen]), flat)


def find(
    model: ModelLike,
    target: Target,
    init: Posterior | PyTree | str | None,
    num_chains: int,
    keys: Key,
    *,
    tries: int = TRIES,
) -> Start:
    """The initial states that `init=` asks for, with the log density there.

    Args:
        model: the model; `init` may be the name of one of its `initializers`, or `"uniform"`.
        target: the density that will be sampled.
        init: a name, a pytree with or without a chain axis, or an earlier `Posterior`. `None` is
            the model's `initial_state` if it has one, else its first initializer, else
            `"uniform"`.
        num_chains: number of chains.
        keys: one PRNG key per chain.
        tries: how often to draw a start, at most, until the density is finite there.

    Raises:
        ValueError: `init` is an unknown name, or does not fit the model.
    """
    if init is None:
        init = model.initial_state
    if init is None:
        init = next(iter(model.initializers), "uniform")
    if isinstance(init, str):
        sampler, test_point = sampler_of(model, init), model.test_point
        made = program(_draw, None, target, sampler, keys, test_point)
        compile_all(made)
        start = _redraw(lambda keys: made(target, sampler, keys, test_point), keys, tries)
    else:
        if isinstance(init, Posterior):
            init = from_draws(init.points, num_chains)
        params = explicit(init, model.test_point, num_chains)
        made = program(_given, None, target, params, model.test_point)
        compile_all(made)
        start = made(target, params, model.test_point)
    return start._replace(
        log_density=np.asarray(start.log_density),
        gradients_finite={k: np.asarray(v) for k, v in start.gradients_finite.items()},
        at_test_point=float(start.at_test_point),
    )
