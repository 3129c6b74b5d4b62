"""Run BlackJAX and NumPyro directly, as their documentation shows."""

import blackjax
import jax
from numpyro.infer import MCMC, NUTS


def blackjax_nuts(log_density, start, num_warmup=500, num_draws=1000):
    """Draws from BlackJAX's NUTS, and its information on each draw."""
    warm_key, draw_key = jax.random.split(jax.random.key(0))
    warmup = blackjax.window_adaptation(blackjax.nuts, log_density)
    (state, tuned), _ = warmup.run(warm_key, start, num_warmup)
    kernel = blackjax.nuts(log_density, **tuned)

    def step(state, key):
        state, info = kernel.step(key, state)
        return state, (state.position, info)

    keys = jax.random.split(draw_key, num_draws)
    return jax.jit(lambda state: jax.lax.scan(step, state, keys)[1])(state)


def numpyro_nuts(log_density, start, num_warmup=500, num_draws=1000):
    """Draws from NumPyro's NUTS, and whether each diverged."""
    kernel = NUTS(potential_fn=lambda params: -log_density(params))
    mcmc = MCMC(kernel, num_warmup=num_warmup, num_samples=num_draws, progress_bar=False)
    mcmc.run(jax.random.key(0), init_params=start, extra_fields=("diverging",))
    return mcmc.get_samples(), mcmc.get_extra_fields()["diverging"]


def blackjax_sgld(gradient, start, data, batch_size, step_size, num_draws=20_000):
    """The second half of the draws of BlackJAX's stochastic gradient Langevin dynamics."""
    kernel = blackjax.sgld(gradient)

    def step(position, key):
        row_key, step_key = jax.random.split(key)
        rows = jax.random.choice(row_key, len(jax.tree.leaves(data)[0]), (batch_size,))
        batch = jax.tree.map(lambda leaf: jax.numpy.asarray(leaf)[rows], data)
        position = kernel.step(step_key, position, batch, step_size)
        return position, position

    keys = jax.random.split(jax.random.key(0), num_draws)
    draws = jax.jit(lambda start: jax.lax.scan(step, start, keys)[1])(start)
    return jax.tree.map(lambda leaf: leaf[num_draws // 2 :], draws)
