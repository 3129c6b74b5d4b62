"""What the build writes into the pages: the README as first page, and tables made from the rows.

A page asks for a table with a comment, for example `<!-- algorithms: sgmcmc -->`; see `MARKS`.
`tests/test_docs.py` checks that every one is known and that no page names an algorithm that does
not exist.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path

from crewel import ALGORITHMS, FAMILIES, Algorithm, SteppedWarmup, checks
from crewel.core import meanings
from crewel.core.options import settings_of
from crewel.posterior import verdict


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


def rules(rows: Iterable[tuple[str, Callable[..., object]]]) -> str:
    """A table of checks: each one's name, and the first line of its function's docstring."""
    lines = [f"| {name} | {(fn.__doc__ or '').splitlines()[0]} |" for name, fn in rows]
    return "\n".join(["| name | what must hold |", "| --- | --- |", *lines])


def option_meanings() -> str:
    """A table of the values that numeric options of backends may have."""
    by_text: dict[str, list[str]] = {}
    for name, meaning in meanings.MEANINGS.items():
        by_text.setdefault(meaning.text, []).append(f"`{name}`")
    lines = [f"| {text} | {', '.join(sorted(names))} |" for text, names in by_text.items()]
    return "\n".join(["| must be | options |", "| --- | --- |", *lines])


MARKS: dict[str, Callable[[], str]] = {
    "algorithms": algorithms,
    **{f"algorithms: {name}": lambda name=name: family_table(name) for name in FAMILIES},
    "warm-ups of one piece": lambda: names(row for row in ALGORITHMS if one_piece(row)),
    "rules of debug": lambda: rules((rule.name, rule.check) for rule in checks.RULES),
    "rules of the verdict": lambda: rules((rule.name, rule.find) for rule in verdict.RULES),
    "meanings of options": option_meanings,
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
