"""Peak memory of 4 chains of 1,000 draws of a 40,000-weight density, against the draws themselves.

Each draw takes one leapfrog step, so that time is spent on what is measured. The base is the
process after a run of one draw.
"""

from __future__ import annotations

import subprocess
import sys

from benchmarks.common import table

CODE = """
import re, jax.numpy as jnp, crewel as cw
def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1]) * 1024
model = cw.Model(lambda x: -jnp.sum(x ** 2), jnp.zeros(40_000))
kw = dict(seed=0, num_warmup=2, num_integration_steps=1, progress=False)
model.mcmc.blackjax_hmc(num_draws=1, **kw)
base = peak()
post = model.mcmc.blackjax_hmc(num_draws=1000, **kw)
print(base / 1e6, post.draws.nbytes / 1e6, peak() / 1e6)
"""


def main() -> str:
    """The table."""
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    base, draws, peak = map(float, done.stdout.split())
    ratio = (peak - base) / draws
    head = ["base, MB", "draws, MB", "peak, MB", "(peak - base) / draws"]
    return table(head, [[f"{base:.0f}", f"{draws:.0f}", f"{peak:.0f}", f"{ratio:.2f}"]])


if __name__ == "__main__":
    print(main())
