"""Inputs standardized by the statistics of the batch.

On all rows, this is a harmless reparametrization. On minibatches, every batch is a different model,
and stochastic gradients are biased.
"""

import jax
import numpy as np
import numpyro.distributions as dist

import crewel as cw

rng = np.random.default_rng(0)
x = rng.lognormal(sigma=1.0, size=1024).astype(np.float32)
y = (x + 0.3 * rng.normal(size=1024)).astype(np.float32)


def log_prior(params):
    return dist.Normal(0, 10).log_prob(params["slope"])


def log_likelihood(params, batch):
    scaled = (batch["x"] - batch["x"].mean()) / batch["x"].std()
    return dist.Normal(x.mean() + params["slope"] * scaled, 0.3).log_prob(batch["y"])


model = cw.Model(
    None,
    {"slope": 1.0},
    data={"x": x, "y": y},
    log_prior=log_prior,
    log_likelihood=log_likelihood,
)
model.debug(seed=0)

# Without the debugger
from by_hand import blackjax_nuts, blackjax_sgld  # noqa: E402


def gradient(params, batch):
    def estimate(params):
        return log_prior(params) + 1024 / 16 * log_likelihood(params, batch).sum()

    return jax.grad(estimate)(params)


draws, _ = blackjax_nuts(model.log_density, model.test_point)
print(f"BlackJAX's NUTS on all rows: slope {draws['slope'].mean():.2f}.")
draws = blackjax_sgld(gradient, model.test_point, model.data, 16, 1e-5)
print(f"BlackJAX's SGLD on 16 rows per step: slope {draws['slope'].mean():.2f}.")
