"""What a call asks for beside draws: batches, a summary in place of draws, held-out scores."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

from crewel import evaluate, minibatch, reduce
from crewel.feed import Feed
from crewel.minibatch import Batches
from crewel.protocol import APART, Algorithm, Target
from crewel.watch import Watch


class Extras(NamedTuple):
    """What a call asks for beside draws.

    Attributes:
        batches: how the rows of a step are drawn; `None`: it sees all.
        feed: batches from the host, or `None`.
        reduce: the `Reducer` of what is kept, or `None`.
        held: held-out rows, or `None`.
        every: draws between two looks at them.
        patience: looks without a better one after which a particle is done; 0: it never is.
    """

    batches: Batches | None = None
    feed: Feed | None = None
    reduce: Any = None
    held: Any = None
    every: int = 0
    patience: int = 0

    def watch(self, row: Algorithm) -> Watch | None:
        """What must be watched on the device."""
        sound = row.family == "sgmcmc" and not row.own_batches
        if not (sound or self.reduce is not None or self.every):
            return None
        best = row.family == "optimize" and self.every > 0
        return Watch(sound, self.every, best, self.patience)


NONE = Extras()


def find(
    model: Any, row: Algorithm, target: Target, words: dict[str, Any]
) -> tuple[Target, Extras]:
    """The extras that a call's words ask for, and the target as its steps will see it.

    Raises:
        TypeError: a word of the wrong kind.
        ValueError: batches that do not fit the data, or a model that lacks what they need.
    """
    feed = None
    if words.get("batches") is not None:
        target, feed = _from_host(target, words)
        batches = Batches(feed.size, target.num_data, host=True)
    else:
        batches = minibatch.plan(target, words, family=row.family)
    if batches is not None:
        target = replace(target, batch_size=batches.size)
    patience = words.get("patience")
    if patience is not None and words.get("evaluate") is None:
        raise ValueError("`patience` needs `evaluate=(x, y)`, held-out rows to look at.")
    held, every = evaluate.find(words.get("evaluate"), model, words["num_draws"])
    return target, Extras(
        batches=None if row.own_batches else batches,
        feed=feed,
        reduce=reduce.find(words.get("reduce")),
        held=held,
        every=every,
        patience=patience or 0,
    )


def _from_host(target: Target, words: dict[str, Any]) -> tuple[Target, Feed]:
    number = words.get("num_rows")
    if number is None:
        raise ValueError(
            "`batches` needs `num_rows`, the number of rows of all the data: a batch of n rows "
            "counts for `num_rows` / n of itself."
        )
    if isinstance(number, bool) or not hasattr(number, "__index__"):
        raise TypeError(f"`num_rows` must be an integer, got {number!r}.")
    target.require(APART, "batches")
    feed = Feed(words["batches"], target.data)
    size = words.get("batch_size")
    if size is not None and size != feed.size:
        raise ValueError(f"`batch_size` is {size}; the first of `batches` has {feed.size} rows.")
    if max(feed.size, target.num_data) > number:
        raise ValueError(
            f"`num_rows` is {number}; a batch has {feed.size} rows, and the model's own data "
            f"{target.num_data}. It is the number of rows of all the data."
        )
    # The model's own rows are an example, at which the density is checked before the run.
    return replace(target, rows=int(number)).on(target.data), feed
