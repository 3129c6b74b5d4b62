"""`crewel/methods.pyi`: it says what the rows say, and a type checker flags what is wrong."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

import crewel

ROOT = Path(crewel.__file__).parents[1]
CALLS = "tests/data/typed_calls.py"

pytestmark = pytest.mark.once


@pytest.mark.skipif(
    sys.version_info[:2] != (3, 11) or importlib.util.find_spec("oryx") is not None,
    reason="the backends' options are those of the current lane on Python 3.11",
)
def test_the_stub_is_current():
    # In a process of its own, to which no test has added rows.
    script = "from tools.make_stubs import stub; print(stub(), end='')"
    made = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    current = made.stdout == (ROOT / "crewel" / "methods.pyi").read_text()
    assert current, "run `make stubs`"


def pyright(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def test_pyright_flags_what_is_wrong_and_nothing_else():
    done = pyright(CALLS)
    assert "0 errors" in done.stdout, done.stdout


def test_every_mark_in_that_file_stands_for_an_error(tmp_path):
    # The file without its marks: as many errors, so that the marks are not what passes.
    source = (ROOT / CALLS).read_text()
    marked = [line for line in source.splitlines() if "# pyright: ignore" in line]
    bare = tmp_path / "bare.py"
    bare.write_text(
        "\n".join(line.partition("  # pyright: ignore")[0] for line in source.splitlines()[1:])
    )
    done = pyright(str(bare))
    assert len(marked) == 9
    assert f"{len(marked)} errors" in done.stdout, done.stdout


def test_the_package_says_that_it_is_typed():
    assert (Path(crewel.__file__).parent / "py.typed").exists()
