"""The memory that the draws of a call take, forecast before anything is compiled."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import jax

from crewel.core.model_like import ModelLike
from crewel.core.text import count, memory
from crewel.core.trees import nbytes
from crewel.run.call import Call

PER_CHAIN = 256  # bytes besides the draws, at least: keys, first positions, the chain's block
SHARE = 0.8  # of the free memory that draws may take


class Footprint(NamedTuple):
    """The host memory that a call's draws take.

    Attributes:
        size: bytes of the draws.
        chains: bytes of the chains themselves, which matter if there are very many.
        text: the product that leads to `size`, for messages.
        free: bytes of available main memory, or `None` if the system does not say.
    """

    size: int
    chains: int
    text: str
    free: float | None

    @property
    def fits(self) -> bool:
        """Whether the draws fit in the free memory, as far as that is known."""
        return self.free is None or self.size + self.chains <= SHARE * self.free

    @property
    def refusal(self) -> str:
        """Why the draws do not fit, and what to do."""
        others = f", and the chains {memory(self.chains)}" if self.chains > self.size else ""
        return (
            f"The draws take {self.text}{others}, but only {memory(self.free or 0)} is free. Use "
            "fewer chains, raise `thinning` and lower `num_draws`, or keep predictions instead of "
            "parameters with `collect=`."
        )


def of(model: ModelLike, call: Call) -> Footprint:
    """The memory that the draws of `call` take."""
    like = model.test_point
    if call.keeps_draws and call.settings.get("collect") is not None:
        like = jax.eval_shape(call.settings["collect"], like)
    kept = call.num_draws if call.keeps_draws else 1
    noun = call.row.family.chains.removeprefix("num_")
    size = call.num_chains * kept * nbytes(like)
    text = (
        f"{call.num_chains:,} {noun} × {count(kept, 'draw')} × {memory(nbytes(like))} = "
        f"{memory(size)}"
    )
    return Footprint(size, call.num_chains * PER_CHAIN, text, free_memory())


def require(model: ModelLike, call: Call) -> None:
    """Raise if the draws of `call` do not fit in memory.

    Raises:
        MemoryError: they do not; the message has the numbers.
    """
    found = of(model, call)
    if not found.fits:
        raise MemoryError(found.refusal)


def free_memory() -> float | None:
    """Bytes of available main memory, or `None` if the system does not say."""
    meminfo = Path("/proc/meminfo")
    if not meminfo.exists():
        return None
    for line in meminfo.read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return float(line.split()[1]) * 1024
    return None
