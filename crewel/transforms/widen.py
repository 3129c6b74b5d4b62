"""Parameters narrower than the session's floats: sampled in the session's type, cast for the model.

Samplers carry positions, momenta and densities through branches and loops whose types must agree,
and steps of two or three digits would go nowhere. So the unconstrained space is wide, and the
user's functions see each leaf in its own type.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from crewel.core.protocol import Params, PyTree, Target, Transform
from crewel.core.trees import eagerly

Types = tuple[np.dtype, ...]  # one per leaf


@dataclass(frozen=True)
class _Cast:
    """A function of a narrow tree as one of a wide tree.

    Attributes:
        given: types that the function's first argument is cast to, one per leaf; `()`: as it is.
        found: types that the result is cast to, one per leaf.
        exactly: whether the result is cast to narrower types too, or only made wider.
    """

    given: Types
    found: Types
    exactly: bool = False

    def __call__(self, fn: Callable[..., PyTree], first: PyTree, *rest: Any) -> PyTree:
        """The function's result on `(first, *rest)`."""
        first = _cast(first, self.given) if self.given else first
        made = fn(first, *rest)
        if self.exactly:
            return _cast(made, self.found)
        leaves = jax.tree.leaves(made)
        wide = [
            jnp.promote_types(jnp.result_type(a), b)
            for a, b in zip(leaves, self.found, strict=True)
        ]
        return _cast(made, tuple(wide))


def _cast(tree: PyTree, types: Types) -> PyTree:
    leaves, structure = jax.tree.flatten(tree)
    pairs = zip(leaves, types, strict=True)
    return structure.unflatten([jnp.asarray(leaf, dtype) for leaf, dtype in pairs])


def _types(tree: PyTree) -> Types:
    return tuple(np.dtype(leaf.dtype) for leaf in jax.tree.leaves(tree))


def _wide(types: Types) -> Types:
    least = np.dtype(jnp.result_type(float))
    return tuple(least if dtype.itemsize < least.itemsize else dtype for dtype in types)


def widened(target: Target, test_point: Params) -> Target:
    """The target with an unconstrained space of the session's float type, or wider.

    The same target where no parameter is narrower than that.

    Args:
        target: a target on the parameters' own types.
        test_point: the parameters, for their types.

    Examples:
        >>> import crewel as cw, jax.numpy as jnp
        >>> model = cw.Model(lambda p: -(p**2), jnp.zeros((), jnp.bfloat16))
        >>> target = model.target()
        >>> position = target.transform.inverse(model.test_point)
        >>> position.dtype.name, target.constrain(position).dtype.name
        ('float32', 'bfloat16')
    """
    own = _types(test_point)
    if _wide(own) == own:
        return target
    with eagerly():
        narrow = _types(jax.eval_shape(target.transform.inverse, test_point))
    one = (np.dtype(jnp.result_type(float)),)
    forward, inverse, log_det = target.transform
    transform = Transform(
        Partial(_Cast(narrow, own, exactly=True), forward),
        Partial(_Cast(own, _wide(narrow)), inverse),
        Partial(_Cast(narrow, one), log_det),
    )
    of_params = _Cast((), one)
    location_and_scale = target.gaussian_prior
    return replace(
        target,
        transform=transform,
        log_prior=target.log_prior and Partial(of_params, target.log_prior),
        log_likelihood=target.log_likelihood and Partial(of_params, target.log_likelihood),
        gaussian_prior=location_and_scale
        and tuple(_cast(tree, _wide(_types(tree))) for tree in location_and_scale),
    )


def as_given(target: Target) -> Target:
    """The target before `widened`: the user's own functions, for checks in another precision."""

    def own(fn: Any) -> Any:
        wrapped = isinstance(fn, Partial) and isinstance(fn.func, _Cast)
        return fn.args[0] if wrapped else fn

    return replace(
        target,
        transform=Transform(*map(own, target.transform)),
        log_prior=own(target.log_prior),
        log_likelihood=own(target.log_likelihood),
    )
