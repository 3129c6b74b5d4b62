"""The density that an algorithm sees: one function on one unconstrained space."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

PyTree = Any
Params = PyTree  # in the structure of the model's test point
Position = PyTree  # the same in the unconstrained space
Data = PyTree  # arrays with a leading axis of rows

# What a model must have for minibatches: rows, and prior and likelihood as separate functions.
SEPARATE = frozenset({"data", "log_prior", "log_likelihood"})
# Hints for what a model must have but `wrap` does not give to every model.
_NEEDS = {
    "gaussian_prior": "a Gaussian prior. Make every prior a `numpyro.distributions.Normal`, or "
    "give `Model(..., gaussian_prior=(location, scale))`.",
}


class Transform(NamedTuple):
    """A pytree of three functions: their code is its structure, their numbers are its leaves.

    Attributes:
        forward: unconstrained tree to parameters.
        inverse: parameters to unconstrained tree.
        log_det: unconstrained tree to the scalar log|det d params / d u|. It is computed at the
            unconstrained point and needs no inverse.
    """

    forward: Callable[[Position], Params]
    inverse: Callable[[Params], Position]
    log_det: Callable[[Position], jax.Array]


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["log_joint", "transform", "log_prior", "log_likelihood", "data", "gaussian_prior"],
    meta_fields=["jacobian", "num_data", "batch_size"],
)
@dataclass(frozen=True)
class Target:
    """One density on one unconstrained space; a pytree, so `jax.jit` takes it as an argument.

    Its functions are `jax.tree_util.Partial`: code is structure, numbers are leaves. Two models
    with the same code and other numbers of the same shape share their compiled programs.

    Attributes:
        log_joint: `params -> scalar`, or `(params, data) -> scalar` if there is `data`.
        transform: unconstrained position to parameters, for one sample.
        log_prior: `params -> scalar`, or `None` if the model does not separate it.
        log_likelihood: `(params, batch) -> (n,)`, one value per datum, or `None`.
        data: pytree of arrays with a leading axis of rows, or `None`.
        gaussian_prior: `(location, scale)` of the prior, each a pytree like the parameters, if
            the prior is independent normal and nothing is transformed; otherwise `None`.
        jacobian: whether `log_density` includes the log-determinant of the transform.
        num_data: rows of all the data, even if `data` is a batch of them; 1 without data.
        batch_size: rows of the batches that steps see; `None` if they see all.
    """

    log_joint: Callable[..., jax.Array]
    transform: Transform
    log_prior: Callable[[Params], jax.Array] | None = None
    log_likelihood: Callable[[Params, Data], jax.Array] | None = None
    data: Data = None
    gaussian_prior: tuple[Params, Params] | None = None
    jacobian: bool = True
    num_data: int = 1
    batch_size: int | None = None

    def constrain(self, position: Position) -> Params:
        """The parameters at an unconstrained position."""
        return self.transform.forward(position)

    @property
    def num_rows(self) -> int:
        """Rows in `data`: all of them, or those of a batch; 1 without data."""
        leaves = jax.tree.leaves(self.data)
        return leaves[0].shape[0] if leaves else 1

    def require(self, needs: Iterable[str], what: str) -> None:
        """Raise if the model lacks something that an algorithm or a setting requires.

        Args:
            needs: names of attributes.
            what: the algorithm or setting, for the message.

        Raises:
            ValueError: one of `needs` is `None`.
        """
        for need in sorted(needs):
            if getattr(self, need) is None:
                usual = (
                    f"`{need}`. Give `Model(..., {need}=...)`, or use `crewel.wrap`, whose models "
                    "have it."
                )
                raise ValueError(f"`{what}` needs a model with {_NEEDS.get(need, usual)}")

    def on(self, batch: Data) -> Target:
        """The estimate of this density on a batch of n rows.

        `log_prior + N/n * sum(log_likelihood(batch))`, plus the Jacobian, unscaled. Averaged over
        uniformly drawn batches, it and its gradient equal those of the density on all rows.
        """
        number = jax.tree.leaves(batch)[0].shape[0]
        scale = jnp.asarray(self.num_data / number)
        joint = jax.tree_util.Partial(estimate, self.log_prior, self.log_likelihood, scale)
        return replace(self, log_joint=joint, data=batch)

    def exactly(self, rows: Data) -> Target:
        """This density with other rows in place of its own, each counted once."""
        number = jax.tree.leaves(rows)[0].shape[0]
        return replace(self, data=rows, num_data=number)

    def joint(self, params: Params) -> jax.Array:
        """Log density at the parameters, without any Jacobian, as the model returns it."""
        return self.log_joint(params) if self.data is None else self.log_joint(params, self.data)

    def log_density(self, position: Position) -> jax.Array:
        """Log density at an unconstrained position: a scalar, of the session's float type or wider.

        Raises:
            ValueError: the model's log density is not a scalar.
        """
        value = jnp.asarray(self.joint(self.constrain(position)))
        if value.shape != ():
            rows = (
                " That is one value per row: sum it, `.sum()`."
                if self.num_data in value.shape
                else ""
            )
            raise ValueError(
                f"The log density has shape {value.shape}; it must be a scalar, `()`.{rows}"
            )
        if jnp.issubdtype(value.dtype, jnp.floating):
            value = value.astype(jnp.promote_types(value.dtype, jnp.result_type(float)))
        return value + self.transform.log_det(position) if self.jacobian else value


def estimate(
    log_prior: Callable[[Params], jax.Array],
    log_likelihood: Callable[[Params, Data], jax.Array],
    scale: jax.Array,
    params: Params,
    batch: Data,
) -> jax.Array:
    """A log density whose likelihood is computed on some rows and scaled to all of them."""
    return log_prior(params) + scale * jnp.sum(log_likelihood(params, batch))
