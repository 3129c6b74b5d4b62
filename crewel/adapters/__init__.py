"""The one list of algorithms. A backend is a module here with a tuple `ROWS`.

Rows come from the modules of this package, from other packages (the entry point
`crewel.algorithms`, a tuple of rows), and from `register`.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import pkgutil
from collections.abc import Iterator, Sequence
from typing import Any, overload

from crewel.core.protocol import Algorithm
from crewel.core.warning import warn

ENTRY_POINT = "crewel.algorithms"


class Algorithms(Sequence[Algorithm]):
    """Every known algorithm, whether its backend is installed or not.

    Examples:
        >>> from crewel import ALGORITHMS
        >>> ALGORITHMS["numpyro_nuts"].family.name
        'mcmc'
    """

    def __init__(self) -> None:
        """Nothing is imported until the list is first looked at."""
        self._rows: dict[str, Algorithm] | None = None

    def _all(self) -> dict[str, Algorithm]:
        if self._rows is None:
            rows = {row.name: row for row in _own()}
            _add_others(rows)
            self._rows = rows
        return self._rows

    def add(self, row: Algorithm) -> None:
        """Add a row; see `register`."""
        _add(self._all(), row)

    def __iter__(self) -> Iterator[Algorithm]:
        """The rows, those of one backend together."""
        return iter(self._all().values())

    def __len__(self) -> int:
        """How many there are."""
        return len(self._all())

    @overload
    def __getitem__(self, key: int | str) -> Algorithm: ...
    @overload
    def __getitem__(self, key: slice) -> tuple[Algorithm, ...]: ...
    def __getitem__(self, key: int | str | slice) -> Algorithm | tuple[Algorithm, ...]:
        """A row by its name or place."""
        return self._all()[key] if isinstance(key, str) else tuple(self)[key]

    def __contains__(self, key: object) -> bool:
        """Whether there is such a row, or a row of that name."""
        return key in self._all() or any(row is key for row in self)


def _own() -> Iterator[Algorithm]:
    for module in sorted(found.name for found in pkgutil.iter_modules(__path__)):
        yield from getattr(importlib.import_module(f"{__name__}.{module}"), "ROWS", ())


def _add_others(rows: dict[str, Algorithm]) -> None:
    for entry in importlib.metadata.entry_points(group=ENTRY_POINT):
        try:
            for row in entry.load():
                _add(rows, row)
        except Exception as error:  # a broken package must not break Crewel
            warn(
                f"The algorithms of `{entry.value}` cannot be loaded: "
                f"{type(error).__name__}: {error}"
            )


def _add(rows: dict[str, Algorithm], row: Any) -> None:
    if not isinstance(row, Algorithm):
        raise TypeError(f"An algorithm must be a `crewel.Algorithm`, got a {type(row).__name__}.")
    if rows.setdefault(row.name, row) is not row:
        raise ValueError(f"There is an algorithm `{row.name}` already. Give yours another name.")


ALGORITHMS = Algorithms()


def register(row: Algorithm) -> Algorithm:
    """Add an algorithm of your own, for this process; then `model.<family>.<name>` runs it.

    A package that brings algorithms names a tuple of rows as its entry point
    `crewel.algorithms` instead. To run a row once, `model.mcmc(row)(seed=0)` needs no
    registration.

    Args:
        row: the algorithm.

    Returns:
        The row.

    Raises:
        TypeError: not an `Algorithm`.
        ValueError: an algorithm of that name is there already.

    Examples:
        >>> import dataclasses, crewel as cw
        >>> short = {"max_tree_depth": 5}
        >>> row = dataclasses.replace(
        ...     cw.ALGORITHMS["numpyro_nuts"], name="numpyro_nuts_shallow", defaults=short
        ... )
        >>> cw.register(row)
        <Algorithm numpyro_nuts_shallow>
        >>> "numpyro_nuts_shallow" in cw.ALGORITHMS
        True
    """
    ALGORITHMS.add(row)
    return row
