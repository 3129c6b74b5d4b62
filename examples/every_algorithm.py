"""One Bayesian network on handwritten digits, with every algorithm of every family.

Each gets one line: held-out accuracy, log predictive density (LPPD), seconds, divergences. The
budget is small, and the same for a whole family except for algorithms made for few parameters. So
this shows that only a name changes, not which algorithm is best: a sampler that has not converged
shows it here too. `every_algorithm.py PREFIX ...` runs only algorithms whose names begin with it.
"""

from __future__ import annotations

import sys
import time

import flax.linen as nn
import jax.numpy as jnp
from common import load

import crewel as cw
from crewel.core.options import settings_of

BUDGET = {
    "num_chains": 2,
    "num_warmup": 200,
    "num_draws": 100,
    "num_particles": 4,
    "num_steps": 500,
    "batch_size": 64,
}

# Algorithms made for few parameters need a smaller budget on a network, to end in about a minute.
FEW = {
    "numpyro_sa": {"dense_mass": False, "adapt_state_size": 50},
    "blackjax_slice": {"num_warmup": 5, "num_draws": 5},
    "blackjax_tempered_smc": {"num_chains": 32, "num_mcmc_steps": 2},
    "blackjax_nested_slice": {"num_chains": 20, "num_inner_steps": 3},
}


class MLP(nn.Module):
    """16-6-10: 172 weights, few enough for algorithms whose cost grows with their cube."""

    @nn.compact
    def __call__(self, x):
        """Logits of ten digits, from images of 4 x 4 pixels."""
        x = x.reshape(-1, 4, 2, 4, 2).mean((2, 4)).reshape(-1, 16)
        return nn.Dense(10)(jnp.tanh(nn.Dense(6)(x)))


def budget(row) -> dict:
    """The settings of the budget that the row takes and does not set itself."""
    settings = settings_of(row)
    common = {k: v for k, v in BUDGET.items() if k in settings and k not in row.settings}
    return common | FEW.get(row.name, {})


def main(only: tuple[str, ...]) -> None:
    """Run them all; a failure is printed, and the others go on."""
    x, y, x_test, y_test = load("digits", test_size=0.5)
    model = cw.wrap(MLP(), x, y, likelihood="categorical")
    start = model.optimize.optax_adam(seed=0, num_particles=8, num_steps=300, progress=False)
    print(f"{'algorithm':36} {'accuracy':>8} {'LPPD':>7} {'seconds':>8} {'diverging':>9}")
    for row in cw.ALGORITHMS:
        if not row.name.startswith(only):
            continue
        began = time.perf_counter()
        name = f"{row.family.name}.{row.name}"
        try:
            run = getattr(getattr(model, row.family.name), row.name)
            init = {} if "init" in row.settings else {"init": start}
            post = run(seed=0, progress=False, **budget(row), **init)
            scores = post.resampled().metrics(x_test, y_test)
        except Exception as error:  # the next one may work
            print(f"{name:36} {type(error).__name__}: {error}"[:160])
            continue
        seconds = time.perf_counter() - began
        diverging = post.stats["diverging"].sum() if "diverging" in post.stats else "-"
        print(
            f"{name:36} {scores['accuracy']:8.3f} {scores['lppd']:7.3f} "
            f"{seconds:8.1f} {diverging!s:>9}",
            flush=True,
        )


if __name__ == "__main__":
    main(tuple(sys.argv[1:]) or ("",))
