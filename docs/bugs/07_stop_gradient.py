"""A `stop_gradient` left over from training.

In training, it kept the noise from growing to explain the residuals. In a log density, the gradient
no longer belongs to the density. An accept step corrects for that, at a price; stochastic gradient
samplers have no accept step and sample something else.
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
    noise = 0.1 + 0.2 * jnp.abs(stop(mean))
    prior = dist.Normal(0, 10).log_prob(jnp.stack(list(params.values()))).sum()
    return dist.Normal(mean, noise).log_prob(y).sum() + prior


model = cw.Model(log_density, {"intercept": 3.0, "slope": 1.0})
model.debug(seed=0)

# Without the debugger
from by_hand import blackjax_nuts, blackjax_sgld  # noqa: E402


def repaired(params):
    return log_density(params, stop=lambda z: z)


def langevin(density):
    return blackjax_sgld(
        lambda params, batch: jax.grad(density)(params), model.test_point, x, 100, 1e-4
    )


for name, draws in (
    ("NUTS, repaired", blackjax_nuts(repaired, model.test_point)[0]),
    ("SGLD, repaired", langevin(repaired)),
    ("SGLD, as it is", langevin(log_density)),
):
    intercept = draws["intercept"]
    print(f"BlackJAX's {name}: intercept {intercept.mean():.2f} ± {intercept.std():.2f}.")
