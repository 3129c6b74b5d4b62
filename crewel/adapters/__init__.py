"""The one list of algorithms. A backend is a module here with a tuple `ROWS`."""

from __future__ import annotations

from crewel.adapters import (
    blackjax,
    blackjax_langevin,
    blackjax_mclmc,
    blackjax_slice,
    numpyro,
    numpyro_ensemble,
    optax,
)
from crewel.protocol import Algorithm

ALGORITHMS: tuple[Algorithm, ...] = (
    *numpyro.ROWS,
    *numpyro_ensemble.ROWS,
    *blackjax.ROWS,
    *blackjax_langevin.ROWS,
    *blackjax_mclmc.ROWS,
    *blackjax_slice.ROWS,
    *optax.ROWS,
)
