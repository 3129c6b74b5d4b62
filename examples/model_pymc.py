"""A PyMC model (Python 3.12 or newer): a robust regression of diabetes progression.

python examples/model_pymc.py
"""

import numpy as np
import pymc as pm
from sklearn.datasets import load_diabetes
from sklearn.model_selection import train_test_split

import crewel as cw

x, y = load_diabetes(return_X_y=True)
spread = y.std()
x, y = (x - x.mean(0)) / x.std(0), (y - y.mean()) / spread
x, x_test, y, y_test = train_test_split(x, y, test_size=0.3, random_state=0)

with pm.Model() as pm_model:
    rows = pm.Data("rows", x)
    scale = pm.HalfNormal("scale", 1.0)
    weights = pm.Normal("weights", 0.0, scale, shape=x.shape[1])
    sigma = pm.HalfNormal("sigma", 1.0)
    df = pm.Gamma("df", 2.0, 0.1)
    mean = pm.Deterministic("mean", rows @ weights)
    pm.StudentT("y", nu=df, mu=mean, sigma=sigma, observed=y, shape=mean.shape)

model = cw.Model.from_pymc(pm_model)
print(model)
post = model.mcmc.numpyro_nuts(seed=0, num_warmup=500, num_draws=250, progress=False)
print(post)

with pm_model:  # PyMC makes its own predictions
    pm.set_data({"rows": x_test})
    made = pm.sample_posterior_predictive(
        post.to_datatree(), var_names=["mean", "y"], random_seed=0, progressbar=False
    )["posterior_predictive"]
squared = (made["mean"].mean(("chain", "draw")).values - y_test) ** 2
rmse = spread * np.sqrt(squared.mean())
error = spread * squared.std() / np.sqrt(len(squared)) / 2 / np.sqrt(squared.mean())
low, high = np.quantile(made["y"], [0.05, 0.95], axis=(0, 1))
inside = ((low < y_test) & (y_test < high)).mean()
print(f"held out: RMSE {rmse:.1f} +- {error:.1f}; {inside:.0%} inside the 90% intervals")
