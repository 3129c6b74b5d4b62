"""Chains whose number is not a multiple of that of the devices: a device repeats one of them."""

from __future__ import annotations

import subprocess
import sys
import textwrap

CODE = textwrap.dedent(
    """
    import os
    os.environ["XLA_FLAGS"] += " --xla_force_host_platform_device_count=4"
    import jax, jax.numpy as jnp, numpy as np, crewel as cw
    from crewel.run.placement import place
    row = cw.ALGORITHMS["numpyro_nuts"]
    for number in (3, 5, 9):
        found = place(row, "auto", number)
        print(found.devices, len(found.blocks[0]))
    model = cw.Model(lambda x: -jnp.sum(x ** 2), jnp.zeros(2))
    kw = dict(seed=0, num_chains=5, num_warmup=10, num_draws=8, progress=False)
    spread = model.mcmc.numpyro_nuts(**kw)
    one = model.mcmc.numpyro_nuts(chain_method="vectorized", **kw)
    print(spread.draws.shape, np.abs(spread.draws[:, 0] - one.draws[:, 0]).max() < 1e-4)
    longer = model.mcmc.numpyro_nuts(**kw | dict(num_draws=10))
    again = spread.extend(2, progress=False)
    print(np.array_equal(again.draws, longer.draws))
    best = model.optimize.optax_adam(seed=0, num_particles=5, num_steps=9, progress=False)
    print(best.draws.shape, best.losses.shape)
    """
)


def test_five_chains_on_four_devices():
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "3 3",
        "3 6",
        "3 9",
        "(5, 8, 2) True",
        "True",
        "(5, 1, 2) (5, 9)",
    ]
