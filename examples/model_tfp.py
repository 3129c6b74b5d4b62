"""A joint distribution of TensorFlow Probability: logistic regression on breast cancer.

python examples/model_tfp.py
"""

import jax
import jax.numpy as jnp
import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split
from tensorflow_probability.substrates.jax import distributions as tfd

import crewel as cw

x, y = load_breast_cancer(return_X_y=True)
x = ((x - x.mean(0)) / x.std(0)).astype(np.float32)
x, x_test, y, y_test = train_test_split(x, y, test_size=0.3, random_state=0)

joint = tfd.JointDistributionNamed(
    {
        "scale": tfd.HalfNormal(1.0),
        "weights": lambda scale: tfd.Sample(tfd.Normal(0.0, scale), x.shape[1]),
        "bias": tfd.Normal(0.0, 2.0),
        "y": lambda bias, weights: tfd.Independent(
            tfd.Bernoulli(logits=x @ weights + bias), reinterpreted_batch_ndims=1
        ),
    }
)
model = cw.Model.from_tfp(joint.experimental_pin(y=jnp.asarray(y)))
print(model)
post = model.mcmc.numpyro_nuts(seed=0, num_warmup=500, num_draws=250, progress=False)
print(post)

logits = post.draws["weights"] @ x_test.T + post.draws["bias"][..., None]
probability = np.asarray(jax.nn.sigmoid(logits)).mean((0, 1))
right = (probability > 0.5) == y_test
error = np.sqrt(right.mean() * (1 - right.mean()) / len(right))
lppd = np.log(np.where(y_test == 1, probability, 1 - probability)).mean()
print(f"held out: accuracy {right.mean():.3f} +- {error:.3f}, LPPD {lppd:.3f} nats per row")

again = post.predict()["predictions"]["y"].values  # the training labels, drawn anew
agree = (again == y).mean((0, 1, 2))
print(f"labels drawn anew agree with {agree:.1%} of the training data")
