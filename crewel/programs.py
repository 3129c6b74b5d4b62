"""What is compiled: start a chain, warm it up, draw from it, and the same for many chains.

Each function is written for one chain and lifted to a block of chains by `vmap`, and over
devices by `shard_map`. Loops take their number of steps as an argument, so that one program
serves any number of draws, and a run in pieces equals a run in one, bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from crewel.compiling import thaw
from crewel.protocol import Algorithm, Stepped, Target
from crewel.trees import strong


@dataclass(frozen=True)
class Spec:
    """All that is code in a run; the key of its programs.

    Attributes:
        row: the algorithm.
        options: the static part of its options.
        num_warmup: steps of warm-up (schedules are built from it).
        thinning: steps a kept draw.
        length: draws that a program's buffer holds.
        keep: whether draws are kept, or (optimizers) only the last position.
        collect: function of the parameters whose value is kept instead of them.
        chains: chains in a block; 0: one chain without a chain axis.
        devices: devices that the block is spread over.
    """

    row: Algorithm
    options: Any
    num_warmup: int
    thinning: int
    length: int
    keep: bool
    collect: Callable[[Any], Any] | None
    chains: int
    devices: int


def _lift(spec: Spec, fn: Callable[..., Any], mapped: tuple[int | None, ...]) -> Callable[..., Any]:
    if spec.row.cross_chain or spec.chains == 0:
        return fn
    fn = jax.vmap(fn, in_axes=mapped)
    return fn if spec.devices == 1 else _spread(fn, spec.devices, mapped)


def mesh(devices: int) -> jax.sharding.Mesh:
    """The first local devices, along an axis of chains."""
    return jax.sharding.Mesh(np.array(jax.local_devices()[:devices]), ("chains",))


def spread_out(state: Any, devices: int) -> Any:
    """A state, or its shapes, placed as the programs of a run over `devices` hand it on."""
    if devices == 1:
        return state
    sharding = jax.sharding.NamedSharding(mesh(devices), jax.sharding.PartitionSpec("chains"))

    def place(leaf):
        if isinstance(leaf, jax.Array):
            return jax.device_put(leaf, sharding)
        return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding)

    return jax.tree.map(place, state)


def _spread(
    fn: Callable[..., Any], devices: int, mapped: tuple[int | None, ...]
) -> Callable[..., Any]:
    # Each device runs loops of its own length: no chain waits for one on another device.
    spec = jax.sharding.PartitionSpec
    specs = tuple(spec("chains") if axis == 0 else spec() for axis in mapped)
    if hasattr(jax, "shard_map"):
        return jax.shard_map(
            fn, mesh=mesh(devices), in_specs=specs, out_specs=spec("chains"), check_vma=False
        )
    from jax.experimental.shard_map import shard_map  # JAX 0.5

    return shard_map(
        fn, mesh=mesh(devices), in_specs=specs, out_specs=spec("chains"), check_rep=False
    )


def start(spec: Spec, target: Target, arrays: list[Any], keys: Any, positions: Any) -> Any:
    """The state at the start of the warm-up if it is stepped, else at its end."""

    def one(target, arrays, key, position):
        warmup = spec.row.warmup
        make = warmup.init if isinstance(warmup, Stepped) else warmup
        assert make is not None
        options = thaw(spec.options, arrays)
        return strong(make(target, key, position, spec.num_warmup, **options))

    return _lift(spec, one, (None, None, 0, 0))(target, arrays, keys, positions)


def adapt(
    spec: Spec, target: Target, arrays: list[Any], keys: Any, state: Any, first: Any, count: Any
) -> Any:
    """`(state, losses)` after `count` more steps of a stepped warm-up.

    `losses` is `(num_warmup,)`, filled where these steps are, of a fit; `()` of another warm-up.
    """
    warmup = spec.row.warmup
    assert isinstance(warmup, Stepped)

    def one(target, arrays, key, state, first, count):
        options = thaw(spec.options, arrays)

        def body(i, carry):
            state, losses = carry
            step_key = jax.random.fold_in(key, first + i)
            state = strong(warmup.update(target, step_key, state, spec.num_warmup, **options))
            if warmup.loss is not None:
                losses = losses.at[first + i].set(warmup.loss(state).astype(losses.dtype))
            return state, losses

        losses = () if warmup.loss is None else jnp.zeros(spec.num_warmup)
        return jax.lax.fori_loop(0, count, body, (state, losses))

    lifted = _lift(spec, one, (None, None, 0, 0, None, None))
    return lifted(target, arrays, keys, state, first, count)


def sample(
    spec: Spec, target: Target, arrays: list[Any], keys: Any, state: Any, first: Any, count: Any
) -> Any:
    """`(state, last, kept)`: `count` draws, from the chain's draw `first` on.

    `last` holds the parameters at the end if draws are not kept; `kept` is `(draws, stats)` with
    a leading axis of `spec.length`, of which the first `count` are filled.
    """

    def one(target, arrays, key, state, first, count):
        options = thaw(spec.options, arrays)
        constrain = jax.vmap(target.constrain) if spec.row.cross_chain else target.constrain

        def transition(index, state):
            step_key = jax.random.fold_in(key, index)
            assert spec.row.step is not None
            state, position, stats = spec.row.step(target, step_key, state, **options)
            return strong((state, position, stats))

        def draw(index, state):
            if spec.thinning == 1:
                return transition(index, state)
            shapes = jax.eval_shape(transition, index, state)
            blank = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes[1:])

            def body(j, carry):
                state, _, before = carry
                state, position, stats = transition(index * spec.thinning + j, state)
                # A flag, such as a divergence, must not vanish with the steps thinned out.
                flags = {k: v | before[k] for k, v in stats.items() if v.dtype == bool}
                return state, position, stats | flags

            return jax.lax.fori_loop(0, spec.thinning, body, (state, *blank))

        def value(position):
            params = constrain(position)
            return params if spec.collect is None else spec.collect(params)

        def body(i, carry):
            state, _, kept = carry
            state, position, stats = draw(first + i, state)
            new = (value(position), stats) if spec.keep else ((), stats)
            kept = jax.tree.map(
                lambda buffer, leaf: jax.lax.dynamic_update_index_in_dim(buffer, leaf, i, 0),
                kept,
                new,
            )
            return state, () if spec.keep else position, kept

        _, position, stats = jax.eval_shape(draw, first, state)
        shapes = (jax.eval_shape(value, position), stats) if spec.keep else ((), stats)
        kept = jax.tree.map(lambda leaf: jnp.zeros((spec.length, *leaf.shape), leaf.dtype), shapes)
        last = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), position)
        last = () if spec.keep else last
        state, last, kept = jax.lax.fori_loop(0, count, body, (state, last, kept))
        return state, () if spec.keep else constrain(last), kept

    lifted = _lift(spec, one, (None, None, 0, 0, 0, None))
    state, last, kept = lifted(target, arrays, keys, state, first, count)
    if spec.row.cross_chain:
        kept = jax.tree.map(lambda leaf: jnp.swapaxes(leaf, 0, 1) if leaf.ndim > 1 else leaf, kept)
    return state, last, kept
