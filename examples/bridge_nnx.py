"""A Flax NNX module made Bayesian: breast cancer, from a deep ensemble to NUTS."""

from common import load, report
from flax import nnx

import crewel as cw

x, y, x_test, y_test = load("breast_cancer")


class MLP(nnx.Module):
    def __init__(self, rngs):
        self.hidden = nnx.Linear(30, 8, rngs=rngs)
        self.drop = nnx.Dropout(0.1, rngs=rngs)  # off in a density, unless `dropout=key`
        self.out = nnx.Linear(8, 1, rngs=rngs)

    def __call__(self, x):
        return self.out(self.drop(nnx.tanh(self.hidden(x))))


net = MLP(nnx.Rngs(0))
model = cw.wrap(
    net,
    x,
    y,
    likelihood="bernoulli",
    prior="fan_in",
    example=lambda key: MLP(nnx.Rngs(key)),  # each chain starts at a new network
)
ensemble = model.optimize.optax_adam(seed=0, num_particles=4, num_steps=500)
post = model.mcmc.numpyro_nuts(
    seed=0, init=ensemble, num_warmup=200, num_draws=200, max_tree_depth=7
)
report("breast cancer, NNX", post, x_test, y_test)

one = post.network(chain=0, draw=10)  # a new module; `net` is unchanged
print("logits of one draw:", one(x_test[:4])[:, 0], "true:", y_test[:4])
