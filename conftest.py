"""What tests and the examples in docstrings share."""

from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def _no_verdicts() -> Iterator[None]:
    """Run without verdicts: most runs of tests are far too short for a good one."""
    from crewel import settings

    with settings(verdict="off"):
        yield


@pytest.fixture(autouse=True)
def _rows_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget the algorithms that a test or an example registers: the list is the process's."""
    from crewel import ALGORITHMS  # after `tests/conftest.py` has set the environment

    monkeypatch.setattr(ALGORITHMS, "_rows", {row.name: row for row in ALGORITHMS})
