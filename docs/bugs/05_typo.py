"""A parameter that the density does not use.

The second layer adds the first layer's bias instead of its own. Nor does `b2` have a prior, so
nothing constrains it.
"""

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist

import crewel as cw

rng = np.random.default_rng(0)
x = rng.normal(size=(50, 1)).astype(np.float32)
y = np.sin(2 * x[:, 0])


def network(params, x):
    hidden = jnp.tanh(x @ params["w1"] + params["b1"])
    return hidden @ params["w2"] + params["b1"].sum()  # should be b2


def log_density(params):
    prior = sum(dist.Normal(0, 1).log_prob(params[k]).sum() for k in ("w1", "b1", "w2"))
    return dist.Normal(network(params, x), 0.1).log_prob(y).sum() + prior


start = {"w1": jnp.ones((1, 4)), "b1": jnp.zeros(4), "w2": jnp.ones(4), "b2": jnp.zeros(())}
model = cw.Model(log_density, start)
model.debug(seed=0)

# Without the debugger
from by_hand import numpyro_nuts  # noqa: E402

draws, diverging = numpyro_nuts(log_density, start)
print(f"NumPyro: `b2` between {draws['b2'].min():.3g} and {draws['b2'].max():.3g}.")
