"""Which tests run in which lane, and what all of them share."""

import functools
import importlib.util
import os
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

# Plots are drawn into memory, with or without a screen. Set before anything imports Matplotlib.
os.environ.setdefault("MPLBACKEND", "Agg")

# The lane is the one of the environment: Oryx imports only in the lane bayeux.
LANE = "bayeux" if importlib.util.find_spec("oryx") else "current"

# Compiling is most of a test's time, and XLA's optimizations are most of compiling. Its emitters of
# fused loops are what is slow to compile on JAX 0.10; 0.5 and 0.12 have no such flag.
QUICK = "--xla_backend_optimization_level=0"
if version("jaxlib").startswith("0.10."):
    QUICK += " --xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1"
os.environ.setdefault("XLA_FLAGS", QUICK)

# arviz-stats of the lane bayeux compiles with Numba where it is imported, and Numba's cache on disk
# breaks for good when two processes fill it at once: fill it before xdist starts its workers.
if LANE == "bayeux":
    import arviz_stats  # noqa: F401

# Tests of what must work in both lanes, as rooms and files: the core, and the NumPyro and Optax
# adapters. All others belong to the current lane, and those in lane_bayeux/ to the lane bayeux.
BOTH_LANES = [
    "adapters/test_contract_draws.py",
    "adapters/test_contract_short.py",
    "adapters/test_contract_words.py",
    "adapters/test_optimizers.py",
    "bridges/test_numpyro_density.py",
    "bridges/test_numpyro_programs.py",
    "bridges/test_tfp_models.py",
    "core",
    "metrics",
    "posterior/test_function_space.py",
    "test_project.py",
    "transforms",
]

TESTS = Path(__file__).parent


def _of_this_lane(path: Path) -> bool:
    """Whether a file of tests, a path relative to `tests/`, is run in this lane."""
    if LANE == "current":
        return path.parts[0] != "lane_bayeux"
    return any(path.is_relative_to(room) for room in ["lane_bayeux", *BOTH_LANES])


collect_ignore = ["support", "data"] + [
    str(path.relative_to(TESTS))
    for path in TESTS.rglob("test_*.py")
    if not _of_this_lane(path.relative_to(TESTS))
]

# Samplers of NumPyro that 0.16.1 has in another form: their moments or seeds are off there.
WRONG_WHEN_OLD = {"numpyro_aies", "numpyro_ess", "numpyro_sa"}

# A renamed file must not fall out of the lane bayeux unseen.
assert all((TESTS / name).exists() for name in BOTH_LANES), BOTH_LANES


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Sort by group; in the lane bayeux, leave out the algorithms that its versions lack."""
    if LANE == "bayeux":
        old = [item for item in items if _too_old(item)]
        config.hook.pytest_deselected(items=old)
        items[:] = [item for item in items if item not in old]
    order: dict[str, int] = {}
    for item in items:
        order.setdefault(_group(item.nodeid), len(order))
    items.sort(key=lambda item: order[_group(item.nodeid)])


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Run the tests of a group in one process; `--dist loadgroup` does not on pytest 9.2."""
    from xdist.scheduler import LoadScopeScheduling

    class ByGroup(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return _group(nodeid)

    return ByGroup(config, log)


@functools.cache
def _names() -> frozenset[str]:
    from crewel import ALGORITHMS

    return frozenset(row.name for row in ALGORITHMS)


def _group(nodeid: str) -> str:
    """Tests that share models and programs: those of an algorithm, and those of a file.

    A page of the documentation is a group of its own.
    """
    file, _, parameters = nodeid.partition("[")
    named = [part for part in parameters.rstrip("]").split("-") if part in _names()]
    if named:
        return named[0]
    return nodeid if parameters.endswith(".md]") else file.partition("::")[0]


def _row(item: pytest.Item) -> Any:
    """The algorithm that a test is about, or `None`."""
    from crewel import Algorithm

    row = item.callspec.params.get("row") if hasattr(item, "callspec") else None
    return row if isinstance(row, Algorithm) else None


def _too_old(item: pytest.Item) -> bool:
    """Whether a test's parameter `row` is an algorithm that this lane does not have."""
    from crewel.core.options import backend_options

    row = _row(item)
    if row is not None and row.name in WRONG_WHEN_OLD:
        return True
    if row is None or row.backend.extra:
        return row is not None
    try:
        backend_options(row)
    except ImportError:
        return True
    return False


def pytest_runtest_teardown() -> None:
    """Forget compiled programs when there are many: a process may hold only so many.

    XLA maps the code of each; at Linux's usual limit of 65,530 maps the process aborts. Forgetting
    more often costs seconds each time, because all small operations are compiled again. A run of
    Crewel forgets later than this, and so never between two calls of which a test counts the
    compilations.
    """
    from crewel.core import compiling

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiling, "CROWDED", compiling.CROWDED / 2)
        compiling.make_room()


def pytest_report_header() -> str:
    """The versions that decide most, on top of every report."""
    packages = ("jax", "numpyro", "optax", "arviz-base")
    return f"lane {LANE}: " + ", ".join(f"{name} {version(name)}" for name in packages)
