"""Two networks of two libraries in one model, for the mean and for the noise: the diabetes data."""

import equinox as eqx
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from common import load, report

import crewel as cw

x, y, x_test, y_test = load("diabetes")
networks = {
    "mean": nn.Sequential([nn.Dense(8), nn.tanh, nn.Dense(1)]),
    "noise": eqx.nn.Linear(10, 1, key=jax.random.key(0)),
}


def combine(networks, x):
    """Return what the likelihood gets; `networks` are functions of their inputs here."""
    return jnp.concatenate([networks["mean"](x), networks["noise"](x)], axis=-1)


model = cw.wrap(
    networks,
    x,
    y,
    likelihood="heteroscedastic",
    combine=combine,
    prior={"mean.*": "fan_in", "noise.*": dist.Normal(0, 0.3)},
)
print(model.priors)
post = model.mcmc.numpyro_nuts(seed=0, num_warmup=300, num_draws=300, max_tree_depth=8)
report("diabetes, two networks", post, x_test, y_test)
