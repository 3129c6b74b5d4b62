"""A second call against the same backend driven by hand, and against NumPyro's own `MCMC`.

Iris 4-50-50-3, 4 chains, 200 + 200, tree depth 6. By hand means one jitted program per chain, with
warm-up and draws in it, run in a pool of threads (the placement that Crewel chooses on a CPU) or
vmapped. That is what a careful user would write, and rewrite for the next backend.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import blackjax
import jax
import numpy as np
from numpyro.infer import MCMC, NUTS

from benchmarks.common import compete, iris_model, starts, table

CHAINS, WARMUP, DRAWS, DEPTH = 4, 200, 200, 6


def numpyro_chain(log_density):
    """One chain of NumPyro's kernel: `(key, position) -> draws`."""
    kernel = NUTS(potential_fn=lambda z: -log_density(z), max_tree_depth=DEPTH)

    def chain(key, position):
        state = kernel.init(key, WARMUP, init_params=position)
        state = jax.lax.fori_loop(0, WARMUP, lambda _, s: kernel.sample(s, (), {}), state)

        def draw(state, _):
            state = kernel.sample(state, (), {})
            return state, (state.z, state.diverging)

        return jax.lax.scan(draw, state, length=DRAWS)[1]

    return chain


def blackjax_chain(log_density):
    """One chain of BlackJAX's kernel: `(key, position) -> draws`."""

    def chain(key, position):
        warm, sample = jax.random.split(key)
        adaptation = blackjax.window_adaptation(
            blackjax.nuts, log_density, adaptation_info_fn=lambda *_: None, max_num_doublings=DEPTH
        )
        (state, parameters), _ = adaptation.run(warm, position, WARMUP)
        kernel = blackjax.nuts(log_density, **parameters)

        def draw(state, key):
            state, info = kernel.step(key, state)
            return state, (state.position, info.is_divergent)

        return jax.lax.scan(draw, state, jax.random.split(sample, DRAWS))[1]

    return chain


def in_threads(chain, inits):
    """The hand-written run: one program per chain, in a pool of threads."""
    program = jax.jit(chain)
    each = [jax.tree.map(lambda leaf, c=c: leaf[c], inits) for c in range(CHAINS)]

    def run(seed):
        keys = jax.random.split(jax.random.key(seed), CHAINS)
        with ThreadPoolExecutor() as pool:
            done = list(pool.map(lambda k, z: jax.block_until_ready(program(k, z)), keys, each))
        return jax.tree.map(lambda *leaves: np.stack(leaves), *done)

    return run


def vectorized(chain, inits):
    """The hand-written run: one vmapped program."""
    program = jax.jit(jax.vmap(chain))

    def run(seed):
        keys = jax.random.split(jax.random.key(seed), CHAINS)
        return jax.tree.map(np.asarray, program(keys, inits))

    return run


def main() -> str:
    """The table."""
    model = iris_model()
    inits = starts(model, CHAINS)
    log_density = model.target().log_density
    counts = {
        "num_chains": CHAINS, "num_warmup": WARMUP, "num_draws": DRAWS, "init": inits,
        "progress": False,
    }  # fmt: skip

    def ours(name, **options):
        return lambda seed: getattr(model.mcmc, name)(seed=seed, **counts, **options)

    def mcmc(method):
        kernel = NUTS(potential_fn=lambda z: -log_density(z), max_tree_depth=DEPTH)
        sampler = MCMC(
            kernel, num_warmup=WARMUP, num_samples=DRAWS, num_chains=CHAINS,
            chain_method=method, progress_bar=False,
        )  # fmt: skip

        def run(seed):
            sampler.run(jax.random.key(seed), init_params=inits)
            return jax.block_until_ready(sampler.get_samples())

        return run

    rows = []

    def versus(what, crewel, other, goal):
        mine, theirs = compete(crewel, other)
        rows.append([what, f"{mine:.2f}", f"{theirs:.2f}", f"{mine / theirs:.2f}", goal])
        print(rows[-1], flush=True)

    for name, chain, options in (
        ("numpyro_nuts", numpyro_chain, {"max_tree_depth": DEPTH}),
        ("blackjax_nuts", blackjax_chain, {"max_num_doublings": DEPTH}),
    ):
        hand = chain(log_density)
        versus(
            f"`{name}`, threads: by hand", ours(name, **options), in_threads(hand, inits), "<= 1.05"
        )
        versus(
            f"`{name}`, vectorized: by hand",
            ours(name, chain_method="vectorized", **options),
            vectorized(hand, inits),
            "<= 1.05",
        )
    nuts = ours("numpyro_nuts", max_tree_depth=DEPTH)
    versus("`numpyro.infer.MCMC`, vectorized", nuts, mcmc("vectorized"), "<= 0.29 (3.5 times)")
    one = ours("numpyro_nuts", max_tree_depth=DEPTH, chain_method="sequential")
    versus("itself on one thread", nuts, one, "<= 0.56 (1.8 times)")
    return table(["against", "Crewel, s", "the other, s", "ratio", "goal"], rows)


if __name__ == "__main__":
    print(main())
