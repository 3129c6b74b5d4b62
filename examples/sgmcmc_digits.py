"""Minibatches: an MLP on scikit-learn's digits, from an optimizer to three stochastic samplers."""

import jax
import jax.numpy as jnp
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import crewel as cw

x, y = load_digits(return_X_y=True)
x = np.asarray(x, np.uint8)  # bytes stay bytes: the network converts each batch to floats
x, x_test, y, y_test = train_test_split(x, y, test_size=0.4, random_state=0, stratify=y)


def network(params, x):
    """One hidden layer of 32."""
    x = x / 16.0
    return jnp.tanh(x @ params["w1"] + params["b1"]) @ params["w2"] + params["b2"]


def weights(key):
    """Initial weights of a chain."""
    one, two = jax.random.split(key)
    return {
        "w1": jax.random.normal(one, (64, 32)) / 8,
        "b1": jnp.zeros(32),
        "w2": jax.random.normal(two, (32, 10)) / 6,
        "b2": jnp.zeros(10),
    }


model = cw.wrap(network, x, y, likelihood="categorical", example=weights)

# Early stopping on held-out rows; each particle keeps its best weights.
ensemble = model.optimize.optax_adam(
    seed=0, num_particles=2, num_steps=3000, batch_size=64, evaluate=(x_test, y_test, 100),
    patience=5, progress=False,
)  # fmt: skip
print(f"adam: log density {ensemble.stats['test_lppd'].mean():.3f} per held-out row")

# Only the mean of the predictions and the running scores are kept.
for name in ("blackjax_sgld", "blackjax_sghmc", "crewel_psgld"):
    post = getattr(model.sgmcmc, name)(
        seed=0, init=ensemble, batch_size=64, num_chains=2, num_warmup=500, num_draws=500,
        thinning=10, collect=cw.predictions(model, x_test), reduce="mean",
        evaluate=(x_test, y_test), progress=False,
    )  # fmt: skip
    probability = post.draws.mean((0, 1))  # over both chains
    accuracy = (probability.argmax(-1) == y_test).mean()
    scores = {k: v.mean() for k, v in post.stats.items() if k.startswith("test_")}
    print(
        f"{name}: step size {post.stats['step_size'].mean():.1e}, held-out accuracy "
        f"{accuracy:.3f}; per chain {scores['test_accuracy']:.3f}, log density "
        f"{scores['test_lppd']:.3f} per row, calibration error {scores['test_ece']:.3f}"
    )
