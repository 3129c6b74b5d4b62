"""Numbers, lists and tables in messages, spelled the same everywhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import SupportsFloat

import numpy as np


def number(value: SupportsFloat) -> str:
    """Four digits: `-123.4`, `1.2e+05`, `NaN`, `-inf`.

    Examples:
        >>> number(-123.456), number(float("nan")), number(12345678.0)
        ('-123.5', 'NaN', '1.235e+07')
    """
    value = float(value) + 0.0  # no minus before a zero
    return "NaN" if np.isnan(value) else f"{value:.4g}"


def kind(value: SupportsFloat) -> str:
    """`NaN`, `inf`, `-inf` or `finite`.

    Examples:
        >>> kind(-np.inf)
        '-inf'
    """
    value = float(value)
    return "finite" if np.isfinite(value) else number(value)


def names(paths: Iterable[str], most: int = 4) -> str:
    """Paths in backticks, the first few of them.

    Examples:
        >>> names(["a", "b", "c"], most=2)
        '`a`, `b` and 1 more'
    """
    paths = list(paths)
    text = ", ".join(f"`{path}`" for path in paths[:most])
    return text if len(paths) <= most else f"{text} and {len(paths) - most} more"


def count(number_of: int, noun: str) -> str:
    """A number of things.

    Examples:
        >>> count(1, "chain"), count(2000, "row")
        ('1 chain', '2,000 rows')
    """
    plural = {"leaf": "leaves"}.get(noun, f"{noun}s")
    return f"{number_of:,} {noun if number_of == 1 else plural}"


def duration(seconds: float) -> str:
    """A time in a suitable unit.

    Examples:
        >>> duration(0.00031), duration(2.5), duration(640), duration(90_000)
        ('0.31 ms', '2.5 s', '11 min', '25 h')
    """
    units = ((1e-5, "µs", 1e-6), (1, "ms", 1e-3), (120, "s", 1), (7200, "min", 60))
    units += ((360_000, "h", 3600), (np.inf, "days", 86400))
    _, unit, size = next(entry for entry in units if seconds < entry[0])
    value = seconds / size
    return f"{value:.0f} {unit}" if value >= 10 else f"{value:.2g} {unit}"


def memory(size: float) -> str:
    """A number of bytes in a suitable unit.

    Examples:
        >>> memory(1_500_000), memory(3e9)
        ('1.5 MB', '3 GB')
    """
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= scale:
            return f"{size / scale:.3g} {unit}"
    return f"{size:.0f} B"


def name_chains(chains: Sequence[int], num_chains: int) -> str:
    """Chains by number: `chain 2`, `chains 0, 3`, `all 4 chains`.

    Examples:
        >>> name_chains([0, 3], 4), name_chains([0, 1], 2)
        ('chains 0, 3', 'all 2 chains')
    """
    if len(chains) == 1:
        return f"chain {chains[0]}"
    if len(chains) == num_chains:
        return f"all {num_chains} chains"
    shown = ", ".join(map(str, chains[:6]))
    return f"chains {shown}" + (f" and {len(chains) - 6} more" if len(chains) > 6 else "")


def table(rows: Sequence[Sequence[str]], *, right: Iterable[int] = ()) -> str:
    """Rows as aligned columns; those in `right` are aligned to the right.

    Examples:
        >>> print(table([["name", "rows"], ["iris", "150"]], right=[1]))
        name  rows
        iris   150
    """
    right = set(right)
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            f"{cell:>{width}}" if i in right else f"{cell:<{width}}"
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )
