"""The pages' code runs: every block of Python, in order, with one namespace per page.

A comment above a block says what it needs, `<!-- needs pymc>=6.4 -->`, or why it does not run,
`<!-- not run: ... -->`.
"""

import re
import tomllib

import pytest
from support.pages import BLOCK, PAGES, ROOT, run

MARKS = {
    # Most of it is tested in `checks/test_debug_page.py`.
    "debugging.md": pytest.mark.slow,
    # Its outputs are compared in `checks/test_reported_page.py`.
    "reported_bugs.md": pytest.mark.slow,
    # These take longest.
    "bridges.md": pytest.mark.slow,
    "sgmcmc.md": pytest.mark.slow,
    "vi.md": pytest.mark.slow,
    "models.md": (),  # in the newest lane too, which is the one that has PyMC
}


def pages() -> list:
    """The pages with Python in them."""
    return [
        pytest.param(page, id=page.name, marks=MARKS.get(page.name, pytest.mark.once))
        for page in PAGES
        if "```python" in page.read_text()
    ]


@pytest.mark.parametrize("page", pages())
def test_python(page, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(ROOT / "docs" / "bugs")
    run(page)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_other_blocks(page):
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    text, targets = page.read_text(), (ROOT / "Makefile").read_text()
    for _, _, language, code in BLOCK.findall(text):
        assert language in ("python", "text", "sh", "toml")
        if language == "toml":
            tomllib.loads(code)
    for target in re.findall(r"(?:^|`)make ([\w-]+)", text, re.M):
        assert re.search(rf"^{target}:", targets, re.M), target
    for chosen in re.findall(r"pip install '(?:crewel|\.)\[([\w,]+)\]'", text):
        assert set(chosen.split(",")) <= set(extras)
