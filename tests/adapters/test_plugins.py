"""Algorithms and networks of other packages: `tests/plugin` is one, by its entry points."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

TESTS = Path(__file__).parents[1]
PLUGIN = TESTS / "plugin"
pytestmark = pytest.mark.once


def run(*command: str, path: Path) -> subprocess.CompletedProcess[str]:
    """Python, with the packages in `path` on its own path."""
    folders = os.pathsep.join(map(str, (TESTS.parent, TESTS, path)))
    return subprocess.run(
        [sys.executable, *command],
        env=os.environ | {"PYTHONPATH": folders},
        capture_output=True,
        text=True,
    )


@pytest.fixture(scope="module")
def seen():
    """What `use.py` saw."""
    done = run(str(PLUGIN / "use.py"), path=PLUGIN)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_row_of_another_package_is_listed_with_its_options(seen):
    assert seen["listed"]
    assert seen["options"] == 0.5


def test_its_draws_are_right(seen):
    # Beyond five standard errors: probability 6e-7 each.
    assert max(seen["errors"]) < 5
    # The option arrives: where chains start the slope is at most 17, and steps of a hundredth are
    # taken with probability 0.93 even there.
    wide, narrow = seen["rates"]
    assert wide < 0.5 and narrow > 0.93


def test_its_unknown_option_raises(seen):
    assert seen["unknown"].startswith(
        "TypeError: `dummy_random_walk` has no option `scales`. Did you mean `scale`?"
    )


def test_a_network_of_another_package_is_wrapped(seen):
    assert seen["priors"] == ["offset", "slope"]
    outputs = np.array([0.0, 1.2, 0.0])  # x @ (0.3, -0.2) + 0.1
    expected = stats.norm.logpdf([0.3, -0.2, 0.1]).sum()
    expected += stats.norm.logpdf([1.0, 0.5, -1.0], outputs, 0.5).sum()
    assert seen["density"] == pytest.approx(expected, rel=1e-5)


def test_a_row_runs_with_and_without_its_name(seen):
    assert seen["before"].startswith("AttributeError: `model.mcmc` has no `mine`.")
    assert seen["same"] and seen["named"]


def test_what_is_not_such_a_row_raises(seen):
    assert seen["twice"] == (
        "ValueError: An algorithm named `mine` already exists. Give yours another name."
    )
    assert (
        seen["family"] == "ValueError: `mine` belongs to the family `mcmc`. Use `model.mcmc(row)`."
    )
    for error in seen["kind"]:
        assert error.startswith("TypeError:") and "`crewel.Algorithm`, got a str" in error


BROKEN = {
    "raises": "raise RuntimeError('out of order')",
    "repeats": "import crewel.adapters.numpyro\nROWS = crewel.adapters.numpyro.ROWS[:1]\n"
    "import dataclasses\nROWS = (dataclasses.replace(ROWS[0]),)",
    "strings": "ROWS = ('numpyro_nuts',)",
}


def test_a_broken_package_warns_and_breaks_nothing(tmp_path):
    for name, code in BROKEN.items():
        (tmp_path / f"{name}.py").write_text(code)
        info = tmp_path / f"{name}-0.1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.1\n")
        (info / "entry_points.txt").write_text(f"[crewel.algorithms]\na = {name}:ROWS\n")
    script = "import crewel; print(len(crewel.ALGORITHMS)); print(len(crewel.ALGORITHMS))"
    healthy, broken = (run("-c", script, path=path) for path in (PLUGIN, tmp_path))
    assert healthy.returncode == broken.returncode == 0, broken.stderr
    without = int(healthy.stdout.split()[0]) - 1
    assert broken.stdout.split() == [str(without)] * 2
    for name, error in {
        "raises": "RuntimeError: out of order",
        "repeats": "ValueError: An algorithm named `numpyro_nuts` already exists",
        "strings": "TypeError: An algorithm must be a `crewel.Algorithm`, got a str",
    }.items():
        assert f"The algorithms of `{name}:ROWS` could not be loaded: {error}" in broken.stderr
    assert broken.stderr.count("could not be loaded") == len(BROKEN)
    assert healthy.stderr.count("could not be loaded") == 0
