"""The pages of the documentation, and how their code is run."""

import importlib.metadata
import re
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"(?:<!-- (needs|not run:) (.+?) -->\n)?^```(\w*)\n(.*?)^```", re.M | re.S)


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
