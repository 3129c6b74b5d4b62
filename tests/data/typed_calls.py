# pyright: strict, reportUnnecessaryTypeIgnoreComment=error
"""What a type checker says of calls: `tests/test_stubs.py` runs pyright on this file.

A line that says what pyright must report is an error where pyright reports nothing.
"""

from typing import assert_type

import crewel as cw


def right(model: cw.Model, row: cw.Algorithm) -> None:
    post = model.mcmc.numpyro_nuts(seed=0, num_draws=5, max_tree_depth=8, target_accept_prob=0.9)
    assert_type(post, cw.Posterior)
    assert_type(model.mcmc.blackjax_nuts(seed=0, init=post), cw.Posterior)
    assert_type(model.optimize.optax_adam(0, num_particles=4, batch_size=32), cw.Posterior)
    assert_type(model.sgmcmc.blackjax_sgld(reduce="mean"), cw.Posterior)
    assert_type(model.mcmc(row)(seed=0, anything=1), cw.Posterior)
    assert_type(post.extend(100), cw.Posterior)
    assert_type(bool(model.vi.numpyro_auto_normal.debug(seed=0, verbosity=0)), bool)


def wrong(model: cw.Model) -> None:
    model.mcmc.numpyro_nuts(sed=0)  # pyright: ignore[reportCallIssue]
    model.mcmc.numpyro_nuts(num_drawz=5)  # pyright: ignore[reportCallIssue]
    model.mcmc.numpyro_nuts(max_tree_dept=5)  # pyright: ignore[reportCallIssue]
    model.mcmc.numpyro_nuts(chain_method="paralel")  # pyright: ignore[reportArgumentType]
    model.mcmc.numpyro_nuts(num_draws="many")  # pyright: ignore[reportArgumentType]
    model.mcmc.numpyro_nuts(num_particles=8)  # pyright: ignore[reportCallIssue]
    print(model.mcmc.numpyro_nutz)  # pyright: ignore
    print(model.optimise)  # pyright: ignore
    model.optimize.optimistix_levenberg_marquardt()  # pyright: ignore[reportCallIssue]
