"""Settings of the package: what a run does with its verdict."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Any

CHOICES: Mapping[str, tuple[str, ...]] = {"verdict": ("warn", "error", "off")}
_values: dict[str, str] = {"verdict": "warn"}


class _Restore:
    """Puts the earlier values back at the end of a `with` block."""

    def __init__(self, before: dict[str, str]):
        """Remember `before`."""
        self._before = before

    def __enter__(self) -> None:
        """The new values hold already."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Put the earlier values back."""
        _values.update(self._before)


def settings(**changes: str) -> _Restore:
    """Change settings of the package, for the process or for a `with` block.

    Args:
        changes: `verdict="warn"` (the default): a run whose verdict finds a fault warns once, with
            an `InferenceWarning`; `"error"`: it raises an `InferenceError`, which holds the
            posterior; `"off"`: nothing is looked at.

    Returns:
        A context manager that restores the earlier values; it may be ignored.

    Raises:
        TypeError: an unknown setting.
        ValueError: an unknown value.

    Examples:
        >>> import crewel as cw
        >>> with cw.settings(verdict="off"):
        ...     pass
    """
    for name, value in changes.items():
        if name not in CHOICES:
            raise TypeError(f"There is no setting `{name}`. Settings: {', '.join(CHOICES)}.")
        if value not in CHOICES[name]:
            raise ValueError(
                f"`{name}` must be one of {', '.join(map(repr, CHOICES[name]))}, got {value!r}."
            )
    before = dict(_values)
    _values.update(changes)
    return _Restore(before)


def setting(name: str) -> Any:
    """The value of a setting."""
    return _values[name]
