"""Batches from the host: a loader's next chunk is stacked and sent while the current one runs."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator
from typing import Any

import jax
import numpy as np

from crewel.core.protocol import Data, PyTree
from crewel.core.trees import named_leaves
from crewel.run.interrupts import Stop
from crewel.run.spec import ProgramSpec, steps_before

CHUNK_BYTES = 32 * 2**20  # size of the batches in a chunk; two more chunks wait
LONGEST = 256  # steps


class PrefetchError(ValueError):
    """A loader that ended early, or whose batches do not fit."""


class Prefetcher:
    """An iterable of batches, cut into the chunks of a run.

    An iterable that can be iterated again, for example a list or a data loader, is iterated epoch
    after epoch; an iterator is used up.
    """

    def __init__(self, batches: Iterable[Data], like: Data):
        """Read the first batch.

        Args:
            batches: an iterable of batches: pytrees like the model's data, or pairs `(x, y)`.
            like: the model's data.

        Raises:
            TypeError: `batches` is not iterable.
            ValueError: there is no batch, or it does not fit the model's data.
        """
        if not isinstance(batches, Iterable):
            raise TypeError(
                f"`batches` must be an iterable of batches, got a {type(batches).__name__}."
            )
        self._like, self._number = like, 0
        self._batches = _Again(batches)
        self._first: Any = self._read()
        self.size: int = jax.tree.leaves(self._first)[0].shape[0]
        self._sizes: list[tuple[int, int]] = []
        self._steps = 1
        self._queue: queue.Queue[Any] = queue.Queue(maxsize=2)
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    def _read(self) -> Data:
        """The next batch as NumPy arrays of the model's dtypes, checked."""
        number = self._number
        try:
            batch = next(self._batches)
        except StopIteration:
            raise PrefetchError(
                f"`batches` ended after {number} batches, but the run takes one per step. Pass an "
                "iterable that can be iterated again, for example a list or a data loader, or one "
                "that does not end."
            ) from None
        if isinstance(self._like, dict) and isinstance(batch, tuple | list) and len(batch) == 2:
            batch = {"x": batch[0], "y": batch[1]}
        batch = jax.tree.map(_array, batch)
        self._check(batch, number)
        self._number += 1
        return batch

    def _check(self, batch: Data, number: int) -> None:
        where = f"Batch {number} of `batches`"
        if jax.tree.structure(batch) != jax.tree.structure(self._like):
            raise PrefetchError(
                f"{where} has leaves {list(named_leaves(batch))}; the model's data have "
                f"{list(named_leaves(self._like))}. Yield batches of that form, or pairs `(x, y)`."
            )
        wanted = named_leaves(self._like)
        for name, leaf in named_leaves(batch).items():
            if leaf.shape[1:] != wanted[name].shape[1:] or leaf.dtype != wanted[name].dtype:
                raise PrefetchError(
                    f"{where}: `{name}` has rows of shape {leaf.shape[1:]} and dtype {leaf.dtype}; "
                    f"in the model's data they are {wanted[name].shape[1:]} and "
                    f"{wanted[name].dtype}."
                )
            if number and len(leaf) != self.size:
                raise PrefetchError(
                    f"{where} has {len(leaf)} rows and the first had {self.size}; all must have "
                    "the same number. Most loaders leave the rest out with `drop_last=True`."
                )

    def plan(self, spec: ProgramSpec, num_warmup: int, first: int, num_draws: int) -> None:
        """Cut a run into chunks.

        Args:
            spec: the run's code.
            num_warmup: number of warm-up steps.
            first: index of the first draw.
            num_draws: number of draws.
        """
        bytes_ = sum(leaf.nbytes for leaf in jax.tree.leaves(self._first))
        most = max(1, min(LONGEST, CHUNK_BYTES // max(1, bytes_)))
        self._sizes = [(n, n) for n in _cut(num_warmup, most)]
        done, steps = 0, 0
        while done < num_draws:
            count = 1
            start = steps_before(spec, first + done)
            while count < min(spec.length, num_draws - done):
                if steps_before(spec, first + done + count + 1) - start > most:
                    break
                count += 1
            steps = steps_before(spec, first + done + count) - start
            self._sizes.append((count, steps))
            done += count
        self._steps = max(steps for _, steps in self._sizes)

    def shapes(self) -> PyTree:
        """The shapes of a chunk, leaves `(steps, size, ...)`."""
        return jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct((self._steps, *leaf.shape), leaf.dtype), self._first
        )

    def take(self, stop: Stop) -> tuple[Data, int] | None:
        """The next chunk on the device, and the number of warm-up steps or draws that it serves.

        Args:
            stop: once it is set, a slow loader is no longer waited for: `None`.

        Raises:
            PrefetchError: there is no batch left, or one does not fit.
        """
        if self._thread is None:
            self._thread = threading.Thread(target=self._fill, daemon=True)
            self._thread.start()
        while not stop:
            try:
                made = self._queue.get(timeout=0.1)
            except queue.Empty:
                continue
            if isinstance(made, Exception):
                raise made
            return made
        return None

    def _fill(self) -> None:
        """Read ahead, in a separate thread."""
        try:
            for count, steps in self._sizes:
                batches = [self._next() for _ in range(steps)]
                batches += batches[-1:] * (self._steps - steps)
                stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *batches)
                if not self._put((jax.device_put(stacked), count)):
                    return
        except Exception as error:  # the loader's own errors too: `take` raises them
            self._put(error)

    def _next(self) -> Data:
        if self._first is None:
            return self._read()
        first, self._first = self._first, None
        return first

    def _put(self, made: tuple[Data, int] | Exception) -> bool:
        while not self._closed.is_set():
            try:
                self._queue.put(made, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def close(self) -> None:
        """Stop reading."""
        self._closed.set()


class _Again:
    """The items of an iterable, over and over if it can be iterated again."""

    def __init__(self, iterable: Iterable[Any]):
        self._iterable = iterable
        self._items: Iterator[Any] = iter(iterable)

    def __next__(self) -> Any:
        try:
            return next(self._items)
        except StopIteration:
            self._items = iter(self._iterable)
            return next(self._items)


def _array(leaf: Any) -> np.ndarray:
    leaf = np.asarray(leaf)
    return leaf.astype(jax.dtypes.canonicalize_dtype(leaf.dtype), copy=False)


def _cut(total: int, most: int) -> list[int]:
    return [min(most, total - done) for done in range(0, total, most)]
