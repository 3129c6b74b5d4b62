"""Batch statistics: computed for each draw, or frozen at those of a trained network."""

import flax.linen as nn
from common import load, report

import crewel as cw

x, y, x_test, y_test = load("breast_cancer")


class Normed(nn.Module):
    """The flag as Flax users write it; Crewel's `batch_stats` overrides it."""

    @nn.compact
    def __call__(self, x, train=False):
        x = nn.Dense(8)(x)
        x = nn.BatchNorm(use_running_average=not train)(x)
        x = nn.Dropout(0.2, deterministic=not train)(nn.relu(x))
        return nn.Dense(1)(x)


per_draw = cw.wrap(Normed(), x, y, likelihood="bernoulli", prior="fan_in", batch_stats="per_draw")
ensemble = per_draw.optimize.optax_adam(seed=0, num_particles=8, num_steps=600)
report("breast cancer, statistics per draw, 8 modes", ensemble, x_test, y_test)

trained = ensemble.network(chain=0)  # {"params": ..., "batch_stats": ...}
frozen = cw.wrap(
    Normed(), x, y, likelihood="bernoulli", prior="fan_in", example=trained, batch_stats="frozen"
)
post = frozen.mcmc.numpyro_nuts(seed=0, num_warmup=200, num_draws=200, max_tree_depth=7)
report("breast cancer, statistics frozen, NUTS", post, x_test, y_test)
