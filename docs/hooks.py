"""What the build writes into the pages: the README as first page, and tables made from the rows.

A page asks for a table with a comment: `<!-- algorithms -->`, `<!-- algorithms: sgmcmc -->`,
`<!-- warm-ups of one piece -->` or `<!-- engines -->`. `tests/test_docs.py` checks that every one
is known and that no page names an algorithm that does not exist.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path

from crewel import ALGORITHMS, FAMILIES, Algorithm, SteppedWarmup
from crewel.core.options import settings_of


def _of_family(name: str) -> list[Algorithm]:
    return [row for row in ALGORITHMS if row.family is FAMILIES[name]]


def algorithms() -> str:
    """A section for each family that has rows: a Markdown table, and the settings of the family."""
    parts = []
    for name, family in FAMILIES.items():
        rows = _of_family(name)
        if not rows:
            continue
        parts += [
            f"## {family.title}: `model.{name}`",
            "",
            "| name | what it is | needs | install | paper |",
            "| --- | --- | --- | --- | --- |",
        ]
        for row in rows:
            needs = ", ".join(f"`{need}`" for need in sorted(row.needs))
            install = f"`crewel[{row.backend.extra}]`" if row.backend.extra else ""
            summary = row.summary + (f". *{row.bias}*" if row.bias else "")
            parts.append(f"| `{row.name}` | {summary} | {needs} | {install} | {row.reference} |")
        settings = ", ".join(f"`{key}={value!r}`" for key, value in family.settings.items())
        parts += [
            "",
            f"Settings of this family: {settings}. Every other keyword goes to the backend.",
        ]
        own = [row for row in rows if row.unsupported or row.settings]
        if own:
            parts += ["", "Where a row differs from its family:", ""]
            parts += [f"- `{row.name}` {_differs(row)}." for row in own]
        parts.append("")
    return "\n".join(parts)


def _differs(row: Algorithm) -> str:
    """The settings that a row does not take, and its other defaults."""
    said = []
    if row.unsupported:
        said.append("does not take " + ", ".join(f"`{key}`" for key in sorted(row.unsupported)))
    defaults = {key: value for key, value in settings_of(row).items() if key in row.settings}
    if defaults:
        values = ", ".join(f"`{key}={value!r}`" for key, value in defaults.items())
        said.append(f"has {values} by default")
    return " and ".join(said)


def family_table(name: str) -> str:
    """The rows of one family: what each is."""
    rows = [f"| `{row.name}` | {row.summary} |" for row in _of_family(name)]
    return "\n".join(["| name | what it is |", "| --- | --- |", *rows])


def one_piece(row: Algorithm) -> bool:
    """Whether a row has a warm-up that cannot be interrupted before its end."""
    stepped = isinstance(row.warmup, SteppedWarmup)
    return row.resumable and bool(row.family.warmup) and not stepped


def names(rows: Iterable[Algorithm]) -> str:
    """Names of rows, in prose."""
    return ", ".join(f"`{row.name}`" for row in rows)


MARKS: dict[str, Callable[[], str]] = {
    "algorithms": algorithms,
    **{f"algorithms: {name}": lambda name=name: family_table(name) for name in FAMILIES},
    "warm-ups of one piece": lambda: names(row for row in ALGORITHMS if one_piece(row)),
    "engines": lambda: names(row for row in ALGORITHMS if not row.resumable),
}


def written(markdown: str) -> str:
    """A page with every comment that is a mark replaced by what it asks for."""

    def text(found: re.Match[str]) -> str:
        return MARKS[found[1]]() if found[1] in MARKS else found[0]

    return re.sub(r"<!-- ([\w: -]+?) -->", text, markdown)


def on_page_markdown(markdown: str, page, **_) -> str:
    """Write the tables that the page asks for."""
    return written(markdown)


def on_files(files, config):
    """Add the README as the first page; its links are seen from here."""
    from mkdocs.structure.files import File

    readme = Path(config.config_file_path).with_name("README.md").read_text()
    readme = readme.replace("](docs/", "](")
    for name in ("CONTRIBUTING.md", "CHANGELOG.md"):
        path = Path(config.config_file_path).with_name(name)
        content = path.read_text().replace("](docs/", "](")
        files.append(File.generated(config, name.lower(), content=content))
        readme = readme.replace(f"]({name})", f"]({name.lower()})")
    files.append(File.generated(config, "index.md", content=readme))
    return files
