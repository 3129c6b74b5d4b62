"""Find the broadcast trap before a run, fix it, and see the difference in the posterior.

`y` comes from a file as a column `(N, 1)`, the network's output is `(N,)`, and the likelihood of
all pairs, `(N, N)`, samples without a complaint.
"""

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist

import crewel as cw

rng = np.random.default_rng(0)
x = rng.uniform(-1, 1, size=(60, 1)).astype(np.float32)
column = np.sin(3 * x) + 0.1 * rng.normal(size=(60, 1)).astype(np.float32)
start = {"w1": jnp.ones((1, 8)), "b1": jnp.zeros(8), "w2": jnp.ones(8)}


def network(params, x):
    return jnp.tanh(x @ params["w1"] + params["b1"]) @ params["w2"]


def density(y):
    def log_density(params):
        prior = sum(dist.Normal(0, 2).log_prob(leaf).sum() for leaf in params.values())
        return dist.Normal(network(params, x), 0.1).log_prob(y).sum() + prior

    return log_density


def error(model):
    """Sample, and compare the mean prediction with the data."""
    post = model.mcmc.numpyro_nuts(
        seed=0, num_chains=2, num_warmup=300, num_draws=100, progress=False, max_tree_depth=6
    )
    draws = {name: leaf.reshape(-1, *leaf.shape[2:]) for name, leaf in post.draws.items()}
    mean = np.mean([network({k: v[i] for k, v in draws.items()}, x) for i in range(200)], axis=0)
    return float(np.sqrt(np.mean((mean - column[:, 0]) ** 2)))


def main():
    """Debug both models, and compare their errors."""
    wrong = cw.Model(density(column), start)
    report = wrong.debug(seed=0, verbosity=0)
    for check in report.warned:
        print(check)
    right = cw.Model(density(column[:, 0]), start)
    print(right.debug(seed=0, verbosity=0).summary())
    print(f"Root mean square error: {error(wrong):.2f} before, {error(right):.2f} after.")


if __name__ == "__main__":
    main()
