"""The only driver: it joins a model to an algorithm's row and returns a `Posterior`."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from crewel import extras, initial, minibatch, one_shot
from crewel.adapters import ALGORITHMS
from crewel.compiling import make_room
from crewel.execution import execute
from crewel.options import split, words_of
from crewel.posterior import Posterior
from crewel.protocol import Algorithm


def as_key(seed: Any) -> jax.Array:
    """A typed PRNG key from an integer, a typed key, or a raw one.

    Raises:
        TypeError: something else.
    """
    if isinstance(seed, int | np.integer) and not isinstance(seed, bool):
        return jax.random.key(seed)
    if isinstance(seed, jax.Array | np.ndarray):
        if jnp.issubdtype(seed.dtype, jax.dtypes.prng_key) and seed.shape == ():
            return jnp.asarray(seed)
        if seed.dtype == np.uint32 and seed.ndim == 1:
            return jax.random.wrap_key_data(jnp.asarray(seed))
    raise TypeError(f"`seed` must be an integer or a PRNG key, got {type(seed).__name__}.")


def chain_keys(key: jax.Array, num_chains: int) -> tuple[Any, Any, Any]:
    """Keys `(chain,)` for initial states, warm-up and draws; none depends on `num_chains`."""
    keys = jax.vmap(lambda chain: jax.random.split(jax.random.fold_in(key, chain), 3))(
        jnp.arange(num_chains)
    )
    return keys[:, 0], keys[:, 1], keys[:, 2]


def _plan(row: Algorithm, ours: dict[str, Any]) -> dict[str, Any]:
    """Steps of warm-up and of sampling. A fit's steps are its warm-up, an optimizer's its all."""
    if row.family == "optimize":
        return {"keep": False, "num_warmup": 0, "num_draws": ours["num_steps"]}
    return {
        "keep": True,
        "num_draws": ours["num_draws"],
        "num_warmup": ours.get("num_warmup", ours.get("num_steps", 0)),
    }


def run(model: Any, row: Algorithm, seed: Any = 0, **kwargs: Any) -> Posterior:
    """Run `row` on `model`.

    Args:
        model: a `Model`.
        row: the algorithm.
        seed: integer or PRNG key.
        kwargs: our words and the backend's options, see `crewel.options`.

    Raises:
        TypeError: an unknown option.
        ValueError: the log density is broken, `init` does not fit, or a count is not positive.
        ImportError: the backend is missing or broken.
    """
    ours, theirs = split(row, kwargs)
    make_room()
    key = as_key(seed)
    num_chains = ours["num_particles" if row.family == "optimize" else "num_chains"]
    target = model.target(jacobian=row.family != "optimize")
    target.require(row.needs, row.name)
    words = ours | _plan(row, ours)
    target, asked = extras.find(model, row, target, words)
    started = time.perf_counter()
    inits, warmups, draws = chain_keys(key, num_chains)
    start = initial.find(model, minibatch.example(target), ours["init"], num_chains, inits)
    initial.require_finite(start)
    run_it = partial(execute, extras=asked) if row.resumable else one_shot.execute
    result = run_it(
        row,
        target,
        model.test_point,
        theirs,
        words,
        keys=(warmups, draws),
        positions=start.positions,
    )
    result.timing["total"] = time.perf_counter() - started
    options = {k: v for k, v in ours.items() if k not in ("init", "progress")} | theirs
    return Posterior.of(model, row, options, result)


def extend(post: Posterior, num_draws: int, *, progress: bool = True) -> Posterior:
    """`num_draws` more draws from where `post` stopped; see `Posterior.extend`."""
    row = next(row for row in ALGORITHMS if row.name == post.algorithm)
    if "num_draws" not in words_of(row) or not row.resumable:
        raise ValueError(
            f"`{row.name}` has no draws to go on with; start another run with `init=`."
        )
    if post.state is None:
        raise ValueError(
            "Resampled draws have no end to go on from; extend the run's own posterior."
        )
    ours, theirs = split(row, dict(post.options) | {"num_draws": num_draws})
    words = ours | _plan(row, ours) | {"progress": progress}
    target, asked = extras.find(post.model, row, post.model.target(), words)
    result = execute(
        row,
        target,
        post.model.test_point,
        theirs,
        words,
        keys=(post.keys, post.keys),  # there is no warm-up
        state=post.state,
        starts=post.starts,
        extras=asked,
    )
    return post.joined(result)
