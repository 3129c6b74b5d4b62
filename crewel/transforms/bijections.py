"""Ready-made transforms: NumPyro's constraints, leaf by leaf, and TFP's bijectors.

Both give three `Partial`s: forward, inverse and log|det d params / d u|, for one sample. The
numbers in a NumPyro transform (the bounds of an interval) are leaves of the `Partial`s, so models
that differ only in them share compiled code.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.tree_util import Partial

from crewel.core.protocol import PyTree
from crewel.core.trees import leaf_paths
from crewel.transforms.elementwise import float_dtype

Functions = tuple[Partial, ...]


def _is_one(value: Any) -> bool:
    if "numpyro" not in sys.modules:  # an object of NumPyro's would have imported it
        return False
    from numpyro.distributions import constraints, transforms

    return isinstance(value, constraints.Constraint | transforms.Transform)


def _spec_leaf(value: Any) -> bool:
    return value is None or _is_one(value)


def is_numpyro(value: Any) -> bool:
    """Whether `value` is `None`, a NumPyro constraint or transform, or a pytree of only those."""
    leaves = jax.tree.leaves(value, is_leaf=_spec_leaf)
    if isinstance(value, Partial) or is_tfp(value):  # pytrees that may have no leaves at all
        return False
    return bool(leaves) and all(map(_spec_leaf, leaves))


def from_numpyro(spec: Any, test_point: PyTree) -> Functions:
    """Forward, inverse and log-determinant of NumPyro's transforms, one per leaf.

    Raises:
        ValueError: `spec` does not fit `test_point`, or one of its constraints does not fit its
            leaf or has no map from R^n.
    """
    specs, _, below = _fitted(spec, test_point, _spec_leaf)
    specs = [one for one, part in zip(specs, below, strict=True) for _ in jax.tree.leaves(part)]
    pairs = zip(leaf_paths(test_point), specs, jax.tree.leaves(test_point), strict=True)
    parts = tuple(_bijection(*pair) for pair in pairs)
    return tuple(Partial(fn, parts) for fn in (_forward_each, _inverse_each, _log_det_each))


def _fitted(
    spec: Any, test_point: PyTree, is_leaf: Callable[[Any], bool]
) -> tuple[list[Any], Any, list[Any]]:
    """The leaves of a tree of transforms, its structure, and what is below each in `test_point`."""
    specs, treedef = jax.tree.flatten(spec, is_leaf=is_leaf)
    try:
        return specs, treedef, treedef.flatten_up_to(test_point)
    except ValueError as error:
        raise ValueError(
            f"`transform_fn` is a tree of constraints with the structure {treedef}, which does not "
            f"fit `test_point`, {jax.tree.structure(test_point)}: {error}. Give it the keys of "
            "`test_point`, with `None` where there is no constraint."
        ) from error


def _bijection(name: str, spec: Any, leaf: jax.Array) -> Any:
    """NumPyro's transform for one leaf; `None` for the identity."""
    from numpyro.distributions import biject_to, constraints, transforms

    if isinstance(spec, constraints.Constraint):
        try:
            spec = biject_to(spec)
        except NotImplementedError as error:
            raise ValueError(
                f"Leaf `{name}`: NumPyro has no map from R^n to the constraint {spec!r} (it may be "
                "discrete). Choose another constraint, or give a function as `transform_fn`."
            ) from error
    if spec is None or isinstance(spec, transforms.IdentityTransform):
        return None
    if spec.codomain.event_dim > jnp.ndim(leaf):
        raise ValueError(
            f"Leaf `{name}` has shape {jnp.shape(leaf)}, but {type(spec).__name__} makes arrays of "
            f"at least {spec.codomain.event_dim} dimensions. Reshape the leaf in `test_point`, or "
            "choose another constraint for it."
        )
    while isinstance(spec, transforms.IndependentTransform):  # says what to sum, but all is summed
        spec = spec.base_transform
    # Python numbers become arrays, so that `interval(0, 1)` and `interval(0.5, 1)` agree in type.
    return jax.tree.map(lambda c: jnp.asarray(float(c) if isinstance(c, int) else c), spec)


def _forward_one(part: Any, u: jax.Array) -> jax.Array:
    return u if part is None else jnp.asarray(part(u), u.dtype)


def _inverse_one(part: Any, y: jax.Array) -> jax.Array:
    return y if part is None else jnp.asarray(part.inv(y), y.dtype)


def _each(
    fn: Callable[[Any, jax.Array], jax.Array], parts: tuple[Any, ...], tree: PyTree
) -> PyTree:
    leaves, treedef = jax.tree.flatten(tree)
    pairs = zip(parts, map(jnp.asarray, leaves), strict=True)
    return treedef.unflatten([fn(part, leaf) for part, leaf in pairs])


def _forward_each(parts: tuple[Any, ...], u: PyTree) -> PyTree:
    return _each(_forward_one, parts, u)


def _inverse_each(parts: tuple[Any, ...], params: PyTree) -> PyTree:
    return _each(_inverse_one, parts, params)


def _log_det_each(parts: tuple[Any, ...], u: PyTree) -> jax.Array:
    dtype = float_dtype(u)
    total = jnp.zeros((), dtype)
    for part, leaf in zip(parts, jax.tree.leaves(u), strict=True):
        if part is not None:
            y, intermediates = part.call_with_intermediates(leaf)
            total += jnp.sum(part.log_abs_det_jacobian(leaf, y, intermediates), dtype=dtype)
    return total


@jax.tree_util.register_static
class _Held:
    """A bijector as static structure, equal only to itself: few bijectors are sound pytrees."""

    def __init__(self, bijector: Any):
        self.bijector = bijector
        # A joint bijector states the number of event dimensions of each of its parts.
        self.joint = not jax.tree_util.all_leaves(
            [bijector.forward_min_event_ndims, bijector.inverse_min_event_ndims]
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Held) and self.bijector is other.bijector

    def __hash__(self) -> int:
        return id(self.bijector)

    def map(self, fn: Callable[[PyTree], PyTree], tree: PyTree) -> PyTree:
        return fn(tree) if self.joint else jax.tree.map(fn, tree)


def is_tfp(value: Any) -> bool:
    """Whether `value` is a bijector of TFP, by its type's module; TFP is never imported.

    TFP's own structures, such as a `StructTuple`, are tuples and not bijectors.
    """
    ours = type(value).__module__.startswith("tensorflow_probability")
    return ours and not isinstance(value, tuple | list | dict)


def is_nest(value: Any) -> bool:
    """Whether it is a bijector of TFP, or a pytree of those and of NumPyro's and `None`."""
    leaves = jax.tree.leaves(value, is_leaf=_nest_leaf)
    return any(map(is_tfp, leaves)) and all(map(_nest_leaf, leaves))


def _nest_leaf(value: Any) -> bool:
    return is_tfp(value) or _spec_leaf(value)


def _from_tfp(bijector: Any) -> Functions:
    """Forward, inverse and log-determinant of a TFP bijector: on each leaf, or a joint one."""
    held = _Held(bijector)
    return tuple(Partial(fn, held) for fn in (_tfp_forward, _tfp_inverse, _tfp_log_det))


def from_nest(spec: Any, test_point: PyTree) -> Functions:
    """Forward, inverse and log-determinant of bijectors, each on what is below it.

    Raises:
        ValueError: `spec` does not fit `test_point`.
    """
    specs, treedef, below = _fitted(spec, test_point, _nest_leaf)
    parts = [
        _from_tfp(one) if is_tfp(one) else from_numpyro(one, part)
        for one, part in zip(specs, below, strict=True)
    ]
    forward, inverse, log_det = map(treedef.unflatten, zip(*parts, strict=True))
    each = Partial(_map_nest, forward), Partial(_map_nest, inverse)
    return *each, Partial(_sum_nest, log_det)


def _map_nest(parts: PyTree, tree: PyTree) -> PyTree:
    def is_part(node: Any) -> bool:
        return isinstance(node, Partial)

    return jax.tree.map(lambda part, below: part(below), parts, tree, is_leaf=is_part)


def _sum_nest(parts: PyTree, u: PyTree) -> jax.Array:
    values = jax.tree.leaves(_map_nest(parts, u))
    return sum(values, jnp.zeros((), float_dtype(u)))


def _tfp_forward(held: _Held, u: PyTree) -> PyTree:
    return held.map(held.bijector.forward, u)


def _tfp_inverse(held: _Held, params: PyTree) -> PyTree:
    return held.map(held.bijector.inverse, params)


def _tfp_log_det(held: _Held, u: PyTree) -> jax.Array:
    # Every dimension is declared an event dimension: TFP's default broadcasts the parts of a joint
    # bijector against each other and so counts the smaller ones several times.
    def log_det(u: PyTree) -> PyTree:
        return held.bijector.forward_log_det_jacobian(u, jax.tree.map(jnp.ndim, u))

    values = jax.tree.leaves(held.map(log_det, u))
    return sum(map(jnp.sum, values), jnp.zeros((), float_dtype(u)))
