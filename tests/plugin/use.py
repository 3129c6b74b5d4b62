"""What a user of the other package does, and what a user with a row of their own does.

Prints what was seen, as JSON, for `tests/adapters/test_plugins.py`.
"""

import dataclasses
import json

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from crewel_dummy.network import Line
from crewel_dummy.rows import ROWS
from support import errors

import crewel as cw


def caught(fn, *args, **kwargs):
    try:
        fn(*args, **kwargs)
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def main():
    mean, sd = jnp.array([1.0, -2.0]), jnp.array([1.0, 0.5])
    model = cw.Model(lambda p: dist.Normal(mean, sd).log_prob(p).sum(), jnp.zeros(2))
    seen = {
        "listed": "dummy_random_walk" in dir(model.mcmc),
        "options": model.mcmc.dummy_random_walk.options()["scale"],
        "unknown": caught(model.mcmc.dummy_random_walk, seed=0, scales=0.5),
    }
    counts = {"num_warmup": 200, "num_draws": 4000, "progress": False}
    post = model.mcmc.dummy_random_walk(seed=0, scale=1.0, **counts)
    seen["errors"] = [np.abs(e).max() for e in errors(post.draws, np.array(mean), np.array(sd))]
    narrow = model.mcmc.dummy_random_walk(seed=0, scale=0.01, **counts)
    seen["rates"] = [float(p.stats["acceptance_rate"].mean()) for p in (post, narrow)]

    x, y = np.array([[1.0, 2.0], [3.0, -1.0], [0.0, 0.5]]), np.array([1.0, 0.5, -1.0])
    net = cw.wrap(Line(2), x, y, likelihood=lambda out, latents: dist.Normal(out, 0.5))
    params = {"slope": jnp.array([0.3, -0.2]), "offset": jnp.array(0.1)}
    seen["density"] = float(net.log_density(params))
    seen["priors"] = sorted(net.priors)

    # A row of the user's own, first for once, then by name.
    mine = dataclasses.replace(ROWS[0], name="mine", defaults={"scale": 1.0})
    seen["before"] = caught(getattr, model.mcmc, "mine")
    once = model.mcmc(mine)(seed=0, **counts)
    seen["same"] = bool((np.asarray(once.draws) == np.asarray(post.draws)).all())
    cw.register(mine)
    named = model.mcmc.mine(seed=0, **counts)
    seen["named"] = bool((np.asarray(named.draws) == np.asarray(post.draws)).all())
    seen["twice"] = caught(cw.register, dataclasses.replace(mine))
    seen["family"] = caught(model.vi, mine)
    seen["kind"] = [caught(model.mcmc, "mine"), caught(cw.register, "mine")]
    print(json.dumps(seen, default=float))


main()
