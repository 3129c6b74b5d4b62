"""The outcome of the checks, as data, text and HTML."""

from __future__ import annotations

import html
import math
import sys
import textwrap
import threading
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

import jax
import numpy as np

from crewel.core import text

MARKS = {"passed": "✓", "failed": "×", "warned": "!", "skipped": "–"}
_NAME = 30  # columns of a check's name
_LINE = 100
PATIENCE = 2.0  # seconds after which a check that is still running is named


@dataclass(frozen=True)
class Check:
    """The outcome of one check.

    Attributes:
        name: the check.
        status: `passed`, `failed`, `warned` or `skipped`.
        message: the finding; for a problem, also its place, its cause and what to do.
        details: the numbers behind the message, by name; arrays are NumPy arrays.
    """

    name: str
    status: str
    message: str
    details: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        """Mark, name and message, wrapped."""
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
    """A check that found no problem; `debug` adds the name."""
    return Check("", "passed", message, details)


def failed(message: str, **details: Any) -> Check:
    """A check that found an error: results would be wrong, or there would be none."""
    return Check("", "failed", message, details)


def warned(message: str, **details: Any) -> Check:
    """A check that found a probable, but not certain, error."""
    return Check("", "warned", message, details)


def skipped(message: str, **details: Any) -> Check:
    """A check that does not apply or cannot run."""
    return Check("", "skipped", message, details)


@dataclass(frozen=True)
class Leaf:
    """One parameter at the test point.

    Attributes:
        path: dotted name.
        shape: its shape.
        dtype: its type.
        min: smallest value.
        max: largest value.
        non_finite: number of values that are NaN or infinite.
        gradient_norm: norm of the gradient on the unconstrained space; `None` if not computed.
        prior: its prior, in one line; empty if the model has no table of priors.
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
    """The outcomes of all checks. Truthy if no check failed; warnings are in `warned`.

    Attributes:
        checks: the outcomes, in the order in which the checks ran.
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
        """The checks that found a probable error."""
        return tuple(check for check in self.checks if check.status == "warned")

    def __getitem__(self, name: str) -> Check:
        """The check of this name; `KeyError` if there is none."""
        for check in self.checks:
            if check.name == name:
                return check
        raise KeyError(
            f"There is no check {name!r}; the checks are {[c.name for c in self.checks]}."
        )

    def to_dict(self) -> dict[str, Any]:
        """Lists, numbers and strings for JSON; NaN and infinity become `None`."""
        return {
            "passed": bool(self),
            "subject": self.subject,
            "checks": [
                asdict(check) | {"details": plain(dict(check.details))} for check in self.checks
            ],
            "leaves": [plain(asdict(leaf)) for leaf in self.leaves],
        }

    def summary(self) -> str:
        """How many checks passed, failed, warned and were skipped, in one line."""
        counts = [
            f"{number} {status}"
            for status in MARKS
            if (number := sum(check.status == status for check in self.checks))
        ]
        return ", ".join(counts) + "."

    def __repr__(self) -> str:
        """The text that verbosity 2 prints."""
        lines = [self.subject, *map(str, self.checks), self.summary()]
        return "\n".join(line for line in lines if line)

    def _repr_html_(self) -> str:
        colors = {"passed": "#2a7", "failed": "#c22", "warned": "#b70", "skipped": "#888"}
        rows = "".join(
            f'<tr><td style="color:{colors[check.status]}">{MARKS[check.status]}</td>'
            f'<td style="text-align:left">{html.escape(check.name)}</td>'
            f'<td style="text-align:left">{html.escape(check.message)}</td></tr>'
            for check in self.checks
        )
        return (
            f"<table><caption>{html.escape(f'{self.subject}: {self.summary()}')}</caption>"
            f"<tbody>{rows}</tbody></table>"
        )


def plain(value: Any) -> Any:
    """Convert a value for JSON: arrays and tuples to lists, NaN and infinity to `None`."""
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
    """The parameters as an aligned table."""
    head = ("parameter", "shape", "dtype", "min", "max", "non-finite", "|gradient|", "prior")
    rows: list[tuple[str, ...]] = [head]
    for leaf in leaves:
        norm = "" if leaf.gradient_norm is None else f"{leaf.gradient_norm:.3g}"
        rows.append(
            (leaf.path, str(leaf.shape), leaf.dtype, text.number(leaf.min), text.number(leaf.max))
            + (str(leaf.non_finite), norm, leaf.prior)
        )
    return text.table(rows, right=range(3, 7))


def details(check: Check, *, arrays: bool) -> str:
    """The details of a check, one per line: arrays by their shapes, or in full."""
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
    return text.number(value) if isinstance(value, float) else str(value)


class Writer:
    """Prints each outcome as soon as its check has run.

    Verbosity 0: nothing; 1: one mark per check, all on one line; 2: one line per check; 3: also
    shapes and a table of the parameters; 4: also arrays.
    """

    def __init__(self, verbosity: int, printer: Callable[..., Any]):
        """Store the verbosity and a callable with `print`'s signature."""
        self.verbosity, self.printer = verbosity, printer

    def start(self, subject: str) -> None:
        """Print what is checked."""
        if self.verbosity >= 2:
            self.printer(subject)

    @contextmanager
    def running(self, name: str, what: str) -> Generator[None]:
        """Say on the standard error stream which check runs, if it takes longer than `PATIENCE`.

        Args:
            name: the check.
            what: what it looks for.
        """

        def say() -> None:
            print(f"... still running `{name}`: {what}", file=sys.stderr, flush=True)

        timer = threading.Timer(PATIENCE, say)
        timer.daemon = True
        if self.verbosity:
            timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def check(self, check: Check) -> None:
        """Print one outcome."""
        if self.verbosity == 1:
            self.printer(MARKS[check.status], end=" ")
        elif self.verbosity >= 2:
            self.printer(str(check))
            if self.verbosity >= 3 and check.details:
                self.printer(details(check, arrays=self.verbosity >= 4))

    def end(self, report: DebugReport) -> None:
        """Print the table of parameters and the summary."""
        if self.verbosity == 1:
            self.printer("")
        if self.verbosity >= 3 and report.leaves:
            self.printer(leaf_table(report.leaves))
        if self.verbosity >= 2:
            self.printer(report.summary())
