"""What tests and the examples in docstrings share."""

import pytest


@pytest.fixture(autouse=True)
def _rows_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget the algorithms that a test or an example registers: the list is the process's."""
    from crewel import ALGORITHMS  # after `tests/conftest.py` has set the environment

    monkeypatch.setattr(ALGORITHMS, "_rows", {row.name: row for row in ALGORITHMS})
