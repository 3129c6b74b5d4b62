"""What the debugger says while it runs, and how much it compiles."""

import threading

from support.checks import GOOD

from crewel.checks import RULES
from crewel.checks.debug import debug


class Stream:
    """A text stream that tells when something was written."""

    def __init__(self):
        self.text, self.written = "", threading.Event()

    def write(self, text):
        self.text += text
        self.written.set()

    def flush(self):
        pass


def test_a_check_that_takes_long_is_named_while_it_runs(monkeypatch):
    stream = Stream()
    monkeypatch.setattr("sys.stderr", stream)
    monkeypatch.setattr("crewel.checks.report.PATIENCE", 0.0)

    def slow(context):
        """Something holds."""
        assert stream.written.wait(30)
        return RULES[1].check(context)

    monkeypatch.setattr(
        "crewel.checks.debug.RULES", (RULES[1]._replace(name="slow one", check=slow),)
    )
    report = debug(GOOD, 0, printer=lambda *parts, **kwargs: None)
    assert report["slow one"].status != "failed"
    assert stream.text.startswith("... still running `slow one`: Something holds.\n"[:40])


def test_checks_that_are_quick_are_not_named(capsys):
    debug(GOOD, 0, verbosity=0)
    assert capsys.readouterr().err == ""
