"""The one list of algorithms. A backend is a module here with a tuple `ROWS`."""

from __future__ import annotations

from crewel.adapters import (
    blackjax,
    blackjax_sgmcmc,
    jaxopt,
    numpyro,
    numpyro_hmcecs,
    optax,
    optimistix,
    sgmcmc,
)
from crewel.protocol import Algorithm

ALGORITHMS: tuple[Algorithm, ...] = (
    *numpyro.ROWS,
    *blackjax.ROWS,
    *blackjax_sgmcmc.ROWS,
    *sgmcmc.ROWS,
    *numpyro_hmcecs.ROWS,
    *optax.ROWS,
    *optimistix.ROWS,
    *jaxopt.ROWS,
)
