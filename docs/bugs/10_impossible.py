"""One datum that the model holds for impossible.

A reaction time of zero has no logarithm: its log likelihood is not finite, and so is the sum,
wherever the parameters are.
"""

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist

import crewel as cw

rng = np.random.default_rng(0)
times = rng.lognormal(-1, 0.4, size=200).astype(np.float32)
times[137] = 0.0  # a missed key


def log_prior(params):
    return dist.Normal(0, 1).log_prob(params["mean"])


def log_likelihood(params, batch):
    z = (jnp.log(batch) - params["mean"]) / 0.4
    return -0.5 * z**2 - jnp.log(batch)


model = cw.Model(
    None, {"mean": 0.0}, data=times, log_prior=log_prior, log_likelihood=log_likelihood
)
model.debug(seed=0)

# Without the debugger
from by_hand import blackjax_nuts  # noqa: E402

draws, info = blackjax_nuts(model.log_density, model.test_point)
print(f"BlackJAX: {len(np.unique(draws['mean']))} different value in 1,000 draws.")
