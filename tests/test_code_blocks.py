"""The pages' code runs: every block of Python, in order, with one namespace per page.

A comment above a block says what it needs, `<!-- needs pymc>=6.4 -->`, or why it does not run,
`<!-- not run: ... -->`.
"""

import importlib.metadata
import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import crewel as cw

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"(?:<!-- (needs|not run:) (.+?) -->\n)?^```(\w*)\n(.*?)^```", re.M | re.S)
MARKS = {
    # Most of it is tested in `checks/test_debug_page.py`.
    "debugging.md": pytest.mark.slow,
    "models.md": (),  # in the newest lane too, which is the one that has PyMC
}


def is_installed(requirement: str) -> bool:
    """Whether a distribution is there, in a version that is wanted."""
    wanted = Requirement(requirement)
    try:
        return importlib.metadata.version(wanted.name) in wanted.specifier
    except importlib.metadata.PackageNotFoundError:
        return False


def run(page: Path) -> dict:
    """Run a page; the names that it has at the end."""
    text, names = page.read_text(), {"__name__": page.stem}
    for block in BLOCK.finditer(text):
        mark, what, language, code = block.groups()
        if language != "python" or mark == "not run:":
            continue
        if mark == "needs" and not is_installed(what):
            continue
        lines = text.count("\n", 0, block.start(4))  # so that errors name the page's line
        exec(compile("\n" * lines + code, str(page), "exec"), names)
    return names


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
    # What a page registers is forgotten after it.
    monkeypatch.setattr(cw.ALGORITHMS, "_rows", {row.name: row for row in cw.ALGORITHMS})
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
