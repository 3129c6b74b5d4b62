"""`jnp.where` around a function that has no derivative there.

If a sensor is at the source, its distance is zero and `where` picks the safe value. The gradient,
however, goes through both branches, and zero times infinity is NaN. The density is finite
everywhere, but a sampler that starts there never moves.
"""

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist

import crewel as cw

sensors = np.float32([[0, 0], [1, 0], [0, 1], [1, 1]])
seen = np.float32([0.72, 0.70, 0.71, 0.70])


def log_density(params):
    square = ((params["source"] - sensors) ** 2).sum(1)
    distance = jnp.where(square > 0, jnp.sqrt(square), 0.0)
    prior = dist.Normal(0, 1).log_prob(params["source"]).sum()
    return dist.Normal(distance, 0.1).log_prob(seen).sum() + prior


model = cw.Model(log_density, {"source": jnp.zeros(2)})
model.debug(seed=0)

# Without the debugger
from by_hand import blackjax_nuts, numpyro_nuts  # noqa: E402

draws, info = blackjax_nuts(log_density, model.test_point)
print(f"BlackJAX: {len(np.unique(draws['source'], axis=0))} distinct point in 1,000 draws.")
draws, diverging = numpyro_nuts(log_density, model.test_point)
print(f"NumPyro: {len(np.unique(draws['source'], axis=0))} distinct point in 1,000 draws.")
