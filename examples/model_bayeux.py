"""To bayeux and back (in bayeux's environment): one network, sampled by bayeux and by Crewel.

python examples/model_bayeux.py
"""

import time

import flax.linen as nn
import jax
import numpy as np
import numpyro.distributions as dist
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split

import crewel as cw

x, y = load_breast_cancer(return_X_y=True)
x = ((x - x.mean(0)) / x.std(0)).astype(np.float32)
x, x_test, y, y_test = train_test_split(x, y, test_size=0.3, random_state=0)

net = nn.Sequential([nn.Dense(3), nn.tanh, nn.Dense(1)])
model = cw.wrap(net, x, y, prior=dist.Normal(0, 0.5), likelihood="bernoulli")
bayeux_model = model.to_bayeux()


def report(name, draws, started):
    seconds = time.perf_counter() - started
    logits = jax.vmap(jax.vmap(lambda p: net.apply({"params": p}, x_test)[:, 0]))(draws)
    probability = np.asarray(jax.nn.sigmoid(logits)).mean((0, 1))
    right = (probability > 0.5) == y_test
    error = np.sqrt(right.mean() * (1 - right.mean()) / len(right))
    print(f"{name}: held-out accuracy {right.mean():.3f} +- {error:.3f}, {seconds:.1f} s")


clock = time.perf_counter()
post = model.mcmc.numpyro_nuts(
    seed=0, num_chains=2, num_warmup=100, num_draws=100, progress=False, init="uniform"
)
report("Crewel, numpyro_nuts", post.draws, clock)
size = {"num_chains": 2, "return_pytree": True, "seed": jax.random.PRNGKey(0)}
clock = time.perf_counter()
draws = bayeux_model.mcmc.numpyro_nuts(num_warmup=100, num_samples=100, progress_bar=False, **size)
report("bayeux, numpyro_nuts", draws, clock)
clock = time.perf_counter()
draws = bayeux_model.mcmc.blackjax_nuts(num_adapt_draws=100, num_draws=100, **size)
report("bayeux, blackjax_nuts", draws, clock)

again = cw.Model.from_bayeux(bayeux_model)
params = jax.tree.map(lambda leaf: leaf[0, -1], post.draws)
print(
    f"log density: {model.log_density(params):.4f}, there and back {again.log_density(params):.4f}"
)
