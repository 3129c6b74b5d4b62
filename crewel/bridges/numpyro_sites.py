"""The sites of a NumPyro program: what they are, and which of them cannot be used."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp


def is_factor(site: dict[str, Any]) -> bool:
    """Whether it is a `numpyro.factor`."""
    return type(site["fn"]).__name__ == "Unit"


def is_datum(site: dict[str, Any]) -> bool:
    """Whether it is an observed value with a distribution."""
    return site["type"] == "sample" and site["is_observed"] and not is_factor(site)


def is_latent(site: dict[str, Any]) -> bool:
    """Whether it is sampled."""
    return site["type"] == "sample" and not site["is_observed"]


def check_shape(name: str, site: dict[str, Any]) -> None:
    """Raise if the values of an observed site cannot be compared with its distribution."""
    found, values = site["fn"].shape(), jnp.shape(site["value"])
    try:
        jnp.broadcast_shapes(found, values)
    except ValueError as error:
        raise ValueError(
            f"The observed site `{name}` has a distribution of shape {found}, but its values have "
            f"shape {values}. Check the lengths of the arrays that the model was given."
        ) from error


def check(name: str, site: dict[str, Any]) -> None:
    """Raise if a site cannot be part of a density with gradients."""
    from numpyro.distributions import Delta

    why = None
    if is_latent(site) and site["fn"].support.is_discrete:
        why = (
            "is a discrete latent, but gradients need continuous latents. Sum it out, for "
            "instance with `dist.MixtureSameFamily`"
        )
    elif is_latent(site) and isinstance(site["fn"], Delta):
        why = "has a `Delta` distribution. Use `numpyro.deterministic` for it"
    elif site["type"] == "plate" and site["args"][1] not in (None, site["args"][0]):
        why = (
            f"draws {site['args'][1]} of {site['args'][0]} rows anew at every evaluation. Give the "
            "plate all rows; for minibatches, use `crewel.wrap` and an algorithm of `model.sgmcmc`"
        )
    elif site["type"] == "mutable":
        why = (
            "is state that changes with every evaluation, but a density must not change. Build "
            "the network without it (batch statistics, dropout)"
        )
    if why:
        raise ValueError(f"The NumPyro site `{name}` {why}.")
