"""NumPyro's ensembles: chains that propose from each other. One kernel object moves them all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from crewel.adapters.numpyro import row
from crewel.core.protocol import Key, Options, Position, State, Stats, Target
from crewel.core.trees import strong


def _started(
    kind: str, target: Target, key: Key, positions: Position, num_warmup: int, options: Options
) -> tuple[Any, State]:
    """A kernel that knows its chains and its schedule, and its initial state."""
    from numpyro import infer

    with jax.ensure_compile_time_eval():  # the kernel reads the numbers in `moves`
        kernel = getattr(infer, kind)(potential_fn=lambda z: -target.log_density(z), **options)
    keys = jax.random.split(key, jax.tree.leaves(positions)[0].shape[0])
    return kernel, kernel.init(keys, num_warmup, init_params=positions)


def _without_keys(state: State) -> State:
    inner = jax.tree.map(jnp.asarray, state.inner_state._replace(rng_key=None))
    return state._replace(inner_state=inner, rng_key=None)


def _init(
    kind: str, target: Target, key: Key, positions: Position, num_warmup: int, **options: Any
) -> State:
    return _without_keys(_started(kind, target, key, positions, num_warmup, options)[1])


def _update(
    kind: str, target: Target, key: Key, state: State, num_warmup: int, **options: Any
) -> State:
    key, inner_key = jax.random.split(key)
    kernel, _ = _started(kind, target, key, state.z, num_warmup, options)
    inner = state.inner_state._replace(rng_key=inner_key)
    return _without_keys(kernel.sample(state._replace(inner_state=inner, rng_key=key), (), {}))


def _step(
    kind: str,
    stats: Callable[[Any], dict[str, Any]],
    frozen: Mapping[str, Any],
    target: Target,
    key: Key,
    state: State,
    **options: Any,
) -> tuple[State, Position, Stats]:
    state = _update(kind, target, key, state, 0, **options | dict(frozen))
    lp = jax.vmap(target.log_density)(state.z)
    shared = {name: jnp.full(lp.shape, value) for name, value in stats(state.inner_state).items()}
    return strong(state), state.z, {"lp": lp} | shared


def _accepted(inner: State) -> Stats:
    return {"acceptance_rate": inner.accept_prob}  # of the second half of the ensemble


def _nothing(_: Any) -> Stats:
    return {}


_row = partial(
    row,
    engine=(_init, _update, _step),
    cross_chain=True,
    settings={"num_chains": 64},  # an even number, at least twice the number of parameters
    unsupported=frozenset({"chain_method"}),
    gradients=(0, 0),
)


ROWS = (
    _row(
        "numpyro_aies",
        "AIES",
        "Affine-invariant ensemble of chains, without gradients, for few parameters",
        "Goodman & Weare 2010; ter Braak 2006; Foreman-Mackey et al. 2013",
        _accepted,
        frozen={},
        test_budget={"num_warmup": 1000, "num_draws": 250, "thinning": 20},
    ),
    _row(
        "numpyro_ess",
        "ESS",
        "Ensemble slice sampler, without gradients, for few parameters",
        "Karamanis & Beutler 2021",
        _nothing,
        # NumPyro would keep tuning while draws are kept, and they would not be exact.
        frozen={"tune_mu": False},
        # Shuffling would exchange chains at every draw, and R-hat and ESS would be meaningless.
        defaults={"randomize_split": False},
        test_budget={"num_warmup": 200, "num_draws": 200, "thinning": 5},
    ),
)
