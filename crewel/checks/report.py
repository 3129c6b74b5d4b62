"""What the checks found: data, text and HTML."""

from __future__ import annotations

import html
import math
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import jax
import numpy as np

from crewel.core import text

MARKS = {"passed": "✓", "failed": "×", "warned": "!", "skipped": "–"}
_NAME = 30  # columns of a check's name
_LINE = 100


@dataclass(frozen=True)
class Check:
    """The outcome of one check.

    Attributes:
        name: of the check.
        status: `passed`, `failed`, `warned` or `skipped`.
        message: what was found, where, why, and what to do.
        details: the numbers behind it, by name; arrays are NumPy's.
    """

    name: str
    status: str
    message: str
    details: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        """One line, wrapped: mark, name, message."""
        head = f"{MARKS[self.status]} {self.name:<{_NAME}}"
        indent = " " * (len(head) + 1)
        lines = [
            piece
            for line in self.message.split("\n")
            for piece in textwrap.wrap(
                line, _LINE - len(indent), break_long_words=False, break_on_hyphens=False
            )
            or [""]
        ]
        return f"{head} {f'{chr(10)}{indent}'.join(lines)}".rstrip()


def passed(message: str, **details: Any) -> Check:
    """A check that found nothing wrong; the caller gives it its name."""
    return Check("", "passed", message, details)


def failed(message: str, **details: Any) -> Check:
    """A check that found what makes the results wrong, or impossible."""
    return Check("", "failed", message, details)


def warned(message: str, **details: Any) -> Check:
    """A check that found what is probably, but not surely, wrong."""
    return Check("", "warned", message, details)


def skipped(message: str, **details: Any) -> Check:
    """A check that does not apply, or cannot run."""
    return Check("", "skipped", message, details)


@dataclass(frozen=True)
class Leaf:
    """One parameter at the test point.

    Attributes:
        path: dotted name.
        shape: of the leaf.
        dtype: of the leaf.
        min: smallest value.
        max: largest value.
        non_finite: number of values that are NaN or infinite.
        gradient_norm: of the log density on the unconstrained space; `None`: not computed.
        prior: in one line; empty where the model has no table of priors.
    """

    path: str
    shape: tuple[int, ...]
    dtype: str
    min: float
    max: float
    non_finite: int
    gradient_norm: float | None
    prior: str


@dataclass(frozen=True)
class DebugReport:
    """All outcomes. Truthy: no check failed (warnings are in `warned`).

    Attributes:
        checks: in the order in which they ran.
        leaves: the parameters at the test point.
        subject: what was checked, in one line.
    """

    checks: tuple[Check, ...]
    leaves: tuple[Leaf, ...] = ()
    subject: str = ""

    def __bool__(self) -> bool:
        """Whether nothing failed."""
        return not self.failed

    @property
    def failed(self) -> tuple[Check, ...]:
        """The checks that failed."""
        return tuple(check for check in self.checks if check.status == "failed")

    @property
    def warned(self) -> tuple[Check, ...]:
        """The checks that found something that is probably wrong."""
        return tuple(check for check in self.checks if check.status == "warned")

    def __getitem__(self, name: str) -> Check:
        """A check by name; raises `KeyError`."""
        for check in self.checks:
            if check.name == name:
                return check
        raise KeyError(f"No check is called {name!r}; there are {[c.name for c in self.checks]}.")

    def to_dict(self) -> dict[str, Any]:
        """Plain lists, numbers and strings, as JSON takes them (not a number is `None`)."""
        return {
            "passed": bool(self),
            "subject": self.subject,
            "checks": [
                asdict(check) | {"details": plain(dict(check.details))} for check in self.checks
            ],
            "leaves": [plain(asdict(leaf)) for leaf in self.leaves],
        }

    def summary(self) -> str:
        """The last line: how many passed, and what did not."""
        counts = [
            f"{number} {status}"
            for status in MARKS
            if (number := sum(check.status == status for check in self.checks))
        ]
        return ", ".join(counts) + "."

    def __repr__(self) -> str:
        """As printed at verbosity 2."""
        lines = [self.subject, *map(str, self.checks), self.summary()]
        return "\n".join(line for line in lines if line)

    def _repr_html_(self) -> str:
        colours = {"passed": "#2a7", "failed": "#c22", "warned": "#b70", "skipped": "#888"}
        rows = "".join(
            f'<tr><td style="color:{colours[check.status]}">{MARKS[check.status]}</td>'
            f'<td style="text-align:left">{html.escape(check.name)}</td>'
            f'<td style="text-align:left">{html.escape(check.message)}</td></tr>'
            for check in self.checks
        )
        return (
            f"<table><caption>{html.escape(f'{self.subject}: {self.summary()}')}</caption>"
            f"<tbody>{rows}</tbody></table>"
        )


def plain(value: Any) -> Any:
    """The same without arrays, tuples and NaN."""
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(v) for v in value]
    if isinstance(value, np.ndarray | np.generic | jax.Array):
        return plain(np.asarray(value).tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, bool | int | str) else str(value)


def leaf_table(leaves: tuple[Leaf, ...]) -> str:
    """The parameters, aligned."""
    head = ("parameter", "shape", "dtype", "min", "max", "non-finite", "|gradient|", "prior")
    rows: list[tuple[str, ...]] = [head]
    for leaf in leaves:
        norm = "" if leaf.gradient_norm is None else f"{leaf.gradient_norm:.3g}"
        rows.append(
            (leaf.path, str(leaf.shape), leaf.dtype, f"{leaf.min:.4g}", f"{leaf.max:.4g}")
            + (str(leaf.non_finite), norm, leaf.prior)
        )
    return text.table(rows, right=range(3, 7))


def details(check: Check, *, arrays: bool) -> str:
    """The numbers behind a check, one a line: arrays by their shapes, or in full."""
    lines = []
    for name, value in check.details.items():
        if isinstance(value, Mapping):
            value = ", ".join(f"{key} {_short(entry)}" for key, entry in value.items())
        elif isinstance(value, np.ndarray) and value.ndim:
            lines.append(f"    {name}: {value.dtype}{list(value.shape)}")
            if arrays:
                lines.append(textwrap.indent(np.array2string(value, precision=4), " " * 8))
            continue
        lines += textwrap.wrap(
            f"{name}: {_short(value)}",
            _LINE,
            initial_indent="    ",
            subsequent_indent="        ",
            break_long_words=False,
        )
    return "\n".join(lines)


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


class Writer:
    """Prints outcomes as they come.

    Verbosity 0: nothing; 1: a mark a check, on one line; 2: a line a check; 3: with shapes and a
    table of the parameters; 4: with arrays.
    """

    def __init__(self, verbosity: int, printer: Callable[..., Any]):
        """Take a level and any callable with `print`'s signature."""
        self.verbosity, self.printer = verbosity, printer

    def start(self, subject: str) -> None:
        """Say what is checked."""
        if self.verbosity >= 2:
            self.printer(subject)

    def check(self, check: Check) -> None:
        """One outcome."""
        if self.verbosity == 1:
            self.printer(MARKS[check.status], end=" ")
        elif self.verbosity >= 2:
            self.printer(str(check))
            if self.verbosity >= 3 and check.details:
                self.printer(details(check, arrays=self.verbosity >= 4))

    def end(self, report: DebugReport) -> None:
        """The table and the count."""
        if self.verbosity == 1:
            self.printer("")
        if self.verbosity >= 3 and report.leaves:
            self.printer(leaf_table(report.leaves))
        if self.verbosity >= 2:
            self.printer(report.summary())
