"""Inputs that are not scaled.

Raw years go into a `tanh` layer. In single precision all its units are exactly 1 or -1, so the
likelihood says nothing about the first layer and the network is a constant.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

import crewel as cw

rng = np.random.default_rng(0)
year = rng.uniform(1950, 2020, size=(60, 1)).astype(np.float32)
warming = (0.02 * (year[:, 0] - 1985) + 0.1 * rng.normal(size=60)).astype(np.float32)


class Network(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = nn.tanh(nn.Dense(16)(x))
        return nn.Dense(1)(x)


model = cw.wrap(Network(), year, warming, likelihood="gaussian")
model.debug(seed=0)

# Without the debugger
from by_hand import numpyro_nuts  # noqa: E402

target = model.target()
start = target.transform.inverse(model.test_point)
draws, diverging = numpyro_nuts(target.log_density, start, 300, 300)
outputs = jax.vmap(lambda z: Network().apply({"params": z}, year)[:, 0])(
    {name: draws[name] for name in ("Dense_0", "Dense_1")}
)
fit = outputs.mean(0)
print(
    f"NumPyro: {int(diverging.sum())} divergences; predictions between {fit.min():.2f} and "
    f"{fit.max():.2f}, data between {warming.min():.2f} and {warming.max():.2f}."
)
error = jnp.std(fit - warming)
print(f"The error of a constant is {warming.std():.2f}, that of the network {error:.2f}.")
