"""A Haiku network made Bayesian: the diabetes data, with a learned noise."""

import haiku as hk
import jax
import numpyro.distributions as dist
from common import load, report

import crewel as cw

x, y, x_test, y_test = load("diabetes")

net = hk.without_apply_rng(
    hk.transform(lambda x: hk.nets.MLP([16, 1], activation=jax.numpy.tanh)(x))
)
model = cw.wrap(
    net,
    x,
    y,
    likelihood="gaussian",
    prior={"*": "fan_in", "mlp.linear_1.w": dist.Normal(0, 0.25)},
    latents={"sigma": dist.HalfNormal(1.0)},
)
print(model.priors)
post = model.mcmc.numpyro_nuts(seed=0, num_warmup=200, num_draws=200, max_tree_depth=8)
report("diabetes, Haiku", post, x_test, y_test)

params = post.network(chain=0, draw=10)
print("one draw:", net.apply(params, x_test[:4])[:, 0], "true:", y_test[:4])
