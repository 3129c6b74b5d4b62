"""The `Target` of a model, from what the model is given: functions, transform, data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jax.tree_util import Partial
from jax.typing import ArrayLike

from crewel.core import inputs
from crewel.core.protocol import Data, Params, Position, PyTree, Target
from crewel.core.trees import as_partial
from crewel.transforms.transform import build
from crewel.transforms.widen import widened


def assemble(
    log_density: Callable[..., ArrayLike] | None,
    test_point: Params,
    transform_fn: PyTree,
    *,
    inverse_transform_fn: Callable[[Params], Position] | None,
    inverse_log_det_jacobian: Callable[[Params], ArrayLike] | None,
    data: Data,
    log_prior: Callable[[Params], ArrayLike] | None,
    log_likelihood: Callable[[Params, Any], ArrayLike] | None,
    gaussian_prior: tuple[Params, Params] | None,
) -> Target:
    """The density on the unconstrained space; the arguments are those of `crewel.Model`.

    Raises:
        ValueError: neither `log_density` nor all of its parts; a transform that cannot be
            inverted; rows of `data` that differ in number; or a Gaussian prior that does not fit.
    """
    # Once each: the arrays that a function closes over are read for its key.
    prior, likelihood = as_partial(log_prior), as_partial(log_likelihood)
    if log_density is not None:
        joint = as_partial(log_density)
    elif prior is None or likelihood is None or data is None:
        raise ValueError(
            "Without `log_density`, all of `log_prior`, `log_likelihood` and `data` are needed."
        )
    else:
        joint = Partial(inputs.joint, prior, likelihood)
    target = Target(
        log_joint=inputs.arrays(joint),
        transform=build(
            transform_fn,
            test_point,
            inverse_transform_fn=inverse_transform_fn,
            inverse_log_det_jacobian=inverse_log_det_jacobian,
        ),
        log_prior=inputs.arrays(prior),
        log_likelihood=inputs.arrays(likelihood),
        data=data,
        gaussian_prior=inputs.gaussian_prior(gaussian_prior, test_point, transform_fn),
        num_data=inputs.num_rows(data),
    )
    return widened(target, test_point)
