"""A NumPyro model: a shrinkage regression of diabetes progression.

python examples/model_numpyro.py
"""

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from sklearn.datasets import load_diabetes
from sklearn.model_selection import train_test_split

import crewel as cw


def shrinkage(x, y=None):
    tau = numpyro.sample("tau", dist.HalfNormal(0.5))
    with numpyro.plate("features", x.shape[1]):
        local = numpyro.sample("local", dist.HalfNormal(1.0))
        unit = numpyro.sample("unit", dist.Normal(0.0, 1.0))
    weights = numpyro.deterministic("weights", tau * local * unit)
    sigma = numpyro.sample("sigma", dist.HalfNormal(1.0))
    mean = numpyro.deterministic("mean", x @ weights)
    with numpyro.plate("rows", x.shape[0]):
        numpyro.sample("y", dist.Normal(mean, sigma), obs=y)


x, y = load_diabetes(return_X_y=True, as_frame=True)
names, spread = x.columns, y.std()
x = ((x - x.mean()) / x.std()).to_numpy(np.float32)
y = ((y - y.mean()) / spread).to_numpy(np.float32)
x, x_test, y, y_test = train_test_split(x, y, test_size=0.3, random_state=0)

model = cw.Model.from_numpyro(shrinkage, jnp.asarray(x), y=jnp.asarray(y))
print(model)
post = model.mcmc.numpyro_nuts(
    seed=0, num_warmup=500, num_draws=500, target_accept_prob=0.9, progress=False
)
print(post)

made = post.predict(jnp.asarray(x_test))["predictions"]
weights = made["weights"].mean(("chain", "draw")).values
for name, weight in sorted(zip(names, weights, strict=True), key=lambda pair: -abs(pair[1]))[:3]:
    print(f"  {name}: {weight:+.2f} sd of y per sd")
squared = (made["mean"].mean(("chain", "draw")).values - y_test) ** 2
rmse = spread * np.sqrt(squared.mean())
error = spread * squared.std() / np.sqrt(len(squared)) / 2 / np.sqrt(squared.mean())
low, high = np.quantile(made["y"], [0.05, 0.95], axis=(0, 1))
inside = ((low < y_test) & (y_test < high)).mean()
print(f"held out: RMSE {rmse:.1f} +- {error:.1f}; {inside:.0%} inside the 90% intervals")

import arviz_stats  # noqa: E402

print(f"leave-one-out: {arviz_stats.loo(post.log_likelihood()).elpd / len(y):.3f} nats per row")
