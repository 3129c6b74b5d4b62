"""An entry is out of a shared table while anyone needs that, and back afterwards."""

from __future__ import annotations

import threading

import pytest

from crewel.bridges.models.oryx import _removed, _users, _without


def test_nested_uses_and_exceptions_restore_what_was_there():
    entry, other = object(), object()
    table = {"rule": entry, "other": other}
    with pytest.raises(KeyError), _without(table, "rule"):
        with pytest.raises(ZeroDivisionError), _without(table, "rule"):
            assert table == {"other": other}
            1 / 0  # noqa: B018
        assert table == {"other": other}  # the outer use is not over
        table["absent"]  # noqa: B018
    assert table == {"rule": entry, "other": other} and table["rule"] is entry
    with _without(table, "absent"):
        pass
    assert table == {"rule": entry, "other": other}
    assert not _users and not _removed


def test_the_last_thread_to_leave_restores():
    """The first to enter leaves first: the other must still be without the entry."""
    entry = object()
    table = {"rule": entry}
    entered, left, seen = threading.Event(), threading.Event(), []

    def second():
        with _without(table, "rule"):
            entered.set()
            assert left.wait(60)
            seen.append(dict(table))

    thread = threading.Thread(target=second)
    with _without(table, "rule"):
        thread.start()
        assert entered.wait(60)  # the lock is not held inside, or this would hang
    seen.append(dict(table))
    left.set()
    thread.join()
    assert seen == [{}, {}]
    assert table == {"rule": entry} and table["rule"] is entry
