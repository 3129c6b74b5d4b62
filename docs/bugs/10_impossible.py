"""One observation that is impossible under the model.

A reaction time of zero has no logarithm: its log likelihood is not finite, and neither is the sum,
whatever the parameters.
"""

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist

import crewel as cw

rng = np.random.default_rng(0)
times = rng.lognormal(-1, 0.4, size=200).astype(np.float32)
times[137] = 0.0  # a missed key press


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
print(f"BlackJAX: {len(np.unique(draws['mean']))} distinct value in 1,000 draws.")
