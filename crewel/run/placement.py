"""Where chains run: blocks of chains, and how many blocks run at once.

On a CPU, one compiled single-chain program runs in a pool of threads, one thread per core: XLA
releases the interpreter's lock, and no chain waits for another as it would in lockstep. On
accelerators all chains form one vmapped block, spread over the devices.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from crewel.core.protocol import Algorithm, PyTree, State

PARTICLES_PER_BLOCK = 16  # of an optimizer on a CPU; measured in benchmarks/placement.py


class Placement(NamedTuple):
    """How chains are cut into blocks.

    Attributes:
        blocks: the chains of each block. All have the same length, so one program serves all; the
            last may repeat a chain, whose copy is dropped.
        batched: whether a block has a chain axis.
        threads: number of blocks that run at once.
        devices: number of devices that a block is spread over.
    """

    blocks: list[np.ndarray]
    batched: bool
    threads: int
    devices: int


def cores() -> int:
    """The number of whole processor cores that this process may use, at least 1.

    It respects the process's affinity and its control group's quota, which containers set.
    """
    if hasattr(os, "sched_getaffinity"):
        number = len(os.sched_getaffinity(0))
    else:
        number = os.cpu_count() or 1
    quota = _quota(Path("/sys/fs/cgroup"))
    return max(1, int(min(number, quota)))


def _quota(root: Path) -> float:
    """The cores that the control group grants; infinite if it sets no limit."""
    try:  # version 2: "quota period", or "max period"
        quota, period = (root / "cpu.max").read_text().split()
        return float("inf") if quota == "max" else int(quota) / int(period)
    except (OSError, ValueError):
        pass
    try:  # version 1
        quota = int((root / "cpu/cpu.cfs_quota_us").read_text())
        period = int((root / "cpu/cpu.cfs_period_us").read_text())
        return float("inf") if quota <= 0 else quota / period
    except (OSError, ValueError):
        return float("inf")


def _padded(num_chains: int, blocks: int) -> np.ndarray:
    """The chains in blocks of one length `(block, chain)`, at most `blocks`, as even as can be."""
    size = -(-num_chains // blocks)
    number = -(-num_chains // size)
    return np.minimum(np.arange(number * size), num_chains - 1).reshape(number, size)


def place(row: Algorithm, method: str, num_chains: int, home: Any = None) -> Placement:
    """Choose blocks, threads and devices for a run.

    Args:
        row: the algorithm. If it is `cross_chain`, or its engine runs the chains itself, all
            chains stay in one block.
        method: `"auto"`, `"parallel"`, `"vectorized"` or `"sequential"`.
        num_chains: number of chains or particles.
        home: the device on which the model's arrays, and so the chains, must stay; `None`: any.
    """
    everyone = [np.arange(num_chains)]
    if row.cross_chain or not row.resumable:
        return Placement(everyone, True, 1, 1)
    alone = [np.array([chain]) for chain in range(num_chains)]
    if method == "sequential":
        return Placement(alone, False, 1, 1)
    if method == "vectorized":
        return Placement(everyone, True, 1, 1)
    devices = jax.local_devices() if home is None else [home]
    if len(devices) > 1 or devices[0].platform != "cpu":
        spread = _padded(num_chains, len(devices))  # one row per device
        return Placement([spread.ravel()], True, 1, len(spread))
    if row.family.keeps_draws:
        return Placement(alone, False, min(cores(), num_chains), 1)
    number = max(-(-num_chains // PARTICLES_PER_BLOCK), min(cores(), num_chains))
    padded = _padded(num_chains, number)
    return Placement(list(padded), True, min(cores(), len(padded)), 1)


def take(tree: PyTree, block: np.ndarray, batched: bool) -> PyTree:
    """Take the chains of a block from leaves with a leading chain axis."""

    def one(leaf: Any) -> Any:
        if batched:
            return leaf[jnp.asarray(block)]
        # On the host: JAX would compile a slice for each shape. Keys cannot go there.
        is_key = jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
        return leaf[block[0]] if is_key else np.asarray(leaf)[block[0]]

    return jax.tree.map(one, tree)


def join(trees: list[PyTree], placement: Placement) -> PyTree:
    """Undo `take` for all blocks: leaves get a leading chain axis again."""
    if not placement.batched:
        return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)
    _, first = np.unique(np.concatenate(placement.blocks), return_index=True)
    return jax.tree.map(lambda *leaves: jnp.concatenate(leaves)[jnp.asarray(first)], *trees)


def mesh(devices: int) -> jax.sharding.Mesh:
    """The first local devices, along an axis of chains."""
    return jax.sharding.Mesh(np.array(jax.local_devices()[:devices]), ("chains",))


def spread_out(state: State, devices: int) -> State:
    """A state, or its shapes, placed the way that programs over `devices` return it."""
    if devices == 1:
        return state
    sharding = jax.sharding.NamedSharding(mesh(devices), jax.sharding.PartitionSpec("chains"))

    def place(leaf: jax.Array | jax.ShapeDtypeStruct) -> jax.Array | jax.ShapeDtypeStruct:
        if isinstance(leaf, jax.Array):
            return jax.device_put(leaf, sharding)
        return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding)

    return jax.tree.map(place, state)


def over_devices(
    fn: Callable[..., Any], devices: int, mapped: tuple[int | None, ...]
) -> Callable[..., Any]:
    """Spread `fn`, a function of a block, over the first devices; `mapped` is `vmap`'s `in_axes`.

    Each device runs loops of its own length, so no chain waits for one on another device.
    """
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
