"""Which module may import which, beyond what import-linter's contract in `pyproject.toml` says."""

import ast
import importlib
import re
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

import crewel
from crewel.bridges import NETWORKS

PACKAGE = Path(crewel.__file__).parent
ROOT = PACKAGE.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
EXTRAS = PYPROJECT["project"]["optional-dependencies"]
TOOLS = {"test", "docs", "all"}  # extras that are neither backends nor network libraries
LAZY = PYPROJECT["tool"]["ruff"]["lint"]["flake8-tidy-imports"]["banned-module-level-imports"]
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in PACKAGE.rglob("*.py")
}


def imports(name: str) -> set[str]:
    """Modules of Crewel that a module imports, also inside its functions.

    `from crewel.a import b` is `crewel.a.b` where that is a module, else `crewel.a`.
    """
    found = set()
    for node in ast.walk(ast.parse(MODULES[name].read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            whole = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {module if module in MODULES else node.module for module in whole}
    return {module for module in found if module.partition(".")[0] == "crewel"}


def siblings(package: str) -> set[str]:
    return {name for name in MODULES if name.startswith(package + ".")}


@pytest.mark.parametrize("name", sorted(MODULES))
def test_every_import_of_the_package_names_a_module(name):
    # Pyright does not report a missing module, because no environment has every backend.
    assert imports(name) <= set(MODULES)


def test_an_adapter_imports_no_other_backend():
    owner = {}
    for name in siblings("crewel.adapters"):
        rows = getattr(importlib.import_module(name), "ROWS", ())
        if rows:
            (owner[name],) = {row.backend.name for row in rows}
    assert {"blackjax", "numpyro"} <= set(owner.values())
    wrong = {
        (name, other)
        for name in owner
        for other in imports(name) & set(owner)
        if owner[other] != owner[name]
    }
    assert wrong == set()


def test_a_bridge_imports_no_other_library():
    libraries = {where.partition(":")[0] for where in NETWORKS.values()} & set(MODULES)
    languages = siblings("crewel.bridges.models")
    assert len(libraries) >= 4 and len(languages) >= 5
    wrong = {
        (name, other)
        for kin in (libraries, languages)
        for name in kin
        for other in imports(name) & kin
    }
    assert wrong == set()


@pytest.mark.parametrize("prefix", NETWORKS)
def test_a_network_library_is_imported_late(prefix):
    assert prefix.partition(".")[0] in LAZY


def distribution(requirement: str) -> str:
    name = re.match(r"[\w.-]+", requirement)
    assert name
    return re.sub(r"[-_.]+", "-", name[0]).lower()


@pytest.mark.parametrize("extra", sorted(set(EXTRAS) - TOOLS))
def test_what_an_extra_installs_is_imported_late(extra):
    core = {distribution(line) for line in PYPROJECT["project"]["dependencies"]}
    tops: dict[str, set[str]] = {}
    for top, names in packages_distributions().items():
        for name in names:
            tops.setdefault(distribution(name), set()).add(top)
    wanted = {distribution(line) for line in EXTRAS[extra]} - core
    # Distributions also bring folders such as `docs` that nothing imports.
    assert {name for name in wanted & set(tops) if not tops[name] & set(LAZY)} == set()


@pytest.mark.parametrize("lane", ["VENV", "VENV_NEWEST", "VENV_BAYEUX"])
def test_every_extra_of_a_lane_has_its_constraint(lane):
    makefile = (ROOT / "Makefile").read_text()
    extras = re.search(rf"^\$\({lane}\): extras = (.*)$", makefile, re.M)
    file = re.search(rf"^\$\({lane}\): constraints = (.*)$", makefile, re.M)
    assert extras and file
    name = file[1].replace("$(CURRENT)", "constraints/current-py311.txt")
    pinned = {
        distribution(line) for line in (ROOT / name).read_text().splitlines() if line[0] != "#"
    }
    chosen = extras[1].split(",")
    if "all" in chosen:
        chosen += EXTRAS["all"][0].removeprefix("crewel[").removesuffix("]").split(",")
    wanted = {distribution(line) for extra in set(chosen) - {"all"} for line in EXTRAS[extra]}
    only_newest = {"pymc"} if "311" in name else set()
    assert wanted - pinned == only_newest


def test_no_module_compares_with_the_name_of_a_family():
    # What differs between families is a field of `Family`.
    found = [
        f"{name}:{node.lineno}"
        for name, path in MODULES.items()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Compare)
        for part in ast.walk(node)
        if isinstance(part, ast.Constant) and part.value in set(crewel.FAMILIES)
    ]
    assert found == []
