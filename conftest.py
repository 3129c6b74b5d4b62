"""What tests and the examples in docstrings share."""

import pytest

import crewel


@pytest.fixture(autouse=True)
def _rows_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget the algorithms that a test or an example registers: the list is the process's."""
    monkeypatch.setattr(crewel.ALGORITHMS, "_rows", {row.name: row for row in crewel.ALGORITHMS})
