"""An Oryx program with nested scopes (in bayeux's environment): a network on Fisher's iris.

python examples/model_oryx.py
"""

import jax
import numpy as np
import oryx.distributions as bd
from oryx.core import ppl
from sklearn.datasets import load_iris
from sklearn.model_selection import train_test_split

import crewel as cw


def dense(width, activation=jax.nn.relu):
    def forward(key, x):
        w_key, b_key = jax.random.split(key)
        w = ppl.random_variable(bd.Sample(bd.Normal(0.0, 1.0), (x.shape[-1], width)), name="w")
        b = ppl.random_variable(bd.Sample(bd.Normal(0.0, 1.0), width), name="b")
        return activation(x @ w(w_key) + b(b_key))

    return forward


def network(key, x):
    keys = jax.random.split(key, 3)
    x = ppl.nest(dense(10), scope="layer_1")(keys[0], x)
    x = ppl.nest(dense(10), scope="layer_2")(keys[1], x)
    return ppl.nest(dense(3, activation=lambda z: z), scope="head")(keys[2], x)


def species(key, rows):
    """The network is written for one flower and mapped over many."""
    weights_key, label_key = jax.random.split(key)
    logits = jax.vmap(network, in_axes=(None, 0))(weights_key, rows)
    return ppl.random_variable(bd.Independent(bd.Categorical(logits=logits), 1), name="y")(
        label_key
    )


x, y = load_iris(return_X_y=True)
x = ((x - x.mean(0)) / x.std(0)).astype(np.float32)
x, x_test, y, y_test = train_test_split(x, y, test_size=0.4, random_state=0, stratify=y)

model = cw.Model.from_oryx(species, x, observed={"y": y})
print(model)


def report(name, post):
    labels = post.predict(x_test)["predictions"]["y"].values
    share = (labels[..., None] == np.arange(3)).mean((0, 1))
    right = share.argmax(-1) == y_test
    error = np.sqrt(right.mean() * (1 - right.mean()) / len(right))
    print(f"{name}: held-out accuracy {right.mean():.3f} +- {error:.3f}")


ensemble = model.optimize.optax_adam(seed=0, num_particles=128, num_steps=300, progress=False)
report("128 modes", ensemble)
post = model.mcmc.numpyro_nuts(
    seed=0, init=ensemble, num_chains=2, num_warmup=200, num_draws=200, progress=False
)
report("posterior", post)
