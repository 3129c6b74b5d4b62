"""Compare an automatically found inverse and log|det J| with the function itself, numerically.

Values may differ by as much as rounding explains. That is estimated along the chain: a relative
error `eps` in an intermediate value `z` moves the input by `eps |z| / |dz/dx|`, and an absolute
error of the smallest float moves it in the same way.
"""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from crewel.core.protocol import Array, PyTree
from crewel.transforms.elementwise import Chain, Consts, Plan, invert, stages

_FILLS = (-3.9, 3.6, -2.6, 2.3, -1.7, 1.4, -0.9, 0.7, -0.3, 0.2, -7.3, 6.8)
_SAMPLE = 64  # elements checked per leaf


def verify(
    fn: Callable[[PyTree], PyTree],
    plan: Plan,
    consts: tuple[Consts, ...],
    u: PyTree,
    names: list[str],
    remedy: str,
) -> None:
    """Compare `plan` with `fn` at several points of the real line.

    Leaves that do not change are skipped, and only `_SAMPLE` elements of each other leaf are
    checked, so a network with many leaves costs little.

    Raises:
        ValueError: They differ by more than rounding explains, `fn` returns NaN, or `fn` is
            constant or overflows at nearly all points. The message names the leaf, from `names`.
    """
    fills = np.asarray(_FILLS, np.float32)
    for i, row in _evaluate(fn, plan, consts, u, fills).items():
        # Not jitted: all leaves have the same shape here, so each operation compiles only once.
        result = {
            k: np.asarray(v).reshape(len(fills), -1)
            for k, v in _compare(plan.chains[i], *row).items()
        }
        _judge(names[i], plan.chains[i], result, fills, remedy)


def _moves(chain: Chain) -> bool:
    return any(step.rule in ("reshape", "permute") for step in chain)


@jax.jit
def _evaluate(
    fn: Callable[[PyTree], PyTree],
    plan: Plan,
    consts: tuple[Consts, ...],
    u: PyTree,
    fills: Array,
) -> dict[int, tuple[Consts, jax.Array, jax.Array, jax.Array]]:
    """The constants, input, output and slope of each leaf that changes, for each fill value."""
    shapes = [leaf.shape for leaf in jax.tree.leaves(u)]
    looked_at = [i for i, chain in enumerate(plan.chains) if chain and 0 not in shapes[i]]

    def pick(i: int, array: jax.Array) -> jax.Array:
        shape = shapes[plan.sources[i]]
        if _moves(plan.chains[i]):
            return array
        size = int(np.prod(shape))
        places = np.arange(_SAMPLE) * max(size, _SAMPLE) // _SAMPLE % size
        return jnp.broadcast_to(array, shape).reshape(-1)[places]

    def at(value: jax.Array) -> dict[int, tuple[jax.Array, ...]]:
        def spread(
            leaf: jax.Array,
        ) -> jax.Array:  # all elements of a leaf differ, so that a misplaced one shows
            places = jnp.arange(leaf.size) * 0.618 % 1.0
            return (value * (1 + 0.1 * places)).reshape(leaf.shape).astype(leaf.dtype)

        point = jax.tree.map(spread, u)
        # Each row and column of the Jacobian has one entry: its transpose times ones lists them.
        out, pullback = jax.vjp(fn, point)
        slope = pullback(jax.tree.map(jnp.ones_like, out))[0]
        x, y, dy = (jax.tree.leaves(tree) for tree in (point, out, slope))
        rows = {i: (x[plan.sources[i]], y[i], dy[plan.sources[i]]) for i in looked_at}
        return {i: tuple(pick(i, array) for array in row) for i, row in rows.items()}

    def constants(i: int) -> Consts:
        return tuple(None if c is None else pick(i, c) for c in consts[i])

    return {i: (constants(i), *row) for i, row in jax.lax.map(at, fills).items()}


@partial(jax.vmap, in_axes=(None, None, 0, 0, 0))
def _compare(
    chain: Chain, consts: Consts, x: jax.Array, y: jax.Array, slope: jax.Array
) -> dict[str, jax.Array]:
    """For each element: whether it is defined and counts, and its errors relative to rounding."""
    again, log_slope, noise = x, jnp.zeros_like(x), jnp.abs(x)
    miss, eps = jnp.abs(invert(chain, consts, y) - x), jnp.finfo(x.dtype).eps
    for rule, c, before, again in stages(chain, consts, x):
        eps = max(eps, jnp.finfo(again.dtype).eps)
        if rule.log_slope is None:
            if before.dtype == again.dtype:  # elements move, and so do their slopes and errors
                moved = (rule.forward(v, c) for v in (log_slope, noise, miss, slope))
                log_slope, noise, miss, slope = moved
        else:
            log_slope += rule.log_slope(before, again, c)
            size = jnp.abs(again) + float(jnp.finfo(again.dtype).tiny) / float(eps)
            noise = jnp.maximum(noise, size * jnp.exp(-log_slope))
    tolerance = min(max(200 * float(eps), 1e-9), 0.05)

    def ratio(error: jax.Array, scale: jax.Array) -> jax.Array:
        return jnp.nan_to_num(error / (tolerance * scale), nan=jnp.inf)

    return {
        "undefined": jnp.isnan(y),
        "counts": jnp.isfinite(y) & jnp.isfinite(slope) & (slope != 0) & (eps * noise < 0.1),
        "value": ratio(jnp.abs(again - y), noise * jnp.exp(log_slope)),
        "inverse": ratio(miss, noise),
        "log-slope": ratio(jnp.abs(log_slope - jnp.log(jnp.abs(slope))), 1 + noise),
    }


def _judge(
    name: str, chain: Chain, seen: dict[str, np.ndarray], fills: np.ndarray, remedy: str
) -> None:
    where = f"`transform_fn` at leaf `{name}` ({' -> '.join(step.rule for step in chain)})"
    undefined = seen["undefined"].any(1)
    if undefined.any():
        raise ValueError(
            f"{where} gives NaN for an input near {fills[undefined.argmax()]:g}. It must be "
            f"defined on the whole real line. {remedy}"
        )
    if seen["counts"].sum(0).min() < 2:
        raise ValueError(
            f"{where} is constant, or overflows, nearly everywhere between -7 and 7, so it has no "
            f"inverse. {remedy}"
        )
    for what in ("value", "inverse", "log-slope"):
        worst = np.where(seen["counts"], seen[what].astype(np.float64), 0.0).max(1)
        if worst.max() > 1:
            raise ValueError(
                f"{where}: the {what} that was found for it is wrong near the input "
                f"{fills[worst.argmax()]:g}. Either the function is not one-to-one (like `x**2`), "
                f"or Crewel did not recognize it. {remedy}"
            )
