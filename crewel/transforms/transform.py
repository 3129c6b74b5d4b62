"""Maps from an unconstrained space to the parameters' support, with their log-determinants.

Whatever the user gives (nothing, a NumPyro constraint, a TFP bijector, a plain function) becomes
one `Transform` of one sample; nothing here ever sees a batch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from crewel.core.protocol import PyTree, Transform
from crewel.core.trees import as_partial, eagerly, is_traced, leaf_paths
from crewel.transforms import elementwise
from crewel.transforms.bijections import from_nest, from_numpyro, is_nest, is_numpyro
from crewel.transforms.inverse import check_like, derive

_INVERSE = "`inverse_transform_fn=` (parameters -> unconstrained)"
_LOG_DET = "`inverse_log_det_jacobian=` (parameters -> log|det du/dparams|)"
_CONSTRAINT = "a NumPyro constraint (`numpyro.distributions.constraints`) as `transform_fn`"


def build(
    transform_fn: PyTree,
    test_point: PyTree,
    *,
    inverse_transform_fn: Callable[[PyTree], PyTree] | None = None,
    inverse_log_det_jacobian: Callable[[PyTree], PyTree] | None = None,
) -> Transform:
    """Build the transform that `transform_fn` stands for, and check it at the test point.

    Args:
        transform_fn: the map from R^n to the support. `None` is the identity. A NumPyro
            constraint or transform, or a TFP bijector, applies to each leaf; a joint bijector
            applies to the whole tree. A pytree of those, like `test_point` or ending higher up,
            applies part by part, with `None` for the identity. A `Transform` is used as it is.
            Anything else is a function of the whole unconstrained tree.
        test_point: parameters inside their support, for their structure, shapes and dtypes.
        inverse_transform_fn: the inverse of `transform_fn`; found automatically for functions that
            act on each element alone (`jnp.exp`, `0.1 + 5 * jax.nn.sigmoid(x)`).
        inverse_log_det_jacobian: a function of the parameters whose results, all summed, are the
            log|det| of the inverse; found automatically for the same functions.

    Returns:
        A `Transform`. Two that are built from one `transform_fn` have the same tree structure, so
        a function compiled for the first takes the second.

    Raises:
        ValueError: `test_point` is not finite, the inverse followed by the transform does not
            return it, or no inverse or log-determinant was given or could be found.

    Examples:
        >>> import jax, jax.numpy as jnp
        >>> test_point = {"loc": jnp.zeros(2), "scale": jnp.ones(2)}
        >>> fn = lambda u: {"loc": u["loc"], "scale": jax.nn.softplus(u["scale"])}
        >>> transform = build(fn, test_point)
        >>> print(transform.inverse(test_point)["scale"].round(3))
        [0.541 0.541]
    """
    inverse, ildj = as_partial(inverse_transform_fn), as_partial(inverse_log_det_jacobian)
    _require_finite(test_point, "`test_point`", "Give finite parameters inside the support.")
    if isinstance(transform_fn, Transform):
        transform = transform_fn
    elif is_nest(transform_fn):
        transform = Transform(*from_nest(transform_fn, test_point))
    elif is_numpyro(transform_fn):
        transform = Transform(*from_numpyro(transform_fn, test_point))
    elif callable(transform_fn) and not isinstance(transform_fn, type):
        transform = _from_function(as_partial(transform_fn), test_point, inverse, ildj)
    else:
        raise ValueError(
            f"`transform_fn` is {transform_fn!r}, which is none of: `None`; a function of the "
            f"unconstrained tree; {_CONSTRAINT}, an instance and not a class; a TFP bijector; or a "
            "pytree of those and `None`."
        )
    if inverse is not None:
        transform = transform._replace(inverse=inverse)
    if ildj is not None:
        transform = transform._replace(log_det=Partial(_minus_ildj, transform.forward, ildj))
    given = (transform_fn, inverse, ildj) != (None, None, None)
    if given and not is_traced(transform):  # within `jax.jit` its numbers may not be known
        _check(transform, test_point)
    return transform


def _minus_ildj(
    forward: Callable[[PyTree], PyTree], ildj: Callable[[PyTree], PyTree], u: PyTree
) -> jax.Array:
    total = jnp.zeros((), elementwise.float_dtype(u))
    return total - sum(jnp.sum(leaf) for leaf in jax.tree.leaves(ildj(forward(u))))


def _from_function(
    fn: Callable[[PyTree], PyTree],
    test_point: PyTree,
    inverse: Callable[[PyTree], PyTree] | None,
    ildj: Callable[[PyTree], PyTree] | None,
) -> Transform:
    if inverse is not None and ildj is not None:
        return Transform(fn, inverse, ildj)  # `build` replaces `ildj` by the log-determinant
    u = test_point if inverse is None else jax.eval_shape(inverse, test_point)
    u = jax.tree.map(lambda leaf: np.zeros(jnp.shape(leaf), _float_like(leaf)), u)
    missing = [word for word, given in ((_INVERSE, inverse), (_LOG_DET, ildj)) if given is None]
    with eagerly():
        plan, consts = derive(fn, u, test_point, f"Pass {' and '.join(missing)}, or {_CONSTRAINT}.")
    return Transform(
        fn,
        Partial(elementwise.inverse, plan, consts),
        Partial(elementwise.log_det, plan, consts),
    )


def _float_like(leaf: Any) -> Any:
    dtype = leaf.dtype if isinstance(leaf, jax.ShapeDtypeStruct) else jnp.asarray(leaf).dtype
    return dtype if jnp.issubdtype(dtype, jnp.floating) else jnp.result_type(float)


@jax.jit
def _round_trip(transform: Transform, params: PyTree) -> tuple[PyTree, PyTree, jax.Array, PyTree]:
    """The inverse, the transform of it, the log-determinant, and the size of a unit step.

    The step gives the scale on which a parameter of zero is compared.
    """
    u = transform.inverse(params)
    again = transform.forward(u)
    step = transform.forward(jax.tree.map(lambda leaf: leaf + 1, u))
    return u, again, transform.log_det(u), jax.tree.map(lambda a, b: jnp.abs(a - b), step, again)


def _require_finite(tree: PyTree, what: str, hint: str) -> None:
    for name, leaf in zip(leaf_paths(tree), jax.tree.leaves(tree), strict=True):
        if not np.isfinite(leaf).all():
            kind = "NaN" if np.isnan(leaf).any() else "infinite"
            raise ValueError(f"{what} is {kind} at leaf `{name}`. {hint}")


def _check(transform: Transform, test_point: PyTree) -> None:
    reasons = (
        "Probable reasons: `test_point` is outside the support or on its edge, or `transform_fn` "
        "and `inverse_transform_fn` are swapped. Check `test_point` first, then the two functions."
    )
    with eagerly():
        u, again, log_det, step = _round_trip(transform, test_point)
    _require_finite(u, "The inverse transform of `test_point`", reasons)
    check_like(again, test_point, "`transform_fn(inverse(test_point))`", reasons)
    _require_finite(again, "`transform_fn(inverse(test_point))`", reasons)
    leaves = (jax.tree.leaves(tree) for tree in (again, test_point, step))
    for name, a, b, far in zip(leaf_paths(test_point), *leaves, strict=True):
        found, wanted = np.asarray(a, np.float64), np.asarray(b, np.float64)
        off = np.abs(found - wanted).max(initial=0.0)
        far = np.asarray(far, np.float64)
        size = max(np.abs(wanted).max(initial=0.0), far.max(initial=0.0, where=np.isfinite(far)))
        if off > np.sqrt(float(jnp.finfo(_float_like(a)).eps)) * size:
            raise ValueError(
                f"`transform_fn(inverse(test_point))` is off by {off:.3g} at leaf `{name}` (up to "
                f"{np.abs(wanted).max():.3g} in size). {reasons}"
            )
    if not np.isfinite(log_det):
        raise ValueError(
            f"The log-determinant of the transform is {log_det} at `test_point`: the transform is "
            "singular there, or `inverse_log_det_jacobian` is wrong. Move `test_point`, or fix the "
            "function."
        )
