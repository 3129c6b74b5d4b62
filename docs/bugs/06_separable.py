"""Separable classes and no prior.

The likelihood keeps rising as the weight grows, so there is no posterior. The draws show only how
far the chain has come.
"""

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist

import crewel as cw

x = np.linspace(-1, 1, 30, dtype=np.float32)
y = (x > 0).astype(np.int32)


def log_density(params):
    return dist.Bernoulli(logits=params["w"] * x).log_prob(y).sum()


model = cw.Model(log_density, {"w": jnp.zeros(())})
model.debug(seed=0)

# Without the debugger
from by_hand import numpyro_nuts  # noqa: E402

for number in (500, 1000, 2000):
    draws, diverging = numpyro_nuts(log_density, model.test_point, num_draws=number)
    w = draws["w"]
    print(
        f"NumPyro: after {number:,} draws, {int(diverging.sum())} of them divergent, the mean of "
        f"w is {w.mean():.2g}, the largest {w.max():.2g}."
    )
