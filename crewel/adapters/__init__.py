"""The one list of algorithms. Each backend has modules here that end in a tuple `ROWS`.

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
        """Create the list; rows are imported when it is first read."""
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
        """Iterate over the rows; those of one backend are adjacent."""
        return iter(self._all().values())

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self._all())

    @overload
    def __getitem__(self, key: int | str) -> Algorithm: ...
    @overload
    def __getitem__(self, key: slice) -> tuple[Algorithm, ...]: ...
    def __getitem__(self, key: int | str | slice) -> Algorithm | tuple[Algorithm, ...]:
        """Return a row by name or by index."""
        return self._all()[key] if isinstance(key, str) else tuple(self)[key]

    def __contains__(self, key: object) -> bool:
        """Return whether the list has this row, or a row of this name."""
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
                f"The algorithms of `{entry.value}` could not be loaded: "
                f"{type(error).__name__}: {error}"
            )


def _add(rows: dict[str, Algorithm], row: Any) -> None:
    if not isinstance(row, Algorithm):
        raise TypeError(f"An algorithm must be a `crewel.Algorithm`, got a {type(row).__name__}.")
    if rows.setdefault(row.name, row) is not row:
        raise ValueError(
            f"An algorithm named `{row.name}` already exists. Give yours another name."
        )


ALGORITHMS = Algorithms()


def register(row: Algorithm) -> Algorithm:
    """Add your own algorithm for this process; `model.<family>.<name>` then runs it.

    A package that provides algorithms declares a tuple of rows under the entry point
    `crewel.algorithms` instead. To run a row once, `model.mcmc(row)(seed=0)` needs no
    registration.

    Args:
        row: the algorithm.

    Returns:
        The row.

    Raises:
        TypeError: `row` is not an `Algorithm`.
        ValueError: an algorithm of that name already exists.

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
