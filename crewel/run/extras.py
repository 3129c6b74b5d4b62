"""What a call asks for besides draws: batches, a summary in place of draws, held-out scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from crewel.core import minibatch
from crewel.core.minibatch import Batches
from crewel.core.model_like import ModelLike
from crewel.core.protocol import SEPARATE, Algorithm, Target
from crewel.core.together import require_alone
from crewel.run import held_out, reduce
from crewel.run.monitor import Monitor
from crewel.run.prefetch import Prefetcher


class Extras(NamedTuple):
    """What a call asks for besides draws.

    Attributes:
        batches: how the rows of a step are drawn; `None` if it sees all.
        prefetcher: batches from the host, or `None`.
        reduce: the `Reducer` of what is kept, or `None`.
        held: held-out rows, or `None`.
        every: draws between two evaluations on them.
        patience: evaluations without improvement after which a particle stops; 0 is never.
    """

    batches: Batches | None = None
    prefetcher: Prefetcher | None = None
    reduce: reduce.Reducer | None = None
    held: held_out.Held | None = None
    every: int = 0
    patience: int = 0

    def monitor(self, row: Algorithm) -> Monitor | None:
        """What the device must monitor, or `None`."""
        finite = row.family.minibatches and not row.own_batches
        if not (finite or self.reduce is not None or self.every):
            return None
        best = not row.family.keeps_draws and self.every > 0
        return Monitor(finite, self.every, best, self.patience)


def find(
    model: ModelLike, row: Algorithm, target: Target, settings: Mapping[str, Any]
) -> tuple[Target, Extras]:
    """The extras that a call's settings ask for, and the target as its steps will see it.

    Raises:
        TypeError: a setting is of the wrong kind.
        ValueError: the batches do not fit the data, or the model lacks something that a setting
            requires.
    """
    prefetcher = None
    if row.own_batches:
        require_alone(target.data, row.name)
    if settings.get("batches") is not None:
        target, prefetcher = _from_host(target, settings)
        batches = Batches(prefetcher.size, target.num_data, host=True)
    else:
        batches = minibatch.plan(target, settings, always=row.family.minibatches)
    if batches is not None:
        target = replace(target, batch_size=batches.size)
    patience = settings.get("patience")
    if patience is not None and settings.get("evaluate") is None:
        raise ValueError("`patience` needs `evaluate=(x, y)`, held-out rows to evaluate on.")
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
    require_alone(target.data, "batches")
    prefetcher = Prefetcher(settings["batches"], target.data)
    size = settings.get("batch_size")
    if size is not None and size != prefetcher.size:
        raise ValueError(
            f"`batch_size` is {size}; the first of `batches` has {prefetcher.size} rows."
        )
    if max(prefetcher.size, target.num_data) > number:
        raise ValueError(
            f"`num_data` is {number}, but a batch has {prefetcher.size} rows and the model's own "
            f"data have {target.num_data}. `num_data` is the number of rows of all the data."
        )
    # The model's own rows are an example, on which the density is checked before the run.
    return replace(target, num_data=int(number)).on(target.data), prefetcher
