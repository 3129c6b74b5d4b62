"""Which chains run where, and in how much memory."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import support

import crewel as cw
from crewel.run.placement import PARTICLES_PER_BLOCK, cores, join, place, take

QUICK = {"num_chains": 3, "num_warmup": 10, "num_draws": 20, "progress": False}


@pytest.fixture(scope="module")
def model():
    return support.small()


def test_blocks_cover_every_chain_once():
    row = next(row for row in cw.ALGORITHMS if row.family.name == "optimize")
    for number in (1, 2, 7, 16, 17, 128, 129):
        placement = place(row, "auto", number)
        assert len({len(block) for block in placement.blocks}) == 1
        assert max(map(len, placement.blocks)) <= PARTICLES_PER_BLOCK
        assert set(np.concatenate(placement.blocks)) == set(range(number))
        chains = {"x": jnp.arange(number)}
        parts = [take(chains, block, placement.batched) for block in placement.blocks]
        np.testing.assert_array_equal(join(parts, placement)["x"], np.arange(number))


def test_auto_on_a_cpu_runs_single_chains_in_threads():
    row = cw.ALGORITHMS[0]
    placement = place(row, "auto", 5)
    assert not placement.batched and placement.threads == min(cores(), 5)
    assert [list(block) for block in placement.blocks] == [[0], [1], [2], [3], [4]]


def run_alone(code: str) -> str:
    """Run code in a new process, of its own devices and memory."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_chains_are_spread_over_the_devices_that_there_are():
    out = run_alone(
        """
        import os
        os.environ["XLA_FLAGS"] += " --xla_force_host_platform_device_count=3"
        import jax, jax.numpy as jnp, numpy as np, crewel as cw
        from crewel.run.placement import place
        row = cw.ALGORITHMS[0]
        print([place(row, "auto", n).devices for n in (1, 2, 3, 4, 6, 7)])
        model = cw.Model(lambda x: -jnp.sum(x ** 2), jnp.zeros(2))
        kw = dict(seed=0, num_chains=6, num_warmup=10, num_draws=8, progress=False)
        spread = model.mcmc.numpyro_nuts(**kw)
        print({len(leaf.sharding.device_set) for leaf in jax.tree.leaves(spread.state)})
        one = model.mcmc.numpyro_nuts(chain_method="vectorized", **kw)
        print(np.abs(spread.draws[:, 0] - one.draws[:, 0]).max() < 1e-4)
        again = spread.extend(2, progress=False)
        print(again.draws.shape)
        """
    )
    assert out.split("\n")[:4] == ["[1, 2, 3, 2, 3, 3]", "{3}", "True", "(6, 10, 2)"]


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc/self/status")
def test_peak_memory_is_below_twice_the_draws():
    """Four chains of 1,000 draws of 40,000 values: 640 MB of draws."""
    out = run_alone(
        """
        import re, jax.numpy as jnp, numpy as np, crewel as cw
        def peak():
            status = open("/proc/self/status").read()
            return int(re.search(r"VmHWM:\\s+(\\d+) kB", status)[1]) * 1024
        model = cw.Model(lambda x: -jnp.sum(x ** 2), jnp.zeros(40_000))
        kw = dict(seed=0, num_warmup=2, num_integration_steps=1, progress=False)
        model.mcmc.blackjax_hmc(num_draws=1, **kw)
        before = peak()
        post = model.mcmc.blackjax_hmc(num_draws=1000, **kw)
        print((peak() - before) / post.draws.nbytes)
        """
    )
    assert 1.0 <= float(out) < 2.0


def test_keys_of_a_chain_do_not_depend_on_the_number_of_chains(model):
    few = model.mcmc.numpyro_nuts(seed=0, **QUICK)
    more = model.mcmc.numpyro_nuts(seed=0, **(QUICK | {"num_chains": 5}))
    np.testing.assert_array_equal(few.draws["rate"], more.draws["rate"][:3])


def test_batched_linear_algebra_in_threads_ends():
    # On JAX 0.10 two such programs at once wait for each other for good.
    factors = jnp.tile(2.0 * jnp.eye(60), (121, 1, 1))

    def log_density(x):
        solved = jax.lax.linalg.triangular_solve(
            factors, jnp.tile(x, (121, 1))[..., None], left_side=True, lower=True
        )
        return -0.5 * jnp.mean(jnp.sum(solved**2, (1, 2)))

    model = cw.Model(log_density, jnp.zeros(60))
    post = model.mcmc.numpyro_hmc(
        seed=0, num_chains=2, num_warmup=20, num_draws=20, num_steps=4, trajectory_length=None,
        progress=False,
    )  # fmt: skip
    # Normal with sd 2: 2 x 20 x 60 values, of which a fifth are independent.
    assert abs(post.draws.std() - 2.0) < 5 * 2.0 / (2 * 20 * 60 / 5) ** 0.5
