"""The page of ten bugs shows what the debugger prints about them today."""

import importlib.util
import re
from pathlib import Path

import pytest

from crewel.checks import RULES, calls

DOCS = Path(__file__).parents[2] / "docs"
spec = importlib.util.spec_from_file_location("make_debugging", DOCS / "make_debugging.py")
make = importlib.util.module_from_spec(spec)
spec.loader.exec_module(make)
PAGE = (DOCS / "debugging.md").read_text()

NUMBER = re.compile(r"-?\d[\d,]*\.?\d*(?:e[+-]?\d+)?")
FOUND = {
    "01_broadcast": "! broadcast",
    "02_mean": "× rows summed",
    "03_jacobian": "× log-determinant",
    "04_where": "× gradient finite",
    "05_typo": "× parameters used",
    "06_separable": "× tails",
    "07_stop_gradient": "× gradient and differences",
    "08_unscaled": "! parameters informed",
    "09_batch_statistics": "× rows independent",
    "10_impossible": "× log density at test point",
}


def words_and_numbers(text):
    """A text without its numbers and line breaks, and the numbers."""
    numbers = [float(found.rstrip(",.").replace(",", "")) for found in NUMBER.findall(text)]
    return " ".join(NUMBER.sub("#", text).split()), numbers


@pytest.mark.parametrize("script", make.SCRIPTS, ids=lambda script: script.stem)
def test_each_bug_is_found_as_the_page_shows(script, monkeypatch):
    monkeypatch.setattr(calls, "_accelerators", lambda: [])
    printed, _ = make.debugger(script)
    assert printed.startswith(FOUND[script.stem])
    title, text, code, by_hand = make.parts(script)
    section = PAGE.split(f". {title}\n", 1)[1].split("\n### ", 1)[0]
    assert text.strip() in section and code in section
    shown = section.split("```text\n", 1)[1].split("```", 1)[0]
    words, numbers = words_and_numbers(printed)
    words_shown, numbers_shown = words_and_numbers(shown)
    assert words == words_shown
    assert numbers == pytest.approx(numbers_shown, rel=0.02)


def test_ten_bugs_and_every_check_are_on_the_page():
    assert len(make.SCRIPTS) == 10 == PAGE.count("\n### ")
    assert {script.stem for script in make.SCRIPTS} == set(FOUND)
    assert make.checks() in PAGE
    assert all(f"| {rule.name}" in PAGE for rule in RULES)
    assert make.INTRODUCTION in PAGE
    assert "Warning:" not in PAGE
