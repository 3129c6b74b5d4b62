"""Which module may import which, beyond what import-linter's contract in `pyproject.toml` says."""

import ast
import importlib
import importlib.util
from pathlib import Path

import pytest

import crewel
from crewel.bridges import NETWORKS

PACKAGE = Path(crewel.__file__).parent
MODULES = {
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__"): path
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
