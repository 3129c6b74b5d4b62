"""What the build writes: the README as first page, and the table of algorithms from the rows."""

from __future__ import annotations

from pathlib import Path

from crewel import ALGORITHMS, FAMILIES
from crewel.core.options import settings_of

MARK = "<!-- algorithms -->"


def algorithms() -> str:
    """A Markdown table for each family that has rows."""
    parts = []
    for family in FAMILIES.values():
        rows = [row for row in ALGORITHMS if row.family is family]
        if not rows:
            continue
        parts += [f"## {family.title}: `model.{family.name}`", ""]
        parts += [
            "| name | what it is | needs | install | paper |",
            "| --- | --- | --- | --- | --- |",
        ]
        for row in rows:
            needs = ", ".join(f"`{need}`" for need in sorted(row.needs))
            install = f"`crewel[{row.backend.extra}]`" if row.backend.extra else ""
            summary = row.summary + (f". *{row.bias}*" if row.bias else "")
            parts.append(f"| `{row.name}` | {summary} | {needs} | {install} | {row.reference} |")
        common = {k: v for k, v in settings_of(rows[0]).items() if k not in rows[0].settings}
        words = ", ".join(f"`{name}={value!r}`" for name, value in common.items())
        parts += ["", f"Words of this family: {words}. All else goes to the backend.", ""]
    return "\n".join(parts)


def on_page_markdown(markdown: str, page, **_) -> str:
    """Put the table where the page asks for it."""
    return markdown.replace(MARK, algorithms()) if MARK in markdown else markdown


def on_files(files, config):
    """Add the README as the first page; its links are seen from here."""
    from mkdocs.structure.files import File

    readme = Path(config.config_file_path).with_name("README.md").read_text()
    readme = readme.replace("](docs/", "](")
    for name in ("CONTRIBUTING.md", "CHANGELOG.md"):
        path = Path(config.config_file_path).with_name(name)
        files.append(File.generated(config, name.lower(), content=path.read_text()))
        readme = readme.replace(f"]({name})", f"]({name.lower()})")
    files.append(File.generated(config, "index.md", content=readme))
    return files
