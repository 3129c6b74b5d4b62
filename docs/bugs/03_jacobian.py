"""A log-determinant with the wrong sign.

`inverse_log_det_jacobian` is the log-determinant of the inverse: `log|du/dx| = -log x` for
`u = log x`. Without the minus sign, the sampler targets a different density of `x`.
"""

import jax
import jax.numpy as jnp
import numpyro.distributions as dist

import crewel as cw


def log_density(params):
    return dist.Gamma(5.0, 1.0).log_prob(params["rate"])


def exp(u):
    return {"rate": jnp.exp(u["rate"])}


model = cw.Model(
    log_density,
    {"rate": 3.0},
    exp,
    inverse_transform_fn=lambda params: {"rate": jnp.log(params["rate"])},
    inverse_log_det_jacobian=lambda params: jnp.log(params["rate"]),
)
model.debug(seed=0)

# Without the debugger
from by_hand import blackjax_nuts  # noqa: E402


def by_hand(u):
    return log_density(exp(u)) - u["rate"]


draws, info = blackjax_nuts(by_hand, {"rate": jnp.zeros(())})
rate = jax.vmap(exp)(draws)["rate"]
diverging = int(info.is_divergent.sum())
print(f"BlackJAX: {diverging} divergences in 1,000 draws, mean {rate.mean():.3g}.")
print("The mean of Gamma(5, 1) is 5.")
