"""Which tests run in which lane, and what all of them share."""

import importlib.util
import os
from importlib.metadata import version
from pathlib import Path

import pytest

# Plots are drawn into memory, with or without a screen. Set before anything imports Matplotlib.
os.environ.setdefault("MPLBACKEND", "Agg")

# The lane is the one of the environment: Oryx imports only in the lane bayeux.
LANE = "bayeux" if importlib.util.find_spec("oryx") else "current"

# arviz-stats of the lane bayeux compiles with Numba where it is imported, and Numba's cache on disk
# breaks for good when two processes fill it at once: fill it before xdist starts its workers.
if LANE == "bayeux":
    import arviz_stats  # noqa: F401

# Tests of what must work in both lanes: the core, and the NumPyro and Optax adapters. All other
# files belong to the current lane, and those in lane_bayeux/ to the lane bayeux.
BOTH_LANES = [
    "test_contract.py",
    "test_function_space.py",
    "test_metrics.py",
    "test_models.py",
    "test_project.py",
    "test_transforms.py",
]

tests = Path(__file__).parent
if LANE == "bayeux":
    collect_ignore = [p.name for p in tests.glob("test_*.py") if p.name not in BOTH_LANES]
else:
    collect_ignore = ["lane_bayeux"]

# A renamed file must not fall out of the lane bayeux unseen.
assert all((tests / name).exists() for name in BOTH_LANES), BOTH_LANES


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """In the lane bayeux, only the core's own algorithms: its other backends are too old."""
    if LANE == "bayeux":
        old = [item for item in items if _extra_of_row(item)]
        config.hook.pytest_deselected(items=old)
        items[:] = [item for item in items if not _extra_of_row(item)]


def _extra_of_row(item: pytest.Item) -> str:
    """The extra that a test's parameter `row` needs; empty for the core's and without a row."""
    call = getattr(item, "callspec", None)
    return getattr(call.params.get("row"), "requires", "") if call else ""


def pytest_report_header() -> str:
    """The versions that decide most, on top of every report."""
    packages = ("jax", "numpyro", "optax", "arviz-base")
    return f"lane {LANE}: " + ", ".join(f"{name} {version(name)}" for name in packages)
