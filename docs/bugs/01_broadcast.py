"""`y` of shape `(N, 1)` against predictions of shape `(N,)`.

A column read from a file keeps its last axis. Every observation is then compared with the
prediction for every other one: 10,000 terms for 100 observations. The true slope is 2.
"""

import numpy as np
import numpyro.distributions as dist

import crewel as cw

rng = np.random.default_rng(0)
x = rng.normal(size=100).astype(np.float32)
y = (2 * x + 0.1 * rng.normal(size=100))[:, None].astype(np.float32)


def log_density(params):
    prediction = params["slope"] * x
    log_likelihood = dist.Normal(prediction, 0.5).log_prob(y).sum()
    return log_likelihood + dist.Normal(0, 1).log_prob(params["slope"])


model = cw.Model(log_density, {"slope": 1.0})
model.debug(seed=0)

# Without the debugger
from by_hand import blackjax_nuts, numpyro_nuts  # noqa: E402

for name, run in (("BlackJAX", blackjax_nuts), ("NumPyro", numpyro_nuts)):
    slope = run(log_density, model.test_point)[0]["slope"]
    print(f"{name}: slope {slope.mean():.2f} ± {slope.std():.2f}. It should be 2 ± 0.05.")
