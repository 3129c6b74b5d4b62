"""A `stop_gradient` that was left in.

In training it kept the noise from growing to explain the residuals. In a log density it makes the
gradient that of another function. An accept step repairs that, at a price; a sampler without one,
such as MCLMC, samples something else.
"""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist

import crewel as cw

rng = np.random.default_rng(0)
x = rng.uniform(-1, 1, size=100).astype(np.float32)
y = ((3 + x) * (1 + 0.5 * rng.normal(size=100))).astype(np.float32)


def log_density(params, stop=jax.lax.stop_gradient):
    mean = params["intercept"] + params["slope"] * x
    noise = 0.5 + 0.2 * jnp.abs(stop(mean))
    prior = dist.Normal(0, 10).log_prob(jnp.stack(list(params.values()))).sum()
    return dist.Normal(mean, noise).log_prob(y).sum() + prior


model = cw.Model(log_density, {"intercept": 3.0, "slope": 1.0})
model.debug(seed=0)

# Without the debugger
from by_hand import blackjax_mclmc, blackjax_nuts  # noqa: E402


def repaired(params):
    return log_density(params, stop=lambda z: z)


for name, density in (("as it is", log_density), ("repaired", repaired)):
    draws = blackjax_nuts(density, model.test_point)[0]["intercept"]
    print(f"BlackJAX's NUTS, {name}: intercept {draws.mean():.2f} ± {draws.std():.2f}.")
    draws = blackjax_mclmc(density, model.test_point)["intercept"]
    print(f"BlackJAX's MCLMC, {name}: intercept {draws.mean():.2f} ± {draws.std():.2f}.")
