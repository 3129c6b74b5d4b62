"""What holds for the repository as a whole: imports, extras, file sizes, nothing private in it."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import crewel

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
EXTRAS = PYPROJECT["project"]["optional-dependencies"]
# The one list of what may not be imported with Crewel; ruff reads it too.
LAZY = PYPROJECT["tool"]["ruff"]["lint"]["flake8-tidy-imports"]["banned-module-level-imports"]

# Registries' addresses and options, and paths of one machine. The brackets keep this file clean.
PRIVATE = re.compile(
    r"pyp[i]\.org|pythonhoste[d]|npm[j]s\.|\bindex-ur[l]|find-link[s]|(?<![\w.])/(wor[k]|roo[t])/"
)


def repository_files() -> list[Path]:
    """Files that are, or by the next commit will be, in the repository."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    paths = [ROOT / name for name in listed.stdout.split("\0") if name]
    return [path for path in paths if path.is_file()]


def test_listing_algorithms_imports_no_backend():
    # The core's own dependencies first, because arviz-base brings pandas and Matplotlib.
    script = """
import json, sys
import arviz_base, arviz_stats, jax, numpyro, optax
before = set(sys.modules)
import crewel
names = [row.name for row in crewel.ALGORITHMS]
print(json.dumps([names, sorted(set(sys.modules) - before)]))
"""
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script], capture_output=True, text=True, check=True
    )
    names, imported = json.loads(run.stdout)
    assert "numpyro_nuts" in names
    assert [name for name in imported if name.split(".")[0] in LAZY] == []


@pytest.mark.parametrize("row", crewel.ALGORITHMS, ids=lambda row: row.name)
def test_requirement_is_an_extra_and_imported_late(row):
    if row.backend.extra:
        assert row.backend.extra in EXTRAS
        assert row.backend.package in LAZY


def test_extra_all_is_every_backend_and_library_of_the_current_lane():
    (everything,) = EXTRAS["all"]
    named = re.fullmatch(r"crewel\[(.*)\]", everything).group(1).split(",")
    assert set(named) == set(EXTRAS) - {"all", "bayeux", "oryx", "test", "docs"}


# Files of one name that are not siblings: an entry goes when one of them is renamed.
NAMESAKES: set[str] = set()
# Folders of `tests/` that are not rooms.
NOT_ROOMS = {"data", "lane_bayeux", "plugin", "support"}


def python_files(folder: str) -> list[Path]:
    return [path.relative_to(ROOT) for path in sorted((ROOT / folder).rglob("*.py"))]


def test_no_source_file_is_over_300_lines():
    files = python_files("crewel") + python_files("tests")
    long = {str(path) for path in files if len((ROOT / path).read_text().splitlines()) > 300}
    assert long == set()


def test_files_of_one_name_are_siblings():
    """A library's bridge and its adapter are, and so is what the drop-in for bayeux mirrors."""
    libraries = {row.backend.name for row in crewel.ALGORITHMS}
    places = {}
    for path in python_files("crewel"):
        room = path.parts[1]
        sibling = room == "compat" or (room == "bridges" and path.stem in libraries)
        if path.stem != "__init__" and not sibling:
            places.setdefault(path.stem, []).append(str(path))
    assert {name for name, paths in places.items() if len(paths) > 1} == NAMESAKES


def test_tests_mirror_the_rooms():
    rooms = {path.name for path in (ROOT / "crewel").iterdir() if (path / "__init__.py").exists()}
    tests = [path.relative_to("tests") for path in python_files("tests")]
    tests = [path for path in tests if path.name.startswith("test_")]
    assert {path.parts[0] for path in tests if len(path.parts) > 1} - NOT_ROOMS == rooms
    assert all(len(path.parts) <= 2 for path in tests)
    # A failure is named by its file, and the tests of a file are kept together by its name.
    names = [path.name for path in tests]
    assert {name for name in names if names.count(name) > 1} == set()


def test_no_file_names_a_registry_or_a_machine():
    found = [
        f"{path.relative_to(ROOT)}: {match.group()}"
        for path in repository_files()
        for match in PRIVATE.finditer(path.read_text(errors="ignore"))
    ]
    assert found == []
