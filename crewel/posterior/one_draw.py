"""One draw of a network, in its library's own form."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from crewel.core.meanings import check_index
from crewel.core.model_like import Predictive
from crewel.core.protocol import Params
from crewel.posterior.predict import require_network


def network(predictive: Predictive | None, draws: Params, chain: int, draw: int) -> Any:
    """The network with one draw of its parameters; see `Posterior.network`.

    Raises:
        IndexError: there is no such chain or draw.
        ValueError: the model was not built from a network.
    """
    found = require_network(predictive, "`network`")
    assert found.rebuild is not None
    chains, number = jax.tree.leaves(draws)[0].shape[:2]
    check_index(chain=(chain, chains), draw=(draw, number))
    return found.rebuild(jax.tree.map(lambda leaf: jnp.asarray(leaf[chain, draw]), draws))
