"""What the programs of a run are made from: everything that is code, and all data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeVar

import jax

from crewel.core.compiling import Static
from crewel.core.minibatch import Batches
from crewel.core.protocol import Algorithm, Array, Data, Params, PyTree
from crewel.run.held_out import Held
from crewel.run.monitor import Monitor
from crewel.run.reduce import Reducer


@dataclass(frozen=True)
class ProgramSpec:
    """Everything that is code in a run; the key of its programs.

    Attributes:
        row: the algorithm.
        options: the static part of its options.
        num_warmup: number of warm-up steps, from which schedules are built.
        thinning: steps per kept draw.
        length: number of draws that a program's buffer holds.
        keep: whether draws are kept, rather than the last position (optimizers) or a summary.
        chains: number of chains in a block; 0 is one chain without a chain axis.
        devices: number of devices that the block is spread over.
        batches: how the rows of a step are drawn; `None` if it sees all.
        monitor: what is monitored during the run; `None` if nothing is.
    """

    row: Algorithm
    options: Static
    num_warmup: int
    thinning: int
    length: int
    keep: bool
    chains: int
    devices: int
    batches: Batches | None = None
    monitor: Monitor | None = None

    @property
    def warming(self) -> ProgramSpec:
        """What is code in a warm-up, so that another number of draws does not compile it again."""
        return replace(self, thinning=1, length=0, keep=True)

    @property
    def drawing(self) -> ProgramSpec:
        """What is code in the draws, independent of the warm-up."""
        return replace(self, num_warmup=0)


# A number of steps or draws: on the host, or traced.
Index = TypeVar("Index", int, jax.Array)


class RunInputs(NamedTuple):
    """Everything that is data in a run besides the density; the same for all chains.

    Attributes:
        options: the arrays among the algorithm's options.
        collect: function of the parameters whose value is kept instead of them, or `None`.
        reduce: the `Reducer` of what is kept, or `None`.
        held: held-out rows, or `None`.
        stream: batches from the host, leaves `(steps, size, ...)`, or `None`.
    """

    options: list[Array]
    collect: Callable[[Params], PyTree] | None = None
    reduce: Reducer | None = None
    held: Held | None = None
    stream: Data = None


def steps_before(spec: ProgramSpec, draw: Index) -> Index:
    """The sampling steps before those of a draw: earlier draws, and the starts of cycles."""
    steps = draw * spec.thinning
    if spec.row.cycle is None:
        return steps
    draws, skipped = draws_per_cycle(spec)
    return steps + skipped * ((draw + draws - 1) // draws)


def draws_per_cycle(spec: ProgramSpec) -> tuple[int, int]:
    """The number of draws that a cycle keeps, and of its steps before the first of them.

    Raises:
        ValueError: not a single draw fits.
    """
    assert spec.row.cycle is not None
    structure, code = spec.options
    values = jax.tree.unflatten(structure, [None if c is None else c[1] for c in code])
    length, skipped = spec.row.cycle(values)
    draws = (length - skipped) // spec.thinning
    if draws < 1:
        raise ValueError(
            f"A cycle of {length} steps, {skipped} of them exploring, keeps no draw with "
            f"`thinning` {spec.thinning}. Lower `thinning`, or raise `cycle_length`."
        )
    return draws, length - draws * spec.thinning
