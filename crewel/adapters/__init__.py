"""The one list of algorithms. A backend is a module here with a tuple `ROWS`."""

from __future__ import annotations

from crewel.adapters import (
    blackjax,
    blackjax_control_variates,
    blackjax_ensemble,
    blackjax_langevin,
    blackjax_mclmc,
    blackjax_nested,
    blackjax_sgmcmc,
    blackjax_slice,
    blackjax_smc,
    blackjax_vi,
    flowmc,
    jaxopt,
    numpyro,
    numpyro_ensemble,
    numpyro_hmcecs,
    numpyro_vi,
    nutpie,
    optax,
    optimistix,
    sgmcmc,
    tfp,
    tfp_vi,
)
from crewel.protocol import Algorithm

ALGORITHMS: tuple[Algorithm, ...] = (
    *numpyro.ROWS,
    *numpyro_ensemble.ROWS,
    *blackjax.ROWS,
    *blackjax_sgmcmc.ROWS,
    *blackjax_control_variates.ROWS,
    *sgmcmc.ROWS,
    *numpyro_hmcecs.ROWS,
    *blackjax_langevin.ROWS,
    *blackjax_mclmc.ROWS,
    *blackjax_slice.ROWS,
    *blackjax_ensemble.ROWS,
    *blackjax_smc.ROWS,
    *blackjax_nested.ROWS,
    *tfp.ROWS,
    *nutpie.ROWS,
    *flowmc.ROWS,
    *optax.ROWS,
    *optimistix.ROWS,
    *jaxopt.ROWS,
    *numpyro_vi.ROWS,
    *blackjax_vi.ROWS,
    *tfp_vi.ROWS,
)
