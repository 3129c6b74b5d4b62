"""What a call asks for beside draws: batches, a summary in place of draws, held-out scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from crewel.core import minibatch
from crewel.core.minibatch import Batches
from crewel.core.protocol import SEPARATE, Algorithm, Target
from crewel.run import held_out, reduce
from crewel.run.monitor import Monitor
from crewel.run.prefetch import Prefetcher


class Extras(NamedTuple):
    """What a call asks for beside draws.

    Attributes:
        batches: how the rows of a step are drawn; `None`: it sees all.
        prefetcher: batches from the host, or `None`.
        reduce: the `Reducer` of what is kept, or `None`.
        held: held-out rows, or `None`.
        every: draws between two looks at them.
        patience: looks without a better one after which a particle stops; 0: it never does.
    """

    batches: Batches | None = None
    prefetcher: Prefetcher | None = None
    reduce: reduce.Reducer | None = None
    held: held_out.Held | None = None
    every: int = 0
    patience: int = 0

    def monitor(self, row: Algorithm) -> Monitor | None:
        """What must be monitored on the device."""
        finite = row.family.minibatches and not row.own_batches
        if not (finite or self.reduce is not None or self.every):
            return None
        best = not row.family.keeps_draws and self.every > 0
        return Monitor(finite, self.every, best, self.patience)


def find(
    model: Any, row: Algorithm, target: Target, settings: Mapping[str, Any]
) -> tuple[Target, Extras]:
    """The extras that a call's settings ask for, and the target as its steps will see it.

    Raises:
        TypeError: a setting of the wrong kind.
        ValueError: batches that do not fit the data, or a model that lacks what they need.
    """
    prefetcher = None
    if settings.get("batches") is not None:
        target, prefetcher = _from_host(target, settings)
        batches = Batches(prefetcher.size, target.num_data, host=True)
    else:
        batches = minibatch.plan(target, settings, always=row.family.minibatches)
    if batches is not None:
        target = replace(target, batch_size=batches.size)
    patience = settings.get("patience")
    if patience is not None and settings.get("evaluate") is None:
        raise ValueError("`patience` needs `evaluate=(x, y)`, held-out rows to look at.")
    held, every = held_out.find(settings.get("evaluate"), model)
    return target, Extras(
        batches=None if row.own_batches else batches,
        prefetcher=prefetcher,
        reduce=reduce.find(settings.get("reduce")),
        held=held,
        every=every,
        patience=patience or 0,
    )


def _from_host(target: Target, settings: Mapping[str, Any]) -> tuple[Target, Prefetcher]:
    number = settings.get("num_data")
    if number is None:
        raise ValueError(
            "`batches` needs `num_data`, the number of rows of all the data: the likelihood of a "
            "batch of n rows is scaled by `num_data` / n."
        )
    target.require(SEPARATE, "batches")
    prefetcher = Prefetcher(settings["batches"], target.data)
    size = settings.get("batch_size")
    if size is not None and size != prefetcher.size:
        raise ValueError(
            f"`batch_size` is {size}; the first of `batches` has {prefetcher.size} rows."
        )
    if max(prefetcher.size, target.num_data) > number:
        raise ValueError(
            f"`num_data` is {number}; a batch has {prefetcher.size} rows, and the model's own "
            f"data {target.num_data}. `num_data` is the number of rows of all the data."
        )
    # The model's own rows are an example, at which the density is checked before the run.
    return replace(target, num_data=int(number)).on(target.data), prefetcher
