"""The keywords that a row takes: our settings, and the backend's own options."""

from __future__ import annotations

import inspect
from typing import Any

from crewel.core.protocol import Algorithm

REQUIRED = inspect.Parameter.empty


def settings_of(row: Algorithm) -> dict[str, Any]:
    """The settings that a call of the row takes, with their defaults."""
    found = {k: v for k, v in row.family.settings.items() if k not in row.unsupported}
    return found | dict(row.settings)


def backend_options(row: Algorithm) -> dict[str, Any]:
    """The row's own options with their defaults, read from the backend's callables.

    An option without a default has the value `REQUIRED`.

    Raises:
        ImportError: the backend is missing, broken or too old; the message says which.
    """
    found: dict[str, Any] = {}
    for source in row.backend.load(row.name, *row.option_sources):
        for parameter in inspect.signature(source).parameters.values():
            keyword = parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
            if keyword and parameter.name not in row.filled_by_row:
                found.setdefault(parameter.name, parameter.default)
    return found | dict(row.defaults)


def required(row: Algorithm) -> list[str]:
    """The row's options that have no default and so must be given."""
    return [name for name, value in backend_options(row).items() if value is REQUIRED]
