"""An Equinox module is trained, then only its last layer is made Bayesian: digits."""

import equinox as eqx
import jax
import numpyro.distributions as dist
from common import load, report

import crewel as cw

x, y, x_test, y_test = load("digits")


def make(key):
    return eqx.nn.MLP(64, 10, 32, 2, activation=jax.nn.relu, key=key)


net = make(jax.random.key(0))
model = cw.wrap(net, x, y, likelihood="categorical", prior=dist.Normal(0, 1), example=make)
mode = model.optimize.optax_adam(seed=0, num_particles=1, num_steps=300, learning_rate=1e-2)
report("digits, Equinox, one mode", mode, x_test, y_test)

trained = mode.network(chain=0)  # an `eqx.nn.MLP`
last = cw.wrap(trained, x, y, likelihood="categorical", prior=dist.Normal(0, 1), bayesian="last")
print(last.priors)
post = last.mcmc.numpyro_nuts(
    seed=0, init=last.test_point, num_chains=2, num_warmup=100, num_draws=100, max_tree_depth=6
)
report("digits, Equinox, last layer", post, x_test, y_test)
one = post.network(chain=0, draw=10)
print("classes of one draw:", jax.vmap(one)(x_test[:8]).argmax(-1), "true:", y_test[:8])
