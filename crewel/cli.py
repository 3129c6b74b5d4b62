"""The command line: `crewel list`, `crewel doctor` and `crewel demo`."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import platform
import sys
from collections.abc import Sequence

import crewel
from crewel.bridges import NETWORKS
from crewel.core.protocol import Algorithm
from crewel.core.text import table
from crewel.run.placement import cores

TOOLS = ("arviz", "arviz_plots", "matplotlib", "zarr", "pymc", "oryx", "bayeux")


def state(module: str) -> tuple[str, str]:
    """Whether a module is `installed`, `missing` or `broken`, and its version or the error.

    Examples:
        >>> state("numpyro")[0]
        'installed'
    """
    if importlib.util.find_spec(module.split(".")[0]) is None:
        return "missing", ""
    try:
        imported = importlib.import_module(module)
    except Exception as error:  # a broken package may raise anything
        return "broken", f"{type(error).__name__}: {error}".splitlines()[0]
    return "installed", str(
        getattr(sys.modules[module.split(".")[0]], "__version__", "")
        or getattr(imported, "__version__", "")
    )


def _install(row: Algorithm) -> str:
    found, _ = state(row.backend.module)
    return row.backend.command if found == "missing" else found


def list_algorithms() -> str:
    """List every algorithm: name, family, needs, state of its backend, summary."""
    rows = [("name", "family", "needs", "backend", "summary")]
    rows += [
        (row.name, row.family.name, ", ".join(sorted(row.needs)) or "-", _install(row), row.summary)
        for row in crewel.ALGORITHMS
    ]
    return table(rows)


def doctor() -> str:
    """Report versions, devices, and the state of every backend and network library."""
    import jax

    wide = jax.numpy.zeros(()).dtype.itemsize == 8
    backends = dict.fromkeys(row.backend.module for row in crewel.ALGORITHMS)
    networks = {prefix.split(".")[0]: "" for prefix in NETWORKS}
    rows = [("package", "used for", "state", "")]
    for kind, modules in (("backend", backends), ("network", networks), ("tool", TOOLS)):
        rows += [(module, kind, *state(module)) for module in modules]
    devices = ", ".join(f"{d.platform}:{d.id} ({d.device_kind})" for d in jax.devices())
    return "\n".join(
        [
            f"crewel {crewel.__version__}, Python {platform.python_version()}, "
            f"{platform.platform()}",
            f"jax {jax.__version__}, devices: {devices}; {cores()} processor cores",
            f"64-bit floats: {'on' if wide else 'off'}",
            "",
            table(rows),
        ]
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status."""
    parser = argparse.ArgumentParser(prog="crewel", description=crewel.__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="every algorithm, installed or not")
    commands.add_parser(
        "doctor", help="versions, devices, and which packages are installed, missing or broken"
    )
    demo = commands.add_parser(
        "demo", help="a Bayesian neural network on real data, from start to finish"
    )
    demo.add_argument("--output", default="crewel_demo.png", help="file for the figure")
    arguments = parser.parse_args(argv)
    if arguments.command == "list":
        print(list_algorithms())
    elif arguments.command == "doctor":
        print(doctor())
    else:
        from crewel.demo import run

        run(arguments.output)
    return 0
