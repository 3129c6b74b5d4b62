"""The page of reported bugs shows what Crewel says about them today."""

import contextlib
import importlib.util
import io
import re
from pathlib import Path

import pytest
from support.pages import BLOCK

DOCS = Path(__file__).parents[2] / "docs"
PAGE = DOCS / "reported_bugs.md"
spec = importlib.util.spec_from_file_location("make_debugging", DOCS / "make_debugging.py")
make = importlib.util.module_from_spec(spec)
spec.loader.exec_module(make)


def words(text):
    """A text without its numbers and line breaks."""
    return re.sub(r"-?\d[\d,]*\.?\d*(e[+-]?\d+)?", "#", " ".join(text.split()))


@pytest.mark.slow
def test_each_output_is_what_is_printed():
    text, names, printed, compared = PAGE.read_text(), {}, "", 0
    for block in BLOCK.finditer(text):
        language, code = block.groups()[2:]
        if language == "text":
            said = make.findings(printed) if printed.startswith("<crewel") else printed
            assert words(said) == words(code)
            compared += 1
            continue
        lines = text.count("\n", 0, block.start(4))
        with contextlib.redirect_stdout(io.StringIO()) as out:
            exec(compile("\n" * lines + code, str(PAGE), "exec"), names)
        printed = out.getvalue()
    assert compared == 11 == text.count("\n## ")


def test_each_mistake_has_its_thread():
    text = PAGE.read_text()
    table, *sections = text.split("\n## ")
    for section in sections:
        links = re.findall(r"https://github\.com/[\w/-]+/(?:issues|pull)/\d+", section)
        assert links and all(link in table for link in links), section[:40]
