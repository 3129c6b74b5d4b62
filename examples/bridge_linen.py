"""A Flax linen network made Bayesian: iris, every weight sampled by NUTS."""

import flax.linen as nn
import numpyro.distributions as dist
from common import load, report

import crewel as cw

x, y, x_test, y_test = load("iris")


class MLP(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = nn.tanh(nn.Dense(12)(x))
        x = nn.tanh(nn.Dense(12)(x))
        return nn.Dense(3)(x)


model = cw.wrap(
    MLP(),
    x,
    y,
    likelihood="categorical",
    prior={"*.kernel": dist.Normal(0, 1), "*.bias": dist.Normal(0, 0.5)},
)
print(model.priors)
post = model.mcmc.numpyro_nuts(seed=0, num_warmup=200, num_draws=200, max_tree_depth=7)
report("iris, linen", post, x_test, y_test)

variables = post.network(chain=0, draw=10)  # one draw, as Flax takes it
print("classes of one draw:", MLP().apply(variables, x_test[:8]).argmax(-1), "true:", y_test[:8])
