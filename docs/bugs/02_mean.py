"""The mean of the log likelihood instead of its sum.

A training loss is often a mean over rows, which has the same minimum as the sum. In a posterior,
the mean gives 400 observations the weight of one.
"""

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist

import crewel as cw

rng = np.random.default_rng(0)
x = rng.normal(size=(400, 2)).astype(np.float32)
data = {"x": x, "y": x @ np.float32([1, -1]) + 0.5 * rng.normal(size=400).astype(np.float32)}


def log_density(params, data):
    loss = -dist.Normal(data["x"] @ params["w"], 0.5).log_prob(data["y"]).mean()
    return -loss + dist.Normal(0, 10).log_prob(params["w"]).sum()


model = cw.Model(log_density, {"w": jnp.zeros(2)}, data=data)
model.debug(seed=0)

# Without the debugger
from by_hand import numpyro_nuts  # noqa: E402

w = numpyro_nuts(model.log_density, model.test_point)[0]["w"]
means, errors = w.mean(0), w.std(0)
for i in range(2):
    print(f"NumPyro: w[{i}] = {means[i]:.2f} ± {errors[i]:.2f}.")
print(f"The standard error of least squares on these data is {0.5 / 400**0.5:.3f}.")
