"""The row: how Crewel drives the backend."""

import jax

from crewel import FAMILIES, Algorithm, Backend

BACKEND = Backend("dummy", "crewel_dummy.sampler", install="pip install crewel-dummy")


def _warmup(target, key, position, num_warmup, **options):
    from crewel_dummy.sampler import State, random_walk

    step = random_walk(target.log_density, **options)
    start = State(position, target.log_density(position))
    return jax.lax.fori_loop(
        0, num_warmup, lambda i, state: step(jax.random.fold_in(key, i), state)[0], start
    )


def _step(target, key, state, **options):
    from crewel_dummy.sampler import random_walk

    state, rate = random_walk(target.log_density, **options)(key, state)
    return state, state.position, {"lp": state.log_density, "acceptance_rate": rate}


ROWS = (
    Algorithm(
        name="dummy_random_walk",
        family=FAMILIES["mcmc"],
        summary="Random-walk Metropolis with normal steps",
        reference="Metropolis, Rosenbluth, Rosenbluth, Teller & Teller 1953",
        backend=BACKEND,
        option_sources=("crewel_dummy.sampler.random_walk",),
        filled_by_row=("log_density",),
        warmup=_warmup,
        step=_step,
    ),
)
