"""What the pages say of algorithms is what the list of algorithms says."""

import importlib.util
import re
from pathlib import Path

import pytest

import crewel as cw

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
spec = importlib.util.spec_from_file_location("hooks", ROOT / "docs" / "hooks.py")
hooks = importlib.util.module_from_spec(spec)
spec.loader.exec_module(hooks)

BACKENDS = {row.backend.name for row in cw.ALGORITHMS}
# Named because it is missing, or because the reader makes it.
ELSEWHERE = {"optimistix_nelder_mead", "mine_metropolis"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_names_only_algorithms_that_exist(page):
    text = page.read_text()
    named = set(re.findall(rf"\b(?:{'|'.join(BACKENDS)}|mine)_[a-z]\w*", text))
    called = set(re.findall(rf"\bmodel\.(?:{'|'.join(cw.FAMILIES)})\.([a-z]\w+)", text))
    assert {name for name in named | called if name not in cw.ALGORITHMS} <= ELSEWHERE


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_comment_is_a_mark_that_the_build_knows(page):
    comments = re.findall(r"<!-- (.*?) -->", page.read_text(), re.S)
    known = [c for c in comments if c in hooks.MARKS or c.startswith(("needs ", "not run: "))]
    assert set(comments) - set(known) <= {f"Written by docs/make_{page.stem}.py, which runs the "
                                          "scripts in docs/bugs."}  # fmt: skip


def test_the_tables_have_every_algorithm_once():
    page = hooks.written((ROOT / "docs" / "algorithms.md").read_text())
    rows = re.findall(r"^\| `(\w+)` \|", page, re.M)
    assert sorted(rows) == sorted(row.name for row in cw.ALGORITHMS)
    table = hooks.family_table("sgmcmc")
    assert {row.name for row in cw.ALGORITHMS if row.family.name == "sgmcmc"} == set(
        re.findall(r"^\| `(\w+)` \|", table, re.M)
    )


def test_the_readme_names_every_backend_that_it_drives():
    readme = (ROOT / "README.md").read_text().lower()
    assert {name for name in BACKENDS - {"crewel"} if name not in readme} == set()


def test_what_cannot_be_interrupted():
    nuts, nutpie = cw.ALGORITHMS["numpyro_nuts"], cw.ALGORITHMS["nutpie"]
    windows = cw.ALGORITHMS["blackjax_nuts"]
    assert not hooks.one_piece(nuts) and hooks.one_piece(windows) and not hooks.one_piece(nutpie)
    assert hooks.MARKS["engines"]().count("flowmc_") == 4


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_file_that_a_page_names_exists(page):
    text = page.read_text()
    files = re.findall(
        r"`((?:crewel|tests|docs|examples|benchmarks|constraints)/[\w/.-]+\.\w+)`", text
    )
    if page.name == "how_it_works.md":  # there, paths are of the package
        files += [f"crewel/{name}" for name in re.findall(r"`((?:core|run)/\w+\.py)`", text)]
    assert [name for name in files if not (ROOT / name).exists()] == []
