"""BlackJAX's nested sampling: live points climb the likelihood, and dead points are weighted.

The number of steps is not known in advance, so the engine runs on the host, one compiled stretch
at a time. Draws are the points resampled by their weights.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from crewel.adapters.blackjax import BACKEND
from crewel.adapters.blackjax_smc import log_likelihood, log_prior
from crewel.core.compiling import Frozen, Static, compile_all, program, thaw
from crewel.core.families import MCMC
from crewel.core.protocol import (
    Algorithm,
    Array,
    EngineResult,
    Key,
    Options,
    Position,
    State,
    Target,
)

STRETCH = 16  # a stretch shrinks the prior's volume by a factor of at most exp(STRETCH)
_REST = np.log(0.01)  # log of the live points' share of the evidence at which to stop
_VOLUMES = 100  # simulated sequences of volumes, for the error of the evidence


def _sampler(target: Target, options: Options) -> Any:
    import blackjax

    return blackjax.nss(
        logprior_fn=partial(log_prior, target),
        loglikelihood_fn=partial(log_likelihood, target),
        **options,
    )


def _begin(
    static: Static, target: Target, arrays: list[Array], key: Key, positions: Position
) -> State:
    return _sampler(target, thaw(static, arrays)).init(positions, key)


def _climb(static: Static, target: Target, arrays: list[Array], key: Key, state: State) -> Any:
    """Run one stretch; return `(state, dead points, their number, whether the run is done)`."""
    options = thaw(static, arrays)
    step = _sampler(target, options).step
    live = state.particles.loglikelihood.shape[0]
    most = -(-STRETCH * live // options["num_delete"])

    def unfinished(state: State):
        rest = state.integrator.logZ_live
        return rest - jnp.logaddexp(state.integrator.logZ, rest) > _REST

    def advance(carry: tuple[State, Any, Any]) -> tuple[State, Any, Any]:
        state, dead, index = carry
        state, info = step(jax.random.fold_in(key, index), state)
        dead = jax.tree.map(lambda all_, new: all_.at[index].set(new), dead, info.particles)
        return state, dead, index + 1

    blank = jax.tree.map(
        lambda leaf: jnp.zeros((most, options["num_delete"], *leaf.shape[1:]), leaf.dtype),
        state.particles,
    )
    state, dead, count = jax.lax.while_loop(
        lambda carry: (carry[2] < most) & unfinished(carry[0]), advance, (state, blank, 0)
    )
    dead = jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), dead)
    return state, dead, count * options["num_delete"], ~unfinished(state)


def _weigh(number: int, key: Key, points: Any, real: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Draw `number` indices of points by weight; also return a log evidence per volume sequence.

    This runs on the host, because BlackJAX's count of the live points cannot be compiled with the
    rest.
    """
    from blackjax.ns import utils
    from blackjax.ns.base import NSInfo

    # Empty slots are born and die last, above all points, and get no weight.
    points = points._replace(
        loglikelihood=np.where(real, points.loglikelihood, np.inf),
        loglikelihood_birth=np.where(real, points.loglikelihood_birth, np.inf),
    )
    key_volumes, key_choice = jax.random.split(key)
    info: Any = NSInfo  # created without the moves that made the points
    weights: Any = utils.log_weights(key_volumes, info(points, None), _VOLUMES)
    weights = np.asarray(weights, np.float64)[real]
    evidence = np.logaddexp.reduce(weights, axis=0)
    shares = np.exp(weights - evidence).mean(1)
    rng = np.random.default_rng(np.asarray(jax.random.bits(key_choice, (4,))))
    ladder = (np.arange(number) + rng.random()) / number  # systematic resampling
    chosen = np.searchsorted(np.cumsum(shares)[:-1], ladder)
    return np.flatnonzero(real)[rng.permutation(chosen)], evidence


def _run(
    target: Target,
    keys: Key,
    positions: Position,
    _: int,
    num_draws: int,
    *,
    num_inner_steps: int | None,
    num_delete: int | None,
    **options: Any,
) -> EngineResult:
    live = keys.shape[0]
    size = sum(leaf.size for leaf in jax.tree.leaves(positions)) // live
    options["num_inner_steps"] = num_inner_steps or 5 * size
    options["num_delete"] = num_delete or max(live // 10, 1)
    frozen = Frozen(options)
    common = frozen.static, target, frozen.arrays
    key_begin, key_climb, key_weigh = jax.random.split(keys[0], 3)
    begin = program(_begin, *common, key_begin, positions)
    climb = program(_climb, *common, key_climb, begin.out_info)
    compile_all(begin, climb)
    state, stretches, done = begin(target, frozen.arrays, key_begin, positions), [], False
    while not done:
        key = jax.random.fold_in(key_climb, len(stretches))
        state, dead, count, done = climb(target, frozen.arrays, key, state)
        stretches.append((dead, np.arange(len(dead.loglikelihood)) < int(count)))
    # Pad to a power of two of stretches, so that runs of similar length share compiled code.
    empty = jax.tree.map(np.zeros_like, stretches[0])
    stretches += [empty] * (2 ** (len(stretches) - 1).bit_length() - len(stretches))
    parts = [*stretches, (state.particles, np.ones(live, bool))]
    points, real = jax.tree.map(lambda *parts: np.concatenate(parts), *parts)
    chosen, evidence = _weigh(live * num_draws, key_weigh, points, real)
    drawn = jax.tree.map(lambda leaf: leaf[chosen], points)
    shape = live, num_draws
    stats = {
        "lp": (drawn.logdensity + drawn.loglikelihood).reshape(shape),
        "log_evidence": np.full(shape, np.mean(evidence)),
        "log_evidence_error": np.full(shape, np.std(evidence)),
    }
    positions = jax.tree.map(lambda leaf: leaf.reshape(*shape, *leaf.shape[1:]), drawn.position)
    return EngineResult(positions, stats)


ROWS = (
    Algorithm(
        name="blackjax_nested_slice",
        family=MCMC,
        summary="Nested slice sampling for multimodal posteriors; estimates the evidence",
        reference="Skilling 2006; Yallup, Kroupa & Handley 2026",
        backend=BACKEND,
        option_sources=("blackjax.ns.nss.as_top_level_api",),
        filled_by_row=("logprior_fn", "loglikelihood_fn"),
        run=_run,
        needs=frozenset({"log_prior", "log_likelihood", "data"}),
        cross_chain=True,
        # Chains are live points, which start from the prior; each yields one resampled draw.
        settings={"num_chains": 500, "num_draws": 1, "init": "prior"},
        unsupported=frozenset({"chain_method", "num_warmup", "init"}),
        # `None`: five inner steps per parameter; a tenth of the live points is deleted.
        defaults={"num_inner_steps": None, "num_delete": None},
    ),
)
