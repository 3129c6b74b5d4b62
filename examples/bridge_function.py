"""A pair of functions (stax) with a hierarchical prior: the diabetes data."""

import numpyro.distributions as dist
from common import load, report
from jax.example_libraries import stax

import crewel as cw

x, y, x_test, y_test = load("diabetes")


def layer_scales(path, shape, latents):
    """The weights of each layer share a scale, which is learned."""
    return dist.Normal(0.0, latents["tau_in" if path.startswith("network.0.") else "tau_out"])


model = cw.wrap(
    stax.serial(stax.Dense(8), stax.Tanh, stax.Dense(1)),
    x,
    y,
    likelihood="student_t",
    prior=cw.priors.non_centred(layer_scales),
    latents={"tau_in": dist.HalfNormal(0.5), "tau_out": dist.HalfNormal(0.5)},
)
print(model.priors)
post = model.mcmc.numpyro_nuts(seed=0, num_warmup=200, num_draws=200, max_tree_depth=7)
report("diabetes, stax, hierarchical prior", post, x_test, y_test)
for name in ("tau_in", "tau_out", "sigma", "df"):
    print(f"{name}: {post.draws[name].mean():.2f} ± {post.draws[name].std():.2f}")
