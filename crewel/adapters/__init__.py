"""The one list of algorithms. A backend is a module here with a tuple `ROWS`."""

from __future__ import annotations

from crewel.adapters import (
    blackjax,
    blackjax_vi,
    flowmc,
    jaxopt,
    numpyro,
    numpyro_vi,
    nutpie,
    optax,
    optimistix,
    tfp,
)
from crewel.protocol import Algorithm

ALGORITHMS: tuple[Algorithm, ...] = (
    *numpyro.ROWS,
    *blackjax.ROWS,
    *tfp.ROWS,
    *nutpie.ROWS,
    *flowmc.ROWS,
    *optax.ROWS,
    *optimistix.ROWS,
    *jaxopt.ROWS,
    *numpyro_vi.ROWS,
    *blackjax_vi.ROWS,
)
